"""The serving image as the compiler writes it: appended to, and now and then made anew."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from compiler.forks import usable_cores
from compiler.snapshot.digest import FolderChange, GenerationTree, TreeChanges
from compiler.snapshot.failures import StoreError, storing
from compiler.snapshot.image.frames import ImageDamaged, frame
from compiler.snapshot.image.places import Places
from compiler.snapshot.image.records import HEADER, Record, apply_finished, encode
from compiler.snapshot.image.served import ServedGeneration
from compiler.snapshot.objects import sync_folder, write_durably
from compiler.snapshot.restore import restore_generation
from compiler.snapshot.snapshot import Generation
from compiler.snapshot.store import SnapshotStore

__all__ = ["ImageWriter", "rebuild_image"]

_SMALL: Final = 4 * 1024 * 1024
_GARBAGE: Final = 0.5
"""By what is not."""
_GARBAGE_IN_QUIET: Final = 0.2
_SYNCED_AT_ONCE: Final = 1024 * 1024
"""Bytes; the disk takes some milliseconds for them."""


class ImageWriter:
    """Appends generations; the holder of `DATA/lock` is the one writer. What the image has is not written again.

    After a failed write the file is not trusted: the next generation makes a new one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places = Places()
        self._tree: GenerationTree | None = None
        self._last: ServedGeneration | None = None
        self._end = 0
        self._records = 0
        self._whole = True
        self._size_when_whole = 0
        with storing(f"read {path}"), suppress(FileNotFoundError, ImageDamaged):
            self._continue(path.read_bytes())

    @property
    def last(self) -> ServedGeneration | None:
        """What a reader finds, but for its proxies; None where that is nothing whole."""
        return self._last

    def wants_compaction(self, *, quiet: bool = False) -> bool:
        """A third of a large file is likely garbage, all of which a server that starts would read.

        In `quiet` times a sixth will do: a server that runs has to read the new file, too.
        """
        most = _GARBAGE_IN_QUIET if quiet else _GARBAGE
        return self._tree is not None and self._end > (1 + most) * self._size_when_whole + _SMALL

    def append(self, generation: Generation, number: int, tree: GenerationTree | None = None) -> None:
        """Durable when it returns; `tree` saves making it again. Raises `StoreError`; readers then keep the old one."""
        tree = tree or (self._tree or GenerationTree()).holding(generation.snapshots)
        wanted = ServedGeneration(number, generation.commit, tree.digest)
        if self._whole:
            self._write_whole(wanted, tree)
        elif self._last is None or _same(self._last, wanted):
            self._tree = tree
        else:
            self._write_behind(wanted, tree)

    def compact(self) -> None:
        """A new file with the last generation only; readers pass to it when they next look."""
        for _ in self.compact_in_steps():
            pass

    def compact_in_steps(self) -> Iterator[None]:
        """As `compact`, a little at a time. What is appended meanwhile goes to the old file, and to the new one too."""
        if self._tree is None or self._last is None:
            return
        last, tree, places = self._last, self._tree, Places()
        with self._replacing(".compacted") as file:
            records = synced = 0
            for number in _write(file, places.records(last.number, last.commit, tree, _all_of(tree)), 0):
                records = number
                if file.tell() > synced + _SYNCED_AT_ONCE:
                    synced = _sync(file)
                yield
            if not _same(last, self._last):
                late = places.records(self._last.number, self._last.commit, self._tree, self._tree.changes_since(tree))
                records = _write_all(file, late, records)
            end = file.tell()
        self._places, self._end, self._records, self._size_when_whole, self._whole = places, end, records, end, False

    def _continue(self, content: bytes) -> None:
        """Goes on behind the last finished generation of an image that another process wrote."""
        if not content.startswith(HEADER):
            return
        places = Places()
        read = apply_finished(places.note, content, len(HEADER), 0)
        if places.last is not None:
            self._places, self._last = places, places.last
            self._end, self._records, self._whole, self._size_when_whole = read.end, read.records, False, read.end

    def _write_whole(self, wanted: ServedGeneration, tree: GenerationTree) -> None:
        self._whole, self._places = True, Places()
        with self._replacing(".unfinished") as file:
            self._records = _write_all(file, self._places.records(wanted.number, wanted.commit, tree, _all_of(tree)), 0)
            self._size_when_whole = self._end = file.tell()
        self._whole, self._tree, self._last = False, tree, wanted

    def _write_behind(self, wanted: ServedGeneration, tree: GenerationTree) -> None:
        changes = self._changes(tree)
        self._whole = True
        with storing(f"append to {self._path}"), self._path.open("r+b") as file:
            file.truncate(self._end)
            file.seek(self._end)
            records = self._places.records(wanted.number, wanted.commit, tree, changes)
            self._records = _write_all(file, records, self._records)
            self._end = _sync(file)
        self._whole, self._tree, self._last = False, tree, wanted

    @contextmanager
    def _replacing(self, ending: str) -> Iterator[BinaryIO]:
        """A new file, which takes the place of the image once it is on disk."""
        unfinished = self._path.with_name(self._path.name + ending)
        with storing(f"write {self._path}"):
            unfinished.unlink(missing_ok=True)
            with write_durably(unfinished) as file:
                file.write(HEADER)
                yield file
            unfinished.replace(self._path)
            sync_folder(self._path.parent)

    def _changes(self, tree: GenerationTree) -> TreeChanges:
        """Against the last tree; after a restart, against the digests that the image holds."""
        if self._tree is not None:
            return tree.changes_since(self._tree)
        held, self._places.held = self._places.held, {}
        folders = {str(folder.snapshot.node): folder for folder in tree.proxies()}
        differing = (one for name, one in folders.items() if held.get(name) != (one.snapshot.node, one.digest))
        return TreeChanges(
            tuple(map(FolderChange, differing)), tuple(one.node for name, one in held.items() if name not in folders)
        )


def _all_of(tree: GenerationTree) -> TreeChanges:
    return tree.changes_since(GenerationTree())


def _write(file: BinaryIO, records: Iterable[Record], number: int) -> Iterator[int]:
    """After each record the number that the next one gets."""
    for record in records:
        file.write(frame(number, encode(record)))
        number += 1
        yield number


def _write_all(file: BinaryIO, records: Iterable[Record], number: int) -> int:
    return max(_write(file, records, number), default=number)


def _sync(file: BinaryIO) -> int:
    """Where the file ends, all of which is on disk."""
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


def rebuild_image(store: SnapshotStore, path: Path) -> ImageWriter:
    """The image made anew from what is published. Raises `StoreError` where nothing usable is."""
    if store.published is None:
        raise StoreError("nothing is published that an image could be made from")
    restored = restore_generation(store.repository, store.published, usable_cores())
    with storing(f"remove {path}"):
        path.unlink(missing_ok=True)
    writer = ImageWriter(path)
    writer.append(restored.generation, store.published.number, restored.files)
    return writer


def _same(one: ServedGeneration, other: ServedGeneration) -> bool:
    return (one.number, one.commit, one.digest) == (other.number, other.commit, other.digest)
