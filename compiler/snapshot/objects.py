"""Git objects on disk, written by ourselves so that we know what is durable.

A small edit is a pack too: three fsyncs where each loose object would take two, and a truncated pack is an error for
every reader where a truncated loose object hangs libgit2. The files of replicas differ in an address: one of them is
written whole, the others as deltas against it. So a pack needs nothing outside of it, and no delta leads to another.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from compiler.forks import map_shares
from compiler.snapshot.digest import Folder, ProxyFolder, object_id
from compiler.snapshot.entries import GitObject, make_entries

__all__ = ["GitObject", "commit_object", "new_objects", "read_sound_pack", "sync_folder", "write_durably", "write_pack"]

MANY: Final = 5000
"""Objects of which it is worth the copies between processes to pack them on every core (docs/decisions/0014)."""
_LARGE_OFFSET: Final = 1 << 31
_INDEX_MARK: Final = struct.pack(">4sI", b"\xfftOc", 2)


class _Bytes(NamedTuple):
    pieces: tuple[bytes]


class _Packed(NamedTuple):
    id: bytes
    checksum: int
    offset: int


def commit_object(tree: bytes, parents: Iterable[bytes], *, author: str, seconds: int, message: str) -> GitObject:
    """`seconds` since the epoch, written in UTC."""
    lines = [f"tree {tree.hex()}", *(f"parent {parent.hex()}" for parent in parents)]
    lines += [f"author {author} {seconds} +0000", f"committer {author} {seconds} +0000", "", message]
    content = "\n".join(lines).encode()
    return GitObject("commit", object_id("commit", content), _Bytes((content,)))


def new_objects(old: Folder | None, new: Folder, known: frozenset[bytes] = frozenset()) -> list[GitObject]:
    """What `new` has and neither `old` at the same place nor `known` has, each once."""
    walk = _Walk(known)
    walk.collect(old, new, ("", ""))
    return list(walk.found.values())


class _Walk:
    """Replicas are told by their workload: what stands below folders of one name is likely to be alike."""

    def __init__(self, known: frozenset[bytes]) -> None:
        self.found: dict[bytes, GitObject] = {}
        self._known = known

    def collect(self, old: Folder | None, new: Folder, path: tuple[str, str]) -> None:
        """`path` is the last two names on the way to `new`."""
        if new.id in self._known or new.id in self.found:
            return
        before = old.entries if old else {}
        self.found[new.id] = GitObject("tree", new.id, new, (path[0], "") if isinstance(new, ProxyFolder) else None)
        for name, entry in new.differing(old):
            previous = before.get(name)
            if (previous and previous.id == entry.id) or entry.id in self._known:
                continue
            if isinstance(entry, Folder):
                self.collect(previous if isinstance(previous, Folder) else None, entry, (path[1], name))
            elif entry.id not in self.found:
                self.found[entry.id] = GitObject("blob", entry.id, entry, (path[0], name))


def write_pack(folder: Path, objects: Sequence[GitObject], processes: int = 1) -> None:
    """All are durable when this returns. After an error none of them counts: a later attempt writes all anew."""
    pack, index = folder / f"tmp_pack_{os.getpid()}", folder / f"tmp_idx_{os.getpid()}"
    try:
        with write_durably(pack, 0o400) as pack_file, write_durably(index, 0o400) as index_file:
            packed, checksum = _pack_into(pack_file, objects, processes)
            index_file.write(_pack_index(packed, checksum))
        pack.replace(folder / f"pack-{checksum.hex()}.pack")
        index.replace(folder / f"pack-{checksum.hex()}.idx")
    except BaseException:
        _forget([pack, index])
        raise
    sync_folder(folder)


def read_sound_pack(index: Path) -> frozenset[bytes]:
    """The ids of a pack that has the very bytes that were written, which its checksums tell; of any other, none."""
    try:
        content, pack = index.read_bytes(), index.with_suffix(".pack").read_bytes()
    except FileNotFoundError:
        return frozenset()
    belong = content.startswith(_INDEX_MARK) and content[-40:-20] == pack[-20:]
    if not (belong and _is_sound(content) and _is_sound(pack)):
        return frozenset()
    start = len(_INDEX_MARK) + 256 * 4
    (count,) = struct.unpack_from(">I", content, start - 4)
    return frozenset(content[place : place + 20] for place in range(start, start + 20 * count, 20))


def _is_sound(content: bytes) -> bool:
    """Whether it ends in the hash of what is before."""
    return hashlib.sha1(memoryview(content)[:-20], usedforsecurity=False).digest() == content[-20:]


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


def _pack_into(file: BinaryIO, objects: Sequence[GitObject], processes: int) -> tuple[list[_Packed], bytes]:
    """Where there are many, on every core: alike ones stay together."""
    header = struct.pack(">4sII", b"PACK", 2, len(objects))
    file.write(header)
    running = hashlib.sha1(header, usedforsecurity=False)
    packed: list[_Packed] = []
    end = len(header)
    groups = _group(objects)
    for share in map_shares(make_entries, groups, processes=processes if len(objects) >= MANY else 1):
        offsets: list[int] = []
        for entry in share:
            written = entry.written(end, offsets)
            file.write(written)
            running.update(written)
            packed.append(_Packed(entry.id, zlib.crc32(written), end))
            offsets.append(end)
            end += len(written)
    file.write(running.digest())
    return packed, running.digest()


def _group(objects: Sequence[GitObject]) -> list[list[GitObject]]:
    """Those that are tried as deltas against each other."""
    groups: dict[tuple[str, str] | bytes, list[GitObject]] = {}
    for one in objects:
        groups.setdefault(one.alike or one.id, []).append(one)
    return list(groups.values())


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
            _INDEX_MARK,
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
