"""Git objects by id, through libgit2: neither configuration nor owner nor hooks of a repository matter.

libgit2 reads the packs; loose objects are read by `loose.py`, since libgit2 can spin for ever on a torn one. Still,
this runs only in a process that can be killed from outside. A repository is opened anew for each question: nothing
outlives its repair.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import ConfigLevel, ObjectType

from compiler.source.loose import TornObject, complete_loose, loose_content, loose_header, object_folders
from compiler.source.refs import DamagedObject, GitDirectory, GitError, NotARepository, find_git_directory, local_path

# The settings of whoever runs this say nothing about what a commit means.
for _level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA):
    pygit2.settings.search_path[_level] = ""

MAX_COMMIT_BYTES = 1024 * 1024
_OBJECT_ID = re.compile(r"[0-9a-f]{40}")
_MAX_TREE_BYTES = 64 * 1024 * 1024


class UnknownRevision(GitError):
    """The repository has no such commit, or the commit no such directory."""


class EmptyRepository(GitError):
    """Nothing was ever committed."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Refs of one place, objects of the same or of a mirror of it."""

    directory: GitDirectory
    folders: tuple[Path, ...]
    packs: pygit2.Odb
    backends: tuple[pygit2.OdbBackendPack, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit object says."""

    tree: str
    parents: tuple[str, ...]
    headers: Mapping[bytes, bytes]
    message: bytes


class TreeEntry(NamedTuple):
    """One line of a tree object; a named tuple because a commit has ten thousands of them."""

    mode: bytes
    name: bytes
    object_id: str


def open_repository(path: str | Path, objects: Path | None = None) -> Repository:
    """Neither owner nor configuration of the repository matter: only its refs and objects are read."""
    directory = find_git_directory(local_path(path))
    folders = object_folders(objects or directory.objects)
    packs = pygit2.Odb()
    try:
        backends = tuple(pygit2.OdbBackendPack(str(folder)) for folder in folders)
        for place, backend in enumerate(backends):
            packs.add_backend(backend, len(backends) - place)
    except pygit2.GitError as error:
        raise NotARepository(f"the packs of {path} cannot be opened ({error}); run git fsck there") from error
    return Repository(directory, folders, packs, backends)


def open_any(repository: str | Path | Repository) -> Repository:
    """Whoever asks several things at once opens it once."""
    return repository if isinstance(repository, Repository) else open_repository(repository)


def read_commit_object(repository: Repository, commit: str) -> Commit:
    """A commit's headers and message; of headers of one name the first counts, parents all."""
    content = read_object(repository, commit, ObjectType.COMMIT, MAX_COMMIT_BYTES)
    head, _, message = content.partition(b"\n\n")
    pairs = [line.partition(b" ")[::2] for line in head.split(b"\n")]
    headers = dict(reversed(pairs))
    parents = [value for name, value in pairs if name == b"parent"]
    tree, *above = (value.decode(errors="replace") for value in (headers.get(b"tree", b""), *parents))
    if not all(_OBJECT_ID.fullmatch(object_id) for object_id in (tree, *above)):
        raise damaged(repository, commit)
    return Commit(tree, tuple(above), headers, message)


def has_object(repository: Repository, object_id: str) -> bool:
    """A shallow clone ends where this says no."""
    return _find_header(repository, object_id) is not None


def complete_id(repository: Repository, abbreviated: str) -> str | None:
    """The one object whose id begins so, None where there is none or more than one."""
    found = complete_loose(repository.folders, abbreviated)
    for backend in repository.backends:
        try:
            found.add(str(backend.exists_prefix(abbreviated)))
        except KeyError:
            continue
        except ValueError:
            return None
    return found.pop() if len(found) == 1 else None


def read_entries(repository: Repository, tree: str) -> Iterator[TreeEntry]:
    """A tree object's lines as they are, whatever names and modes they hold."""
    content = read_object(repository, tree, ObjectType.TREE, _MAX_TREE_BYTES)
    position = 0
    while position < len(content):
        space = content.find(b" ", position)
        end = content.find(b"\0", space)
        if space < 0 or end < 0 or end + 21 > len(content):
            raise damaged(repository, tree)
        yield TreeEntry(content[position:space], content[space + 1 : end], content[end + 1 : end + 21].hex())
        position = end + 21


def read_object(repository: Repository, object_id: str, kind: ObjectType, max_bytes: int) -> bytes:
    """The size is asked for first: a small compressed object may hold a gigabyte."""
    header = _find_header(repository, object_id)
    if header is None or header.kind != kind or header.size > max_bytes:
        raise damaged(repository, object_id)
    try:
        content = None if header.packed else loose_content(repository.folders, object_id, header.size)
        return _read_packed(repository, object_id) if content is None else content
    except TornObject as error:
        raise damaged(repository, object_id) from error


def read_header(repository: Repository, object_id: str, revision: str | None = None) -> tuple[int, int]:
    """Kind and size; a missing object is unknown where a user named it, else damage."""
    header = _find_header(repository, object_id)
    if header is None:
        raise damaged(repository, object_id) if revision is None else unknown(repository, revision)
    return header.kind, header.size


class _Header(NamedTuple):
    kind: int
    size: int
    packed: bool


def _find_header(repository: Repository, object_id: str) -> _Header | None:
    """In the packs as they were when opened, else loose, else in a pack that was written since."""
    try:
        name = pygit2.Oid(hex=object_id)
        for packs in repository.backends:
            if header := _packed_header(packs, name):
                return header
        if loose := loose_header(repository.folders, object_id):
            return _Header(*loose, packed=False)
        return _packed_header(repository.packs, name)
    except (pygit2.GitError, ValueError, TornObject) as error:
        raise damaged(repository, object_id) from error


def _packed_header(packs: pygit2.Odb | pygit2.OdbBackendPack, name: pygit2.Oid) -> _Header | None:
    try:
        kind, size = packs.read_header(name)
    except KeyError:
        return None
    return _Header(int(kind), size, packed=True)


def _read_packed(repository: Repository, object_id: str) -> bytes:
    """Held to its name by libgit2."""
    try:
        content: bytes = repository.packs.read(pygit2.Oid(hex=object_id))[1]
    except (pygit2.GitError, KeyError) as error:
        raise damaged(repository, object_id) from error
    return content


def unknown(repository: Repository, revision: str) -> UnknownRevision:
    """What to say of a name that leads to no commit."""
    place = repository.directory.common
    return UnknownRevision(f"{place} has no revision {revision!r}; look at git branch --all and git tag, or fetch it")


def damaged(repository: Repository, object_id: str) -> DamagedObject:
    """What to say of an object that cannot be read as what it should be."""
    place = repository.directory.common
    return DamagedObject(f"object {object_id} in {place} is missing or damaged; run git fsck there, or fetch it again")
