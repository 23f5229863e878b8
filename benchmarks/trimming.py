"""What trimming is worth: the same mesh without it, with a list in each DataplaneSet, and from the permissions.

Each compile has a process of its own, bounded in time and memory: untrimmed, a mesh is quadratic in its services.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.compile_bench import Bench
from benchmarks.measure import Stopwatch, read_peak_rss
from benchmarks.records import RESULTS
from benchmarks.report import describe_machine
from benchmarks.tiers import TIERS, Shape, Trimming
from compiler.envoy.resources import ResourceType
from compiler.garbage import collect_by_hand
from compiler.snapshot.snapshot import Snapshot

WAYS: Final[Mapping[Trimming, str]] = {
    "none": "none",
    "services": "reachableServices listed, services by tag",
    "listed": "reachableBackends listed",
    "automatic": "automatic, from the permissions",
}
HEADINGS: Final = (
    "tier",
    "trimming",
    "clusters a proxy",
    "snapshot KB a proxy",
    "all snapshots MB",
    "stored MB",
    "compile s",
    "compile CPU s",
    "peak RSS MB",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one compile: wall seconds, bytes of address space."""

    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Means over all proxies, bytes as they go to Envoy; seconds from Git to durable."""

    clusters: float
    snapshot_bytes: float
    all_bytes: int
    stored_bytes: int
    seconds: float
    cpu: float
    peak_rss: int

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            f"{self.clusters:,.1f}",
            f"{self.snapshot_bytes / 1e3:,.1f}",
            f"{self.all_bytes / 1e6:,.1f}",
            f"{self.stored_bytes / 1e6:,.2f}",
            f"{self.seconds:,.2f}",
            f"{self.cpu:,.2f}",
            f"{self.peak_rss / 1e6:,.0f}",
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A tier and a way to trim it; where it did not end within its limits, why."""

    tier: str
    way: str
    measured: Trimmed | None
    why: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        figures = self.measured.cells if self.measured else (self.why, *("-" for _ in HEADINGS[3:]))
        return self.tier, self.way, *figures


def measure_apart(shape: Shape, limits: Limits) -> Trimmed | str:
    """The figures, or in words why there are none."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure_bounded, args=(shape, limits.memory, theirs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(limits.seconds):
            return f"not finished in {limits.seconds:g} s"
        answer: Trimmed | str = ours.recv()
    except EOFError:
        return f"died below {limits.memory / 2**30:.1f} GiB"
    finally:
        process.kill()
        process.join()
    return answer


def _measure_bounded(shape: Shape, memory: int, answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    collect_by_hand()
    try:
        with tempfile.TemporaryDirectory(prefix="meshwright-trimming-") as folder:
            answer.send(measure(Path(folder), shape))
    except MemoryError:
        answer.send(f"needs more than {memory / 2**30:.1f} GiB")


def measure(folder: Path, shape: Shape) -> Trimmed:
    """One compile from nothing."""
    bench, watch = Bench.make(folder, shape), Stopwatch()
    checked = bench.reconcile(watch)
    if bench.generation is None:
        raise RuntimeError(f"the workload does not compile: {checked.diagnostics[0]}")
    peak, snapshots = read_peak_rss(), bench.generation.snapshots.values()
    total, count = sum(map(_size, snapshots)), len(snapshots)
    clusters = sum(len(one.resources.get(ResourceType.CLUSTER, ())) for one in snapshots)
    return Trimmed(clusters / count, total / count, total, bench.written, watch.seconds[0], watch.cpu, peak)


def _size(snapshot: Snapshot) -> int:
    return sum(len(one.body) for held in snapshot.resources.values() for one in held.values())


def compare(tiers: Sequence[str], limits: Limits) -> Iterator[Row]:
    for tier in tiers:
        for trimming, way in WAYS.items():
            found = measure_apart(Shape(TIERS[tier], trimming=trimming), limits)
            yield Row(tier, way, None, found) if isinstance(found, str) else Row(tier, way, found)


def write_markdown(rows: Sequence[Row]) -> str:
    """A table to be pasted."""
    lines = [HEADINGS, ("---", "---", *("---:" for _ in HEADINGS[2:])), *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _describe_origin(options: argparse.Namespace) -> str:
    machine, load = describe_machine(), os.getloadavg()[1]
    return (
        f"One compile from nothing each, graph zipf, seed 1, within {options.seconds:g} s and {options.memory:g} GiB; "
        f"{machine['cores']} cores, {machine['cpu']}, load {load:.1f}; {datetime.now(UTC).date().isoformat()}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trimming", description=__doc__)
    parser.add_argument("--tier", action="append", choices=list(TIERS), help="M and K where none is given")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most this long for each compile")
    parser.add_argument("--memory", type=float, default=6.0, help="at most so many GiB for each compile")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    table = Table(*HEADINGS, title="what trimming is worth")
    rows = []
    for row in compare(options.tier or ["M", "K"], Limits(options.seconds, int(options.memory * 2**30))):
        rows.append(row)
        table.add_row(*row.cells)
        print(f"{row.tier} {row.way}: {'measured' if row.measured else row.why}", file=sys.stderr)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / "trimming.md"
    path.write_text(f"{write_markdown(rows)}\n{_describe_origin(options)}\n")
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
