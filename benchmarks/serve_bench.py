"""End to end: a commit, the real daemon, and a connection a proxy; from the moved branch to the last ACK.

Clock points: t0 the branch moved (this process), t1 detected, t2 compiled, t3 durable, t4 first push, t5 last ACK (the
daemon's `/status`), t6 the first answer under the new rule on a kept-alive connection through two real Envoys.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks import probe
from benchmarks.daemon import Daemon, Proxies
from benchmarks.edits import EDITS, Edit, commit_edit, undo
from benchmarks.effort import Effort
from benchmarks.fleet import Fleet
from benchmarks.generate import make_repository
from benchmarks.measure import Measurement
from benchmarks.repository import Moved, WorkloadRepository
from benchmarks.stage import LOG, PATIENCE, Spent, Stage, converged, serves
from benchmarks.storms import measure_connect, measure_idle, measure_restarts, measure_silent
from benchmarks.tiers import Shape
from benchmarks.witnesses import report_refusals, witnessing

POINTS: Final = ("detected", "compiled", "durable", "first_push", "last_ack")
_SAMPLE: Final = 100
"""Of a tier with more proxies than one machine can play, one of so many connects."""
_MOST_CONNECTIONS: Final = 20_000
_FIRST_COMPILE: Final = 1_200.0
_QUIET: Final = 0.1
"""Seconds without a push after which the status page is asked for: asking earlier would disturb."""
_VERDICT: Final = 0.5
"""The same for a commit that pushes nothing."""
_STORM_COMMITS: Final = 100
_STORM_SECONDS: Final = 10.0
_FEWEST_FLIPS: Final = 20


@dataclass(frozen=True, slots=True)
class Try:
    """Seconds from the moved branch to each clock point, what the driver counted, the CPU of each process.

    `digest` is of what was served at the end.
    """

    points: Mapping[str, float]
    tally: Mapping[str, Any]
    cpu: Mapping[str, float]
    digest: str = ""


def run(folder: Path, shape: Shape, operations: Sequence[str], effort: Effort) -> Iterator[Measurement]:
    """Start and connect first; the storms and the idle minute only where they are asked for."""
    fleet = make_repository(folder / "mesh.git", shape)
    with (folder / LOG).open("wb") as log:
        begun = time.perf_counter()
        daemon = Daemon.start(folder, folder / "mesh.git", log)
        proxies = Proxies()
        try:
            daemon.wait_for(lambda status: status["serving"] is not None, _FIRST_COMPILE)
            seconds = time.perf_counter() - begun
            yield Measurement("start", "empty data folder to serving", (seconds,), sum(daemon.cpu().values()))
            repository = WorkloadRepository(folder / "mesh.git")
            stage = Stage(fleet, repository, daemon, proxies, _choose_nodes(fleet), folder, log)
            yield from _measure_all(stage, operations, effort)
            daemon = stage.daemon
        finally:
            proxies.stop()
            daemon.stop()


def _choose_nodes(fleet: Fleet) -> Sequence[str]:
    nodes = fleet.node_ids
    return nodes if len(nodes) <= _MOST_CONNECTIONS else nodes[::_SAMPLE]


def _measure_all(stage: Stage, operations: Sequence[str], effort: Effort) -> Iterator[Measurement]:
    """Nobody is connected any more when the daemon is started again."""
    with witnessing(stage):
        yield measure_connect(stage, "C1", "connect storm")
        yield from _measure_connected(stage, operations, effort)
        yield report_refusals(stage)
    if "restart" in operations:
        yield from measure_restarts(stage)


def _measure_connected(stage: Stage, operations: Sequence[str], effort: Effort) -> Iterator[Measurement]:
    few: Mapping[str, float] = {}
    for name in operations:
        if name in EDITS:
            measured = _measure_edit(stage, EDITS[name], effort.of(name))
            few = measured.counters if name == "E1" else few
            yield replace(measured, counters={**measured.counters, **_tell_of_few(few)}) if name == "E6" else measured
        if name == "E1" and not stage.fleet.shape.even:
            yield from _measure_effect(stage, effort)
    if "E9" in operations:
        yield _measure_burst(stage)
    if "C2" in operations:
        stage.proxies.ask("disconnect")
        yield measure_connect(stage, "C2", "reconnect storm with versions known", known=True)
    if "I" in operations:
        yield measure_idle(stage)
    if "silent" in operations:
        yield measure_silent(stage)


def _tell_of_few(counters: Mapping[str, float]) -> Mapping[str, float]:
    """What a commit costs the server that is told to few, beside one that is told to many."""
    return {f"{name}, E1": counters[name] for name in ("pushes", "cpu ms server") if name in counters}


def _measure_edit(stage: Stage, edit: Edit, effort: Effort) -> Measurement:
    """The first try only warms up."""
    _try(stage, edit, 0)
    tries: list[Try] = []
    begun = time.perf_counter()
    while effort.goes_on(len(tries), time.perf_counter() - begun):
        tries.append(_try(stage, edit, len(tries) + 1))
    count = len(tries)
    _undo(stage, edit, count + 1)
    counted = {"pushes": "changes", "touched": "touched", "bytes": "bytes"}  # certificates that were due do not count
    counters = {name: sum(one.tally[what] for one in tries) / count for name, what in counted.items()}
    counters["digests"] = len({one.digest for one in tries})
    counters |= {f"cpu ms {name}": sum(one.cpu[name] for one in tries) / count * 1e3 for name in tries[0].cpu}
    if counters["pushes"]:
        counters["server cpu us per push"] = counters["cpu ms server"] / counters["pushes"] * 1e3
    points = {name: tuple(one.points[name] for one in tries) for name in tries[0].points}
    phases = {f"to {name}": sum(one.points[name] for one in tries) / count for name in tries[0].points}
    seconds, rss = tuple(max(one.points.values()) for one in tries), sum(stage.daemon.rss().values())
    cpu = sum(sum(one.cpu.values()) for one in tries) / count
    return Measurement(edit.name, edit.title, seconds, cpu, phases, counters, rss, points=points)


def _try(stage: Stage, edit: Edit, step: int) -> Try:
    """Raises TimeoutError where the commit does not become what it should.

    CPU is read before the status page is asked for, which costs the server something too.
    """
    if not edit.publishes:
        return _try_without_pushes(stage, edit, step)
    stage.proxies.ask("reset")
    before = stage.daemon.cpu()
    moved = commit_edit(stage.repository, edit, stage.fleet, step)
    stage.proxies.ask("settle", quiet=_QUIET, patience=PATIENCE)
    spent = Spent(before, stage.daemon.cpu()).parts
    status = stage.daemon.wait_for(converged(moved.commit), PATIENCE)
    points = _since(moved, status["serving"]["timings"])
    return Try(points, stage.proxies.ask("read"), spent, status["serving"]["digest"])


def _try_without_pushes(stage: Stage, edit: Edit, step: int) -> Try:
    """The same for what changes nothing and for what does not compile, with the server's own count of its pushes."""
    stage.proxies.ask("reset")
    before, said, pushes = stage.daemon.cpu(), (stage.folder / LOG).stat().st_size, stage.daemon.count_pushes()
    moved = commit_edit(stage.repository, edit, stage.fleet, step)
    if edit.valid:
        time.sleep(_VERDICT)
        points: Mapping[str, float] = {}
    else:
        points = {"verdict": stage.wait_for_verdict(moved.commit, said) - moved.at}
    spent = Spent(before, stage.daemon.cpu()).parts
    status = stage.daemon.wait_for((serves if edit.valid else _refused)(moved.commit), PATIENCE)
    points = points or _since(moved, status["serving"]["timings"], POINTS[:3])
    tally = {**stage.proxies.ask("read"), "pushes": stage.daemon.count_pushes() - pushes}
    return Try(points, tally, spent, status["serving"]["digest"])


