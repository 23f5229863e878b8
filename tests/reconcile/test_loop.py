"""The reconcile loop with a simple source, compiler and shelf: what is tried again, when, and what is said."""

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from compiler.diagnostics import Checked, Code, Diagnostic, Position, Severity
from compiler.reconcile.backoff import LOCAL, REMOTE, back_off
from compiler.reconcile.channel import Channel
from compiler.reconcile.loop import HINT, Loop
from compiler.reconcile.ports import Published, SourceError, Tip
from compiler.reconcile.reconcile import Reconciler
from compiler.reconcile.report import Report
from compiler.resources.resource_set import ResourceSet
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.failures import NotTheWriter, StoreFull
from compiler.snapshot.names import NodeId
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.source.tree import SourceTree

BROKEN = Code("broken", Severity.ERROR, "", "")
FULL = StoreFull("cannot publish: no room left")


@dataclass
class Repository:
    """`commits` by id; `failing` is raised by whatever is asked."""

    commit: str = "c1"
    message: str = ""
    failing: Exception | None = None
    fetching: Exception | None = None
    fetches: int = 0

    def fetch(self) -> None:
        self.fetches += 1
        if self.fetching:
            raise self.fetching

    def tip(self) -> str:
        if self.failing:
            raise self.failing
        return self.commit

    def describe(self, commit: str) -> Tip:
        return Tip(commit, f"tree of {commit}", self.message, 1.0)

    def read(self, tip: Tip) -> Checked[SourceTree]:
        return Checked(SourceTree((), tip.tree, tip.commit, lambda _: b""))


@dataclass
class Compiler:
    """Compiles any tree into `proxies`, unless `does` does something else."""

    proxies: tuple[str, ...] = ("web",)
    does: Callable[[], None] = lambda: None
    findings: tuple[Diagnostic, ...] = ()
    compiled: list[str | None] = field(default_factory=list)

    def compile(self, tree: SourceTree) -> Checked[Any]:
        self.compiled.append(tree.commit)
        self.does()
        snapshots = {f"default.{name}": Snapshot(NodeId("default", "", name, name), {}) for name in self.proxies}
        digest = ",".join(self.proxies)
        generation = None if self.findings else Generation(tree.commit, tree.tree, digest, snapshots)
        files = GenerationTree.build(snapshots.values())
        compiled = SimpleNamespace(generation=generation, resources=ResourceSet(), files=files, counters={"proxies": 2})
        return Checked(compiled, self.findings)


@dataclass
class Shelf:
    """What was published and handed over, in order."""

    failing: Exception | None = None
    counted: Mapping[str, int] | None = None
    published: list[Published] = field(default_factory=list)
    served: list[Published] = field(default_factory=list)
    to_tidy: int = 1
    tidied: int = 0
    closed: bool = False

    def recover(self) -> Published | None:
        return self.published[-1] if self.published else None

    def publish(self, generation: Generation, _: GenerationTree, tip: Tip) -> Published:
        if self.failing:
            raise self.failing
        self.published.append(Published(len(self.published) + 1, tip.commit, generation.digest))
        return self.published[-1]

    def serve(self, published: Published, _: Generation, __: GenerationTree) -> None:
        self.served.append(published)

    def census(self) -> Mapping[str, int] | None:
        return self.counted

    def note_census(self, digest: str, census: Mapping[str, int]) -> None:
        self.counted = census

    def tidy(self) -> bool:
        self.tidied += 1
        return self.tidied < self.to_tidy

    def close(self) -> None:
        self.closed = True


class Bench:
    """A loop, what it works with and what it said."""

    def __init__(self, **changed: Any) -> None:
        self.source, self.compiler, self.shelf = Repository(), Compiler(), Shelf()
        self.said = io.BytesIO()
        report = Report(Channel(io.BytesIO(), self.said))
        self.loop = Loop(Reconciler(self.source, self.compiler, self.shelf, report), report, {}, 0.01, **changed)

    def messages(self, kind: str) -> list[dict[str, Any]]:
        said = [json.loads(line) for line in self.said.getvalue().splitlines()]
        return [message for message in said if message["kind"] == kind]

    @property
    def candidate(self) -> dict[str, Any]:
        return self.messages("candidate")[-1]

    def retry(self) -> None:
        """As if enough time had passed."""
        self.loop._next_attempt = self.loop._next_fetch = 0.0
        self.loop.take(HINT)


@pytest.fixture
def bench() -> Bench:
    return Bench(fetches=False)


def _count_settled(hints: int) -> int:
    """How often, while so many messages wait to be taken, and none afterwards."""
    bench, found = Bench(fetches=False), list[int]()
    bench.loop.interval = 60.0
    bench.loop.settle = lambda: found.append(bench.loop.inbox.qsize())
    for _ in range(hints):
        bench.loop.inbox.put(HINT)
    bench.loop.inbox.put({"kind": "stop"})
    bench.loop.run()
    return len(found)


@pytest.mark.parametrize(("hints", "settled"), [(0, 0), (3, 0), (25, 2)])
def test_nobody_waits_for_what_is_settled_but_now_and_then(hints: int, settled: int) -> None:
    assert _count_settled(hints) == settled


