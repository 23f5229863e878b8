"""Records appended to a file, each with number, length and checksum, so that a torn end is told from damage."""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Frame", "ImageDamaged", "frame", "read_frames"]

_MARK: Final = b"MWR\n"
_HEADER: Final = struct.Struct(">4sII16s")
_NUMBERS: Final = struct.Struct(">II")


class ImageDamaged(Exception):
    """Whole records stand behind one that is not: no end that a killed writer left."""


class Frame(NamedTuple):
    """A whole record, and where the next one begins."""

    payload: bytes
    end: int


def frame(number: int, payload: bytes) -> bytes:
    """The record as it stands in the file; `number` counts from 0."""
    return _HEADER.pack(_MARK, number, len(payload), _checksum(number, payload)) + payload


def read_frames(content: bytes, start: int, number: int) -> Iterator[Frame]:
    """All whole records from `start`, the first having this number; a torn one ends them. Raises `ImageDamaged`."""
    while found := _read_one(content, start, number):
        yield found
        start, number = found.end, number + 1
    if _stands_behind(content, start + 1):
        raise ImageDamaged(f"record {number} at byte {start} is damaged, and records behind it are not")


def _read_one(content: bytes, start: int, number: int | None) -> Frame | None:
    """None unless a whole record stands here, and the one of this number where one is given."""
    if len(content) - start < _HEADER.size:
        return None
    mark, its_number, length, checksum = _HEADER.unpack_from(content, start)
    end = start + _HEADER.size + length
    if mark != _MARK or end > len(content) or (number is not None and its_number != number):
        return None
    payload = content[start + _HEADER.size : end]
    return Frame(payload, end) if _checksum(its_number, payload) == checksum else None


def _stands_behind(content: bytes, start: int) -> bool:
    while (start := content.find(_MARK, start)) >= 0:
        if _read_one(content, start, None):
            return True
        start += 1
    return False


def _checksum(number: int, payload: bytes) -> bytes:
    return hashlib.sha256(_NUMBERS.pack(number, len(payload)) + payload).digest()[:16]