def _measure_effect(stage: Stage, effort: Effort) -> Iterator[Measurement]:
    """Nothing without an Envoy; the first two flips only warm up, and the last grants again."""
    if stage.witnesses is None:
        return
    with probe.calling(stage.witnesses) as line:
        stage.daemon.wait_for(probe.holds_all, PATIENCE, query=probe.QUERY)
        flips = _flip_repeatedly(stage, line, effort)
        stage.commit_and_wait(probe.write_permission(granted=True), "grant the probe's permission")
    count = len(flips)
    phases = {f"to {name}": sum(one.points[name] for one in flips) / count for name in flips[0].points}
    counters = {f"cpu ms {name}": sum(one.cpu[name] for one in flips) / count * 1e3 for name in flips[0].cpu}
    counters["odd answers"] = line.odd
    cpu = sum(sum(one.cpu.values()) for one in flips) / count
    seconds = tuple(one.points["effect"] for one in flips)
    yield Measurement("E1 effect", "a permission, to traffic through two Envoys", seconds, cpu, phases, counters)


def _flip_repeatedly(stage: Stage, line: probe.Line, effort: Effort) -> Sequence[Try]:
    for granted in (False, True):
        _flip(stage, line, granted=granted)
    flips: list[Try] = []
    begun, fewest = time.perf_counter(), min(_FEWEST_FLIPS, effort.tries)
    while len(flips) < fewest or effort.goes_on(len(flips), time.perf_counter() - begun):
        flips.append(_flip(stage, line, granted=len(flips) % 2 == 1))
    return flips


