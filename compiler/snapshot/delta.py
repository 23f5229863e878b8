"""A file as Git's delta against another one: what the two share is copied, the few bytes that differ are inserted."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, compress
from operator import ne
from struct import Struct
from typing import Final

__all__ = ["Base"]

_COPY: Final = Struct("<BIH")
_COPY_FROM_NEAR: Final = Struct("<BHH")
_NEAR: Final = 0x10000
_LONGEST_COPY: Final = 0x10000
"""Written as 0, which is no length that a copy could have."""
_LONGEST_INSERT: Final = 127
_ONE_BYTE: Final = [bytes((number,)) for number in range(256)]
_WORTHWHILE: Final = 16
"""A shorter run is inserted with what is around it."""
_SHARE: Final = 8
_ALWAYS: Final = 64
"""A delta above an eighth of its target and this is hardly smaller than the target compressed, and slower to make."""

_Step = tuple[bytes, int, int]
"""Up to the end of a piece that differs: instructions, how much of it they insert, how far the base is copied then."""


class Base:
    """The pieces of a file that others may be deltas against."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._starts = (0, *accumulate(map(len, pieces)))
        self._size = _number(self._starts[-1])
        self._ends: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        self._copies: dict[tuple[int, int], bytes] = {}
        self._steps: dict[tuple[int, int, bytes], _Step] = {}
        """By how much was copied, and the piece that differs then."""

    def make_delta(self, target: Sequence[bytes]) -> bytes | None:
        """To another file, from its pieces; None where they are not much alike.

        Pieces at the same place are compared, the very same object first, so that files put together from shared
        pieces are not read at all.
        """
        base, steps = self._pieces, self._steps
        if len(base) != len(target):
            return None
        size = sum(map(len, target))
        written, copied, room = [self._size, _number(size)], 0, _ALWAYS + size // _SHARE
        for place in compress(range(len(base)), map(ne, base, target)):
            step = copied, place, target[place]
            instructions, inserted, copied = steps.get(step) or self._make_step(*step)
            written.append(instructions)
            room -= inserted
            if room < 0:
                return None
        written.append(self._copy(copied, self._starts[-1]))
        return b"".join(written)

    def _make_step(self, copied: int, place: int, piece: bytes) -> "_Step":
        """Made once: replicas differ at the same places, and those of a zone by the same name of it."""
        same, rest = self._shared_ends(self._pieces[place], piece)
        inserted = piece[same : len(piece) - rest]
        instructions = self._copy(copied, self._starts[place] + same) + _insert(inserted)
        step = self._steps[copied, place, piece] = instructions, len(inserted), self._starts[place + 1] - rest
        return step

    def _copy(self, start: int, end: int) -> bytes:
        """Made once: before an address that each replica has of its own there is the same."""
        copy = self._copies.get((start, end))
        if copy is None:
            copy = self._copies[start, end] = b"".join(_copy(start, end))
        return copy

    def _shared_ends(self, old: bytes, new: bytes) -> tuple[int, int]:
        """Found once: where a zone stands behind another, it does so everywhere."""
        if len(new) < 2 * _WORTHWHILE:
            return 0, 0
        ends = self._ends.get((old, new))
        if ends is None:
            ends = self._ends[old, new] = _shared_ends(old, new)
        return ends


def _shared_ends(old: bytes, new: bytes) -> tuple[int, int]:
    """How many bytes at the beginning and at the end are the same, none of them counted twice."""
    shorter = min(len(old), len(new))
    if shorter < 2 * _WORTHWHILE:
        return 0, 0
    same, limit = 0, shorter
    while same < limit:  # by halving: comparing slices is quicker than looking at bytes
        middle = (same + limit + 1) // 2
        if old[same:middle] == new[same:middle]:
            same = middle
        else:
            limit = middle - 1
    rest, limit = 0, shorter - same
    while rest < limit:
        middle = (rest + limit + 1) // 2
        if old[len(old) - middle : len(old) - rest] == new[len(new) - middle : len(new) - rest]:
            rest = middle
        else:
            limit = middle - 1
    return (same if same >= _WORTHWHILE else 0), (rest if rest >= _WORTHWHILE else 0)


def _copy(start: int, end: int) -> Iterator[bytes]:
    """A byte says which bytes of offset (4) and length (2) follow."""
    while start < end:
        length = min(end - start, _LONGEST_COPY)
        if start < _NEAR:
            yield _COPY_FROM_NEAR.pack(0b1011_0011, start, length % _LONGEST_COPY)
        else:
            yield _COPY.pack(0b1011_1111, start, length % _LONGEST_COPY)
        start += length


def _insert(content: bytes) -> bytes:
    """As many bytes as a byte before them says."""
    if len(content) <= _LONGEST_INSERT:
        return _ONE_BYTE[len(content)] + content if content else b""
    parts = [content[start : start + _LONGEST_INSERT] for start in range(0, len(content), _LONGEST_INSERT)]
    return b"".join([_ONE_BYTE[len(part)] + part for part in parts])


def _number(number: int) -> bytes:
    """Seven bits a byte, smallest first; the highest bit says that more follow."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(0x80 | number & 0x7F)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
