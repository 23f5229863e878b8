"""A branch's past, commit by commit along first parents: a merge is one step, as it was for whoever followed it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from compiler.diagnostics import Checked
from compiler.resources.settings import leave_out
from compiler.review.changes.compare import compare
from compiler.review.changes.titles import title_of, title_of_proxies
from compiler.review.plan import Kind, ResourceChange
from compiler.review.versions import Version, Versions
from compiler.snapshot.snapshot import Snapshot
from compiler.source.git import CommitSummary, Repository, UnknownRevision, commit_summary, read_commit
from compiler.source.objects import has_object, read_commit_object
from compiler.source.tree import SourceTree

__all__ = ["Bisection", "Entry", "History", "Verdict", "bisect", "find_nodes", "first_parents", "proxy_log"]


def first_parents(repository: Repository, tip: str) -> Iterator[str]:
    """Commit ids from the tip back; a shallow clone ends early."""
    commit: str | None = tip
    while commit is not None and has_object(repository, commit):
        yield commit
        commit = next(iter(read_commit_object(repository, commit).parents), None)


def _is_cut(repository: Repository, commit: str) -> bool:
    """Whether a shallow clone ends with it."""
    return any(not has_object(repository, parent) for parent in read_commit_object(repository, commit).parents)


@dataclass
class History:
    """Compiles commits of one repository below a folder, each at the cost of what differs from the one before."""

    repository: Repository
    folder: str = ""
    versions: Versions = field(default_factory=Versions)
    _tree: SourceTree | None = None

    def version(self, commit: str) -> Version:
        """What a commit compiles to; without a generation where it does not. Before there was the folder: nothing."""
        read = self._read(commit)
        self._tree = read.value
        return self.versions.compile(read)

    def _read(self, commit: str) -> Checked[SourceTree]:
        try:
            read = read_commit(self.repository, commit, self.folder, previous=self._tree)
            return leave_out(read, self.versions.compiler.schemas)
        except UnknownRevision:
            return Checked(SourceTree((), "", commit, lambda _: b"", self.folder))


@dataclass(frozen=True, slots=True)
class Entry:
    """A commit that changed a proxy's configuration, and how; `title` says it in a sentence."""

    summary: CommitSummary
    kind: Kind
    title: str
    changes: tuple[ResourceChange, ...] = ()
    earlier: bool = False
    """It may have been an earlier commit: a shallow clone ends with this one."""


def find_nodes(history: History, commits: Iterable[str], name: str, mesh: str | None = None) -> tuple[str, ...]:
    """The proxies of that name (or `mesh.name`) in the first of the commits that has any, sorted."""
    for commit in commits:
        some = history.version(commit).snapshots.items()
        found = [node for node, one in some if name in (node, one.node.proxy) and mesh in (None, one.node.mesh)]
        if found:
            return tuple(sorted(found))
    return ()


def proxy_log(history: History, node: str, commits: Iterable[str]) -> Iterator[Entry]:
    """Newest first, from commits that are. One that does not compile changed nothing: what was served stayed."""
    later: Snapshot | None = None
    newest: str | None = None
    for commit in commits:
        version = history.version(commit)
        if version.generation is None:
            continue
        snapshot = version.generation.snapshots.get(node)
        if newest is not None and (entry := _entry(history, newest, snapshot, later)) is not None:
            yield entry
        newest, later = commit, snapshot
    if newest is not None and (entry := _entry(history, newest, None, later)) is not None:
        yield replace(entry, earlier=_is_cut(history.repository, newest))


def _entry(history: History, commit: str, before: Snapshot | None, after: Snapshot | None) -> Entry | None:
    sides = [{str(one.node): one} if one is not None else {} for one in (before, after)]
    found = compare(*sides)
    summary = commit_summary(history.repository, commit)
    if found.added or found.removed:
        kind = Kind.ADDED if found.added else Kind.REMOVED
        return Entry(summary, kind, title_of_proxies(kind, found.added or found.removed))
    if not found.changed:
        return None
    [proxy] = found.changed
    changes = tuple(found.change(one.key) for one in proxy.differences)
    return Entry(summary, Kind.CHANGED, title_of(changes, [proxy.after]), changes)


class Verdict(StrEnum):
    """What a command said of a commit; `skipped` are those that do not compile, or of which it said it cannot tell."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Bisection:
    """Suspects are sorted, the oldest first; more than one are left where those between could not be judged."""

    suspects: tuple[str, ...]
    asked: tuple[tuple[str, Verdict], ...]
    equal: int
    """How many commits were judged without asking, because another one has the same snapshots."""


Ask = Callable[[str, Version], Verdict]


def bisect(history: History, good: str, bad: str, ask: Ask) -> Bisection:
    """The first commit after `good` with the answer of `bad`; raises ValueError where there is no such thing."""
    commits = _between(history.repository, good, bad)
    jury = _Jury(history, ask)
    for commit, wanted in ((commits[0], Verdict.GOOD), (commits[-1], Verdict.BAD)):
        if (found := jury.judge(commit)) is not wanted:
            raise ValueError(f"the command says {found.value} of {commit[:10]}, which was given as {wanted.value}")
    low, high, skipped = 0, len(commits) - 1, set[int]()
    while rest := [index for index in range(low + 1, high) if index not in skipped]:
        middle = min(rest, key=lambda index: abs(index - (low + high) // 2))
        match jury.judge(commits[middle]):
            case Verdict.GOOD:
                low = middle
            case Verdict.BAD:
                high = middle
            case Verdict.SKIPPED:
                skipped.add(middle)
    return Bisection(tuple(commits[low + 1 : high + 1]), tuple(jury.asked.items()), jury.equal)


@dataclass
class _Jury:
    """Equal snapshots get the same answer, and nobody is asked twice."""

    history: History
    ask: Ask
    asked: dict[str, Verdict] = field(default_factory=dict)
    equal: int = 0
    _answers: dict[str, Verdict] = field(default_factory=dict)

    def judge(self, commit: str) -> Verdict:
        version = self.history.version(commit)
        if version.generation is None:
            return self.asked.setdefault(commit, Verdict.SKIPPED)
        digest = version.generation.digest
        if digest in self._answers:
            self.equal += 1
        else:
            self._answers[digest] = self.asked[commit] = self.ask(commit, version)
        return self._answers[digest]


def _between(repository: Repository, good: str, bad: str) -> list[str]:
    """From the good one to the bad one, both with them."""
    found = []
    for commit in first_parents(repository, bad):
        found.append(commit)
        if commit == good:
            return found[::-1]
    raise ValueError(f"{good[:10]} is not among the first parents of {bad[:10]}; take a commit of the branch itself")
