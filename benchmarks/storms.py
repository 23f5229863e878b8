"""Many proxies at once: connecting, reconnecting, idling, not reading; and the daemon's own restart."""

import time
from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.edits import EDITS, commit_edit, undo
from benchmarks.measure import Measurement, percentile
from benchmarks.stage import PATIENCE, Spent, Stage, all_current

_IDLE_SECONDS: Final = 60.0
_REST: Final = 20.0
_SILENT: Final = 400
_QUIET: Final = 0.3
_TRIES: Final = 7
"""Of a mesh-wide edit, with and without clients that do not read."""


def measure_connect(stage: Stage, name: str, title: str, *, known: bool = False) -> Measurement:
    """Proxies whose versions are `known` hear nothing: the status page says when the server has believed them.

    Two real Envoys connect among the simulated proxies, each of which has a connection of its own.
    """
    stage.proxies.ask("reset")
    memory, before = stage.daemon.rss(), stage.daemon.cpu()
    begun = time.perf_counter()
    seconds = stage.proxies.connect(stage.daemon.xds, stage.nodes, PATIENCE)
    if known:
        stage.daemon.wait_for(all_current(stage.everyone), PATIENCE)
        seconds = time.perf_counter() - begun
    spent, after = Spent(before, stage.daemon.cpu()), stage.daemon.rss()
    tally, count = stage.proxies.ask("read"), len(stage.nodes)
    stage.daemon.wait_for(all_current(stage.everyone), PATIENCE)
    server = spent.parts.get("server", 0.0)
    counters = {
        "proxies": count,
        "pushes": tally["pushes"],
        "bytes per proxy": tally["bytes"] // count,
        "server cpu us per proxy": server / count * 1e6,
        "server rss per proxy": (after.get("server", 0) - memory.get("server", 0)) / count,
        "lost streams": tally["lost"],
    }
    if tally["pushes"]:
        counters["server cpu us per push"] = server / tally["pushes"] * 1e6
    return Measurement(name, title, (seconds,), spent.total, spent.parts, counters, sum(after.values()))


def measure_idle(stage: Stage) -> Measurement:
    """Some time first: what the last operations left is tidied up when nothing else is to do; that is no idleness."""
    time.sleep(_REST)
    before = stage.daemon.cpu()
    time.sleep(_IDLE_SECONDS)
    spent = Spent(before, stage.daemon.cpu())
    counters = {f"share of a core, {name}": part / _IDLE_SECONDS for name, part in spent.parts.items()}
    return Measurement("I", "idle, all connected", (_IDLE_SECONDS,), spent.total, {}, counters)


def measure_silent(stage: Stage) -> Measurement:
    """A mesh-wide edit to its last ACK by those that read, while others ask for everything and never read a byte."""
    count = min(_SILENT, len(stage.nodes) // 2)
    silent, healthy = stage.nodes[:count], stage.nodes[count:]
    stage.proxies.ask("disconnect")
    stage.proxies.connect(stage.daemon.xds, healthy, PATIENCE)
    before, alone = stage.daemon.rss()["server"], _time_edits(stage, 0)
    stage.proxies.ask("mute", address=stage.daemon.xds, nodes=list(silent))
    beside = _time_edits(stage, _TRIES)
    counters = {
        "silent": count,
        "healthy": len(healthy),
        "server bytes for the silent": max(stage.daemon.rss()["server"] - before, 0),
        "latency beside the silent over alone": percentile(beside, 50) / percentile(alone, 50),
        "alone p50 ms": percentile(alone, 50) * 1e3,
    }
    stage.commit_and_wait(undo(stage.fleet, EDITS["E6"], 2 * _TRIES), "undo E6")
    stage.proxies.ask("disconnect")
    stage.proxies.connect(stage.daemon.xds, stage.nodes, PATIENCE)
    return Measurement("silent", "E6 beside clients that never read", beside, 0.0, {}, counters)


def _time_edits(stage: Stage, first: int) -> tuple[float, ...]:
    """Seconds from the moved branch to the last ACK that the driver sent; the first try only warms up."""
    seconds = []
    for step in range(first, first + _TRIES):
        stage.proxies.ask("reset")
        moved = commit_edit(stage.repository, EDITS["E6"], stage.fleet, step)
        tally: Mapping[str, float] = stage.proxies.ask("settle", quiet=_QUIET, patience=PATIENCE)
        seconds.append(tally["last_ack"] - moved.at)
    return tuple(seconds[1:])


def measure_restarts(stage: Stage) -> Iterator[Measurement]:
    """From the start of the process to serving, with the image and without it; nobody is connected."""
    stage.proxies.ask("disconnect")
    yield _restart(stage, "restart", "warm restart to serving")
    yield _restart(stage, "restart, image lost", "the image rebuilt from the snapshots", lose_image=True)


def _restart(stage: Stage, name: str, title: str, *, lose_image: bool = False) -> Measurement:
    stage.daemon.stop()
    if lose_image:
        (stage.folder / "data" / "serving.image").unlink(missing_ok=True)
    begun = time.perf_counter()
    stage.daemon = type(stage.daemon).start(stage.folder, stage.repository.path, stage.log)
    seconds = time.perf_counter() - begun
    cpu, rss = stage.daemon.cpu(), stage.daemon.rss()
    counters = {f"cpu ms {process}": spent * 1e3 for process, spent in cpu.items()}
    counters |= {f"rss {process}": size for process, size in rss.items()}
    return Measurement(name, title, (seconds,), sum(cpu.values()), {}, counters, sum(rss.values()))
