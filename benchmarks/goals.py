"""The goals of the specification as figures, and what a measurement says of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.measure import Measurement, percentile
from benchmarks.proportion import count_built

Verdict = Literal["lead", "must", "missed"]
_OF_PUSHES: Final = ("pushes", "cpu ms server")
Read = Callable[[Measurement], float | None]


@dataclass(frozen=True, slots=True)
class Bound:
    """What must be reached, and what would lead the field; None where the specification names no figure."""

    must: float | None
    lead: float | None
    at_least: bool = False

    def judge(self, value: float) -> Verdict:
        """Without a figure for what must be, what does not lead is missed."""
        if self.lead is not None and self._holds(value, self.lead):
            return "lead"
        if self.must is not None and self._holds(value, self.must):
            return "must"
        return "missed"

    def _holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.at_least else value <= bound


@dataclass(frozen=True, slots=True)
class Goal:
    """A row of the table; `read` finds its figure in a measurement of this kind and operation."""

    metric: str
    unit: str
    kind: str
    operation: str
    read: Read
    bounds: Mapping[str, Bound]


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal at a tier; without a value it was not measured."""

    goal: Goal
    tier: str
    bound: Bound
    value: float | None = None

    @property
    def verdict(self) -> Verdict | None:
        return None if self.value is None else self.bound.judge(self.value)


def judge(kind: str, tier: str, one: Measurement) -> Iterator[Judged]:
    """What one measurement says of the goals that are about it."""
    for goal in GOALS:
        bound = goal.bounds.get(tier)
        if bound is not None and (goal.kind, goal.operation) == (kind, one.operation):
            value = goal.read(one)
            if value is not None:
                yield Judged(goal, tier, bound, value)


def list_goals(tiers: Iterable[str]) -> Iterator[Judged]:
    """All goals of these tiers in the table's order, without a value."""
    wanted = tuple(tiers)
    return (Judged(goal, tier, goal.bounds[tier]) for goal in GOALS for tier in wanted if tier in goal.bounds)


def _p50(scale: float) -> Read:
    return lambda one: one.p50 * scale


def _p99(scale: float) -> Read:
    return lambda one: one.p99 * scale


def _point(name: str, rank: float) -> Read:
    """Milliseconds to a clock point inside of the daemon, where each try's is known."""

    def read(one: Measurement) -> float | None:
        return percentile(one.points[name], rank) * 1e3 if name in one.points else None

    return read


def _counter(name: str, scale: float = 1.0) -> Read:
    def read(one: Measurement) -> float | None:
        return one.counters[name] * scale if name in one.counters else None

    return read


def _documents_a_second(one: Measurement) -> float | None:
    return one.counters["documents"] / one.cpu if one.cpu else None


def _rebuilt(one: Measurement) -> float | None:
    """Resources built over those whose bytes differ."""
    least = one.counters.get("resources that differ")
    return count_built(one.counters) / least if least else None


def _cpu_of_a_push(one: Measurement) -> float | None:
    """Microseconds of the server, for a push and the ACK that answers it.

    A commit has a cost by itself, 2 to 3 ms however few proxies it is told to. Where E1 was measured too, a push is
    what one more costs: with the 24 of tier S the rest would count for most of it.
    """
    pushes, cpu = (one.counters.get(name, 0.0) - one.counters.get(f"{name}, E1", 0.0) for name in _OF_PUSHES)
    return cpu / pushes * 1e3 if pushes > 0 and "cpu ms server" in one.counters else None


def _idle_share(one: Measurement) -> float | None:
    """Percent of a core, of all processes."""
    return sum(part for name, part in one.counters.items() if name.startswith("share of a core")) * 100


def _at(tiers: str, must: float | None, lead: float | None, *, at_least: bool = False) -> dict[str, Bound]:
    return dict.fromkeys(tiers.split(), Bound(must, lead, at_least))


def _edits() -> Iterator[Goal]:
    """The three edits that must cost the same in every tier."""
    ways: tuple[tuple[str, str, Read, Mapping[str, Bound]], ...] = (
        ("compile", "commit to durable, p50", _p50(1e3), _at("M K L", 25, 12)),
        ("compile", "commit to durable, p99", _p99(1e3), _at("M K L", 80, 40)),
        ("serve", "commit to durable, beside serving, p50", _point("durable", 50), _at("M K L", 25, 12)),
        ("serve", "commit to durable, beside serving, p99", _point("durable", 99), _at("M K L", 80, 40)),
        ("serve", "commit to last ACK, p50", _p50(1e3), _at("M K L", 40, 20)),
        ("serve", "commit to last ACK, p99", _p99(1e3), _at("M K L", 120, 60)),
    )
    for kind, metric, read, bounds in ways:
        for name in ("E1", "E2", "E3"):
            yield Goal(f"{name} {metric}", "ms", kind, name, read, bounds)


