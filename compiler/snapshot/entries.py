"""Git objects as a pack has them: compressed, or as deltas against one before them."""

import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from compiler.snapshot.delta import Base

__all__ = ["Entry", "GitObject", "make_entries"]

_COMPRESSION: Final = 3
"""Our JSON repeats itself over long stretches: this is as quick as level 1, and a sixth smaller."""
_TOO_SHORT: Final = 100
"""Content of which compression takes nothing off, but 20 µs."""
_SHORT: Final = 1000
"""Content for which zlib's usual window costs more to set up than all the rest."""
_BLOCK: Final = (1 << 16) - 1
"""The most that zlib stores in one block."""
_KINDS: Final = {"commit": 1, "tree": 2, "blob": 3}
_DELTA_BY_OFFSET: Final = 6
_STORED: Final = struct.Struct("<3sHH")
_WINDOW_OF_512: Final = b"\x18\x19\x01"
"""The two bytes that zlib begins with, and that the block is the last."""
_CHECKSUM: Final = struct.Struct(">I")


class _Content(Protocol):
    @property
    def pieces(self) -> Sequence[bytes]: ...


class GitObject(NamedTuple):
    """An object to be written; its bytes are asked for when its turn comes. Those `alike` are tried as deltas."""

    kind: str
    id: bytes
    source: _Content
    alike: tuple[str, str] | None = None


class Entry(NamedTuple):
    """An object as a pack has it; `base` is the place, among the entries, of the one that it is a delta against."""

    id: bytes
    header: bytes
    compressed: bytes
    base: int | None = None

    def written(self, offset: int, offsets: Sequence[int]) -> bytes:
        """What stands at this offset, those of the entries before it being known."""
        distance = b"" if self.base is None else _distance(offset - offsets[self.base])
        return self.header + distance + self.compressed


def make_entries(groups: Sequence[Sequence[GitObject]]) -> list[Entry]:
    """Of each group the first is written whole, and those that are like it as deltas against it."""
    entries: list[Entry] = []
    for group in groups:
        base: Base | None = None
        place = 0
        for one in group:
            pieces = one.source.pieces
            delta = base.make_delta(pieces) if base is not None else None
            if delta is not None:
                entries.append(Entry(one.id, _header(_DELTA_BY_OFFSET, len(delta)), _compress(delta), place))
                continue
            base, place, content = Base(pieces) if len(group) > 1 else None, len(entries), b"".join(pieces)
            compressed = _store(content) if one.kind == "tree" else _compress(content)
            entries.append(Entry(one.id, _header(_KINDS[one.kind], len(content)), compressed))
    return entries


def _compress(content: bytes) -> bytes:
    """The smaller the content, the more of the time is setting up."""
    if len(content) < _TOO_SHORT:
        return _store(content)
    if len(content) >= _SHORT:
        return zlib.compress(content, _COMPRESSION)
    compressor = zlib.compressobj(_COMPRESSION, wbits=10, memLevel=4)
    return compressor.compress(content) + compressor.flush()


def _store(content: bytes) -> bytes:
    """What zlib makes of it at level 0; half of a tree is ids, which nothing makes smaller, and a zone's is long."""
    length = len(content)
    if length > _BLOCK:
        return zlib.compress(content, 0)
    header = _STORED.pack(_WINDOW_OF_512, length, length ^ 0xFFFF)
    return header + content + _CHECKSUM.pack(zlib.adler32(content))


@lru_cache(maxsize=4096)  # few sizes are met only once
def _header(kind: int, size: int) -> bytes:
    """Three bits of kind and four of size, then seven bits of size a byte, smallest first."""
    header = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        header[-1] |= 128
        header.append(size & 127)
        size >>= 7
    return bytes(header)


def _distance(distance: int) -> bytes:
    """Seven bits a byte, largest first; each byte that another follows stands for one more than it says."""
    encoded = [distance & 127]
    while distance := distance >> 7:
        distance -= 1
        encoded.append(128 | distance & 127)
    return bytes(reversed(encoded))
