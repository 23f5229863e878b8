"""What a change is compared with where nobody says: the commit at which it left the branch that it goes to."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from compiler.source.configuration import read_setting
from compiler.source.git import Repository
from compiler.source.objects import has_object, read_commit_object
from compiler.source.refs import read_ref, read_regular

__all__ = ["Upstream", "ancestors", "find_merge_base", "find_upstream"]

_CANDIDATES = (
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)
_MAX_HEAD_BYTES = 4096
_COMMITTED = re.compile(rb"> (\d{1,18}) [-+]\d{4}$")
_STALE = "stale"
_BRANCH = re.compile(r"ref: (refs/heads/(.+))")


@dataclass(frozen=True, slots=True)
class Upstream:
    """The branch that a change goes to, as people write it, and its commit."""

    name: str
    commit: str


def find_upstream(repository: Repository) -> Upstream | None:
    """The configured upstream of the branch that is checked out; else what the remote calls its own; else main."""
    for ref in (*_configured(repository), *_CANDIDATES):
        commit = read_ref(repository.directory, ref)
        if commit is not None:
            name = ref.removeprefix("refs/remotes/").removeprefix("refs/heads/").removesuffix("/HEAD")
            return Upstream(name, commit)
    return None


def find_merge_base(repository: Repository, one: str, other: str) -> str | None:
    """The best commit that both descend from; None where there is none, or a shallow clone ends before it.

    As git does it: both histories are walked from the newest commit on, each commit marked with the sides that reach
    it; what lies behind a commit of both is walked as stale, until nothing else waits. Clocks lie, so while several
    commits of both are left, one of them may still be found to lie behind another.
    """
    marks: dict[str, set[object]] = defaultdict(set)
    waiting: list[tuple[int, str]] = []
    found: list[str] = []
    for side, tip in enumerate((one, other)):
        marks[tip].add(side)
        heappush(waiting, (-_time(repository, tip), tip))
    while waiting:
        several = sum(_STALE not in marks[commit] for commit in found) > 1
        if not several and all(_STALE in marks[commit] for _, commit in waiting):
            break
        _, commit = heappop(waiting)
        here = marks[commit]
        if here >= {0, 1} and _STALE not in here:
            found.append(commit)
            here = here | {_STALE}
        for parent in read_commit_object(repository, commit).parents:
            if not marks[parent] >= here and has_object(repository, parent):
                marks[parent] |= here
                heappush(waiting, (-_time(repository, parent), parent))
    return next((commit for commit in found if _STALE not in marks[commit]), None)


def _time(repository: Repository, commit: str) -> int:
    """Seconds since 1970, as the committer's clock had it."""
    found = _COMMITTED.search(read_commit_object(repository, commit).headers.get(b"committer", b""))
    return int(found[1]) if found else 0


def ancestors(repository: Repository, commit: str, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """Itself and those before it, nearer ones first, but for known ones; a shallow clone ends where it does."""
    waiting, seen = [commit], {commit, *known}
    while waiting:
        later = []
        for found in waiting:
            if has_object(repository, found):
                yield found
                later += [one for one in read_commit_object(repository, found).parents if one not in seen]
                seen.update(later)
        waiting = list(dict.fromkeys(later))


def _configured(repository: Repository) -> Iterator[str]:
    """Where the branch is pulled from, by the repository's own configuration alone: `branch.<name>.remote`, `.merge`.

    A branch of the remote that is called the same is where it was pushed to, not where it goes.
    """
    head = read_regular(repository.directory.head / "HEAD", _MAX_HEAD_BYTES) or b""
    branch = _BRANCH.fullmatch(head.decode(errors="replace").strip())
    if branch is None:
        return
    remote, merge = (read_setting(repository.directory, f"branch.{branch[2]}.{name}") for name in ("remote", "merge"))
    if remote == ".":
        yield merge
    elif remote and merge and merge != branch[1]:
        yield merge.replace("refs/heads/", f"refs/remotes/{remote}/", 1)