def test_what_was_done_is_settled_after_a_pause(bench: Bench) -> None:
    bench.loop.settle = lambda: bench.loop.inbox.put({"kind": "stop"})
    bench.loop.run()
    assert bench.compiler.compiled == ["c1"]


def test_a_new_tip_is_compiled_published_handed_over_and_announced_once(bench: Bench) -> None:
    for _ in range(3):
        bench.loop.take(HINT)
    assert bench.compiler.compiled == ["c1"]
    assert bench.shelf.served == bench.shelf.published
    [announced] = bench.messages("generation")
    assert (announced["commit"], announced["digest"], announced["number"]) == ("c1", "web", 1)
    assert announced["timings"]["moved"] == 1.0
    assert bench.candidate["state"] == "published"


class Clocked(Bench):
    """A loop that was here before; `began` is when it compiled, in seconds from its start."""

    def __init__(self, *said: str, courtesy: float) -> None:
        super().__init__(fetches=False, courtesy=courtesy)
        self.shelf.published.append(Published(1, "c0", "old"))
        self.began: list[float] = []
        self.compiler.does = self._note
        for kind in said:
            self.loop.inbox.put({"kind": kind})

    def run(self) -> None:
        self.start = time.monotonic()
        self.loop.run()

    def _note(self) -> None:
        self.began.append(time.monotonic() - self.start)
        self.loop.inbox.put({"kind": "stop"})


def test_a_server_that_starts_serves_before_anything_is_compiled() -> None:
    bench = Clocked(courtesy=0.3)
    bench.run()
    assert 0.3 <= bench.began[0] < 5.0


def test_once_it_serves_nothing_is_waited_for() -> None:
    bench = Clocked("hint", "serving", courtesy=60.0)
    bench.run()
    assert len(bench.began) == 1


def test_without_anything_to_serve_nothing_is_waited_for() -> None:
    bench = Clocked(courtesy=60.0)
    bench.shelf.published.clear()
    bench.run()
    assert len(bench.began) == 1


def test_a_stop_is_not_waited_for_either() -> None:
    bench = Clocked("stop", courtesy=60.0)
    bench.run()
    assert bench.began == []
    assert bench.shelf.closed


def test_what_became_of_a_commit_is_known_before_its_generation_is_served(bench: Bench) -> None:
    bench.compiler.findings = (Diagnostic(Position("a.yaml", 3, 7), BROKEN, "wrong"),)
    bench.loop.take(HINT)
    bench.compiler.findings, bench.source.commit = (), "c2"
    bench.retry()
    said = [json.loads(line) for line in bench.said.getvalue().splitlines()]
    told = [(one["kind"], one["commit"]) for one in said if one["kind"] in ("candidate", "generation")]
    assert told == [("candidate", "c1"), ("candidate", "c2"), ("generation", "c2")]


def test_the_phases_are_said_before_they_begin_and_name_the_commit_only_while_it_is_to_blame(bench: Bench) -> None:
    bench.loop.take(HINT)
    phases = [(one["phase"], one.get("tree")) for one in bench.messages("phase")]
    assert phases == [("read", ""), ("read", "tree of c1"), ("compile", "tree of c1"), ("publish", None)]
    assert bench.messages("phase")[0]["commit"] == "c1"


def test_a_refused_commit_waits_for_its_author(bench: Bench) -> None:
    bench.compiler.findings = (Diagnostic(Position("a.yaml", 3, 7), BROKEN, "wrong"),)
    for _ in range(3):
        bench.retry()
    assert bench.compiler.compiled == ["c1"]
    assert bench.shelf.published == []
    assert bench.candidate["state"] == "refused"
    assert bench.candidate["diagnostics"][0]["line"] == 3
    bench.compiler.findings, bench.source.commit = (), "c2"
    bench.retry()
    assert bench.candidate["state"] == "published"


def test_a_full_disk_is_tried_again_until_there_is_room(bench: Bench) -> None:
    bench.shelf.failing = FULL
    bench.loop.take(HINT)
    bench.loop.take(HINT)
    assert len(bench.compiler.compiled) == 1, "not before its time"
    bench.retry()
    assert bench.candidate["state"] == "retrying"
    assert "no room left" in bench.candidate["reason"]
    bench.shelf.failing = None
    bench.retry()
    assert bench.candidate["state"] == "published"


def test_a_bug_at_one_commit_does_not_stop_the_next_and_is_not_tried_again(bench: Bench) -> None:
    def stumble() -> None:
        raise KeyError("secret value")

    bench.compiler.does = stumble
    bench.retry()
    bench.retry()
    assert bench.compiler.compiled == ["c1"]
    assert (bench.candidate["state"], bench.candidate["commit"]) == ("failed", "c1")
    assert "secret value" not in bench.candidate["reason"]
    bench.compiler.does, bench.source.commit = (lambda: None), "c2"
    bench.retry()
    assert bench.candidate["state"] == "published"


