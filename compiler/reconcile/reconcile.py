"""From a branch's tip to what is served, as a list of steps of one signature; each stops the attempt or hands it on."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from compiler.reconcile.guard import CensusTaker, judge_removal
from compiler.reconcile.outcome import Attempt, Next, Outcome, State
from compiler.reconcile.ports import Compiled, Compiler, Published, Shelf, Source, SourceError, Tip
from compiler.snapshot.failures import NotTheWriter, StoreError
from compiler.source.refs import GitError

T = TypeVar("T")
Step = Callable[[Attempt], Outcome]


class Reporter(Protocol):
    """How the worker tells the supervisor what it is at, before it does it."""

    def enter(self, phase: str, tip: Tip | None = None) -> None: ...

    def announce(self, published: Published, timings: Mapping[str, float]) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...


def take_steps(steps: Sequence[Step], attempt: Attempt) -> Outcome:
    """The outcome of the first step that does not let the attempt proceed."""
    outcome = Outcome(Next.SETTLED, attempt)
    for step in steps:
        outcome = step(outcome.attempt)
        if outcome.next is not Next.PROCEED:
            return outcome
    return outcome


@dataclass
class Reconciler:
    """The steps and what they lean on.

    `settled` is the last commit that needs no second look, `latest` what was last compiled without errors.
    """

    source: Source
    compiler: Compiler
    shelf: Shelf
    reporter: Reporter
    quarantine: Mapping[str, str] = field(default_factory=dict)
    settled: str | None = None
    latest: Compiled | None = None
    source_error: str | None = None
    _at: Tip | None = None
    _census: CensusTaker = field(default_factory=CensusTaker)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Fetching is the loop's: what is already here is compiled first."""
        return (
            self.notice_tip,
            self.describe_tip,
            self.read_tree,
            self.compile_tree,
            self.guard_removal,
            self.publish,
            self.put_in_image,
            self.announce,
        )

    def recover(self) -> bool:
        """What was published before is served before anything is compiled; a disk that fails is tried again later.

        Whether there was any.
        """
        with suppress(StoreError):
            published = self.shelf.recover()
            if published is not None:
                self.reporter.announce(published, {})
                return True
        return False

    def reconcile(self) -> Outcome:
        """One attempt; a commit that only its author can mend, or that is served, is not tried again."""
        outcome = take_steps(self.steps, Attempt())
        if outcome.attempt.tip is not None and outcome.next in (Next.SETTLED, Next.WAIT_FOR_AUTHOR):
            self.settled = outcome.attempt.tip.commit
        return outcome

    def give_up(self) -> Tip | None:
        """The commit in hand is not tried again; it is returned."""
        if self._at is not None:
            self.settled = self._at.commit
        return self._at

    def forgive(self) -> None:
        """Every commit may be tried again."""
        self.quarantine = {}
        self.settled = None

    def notice_tip(self, attempt: Attempt) -> Outcome:
        """Refs are compared on every pass; events are hints (promise 35)."""
        try:
            commit = self.source.tip()
        except SourceError as error:
            return self._source_failed(attempt, error)
        self.source_error = None
        if commit == self.settled:
            return Outcome(Next.SETTLED, attempt)
        self._at = Tip(commit)
        return _proceed(replace(attempt, tip=self._at, timings={"detected": time.time()}))

    def describe_tip(self, attempt: Attempt) -> Outcome:
        """From here on the commit is to blame for what happens to this process."""
        named = _known(attempt.tip)
        if named.commit in self.quarantine:
            return self._quarantined(attempt, named.commit)
        self.reporter.enter("read", named)
        try:
            self._at = tip = self.source.describe(named.commit)
        except SourceError as error:
            return self._source_failed(attempt, error)
        detected = attempt.timings["detected"]
        moved = detected if tip.moved is None else min(tip.moved, detected)
        described = replace(attempt, tip=tip, timings={"moved": moved, "detected": detected})
        return self._quarantined(described, tip.tree) if tip.tree in self.quarantine else _proceed(described)

    def read_tree(self, attempt: Attempt) -> Outcome:
        tip = _known(attempt.tip)
        self.reporter.enter("read", tip)
        try:
            checked = self.source.read(tip)
        except SourceError as error:
            return self._source_failed(attempt, error)
        read = replace(attempt, tree=checked.value, diagnostics=checked.diagnostics)
        return _refused(read) if checked.failed else _proceed(read)

    def compile_tree(self, attempt: Attempt) -> Outcome:
        """Files are read only now, so the repository may fail here too, and be mended without another commit."""
        self.reporter.enter("compile", _known(attempt.tip))
        try:
            checked = self.compiler.compile(_known(attempt.tree))
        except (GitError, OSError) as error:
            return self._source_failed(attempt, error)
        findings = attempt.diagnostics + checked.diagnostics
        compiled = replace(
            attempt, compiled=checked.value, diagnostics=findings, timings={**attempt.timings, "compiled": time.time()}
        )
        if checked.failed or checked.value.generation is None:
            return _refused(compiled)
        self.latest = checked.value
        return _proceed(compiled)

    def guard_removal(self, attempt: Attempt) -> Outcome:
        """Whatever its commit says, an empty compile never replaces another: Envoy would drop all listeners at once."""
        try:
            before = self.shelf.census()
        except NotTheWriter:
            raise
        except StoreError as error:
            return _not_published(attempt, error)
        compiled = _known(attempt.compiled)
        after = self._census.take(compiled.files, compiled.resources.kinds)
        counted = replace(attempt, census=after)
        if before is None:
            return _proceed(counted)
        if before.get("proxy") and not _known(compiled.generation).snapshots:
            return Outcome(Next.WAIT_FOR_AUTHOR, counted, State.HELD, "held: it would leave no proxy at all")
        reason = judge_removal(before, after, _known(attempt.tip).message)
        return Outcome(Next.WAIT_FOR_AUTHOR, counted, State.HELD, reason) if reason else _proceed(counted)

    def publish(self, attempt: Attempt) -> Outcome:
        """A full or broken disk is waited for; what is served stays (promise 8)."""
        self.reporter.enter("publish")
        compiled = _known(attempt.compiled)
        try:
            published = self.shelf.publish(_known(compiled.generation), compiled.files, _known(attempt.tip))
            self.shelf.note_census(published.digest, _known(attempt.census))
        except NotTheWriter:
            raise
        except StoreError as error:
            return _not_published(attempt, error)
        return _proceed(replace(attempt, published=published, timings={**attempt.timings, "durable": time.time()}))

    def put_in_image(self, attempt: Attempt) -> Outcome:
        """The server reads nothing but the image; one that cannot be written is tried again like a publish."""
        compiled = _known(attempt.compiled)
        try:
            self.shelf.serve(_known(attempt.published), _known(compiled.generation), compiled.files)
        except NotTheWriter:
            raise
        except StoreError as error:
            return _not_published(attempt, error)
        return _proceed(attempt)

    def announce(self, attempt: Attempt) -> Outcome:
        """The outcome first: nobody may see the new generation served beside what became of the commit before."""
        settled = Outcome(Next.SETTLED, attempt, State.PUBLISHED)
        self.reporter.outcome(settled)
        self.reporter.announce(_known(attempt.published), attempt.timings)
        return settled

    def _source_failed(self, attempt: Attempt, error: Exception) -> Outcome:
        """What is served stays; the repository is asked again."""
        self.source_error = str(error)
        return Outcome(Next.RETRY, attempt, State.RETRYING, str(error))

    def _quarantined(self, attempt: Attempt, key: str) -> Outcome:
        reason = f"this tree is not compiled: {self.quarantine[key]}"
        return Outcome(Next.WAIT_FOR_AUTHOR, attempt, State.QUARANTINED, reason)


def _proceed(attempt: Attempt) -> Outcome:
    return Outcome(Next.PROCEED, attempt)


def _refused(attempt: Attempt) -> Outcome:
    return Outcome(Next.WAIT_FOR_AUTHOR, attempt, State.REFUSED, "the commit has errors; the last good one stays")


def _not_published(attempt: Attempt, error: StoreError) -> Outcome:
    return Outcome(Next.RETRY, attempt, State.RETRYING, f"not published: {error}; it is tried again")


def _known(value: T | None) -> T:
    """What an earlier step found; without it the steps stand in the wrong order."""
    if value is None:
        raise RuntimeError("the steps of the reconcile loop stand in the wrong order")
    return value
