"""A folder of images, one for each tree that this very program compiled, whole or for a zone: a cache and no more.

What cannot be used is made again: an image has the checksum of its content in its first line. Images are put in place
whole, so that two runs at once do not meet half of one; the one that was used least lately goes first.
"""

import errno
import os
import platform
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, NamedTuple

import compiler
from compiler.pipeline import Compiler
from compiler.resources.schema import find_schemas
from compiler.review.access.reaching import Access
from compiler.review.kept.image import UnreadableImageError, read_image, write_image
from compiler.review.kept.packing import Packing, Unpacking
from compiler.snapshot.digest import running_toolchain
from compiler.source.tree import SourceTree

__all__ = ["FEWEST", "Kept", "KeptCompiler", "UnusableFolderError"]

MOST_BYTES: Final = 256 * 1024 * 1024
"""Of all images together: some forty of a mesh with 2,000 proxies."""
FEWEST: Final = 200
"""Proxies below which compiling them again is as quick as reading them."""
_NAME_BYTES: Final = 20
_SUFFIX: Final = ".image"
_UNDONE: Final = ".new"
_HOUR: Final = 3600 * 10**9
"""In nanoseconds: no run takes as long."""
_READERS: Final = ("PyYAML", "jsonschema-rs", "msgspec")
"""What documents are read with, beside the toolchain that decides the bytes."""


class UnusableFolderError(OSError):
    """Nothing can be kept there; the message is a sentence."""


class KeptCompiler(NamedTuple):
    """A compiler that knows a tree, and who may call whom in it."""

    compiler: Compiler
    access: Access


@dataclass(frozen=True)
class Kept:
    """Made anew by whoever cannot find it there."""

    folder: Path
    fewest: int = FEWEST
    most_bytes: int = MOST_BYTES

    def find(self, tree: SourceTree, like: Compiler) -> KeptCompiler | None:
        """A compiler set up as the other one; None where there is none that can be used."""
        file = self._file(tree, like.zone)
        try:
            remembered, access = read_image(Unpacking(_read_own(file)), tree, like)
        except (OSError, UnreadableImageError):
            return None
        with suppress(OSError):
            os.utime(file)
        return KeptCompiler(remembered, access)

    def open(self) -> None:
        """Raises `UnusableFolderError` where nothing can be written, or others could."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_own(self.folder.stat(), self.folder)
        except OSError as error:
            raise UnusableFolderError(f"{self.folder}: {error.strerror or error}") from error
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise UnusableFolderError(f"{self.folder}: it cannot be written to")

    def keep(self, tree: SourceTree, known: Compiler, find_access: Callable[[], Access]) -> None:
        """In place of others that would be too much with it; raises OSError, and what `write_image` raises.

        Who may call whom is asked for last, so that somebody else can find it out meanwhile.
        """
        self.open()
        with Packing() as packing:
            write_image(known, find_access, packing)
        packed = packing.packed()
        with NamedTemporaryFile(dir=self.folder, suffix=_UNDONE, delete=False) as file:
            try:
                file.write(packed)
                file.close()
                Path(file.name).replace(self._file(tree, known.zone))
            except OSError:
                Path(file.name).unlink()
                raise
        self._make_room()

    def _file(self, tree: SourceTree, zone: str | None) -> Path:
        """By all that decides what is in it: the files that are read, the program, and whose snapshots are wanted."""
        name = blake2b(f"{_program()} {zone!r}\0".encode(), digest_size=_NAME_BYTES)
        for file in tree.files:
            name.update(f"{file.blob} {file.path}\0".encode())
        return self.folder / f"{name.hexdigest()}{_SUFFIX}"

    def _make_room(self) -> None:
        """Also that of what a run left behind that was killed; another run may take away the same ones."""
        files = sorted(self._files(), key=lambda one: -one[1].st_mtime_ns)
        total = 0
        for file, status in files:
            total += status.st_size
            left_behind = file.suffix == _UNDONE and status.st_mtime_ns < files[0][1].st_mtime_ns - _HOUR
            if total > self.most_bytes or left_behind:
                with suppress(FileNotFoundError):
                    file.unlink()

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for file in self.folder.iterdir():
            if file.suffix in (_SUFFIX, _UNDONE):
                with suppress(FileNotFoundError):
                    yield file, file.lstat()


@cache  # the files of a program do not change under it
def _program() -> str:
    """The hash of this very program: an image is read by the one that wrote it, to the last line of it."""
    top = Path(compiler.__file__).parent
    versions = {
        **running_toolchain(),
        **{name: version(name) for name in _READERS},
        "python": platform.python_version(),
    }
    found = blake2b(repr(sorted(versions.items())).encode())
    for file in (*sorted(top.rglob("*.py")), *sorted(find_schemas().glob("*.json"))):
        found.update(b"%s %d\0" % (file.name.encode(), file.stat().st_size))
        found.update(file.read_bytes())
    return found.hexdigest()


def _require_own(status: os.stat_result, path: Path) -> None:
    """What somebody else may write is not read."""
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "others may write to it", str(path))


def _read_own(file: Path) -> bytes:
    _require_own(file.parent.stat(), file.parent)
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        _require_own(os.fstat(opened.fileno()), file)
        return opened.read()