def _rebuilds() -> Iterator[Goal]:
    for name in ("E1", "E2", "E3"):
        yield Goal(f"{name} resources rebuilt over minimal", "x", "compile", name, _rebuilt, _at("S M K L", 5, 1))


def _peak(one: Measurement) -> float | None:
    return one.peak_rss / 1e6 if one.peak_rss else None


_KB: Final = 1e-3

GOALS: Final[tuple[Goal, ...]] = (
    Goal("cold compile, Git to durable", "s", "compile", "cold", _p50(1), _at("M", 1.5, 0.4) | _at("L", 10, 3)),
    Goal("warm restart to serving", "s", "serve", "restart", _p50(1), _at("L", 2, 1)),
    Goal("restart with the image lost", "s", "serve", "restart, image lost", _p50(1), _at("L", 10, 5)),
    Goal(
        "validate only, documents a CPU second",
        "/s",
        "compile",
        "validate",
        _documents_a_second,
        _at("L", 1_300, 7_000, at_least=True),
    ),
    Goal(
        "validate only, a file for each proxy",
        "/s",
        "files",
        "validate",
        _documents_a_second,
        _at("L", 1_300, 7_000, at_least=True),
    ),
    Goal("peak RSS, compiler", "MB", "compile", "cold", _peak, _at("M", 200, 120) | _at("L", 600, 350)),
    *_edits(),
    Goal("E1 commit to effect on traffic, p50", "ms", "serve", "E1 effect", _p50(1e3), _at("M", 60, 30)),
    Goal("E1 commit to effect on traffic, p99", "ms", "serve", "E1 effect", _p99(1e3), _at("M", 150, 80)),
    Goal("E4 hub to last ACK", "s", "serve", "E4", _p50(1), _at("L", 1.0, 0.4)),
    Goal("E5 to last ACK, p50", "ms", "serve", "E5", _p50(1e3), _at("L", 80, 40)),
    Goal("E6 to last ACK", "s", "serve", "E6", _p50(1), _at("K", 2.5, 1) | _at("L", 8, 4)),
    Goal("refusals by real Envoys, all along", "", "serve", "Envoys", _counter("refusals"), _at("S M K L", 0, 0)),
    Goal("E7 pushes", "", "serve", "E7", _counter("pushes"), _at("L", 0, 0)),
    Goal("E7 digests served", "", "serve", "E7", _counter("digests"), _at("L", 1, 1)),
    Goal("E7 snapshots that differ", "", "compile", "E7", _counter("snapshots that differ"), _at("L", 0, 0)),
    Goal("E7 commit to verdict, p50", "ms", "compile", "E7", _p50(1e3), _at("L", None, 10)),
    Goal("E8 resources encoded again", "", "compile", "E8", lambda one: count_built(one.counters), _at("L", 0, 0)),
    Goal("E8 digests served, of two states", "", "serve", "E8", _counter("digests"), _at("L", 2, 2)),
    Goal("E9 converged after the last", "ms", "serve", "E9", _p50(1e3), _at("L", 500, 100)),
    Goal("E10 verdict, last good kept", "ms", "serve", "E10", _p50(1e3), _at("L", 50, 15)),
    Goal("E10 digests served", "", "serve", "E10", _counter("digests"), _at("L", 1, 1)),
    *_rebuilds(),
    Goal(
        "stored bytes per proxy",
        "KB",
        "compile",
        "cold",
        _counter("stored bytes per proxy", _KB),
        _at("M", 6, 3) | _at("L", 3, 1.5),
    ),
    Goal(
        "C1 server CPU per proxy",
        "ms",
        "serve",
        "C1",
        _counter("server cpu us per proxy", 1e-3),
        _at("K L", 1.3, 0.7),
    ),
    Goal("C1 all ACKed", "s", "serve", "C1", _p50(1), _at("M", 3, 1.5) | _at("L", 30, 12)),
    Goal("CPU per push and ACK", "us", "serve", "E6", _cpu_of_a_push, _at("S M K L", 90, 60)),
    Goal("server RSS per proxy", "KB", "serve", "C1", _counter("server rss per proxy", _KB), _at("L", 80, 50)),
    Goal("idle CPU, all connected", "% of a core", "serve", "I", _idle_share, _at("L", 2, 0.5)),
)