def _flip(stage: Stage, line: probe.Line, *, granted: bool) -> Try:
    """Raises RuntimeError where an Envoy refuses what it is sent, TimeoutError where traffic stays as it was."""
    before = stage.daemon.cpu()
    message = f"E1: {'grant' if granted else 'withdraw'} the probe's permission"
    moved = stage.repository.commit(probe.write_permission(granted=granted), message)
    effect = line.until(probe.GRANTED if granted else probe.WITHDRAWN) - moved.at
    time.sleep(_QUIET)
    spent = Spent(before, stage.daemon.cpu()).parts
    status = stage.daemon.wait_for(converged(moved.commit), PATIENCE, query=probe.QUERY)
    if refusals := probe.list_refusals(status):
        raise RuntimeError(f"a real Envoy refused {moved.commit}: {refusals}")
    return Try({**_since(moved, status["serving"]["timings"]), "effect": effect}, {}, spent)


def _undo(stage: Stage, edit: Edit, steps: int) -> None:
    """Nothing of it is still on its way when this returns."""
    stage.repository.commit(undo(stage.fleet, edit, steps), f"undo {edit.name}")
    stage.daemon.wait_for(serves(stage.repository.tip), PATIENCE)
    if edit.publishes:
        stage.daemon.wait_for(converged(stage.repository.tip), PATIENCE)


def _since(moved: Moved, timings: Mapping[str, float], points: Sequence[str] = POINTS) -> Mapping[str, float]:
    return {name: timings[name] - moved.at for name in points}


def _measure_burst(stage: Stage) -> Measurement:
    """A hundred commits in ten seconds, of three kinds in turn; how long after the last all is ACKed."""
    edits = [EDITS[name] for name in ("E1", "E2", "E3")]
    before, begun = stage.daemon.cpu(), time.monotonic()
    stage.proxies.ask("reset")
    for step in range(_STORM_COMMITS):
        time.sleep(max(0.0, begun + step * _STORM_SECONDS / _STORM_COMMITS - time.monotonic()))
        moved = commit_edit(stage.repository, edits[step % 3], stage.fleet, step)
    status = stage.daemon.wait_for(converged(moved.commit), PATIENCE)
    spent = Spent(before, stage.daemon.cpu())
    points = _since(moved, status["serving"]["timings"])
    counters = {"pushes": stage.proxies.ask("read")["pushes"], "generation": status["serving"]["generation"]}
    for edit in edits:
        _undo(stage, edit, _STORM_COMMITS)
    phases = {f"to {name}": seconds for name, seconds in points.items()}
    title = "100 commits in 10 s, after the last"
    return Measurement("E9", title, (points["last_ack"],), spent.total, phases, counters)


def _refused(commit: str) -> Callable[[Mapping[str, Any]], bool]:
    def refused(status: Mapping[str, Any]) -> bool:
        candidate = status["candidate"] or {}
        return candidate.get("commit") == commit and bool(candidate.get("diagnostics"))

    return refused
