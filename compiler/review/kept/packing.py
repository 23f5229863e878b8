"""Images as they lie on a disk: compressed, and a checksum before it.

A thread compresses what was pickled while more is, and unpacks what is unpickled next: both let Python go on.
"""

import pickle
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Final, Self

from compiler.review.kept.image import UnreadableImageError

__all__ = ["Packing", "Unpacking"]

_LARGEST: Final = 2 * 1024 * 1024 * 1024
"""Of one image, unpacked: what claims to be larger is none."""
_HEADER: Final = b"meshwright image 1\n"
_SUM_BYTES: Final = 32
_SIZE_BYTES: Final = 8
_LEVEL: Final = 1
"""Of compression: a sixth of the size for a third of the time that writing takes."""
_GIVEN: Final = 1024 * 1024
"""Bytes at once: to get its turn a thread waits for up to five milliseconds."""
_TAKEN: Final = 256 * 1024
"""Packed bytes at once."""


class Packing:
    """A file to write to, and to leave before it is asked what it comes to."""

    def __init__(self) -> None:
        self._size = 0
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._given: SimpleQueue[bytes] = SimpleQueue()
        self._packed: list[bytes] = []
        self._thread = Thread(target=self._pack, name="packing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._waiting:
            self._give()
        self._given.put(b"")
        self._thread.join()

    def write(self, content: bytes) -> int:
        """As a pickler asks for it."""
        self._waiting.append(content)
        self._waiting_size += len(content)
        if self._waiting_size >= _GIVEN:
            self._give()
        return len(content)

    def packed(self) -> bytes:
        """All that is to lie there."""
        content = self._size.to_bytes(_SIZE_BYTES) + b"".join(self._packed)
        return _HEADER + blake2b(content, digest_size=_SUM_BYTES).digest() + content

    def _give(self) -> None:
        self._given.put(b"".join(self._waiting))
        self._size += self._waiting_size
        self._waiting, self._waiting_size = [], 0

    def _pack(self) -> None:
        packing = zlib.compressobj(_LEVEL)
        while content := self._given.get():
            self._packed.append(packing.compress(content))
        self._packed.append(packing.flush())


class Unpacking:
    """A file to read from, once; raises `UnreadableImageError` where the bytes are not as they were written."""

    def __init__(self, packed: bytes) -> None:
        start = len(_HEADER) + _SUM_BYTES
        content = memoryview(packed)[start:]
        self._left = int.from_bytes(content[:_SIZE_BYTES])
        sum_of_it = blake2b(content, digest_size=_SUM_BYTES).digest()
        if packed[:start] != _HEADER + sum_of_it or self._left > _LARGEST:
            raise UnreadableImageError("it is not as it was written")
        self._ahead, self._at = b"", 0
        self._given: SimpleQueue[bytes] = SimpleQueue()
        Thread(target=self._unpack, args=(content[_SIZE_BYTES:],), daemon=True).start()

    def read(self, size: int) -> bytes:
        """Less only at the end."""
        end = self._at + size
        if end > len(self._ahead):
            self._ahead, self._at, end = b"".join(self._gather(size)), 0, size
        start, self._at = self._at, min(end, len(self._ahead))
        return self._ahead[start:end]

    def readline(self) -> bytes:
        """Of no image that this program writes."""
        raise pickle.UnpicklingError("a line is in it")

    def _gather(self, size: int) -> Iterator[bytes]:
        """What is left, and as many pieces as it takes."""
        piece = self._ahead[self._at :]
        while piece or self._left:
            yield piece
            size -= len(piece)
            if size <= 0:
                return
            piece = self._given.get()
            self._left = self._left - len(piece) if piece else 0

    def _unpack(self, content: memoryview) -> None:
        """An empty piece is the end, and what cannot be unpacked ends there."""
        unpacking = zlib.decompressobj()
        try:
            for at in range(0, len(content), _TAKEN):
                if piece := unpacking.decompress(content[at : at + _TAKEN]):
                    self._given.put(piece)
        except zlib.error:
            pass
        self._given.put(b"")