@pytest.mark.parametrize("error", [MemoryError(), NotTheWriter("the lock is lost")])
def test_what_only_a_new_process_mends_ends_this_one(bench: Bench, error: Exception) -> None:
    if isinstance(error, MemoryError):

        def burst() -> None:
            raise error

        bench.compiler.does = burst
    else:
        bench.shelf.failing = error
    with pytest.raises(type(error)):
        bench.loop.take(HINT)


def test_a_quarantined_tree_is_named_and_not_compiled_until_it_is_forgiven(bench: Bench) -> None:
    bench.loop.reconciler.quarantine = {"tree of c1": "it killed the compiling process 2 times"}
    bench.retry()
    assert bench.compiler.compiled == []
    assert bench.candidate["state"] == "quarantined"
    bench.loop.take({"kind": "quarantine", "trees": {}})
    assert bench.compiler.compiled == ["c1"]


def test_a_repository_that_fails_is_said_with_its_words_and_asked_again(bench: Bench) -> None:
    bench.source.failing = SourceError("no branch 'main'")
    bench.loop.take(HINT)
    assert bench.messages("source")[-1]["last_error"]["message"] == "no branch 'main'"
    bench.source.failing = None
    bench.retry()
    assert bench.messages("source")[-1]["last_error"] is None
    assert bench.shelf.published


def test_a_remote_is_fetched_with_growing_pauses_while_what_is_here_is_served() -> None:
    bench = Bench()
    bench.source.fetching = SourceError("no route to host")
    bench.loop.take(HINT)
    assert bench.shelf.published, "compiled before it was fetched"
    assert bench.messages("source")[-1]["last_error"]["message"] == "no route to host"
    for _ in range(5):
        bench.retry()
    waits = bench.loop._next_fetch - time.monotonic()
    assert waits <= REMOTE
    fetches = bench.source.fetches
    bench.loop._next_fetch = time.monotonic() + 100
    bench.loop.take({"kind": "reconcile"})
    assert bench.source.fetches == fetches + 1, "an operator does not wait for the pause to end"


def test_offline_reads_no_repository() -> None:
    bench = Bench(offline=True)
    bench.loop.take(HINT)
    assert (bench.compiler.compiled, bench.source.fetches) == ([], 0)
    assert "offline" in bench.messages("source")[-1]["last_error"]["message"]


def test_an_empty_compile_is_held_even_when_its_commit_allows_everything(bench: Bench) -> None:
    bench.loop.take(HINT)
    bench.compiler.proxies, bench.source.commit = (), "c2"
    bench.source.message = "gone\n\nAllow-Removal: proxy/1\nAllow-Removal: mesh/1\n"
    bench.retry()
    assert bench.candidate["state"] == "held"
    assert len(bench.shelf.published) == 1


def test_questions_are_answered_from_the_last_good_compile(bench: Bench) -> None:
    def name_missing(_: object, arguments: Mapping[str, object]) -> object:
        if arguments["name"] == "none":
            raise LookupError("no dataplane 'none'")
        return {"found": arguments["name"]}

    bench.loop.questions = {"config": name_missing}
    ask = {"kind": "ask", "question": "config"}
    bench.loop.take({**ask, "id": 1, "arguments": {"name": "web"}})
    bench.loop.take(HINT)
    bench.loop.take({**ask, "id": 2, "arguments": {"name": "web"}})
    bench.loop.take({**ask, "id": 3, "arguments": {"name": "none"}})
    bench.loop.take({**ask, "id": 4, "question": "else", "arguments": {}})
    answers = {one["id"]: one for one in bench.messages("answer")}
    assert answers[1]["error"] == "nothing is compiled yet"
    assert answers[2]["result"] == {"found": "web"}
    assert answers[3]["missing"] == "no dataplane 'none'"
    assert answers[4]["error"] == "no such question"


def test_a_loop_that_is_told_to_stop_leaves_nothing_going_on(bench: Bench) -> None:
    bench.loop.inbox.put({"kind": "stop"})
    bench.loop.run()
    assert bench.shelf.published
    assert bench.shelf.closed


def test_what_can_wait_is_done_in_steps_until_a_message_comes(bench: Bench) -> None:
    bench.shelf.to_tidy = 10
    bench.loop._wait()
    assert bench.shelf.tidied == 10
    tidy = bench.shelf.tidy

    def tidy_and_hear() -> bool:
        bench.loop.inbox.put({"kind": "stop"})
        return tidy()

    bench.shelf.tidied, bench.shelf.tidy = 0, tidy_and_hear  # type: ignore[method-assign]
    bench.loop._wait()
    assert bench.shelf.tidied == 1
    assert bench.loop._wait() == {"kind": "stop"}


@pytest.mark.parametrize("longest", [LOCAL, REMOTE])
def test_pauses_grow_up_to_a_bound_and_are_never_shorter_than_the_interval(longest: float) -> None:
    assert back_off(0, 1.0, longest) == 1.0
    for failures in range(1, 40):
        assert 1.0 <= back_off(failures, 1.0, longest) <= longest
    assert len({back_off(20, 0.0, longest) for _ in range(20)}) > 1
