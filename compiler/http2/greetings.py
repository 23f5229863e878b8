"""The first header block of a connection is read without any table, so that equal bytes mean equal headers.

To decode one costs more than all else of a connection's beginning, and a fleet's are mostly alike.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

Fields = Sequence[tuple[bytes, bytes]]

_MOST: Final = 256
_LONGEST: Final = 1024
"""Of blocks that are kept, in bytes: 256 KB of them, whatever peers send."""


class Greeting(NamedTuple):
    """A block and what it says; its decoder's table can be had again by decoding it once more."""

    block: bytes
    fields: Fields


class Greetings:
    """The last ones of a server, by their bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, Greeting] = {}

    def find(self, block: bytes) -> Greeting | None:
        return self._known.get(block)

    def keep(self, block: bytes, fields: Fields) -> None:
        if len(block) > _LONGEST:
            return
        self._known[block] = Greeting(block, fields)
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
