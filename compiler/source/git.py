"""Commits to source trees: nothing is checked out, and nothing that a repository holds is run."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from pygit2.enums import ObjectType

from compiler.diagnostics import Checked, Diagnostic
from compiler.source.objects import (
    EmptyRepository,
    Repository,
    TreeEntry,
    UnknownRevision,
    open_any,
    open_repository,
    read_commit_object,
    read_entries,
    read_header,
    read_object,
)
from compiler.source.refs import DamagedObject, GitError, GitUnavailable, NotARepository
from compiler.source.revision import resolve
from compiler.source.tree import (
    MAX_DIRECTORIES_DEEP,
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    MAX_FILES,
    SPECIAL_FILE,
    Listing,
    SourceFile,
    SourceTree,
    check_name,
    is_considered,
    is_skipped,
    refuse,
    refuse_link,
    refuse_submodule,
    too_large,
    too_many_files,
)

__all__ = [
    "CommitSummary",
    "DamagedObject",
    "EmptyRepository",
    "GitError",
    "GitUnavailable",
    "NotARepository",
    "Repository",
    "UnknownFolder",
    "UnknownRevision",
    "changed_files",
    "commit_summary",
    "open_repository",
    "read_commit",
    "read_texts",
    "resolve",
]

_FILE_MODES = frozenset({b"100644", b"100755", b"100664"})
_PERSON = re.compile(rb"(.*?) ?<.*> (-?\d{1,18}) [-+]\d{4}", re.DOTALL)


class UnknownFolder(UnknownRevision):
    """The commit is there, the folder is not in it."""


@dataclass(frozen=True, slots=True)
class CommitSummary:
    """Who, when (seconds since 1970) and what, safe to print."""

    commit: str
    author: str
    time: int
    subject: str


def read_commit(
    repository: Path | Repository,
    revision: str,
    subdirectory: str = "",
    *,
    previous: SourceTree | None = None,
    max_bytes: int = MAX_FILE_BYTES,
) -> Checked[SourceTree]:
    """The files of a commit below a subdirectory; directories that `previous` held too are not listed again."""
    opened = open_any(repository)
    commit = resolve(opened, revision)
    root = _subtree(opened, read_commit_object(opened, commit).tree, subdirectory, revision)
    before = previous.root if previous is not None else None
    read, prefix = partial(_read_blob, opened), "/".join(_steps(subdirectory))
    try:
        listing = _Lister(opened, max_bytes).read("", root, before)
    except _TooMany as error:
        return Checked(SourceTree((), root, commit, read, prefix), (too_many_files(error.path),))
    return Checked(SourceTree(listing.files, root, commit, read, prefix, listing), listing.findings)


def changed_files(
    repository: Path | Repository, old_commit: str, new_commit: str, subdirectory: str = ""
) -> tuple[str, ...]:
    """Paths of configuration files that differ between two commits that `read_commit` accepted; renames count twice."""
    opened = open_any(repository)
    old, new = (
        _subtree(opened, read_commit_object(opened, resolve(opened, commit)).tree, subdirectory, commit)
        for commit in (old_commit, new_commit)
    )
    return tuple(sorted(set(_differences(opened, old, new))))


def read_texts(repository: Path | Repository, revision: str, folder: str, suffix: str) -> dict[str, str]:
    """Small files of a folder of a commit, by their path: those that are no configuration, so no tree lists them."""
    opened = open_any(repository)
    root = read_commit_object(opened, resolve(opened, revision)).tree
    try:
        entries = read_entries(opened, _subtree(opened, root, folder, revision))
    except UnknownFolder:
        return {}
    found = {os.fsdecode(one.name): one for one in entries if one.mode in _FILE_MODES}
    return {
        f"{folder.rstrip('/')}/{name}": read_object(opened, one.object_id, ObjectType.BLOB, MAX_FILE_BYTES).decode()
        for name, one in sorted(found.items())
        if name.endswith(suffix)
    }


def commit_summary(repository: Path | Repository, commit: str) -> CommitSummary:
    """A commit as a log line shows it."""
    opened = open_any(repository)
    found = read_commit_object(opened, resolve(opened, commit))
    person = _PERSON.match(found.headers.get(b"author", b""))
    author, time = (person[1], int(person[2])) if person else (b"", 0)
    subject = found.message.lstrip().split(b"\n", 1)[0]
    return CommitSummary(resolve(opened, commit), _printable(author), time, _printable(subject))


def _differences(repository: Repository, old: str | None, new: str | None) -> Iterator[str]:
    """Only directories that differ are opened."""
    waiting = [("", old, new)]
    while waiting:
        directory, *trees = waiting.pop()
        before, after = (
            {entry.name: entry for entry in read_entries(repository, tree)} if tree else {} for tree in trees
        )
        for raw in before.keys() | after.keys():
            sides = before.get(raw), after.get(raw)
            name = raw.decode(errors="backslashreplace")
            if sides[0] == sides[1] or is_skipped(name):
                continue
            if any(side is not None and side.mode != b"40000" for side in sides) and is_considered(name):
                yield directory + name
            below = [side.object_id if side is not None and side.mode == b"40000" else None for side in sides]
            if any(below):
                waiting.append((f"{directory}{name}/", below[0], below[1]))


def _subtree(repository: Repository, tree: str, subdirectory: str, revision: str) -> str:
    for name in _steps(subdirectory):
        entries = read_entries(repository, tree)
        found = [entry for entry in entries if entry.name == os.fsencode(name) and entry.mode == b"40000"]
        if not found:
            raise UnknownFolder(f"{revision!r} has no directory {subdirectory!r}; look at --path")
        tree = found[0].object_id
    return tree


def _steps(subdirectory: str) -> list[str]:
    return [name for name in subdirectory.split("/") if name not in ("", ".")]


class _TooMany(Exception):
    """Reading stops; where the whole is too large, no directory is to blame."""

    def __init__(self, path: str = ".") -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class _Own:
    """What stands in a directory itself; directories by path, with their tree ids."""

    files: Sequence[SourceFile]
    findings: Sequence[Diagnostic]
    directories: Mapping[str, str]
    entries: int


class _Lister:
    """Lists one commit; trees that name one another again and again end at the bounds."""

    def __init__(self, repository: Repository, max_bytes: int) -> None:
        self._repository = repository
        self._max_bytes = max_bytes
        self._entries = 0
        self._files = 0

    def read(self, path: str, tree: str, before: Listing | None) -> Listing:
        """`before` is what stood here in another commit; the bound on the depth is one on this recursion too."""
        if before is not None and (before.tree, before.max_bytes) == (tree, self._max_bytes):
            self._count(before.entries, len(before.files) + len(before.findings))
            return before
        if path.count("/") > MAX_DIRECTORIES_DEEP:
            raise _TooMany(path)
        known = {file.path: file for file in before.own} if before is not None else {}
        own = self._list(path, tree, known)
        self._count(own.entries, len(own.files) + len(own.findings))
        former = before.directories if before is not None else {}
        below = {child: self.read(child, object_id, former.get(child)) for child, object_id in own.directories.items()}
        parts = sorted(
            [(file.path, (file,)) for file in own.files] + [(child, one.files) for child, one in below.items()]
        )
        return Listing(
            path,
            tree,
            self._max_bytes,
            tuple(own.files),
            below,
            tuple(chain.from_iterable(files for _, files in parts)),
            (*own.findings, *(finding for one in below.values() for finding in one.findings)),
            own.entries + sum(one.entries for one in below.values()),
        )

    def _list(self, path: str, tree: str, known: Mapping[str, SourceFile]) -> "_Own":
        """A name that stands twice in a tree, which git never writes, is taken once and refused."""
        files: list[SourceFile] = []
        findings: list[Diagnostic] = []
        directories: dict[str, str] = {}
        names: set[bytes] = set()
        for entry in read_entries(self._repository, tree):
            if unsafe := check_name(path, entry.name, taken=entry.name in names):
                findings.append(unsafe)
            elif entry.mode == b"40000":
                name = entry.name.decode()
                directories |= {} if is_skipped(name) else {f"{path}{name}/": entry.object_id}
            elif isinstance(one := self._take(path, entry, known), SourceFile):
                files.append(one)
            else:
                findings += [] if one is None else [one]
            names.add(entry.name)
        return _Own(files, findings, directories, len(names))

    def _take(
        self, directory: str, entry: TreeEntry, known: Mapping[str, SourceFile]
    ) -> SourceFile | Diagnostic | None:
        name = entry.name.decode()
        path = directory + name
        match entry.mode:
            case b"120000":
                return refuse_link(path)
            case b"160000":
                return refuse_submodule(path)
            case mode if mode not in _FILE_MODES:
                return refuse(path, SPECIAL_FILE, f"the mode {mode.decode(errors='replace')!r} is unknown", "remove it")
        if not is_considered(name):
            return None
        before = known.get(path)
        if before is not None and before.blob == entry.object_id and before.size <= self._max_bytes:
            return before
        size = read_header(self._repository, entry.object_id)[1]
        if size > self._max_bytes:
            return too_large(path, size, self._max_bytes)
        return SourceFile(path, entry.object_id, size)

    def _count(self, entries: int, files: int) -> None:
        self._entries += entries
        self._files += files
        if self._entries > MAX_ENTRIES or self._files > MAX_FILES:
            raise _TooMany


def _read_blob(repository: Repository, file: SourceFile) -> bytes:
    return read_object(repository, file.blob, ObjectType.BLOB, file.size)


def _printable(text: bytes) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text.decode(errors="replace")[:500])
