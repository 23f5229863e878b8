"""A file as Git's delta against another one: what the two share is copied, the few bytes that differ are inserted."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from struct import Struct
from typing import Final, NamedTuple

__all__ = ["make_delta"]

_COPY: Final = Struct("<BIH")
_COPY_FROM_NEAR: Final = Struct("<BHH")
_NEAR: Final = 0x10000
_LONGEST_COPY: Final = 0x10000
"""Written as 0, which is no length that a copy could have."""
_LONGEST_INSERT: Final = 127
_WORTHWHILE: Final = 16
"""A shorter run is inserted with what is around it."""
_SHARE: Final = 8
_ALWAYS: Final = 64
"""A delta above an eighth of its target and this is hardly smaller than the target compressed, and slower to make."""


def make_delta(base: Sequence[bytes], target: Sequence[bytes]) -> bytes | None:
    """From the pieces of one file to those of another; None where they are not much alike.

    Pieces at the same place are compared, the very same object first, so that files put together from shared pieces
    are not read at all.
    """
    if len(base) != len(target):
        return None
    starts = (0, *accumulate(map(len, base)))
    differ = [place for place, new in enumerate(target) if new is not base[place] and new != base[place]]
    size = starts[-1] + sum(len(target[place]) - len(base[place]) for place in differ)
    edits, room = [], _ALWAYS + size // _SHARE
    for place in differ:
        old, new = base[place], target[place]
        same, rest = _shared_ends(old, new)
        edits.append(_Edit(starts[place] + same, starts[place + 1] - rest, new[same : len(new) - rest]))
        room -= len(edits[-1].content)
        if room < 0:
            return None
    return b"".join((_number(starts[-1]), _number(size), *_instructions(edits, starts[-1])))


class _Edit(NamedTuple):
    """What stands in the target instead of the base's bytes from `start` to `end`."""

    start: int
    end: int
    content: bytes


def _instructions(edits: Sequence[_Edit], size: int) -> Iterator[bytes]:
    """Copies reach from one edit to the next."""
    copied = 0
    for edit in edits:
        yield from _copy(copied, edit.start)
        yield from _insert(edit.content)
        copied = edit.end
    yield from _copy(copied, size)


def _shared_ends(old: bytes, new: bytes) -> tuple[int, int]:
    """How many bytes at the beginning and at the end are the same, none of them counted twice."""
    if min(len(old), len(new)) < 2 * _WORTHWHILE:
        return 0, 0
    same, limit = 0, min(len(old), len(new))
    while same < limit:  # by halving: comparing slices is quicker than looking at bytes
        middle = (same + limit + 1) // 2
        if old[same:middle] == new[same:middle]:
            same = middle
        else:
            limit = middle - 1
    rest, limit = 0, min(len(old), len(new)) - same
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


def _insert(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _LONGEST_INSERT):
        part = content[start : start + _LONGEST_INSERT]
        yield bytes((len(part),)) + part


def _number(number: int) -> bytes:
    """Seven bits a byte, smallest first; the highest bit says that more follow."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(0x80 | number & 0x7F)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
