"""Loose objects, read here because libgit2 spins for ever on one whose last bytes are missing."""

import hashlib
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from compiler.source.refs import read_regular

_KINDS = {b"commit": 1, b"tree": 2, b"blob": 3, b"tag": 4}
_HEADER = re.compile(rb"(commit|tree|blob|tag) (\d{1,15})\0")
_MAX_HEADER_BYTES = 32
_MAX_FOLDERS = 16
_MAX_ALTERNATES_BYTES = 1024 * 1024


class TornObject(Exception):
    """A loose object is there, but is not what its name says."""


def object_folders(objects: Path) -> tuple[Path, ...]:
    """The folder and those that it borrows from, each once."""
    folders: list[Path] = []
    waiting = [objects]
    while waiting and len(folders) < _MAX_FOLDERS:
        folder = waiting.pop(0).resolve()
        if folder not in folders:
            folders.append(folder)
            alternates = read_regular(folder / "info/alternates", _MAX_ALTERNATES_BYTES) or b""
            lines = alternates.decode(errors="surrogateescape").splitlines()
            waiting += [folder / line for line in lines if line and not line.startswith("#")]
    return tuple(folders)


def loose_header(folders: Sequence[Path], object_id: str) -> tuple[int, int] | None:
    """Kind and size as the object itself says, None where it is not loose."""
    compressed = _find(folders, object_id, 512)
    if compressed is None:
        return None
    header = _HEADER.match(_inflate(compressed, _MAX_HEADER_BYTES))
    if header is None:
        raise TornObject(object_id)
    return _KINDS[header[1]], int(header[2])


def loose_content(folders: Sequence[Path], object_id: str, size: int) -> bytes | None:
    """The content, held to its size and its name; no more is read or inflated than an object of that size can take."""
    compressed = _find(folders, object_id, size + size // 64 + 4096)
    if compressed is None:
        return None
    inflated = _inflate(compressed, size + _MAX_HEADER_BYTES)
    header = _HEADER.match(inflated)
    if header is None or hashlib.sha1(inflated, usedforsecurity=False).hexdigest() != object_id:
        raise TornObject(object_id)
    return inflated[header.end() :]


def complete_loose(folders: Sequence[Path], abbreviated: str) -> set[str]:
    """The loose objects whose ids begin so."""
    places = (folder / abbreviated[:2] for folder in folders)
    names = (abbreviated[:2] + path.name for place in places if place.is_dir() for path in place.iterdir())
    return {name for name in names if name.startswith(abbreviated)}


def _find(folders: Sequence[Path], object_id: str, max_bytes: int) -> bytes | None:
    contents = (read_regular(folder / object_id[:2] / object_id[2:], max_bytes) for folder in folders)
    return next((content for content in contents if content is not None), None)


def _inflate(compressed: bytes, max_bytes: int) -> bytes:
    """What can be inflated of it; whether that is enough is for the caller to see."""
    try:
        return zlib.decompressobj().decompress(compressed, max_bytes)
    except zlib.error:
        return b""
