"""What was made of blobs, so that a commit that is taken back costs nothing again."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")

_DEFAULT_BYTES = 8 * 1024 * 1024
# What a blob takes beside its content, so that small ones do not count for nothing.
_BYTES_EACH = 1024


class BlobCache(Generic[T]):
    """By blob id, the longest unused dropped first; bounded by bytes of YAML, what is made of them takes more."""

    def __init__(self, max_bytes: int = _DEFAULT_BYTES) -> None:
        self._kept: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._max_bytes = max_bytes
        self._bytes = 0

    def find(self, blob: str) -> T | None:
        """What was kept of the blob."""
        if blob not in self._kept:
            return None
        self._kept.move_to_end(blob)
        return self._kept[blob][0]

    def keep(self, blob: str, size: int, value: T) -> None:
        """Drops what exceeds the bound, this blob too if it alone does."""
        if blob in self._kept:
            self._bytes -= self._kept.pop(blob)[1]
        self._kept[blob] = value, size + _BYTES_EACH
        self._bytes += size + _BYTES_EACH
        while self._bytes > self._max_bytes:
            self._bytes -= self._kept.popitem(last=False)[1][1]
