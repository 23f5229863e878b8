"""Git objects on disk, written by ourselves so that we know what is durable.

A small edit is a pack too: three fsyncs where each loose object would take two, and a truncated pack is an error for
every reader where a truncated loose object hangs libgit2.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from compiler.snapshot.digest import Folder, object_id

__all__ = ["GitObject", "commit_object", "new_objects", "sync_folder", "write_durably", "write_pack"]

_COMPRESSION: Final = 1
"""Time goes into zlib, and the repository is packed anew now and then."""
_PACK_KINDS: Final = {"commit": 1, "tree": 2, "blob": 3}
_LARGE_OFFSET: Final = 1 << 31


class _Content(Protocol):
    @property
    def content(self) -> bytes: ...


class _Bytes(NamedTuple):
    content: bytes


class GitObject(NamedTuple):
    """An object to be written; its bytes are asked for when its turn comes."""

    kind: str
    id: bytes
    source: _Content


class _Packed(NamedTuple):
    id: bytes
    checksum: int
    offset: int


def commit_object(tree: bytes, parents: Iterable[bytes], *, author: str, seconds: int, message: str) -> GitObject:
    """`seconds` since the epoch, written in UTC."""
    lines = [f"tree {tree.hex()}", *(f"parent {parent.hex()}" for parent in parents)]
    lines += [f"author {author} {seconds} +0000", f"committer {author} {seconds} +0000", "", message]
    content = "\n".join(lines).encode()
    return GitObject("commit", object_id("commit", content), _Bytes(content))


def new_objects(old: Folder | None, new: Folder, known: frozenset[bytes] = frozenset()) -> list[GitObject]:
    """What `new` has and neither `old` at the same place nor `known` has, each once."""
    found: dict[bytes, GitObject] = {}
    _collect(old, new, known, found)
    return list(found.values())


def _collect(old: Folder | None, new: Folder, known: frozenset[bytes], found: dict[bytes, GitObject]) -> None:
    before = old.entries if old else {}
    if new.id in known or new.id in found:
        return
    found[new.id] = GitObject("tree", new.id, new)
    for name, entry in new.entries.items():
        previous = before.get(name)
        if previous is entry or (previous and previous.id == entry.id) or entry.id in known:
            continue
        if isinstance(entry, Folder):
            _collect(previous if isinstance(previous, Folder) else None, entry, known, found)
        else:
            found[entry.id] = GitObject("blob", entry.id, entry)


def write_pack(folder: Path, objects: Sequence[GitObject]) -> None:
    """All are durable when this returns. After an error none of them counts: a later attempt writes all anew."""
    pack, index = folder / f"tmp_pack_{os.getpid()}", folder / f"tmp_idx_{os.getpid()}"
    try:
        with write_durably(pack, 0o400) as pack_file, write_durably(index, 0o400) as index_file:
            packed, checksum = _pack_into(pack_file, objects)
            index_file.write(_pack_index(packed, checksum))
        pack.replace(folder / f"pack-{checksum.hex()}.pack")
        index.replace(folder / f"pack-{checksum.hex()}.idx")
    except BaseException:
        _forget([pack, index])
        raise
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def write_durably(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A new file that is on disk when the block ends, and gone when the block fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _pack_into(file: BinaryIO, objects: Sequence[GitObject]) -> tuple[list[_Packed], bytes]:
    header = struct.pack(">4sII", b"PACK", 2, len(objects))
    file.write(header)
    running = hashlib.sha1(header, usedforsecurity=False)
    offset, packed = len(header), []
    for one in objects:
        content = one.source.content
        entry = _entry_header(one.kind, len(content)) + zlib.compress(content, _COMPRESSION)
        file.write(entry)
        running.update(entry)
        packed.append(_Packed(one.id, zlib.crc32(entry), offset))
        offset += len(entry)
    file.write(running.digest())
    return packed, running.digest()


def _entry_header(kind: str, size: int) -> bytes:
    """Three bits of kind and four of size, then seven bits of size a byte, smallest first."""
    header = bytearray([_PACK_KINDS[kind] << 4 | size & 15])
    size >>= 4
    while size:
        header[-1] |= 128
        header.append(size & 127)
        size >>= 7
    return bytes(header)


def _pack_index(packed: Sequence[_Packed], checksum: bytes) -> bytes:
    """Version 2 of Git's index: how many ids begin with at most each byte, the ids, checksums, offsets."""
    ordered = sorted(packed)
    starts = [0] * 256
    for one in ordered:
        starts[one.id[0]] += 1
    large = [one.offset for one in ordered if one.offset >= _LARGE_OFFSET]
    places = {offset: _LARGE_OFFSET | place for place, offset in enumerate(large)}
    count = len(ordered)
    index = b"".join(
        (
            struct.pack(">4sI", b"\xfftOc", 2),
            struct.pack(">256I", *_running_sums(starts)),
            *(one.id for one in ordered),
            struct.pack(f">{count}I", *(one.checksum for one in ordered)),
            struct.pack(f">{count}I", *(places.get(one.offset, one.offset) for one in ordered)),
            struct.pack(f">{len(large)}Q", *large),
            checksum,
        )
    )
    return index + hashlib.sha1(index, usedforsecurity=False).digest()


def _running_sums(numbers: Iterable[int]) -> Iterator[int]:
    total = 0
    for number in numbers:
        total += number
        yield total


def _forget(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()
