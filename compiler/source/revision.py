"""Which commit a revision means: branches, tags, ids and steps back from them."""

import re
from pathlib import Path

from pygit2.enums import ObjectType

from compiler.source.objects import (
    MAX_COMMIT_BYTES,
    EmptyRepository,
    Repository,
    UnknownRevision,
    complete_id,
    has_object,
    open_any,
    read_commit_object,
    read_header,
    read_object,
    unknown,
)
from compiler.source.refs import has_refs, is_ref_name, read_ref

_STEP = re.compile(r"~(\d{0,6})|\^(\d{0,3})(?!\{)|\^\{(?:commit)?\}")
_REVISION = re.compile(r"(?P<base>@|[^~^]+)(?P<steps>(?:[~^].*)?)", re.DOTALL)
_PINNED = re.compile(r"(?:.*@)?sha1:([0-9a-f]{40})", re.DOTALL)
_ABBREVIATED = re.compile(r"[0-9a-fA-F]{4,40}")


def resolve(repository: Path | Repository, revision: str) -> str:
    """The commit id of a branch, tag, (abbreviated) id, `main@sha1:…`, and of `~`, `^` and `^{}` after one of them."""
    opened = open_any(repository)
    pinned = _PINNED.fullmatch(revision)
    match = _REVISION.fullmatch(pinned[1] if pinned else revision)
    if match is None:
        raise unknown(opened, revision)
    commit = _peel(opened, _named(opened, match["base"], revision), revision)
    position, steps = 0, match["steps"]
    while position < len(steps):
        step = _STEP.match(steps, position)
        if step is None:
            raise unknown(opened, revision)
        commit = _follow(opened, commit, step, revision)
        position = step.end()
    return commit


def find_tip(repository: Repository, ref: str) -> str | None:
    """The commit at a branch or tag, None where it does not exist (any more, or yet)."""
    for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}"):
        if found := read_ref(repository.directory, name):
            return _peel(repository, found, ref)
    return None


def _named(repository: Repository, name: str, revision: str) -> str:
    """A full id first, then refs in git's order, then an abbreviated id."""
    name = "HEAD" if name == "@" else name
    if _ABBREVIATED.fullmatch(name) and len(name) == 40:
        return name.lower()
    folders = ("", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/")
    names = [folder + name for folder in folders] + [f"refs/remotes/{name}/HEAD"]
    for full in names if is_ref_name(name) else ():
        if found := read_ref(repository.directory, full):
            return found
    if _ABBREVIATED.fullmatch(name) and (completed := complete_id(repository, name.lower())):
        return completed
    if name == "HEAD" and not has_refs(repository.directory):
        raise EmptyRepository(f"{repository.directory.common} has no commit yet; commit something first")
    raise unknown(repository, revision)


def _follow(repository: Repository, commit: str, step: re.Match[str], revision: str) -> str:
    generations, parent = step[1], step[2]
    if parent is not None:
        return commit if parent == "0" else _parent(repository, commit, int(parent or 1), revision)
    for _ in range(int(generations or 1) if generations is not None else 0):
        commit = _parent(repository, commit, 1, revision)
    return commit


def _parent(repository: Repository, commit: str, number: int, revision: str) -> str:
    parents = read_commit_object(repository, commit).parents
    if not 0 < number <= len(parents):
        raise unknown(repository, revision)
    if not has_object(repository, parents[number - 1]):
        raise UnknownRevision(f"{revision!r} lies before the history of this shallow clone; run git fetch --unshallow")
    return parents[number - 1]


def _peel(repository: Repository, object_id: str, revision: str) -> str:
    """From a tag to the commit that it names, however many tags lie between."""
    for _ in range(8):
        kind, _size = read_header(repository, object_id, revision)
        if kind == ObjectType.COMMIT:
            return object_id
        if kind != ObjectType.TAG:
            break
        content = read_object(repository, object_id, ObjectType.TAG, MAX_COMMIT_BYTES)
        object_id = content[:48].removeprefix(b"object ").strip().decode(errors="replace")
    raise UnknownRevision(f"{revision!r} is no commit; give a branch, a tag or a commit id")
