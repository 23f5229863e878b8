"""Files that are asked for, found in their repositories, read, and written only as a whole."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from compiler.diagnostics import Checked, Diagnostic, Severity
from compiler.formatting.canonical import Formatted, Formatter
from compiler.resources.schema import Schemas
from compiler.resources.settings import Settings, read_settings
from compiler.source.tree import (
    MAX_FILE_BYTES,
    SETTINGS_FILE,
    TOO_MANY_FILES,
    SourceFile,
    SourceTree,
    is_considered,
    read_directory,
    too_large,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; `after` is None where it is left alone because of `findings`."""

    path: Path
    before: bytes
    after: str | None
    documents: int = 0
    findings: tuple[Diagnostic, ...] = ()

    @property
    def changed(self) -> bool:
        return self.after is not None and self.after.encode() != self.before


def format_paths(paths: Sequence[Path], schemas: Schemas) -> Iterator[Outcome]:
    """Each file once, in order; raises OSError where one cannot be read."""
    formatter, settings = Formatter(schemas.known), _Repositories(schemas)
    seen: set[Path] = set()
    for path in paths:
        for file in _files(path):
            if file.resolve() not in seen and settings.cover(file):
                seen.add(file.resolve())
                yield _format_file(file, formatter)


def format_text(name: str, content: bytes, schemas: Schemas) -> Outcome:
    """What somebody hands in, an editor say, under the name that findings give it."""
    return _outcome(Path(name), content, Formatter(schemas.known).format(name, content))


def find_wrong_settings(paths: Sequence[Path], schemas: Schemas) -> tuple[Diagnostic, ...]:
    """Which files are read is not known where meshwright.yaml is wrong."""
    repositories = _Repositories(schemas)
    roots = {root for path in paths if (root := find_root(path)) is not None}
    return tuple(found for root in sorted(roots) for found in repositories.settings(root).diagnostics)


def find_unread(paths: Sequence[Path], schemas: Schemas) -> tuple[Diagnostic, ...]:
    """What a folder holds that nobody may read, as `validate` names it: too large, a link, no regular file."""
    repositories = _Repositories(schemas)
    found = ((path, one) for path in paths if path.is_dir() for one in read_directory(path).diagnostics)
    placed = (replace(one, position=replace(one.position, file=str(path / one.position.file))) for path, one in found)
    return tuple(
        one
        for one in placed
        if one.level is Severity.ERROR and (one.code == TOO_MANY_FILES or repositories.reach(Path(one.position.file)))
    )


def write_whole(path: Path, text: str) -> None:
    """The old file or the new one, never a part; through a link to where it leads, with the rights that it had."""
    target = path.resolve()
    descriptor, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        if target.exists():
            Path(made).chmod(target.stat().st_mode & 0o7777)
        Path(made).replace(target)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def find_root(path: Path) -> Path | None:
    """The repository, by its meshwright.yaml, of which the path is a part."""
    start = path.resolve()
    around = (start, *start.parents) if start.is_dir() else start.parents
    return next((folder for folder in around if (folder / SETTINGS_FILE).is_file()), None)


def _files(path: Path) -> Iterator[Path]:
    """A file that is named is taken, whatever its ending says; a folder is looked through as `validate` does it."""
    if path.is_dir():
        yield from (path / file.path for file in read_directory(path).value.files if is_considered(file.path))
    else:
        yield path


def _format_file(path: Path, formatter: Formatter) -> Outcome:
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        return Outcome(path, b"", None, 0, (too_large(str(path), size, MAX_FILE_BYTES),))
    content = path.read_bytes()
    return _outcome(path, content, formatter.format(str(path), content))


def _outcome(path: Path, content: bytes, formatted: Checked[Formatted | None]) -> Outcome:
    if formatted.value is None:
        return Outcome(path, content, None, 0, formatted.diagnostics)
    return Outcome(path, content, formatted.value.text, formatted.value.documents)


class _Repositories:
    """The settings of each repository, read once."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self.settings = lru_cache(maxsize=64)(self._read)

    def cover(self, file: Path) -> bool:
        """Whether a file is one that `validate` would read."""
        root = find_root(file)
        return root is None or self.settings(root).value.covers(file.resolve().relative_to(root).as_posix())

    def reach(self, path: Path) -> bool:
        """Whether `validate` would look there; a link is where it stands, not where it leads."""
        place = path.parent.resolve() / path.name
        root = find_root(place.parent)
        return root is None or self.settings(root).value.reaches(place.relative_to(root).as_posix())

    def _read(self, root: Path) -> Checked[Settings]:
        content = (root / SETTINGS_FILE).read_bytes()
        tree = SourceTree((SourceFile(SETTINGS_FILE, "", len(content)),), "", None, lambda _: content)
        found = read_settings(tree, self._schemas)
        return Checked(found.value, tuple(one for one in found.diagnostics if found.failed))
