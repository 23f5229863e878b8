"""What a run leaves behind: JSON lines with all that a reader needs to compare two of them, and a table to look at."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pygit2
from rich.console import Console
from rich.table import Table

from benchmarks.calibrate import Calibration
from benchmarks.measure import Measurement
from benchmarks.tiers import Shape

_PACKAGES: Final = ("protobuf", "xds-protos", "pygit2", "grpcio", "msgspec", "orjson", "PyYAML", "jsonschema-rs")
_CPU: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of one shape, and the state of the machine around it.

    `calibration` is the mean of one before and one after; `load` the load averages of the last minute then.
    """

    kind: str
    shape: Shape
    measurements: tuple[Measurement, ...]
    calibration: Calibration
    load: tuple[float, float]

    def quotient(self, one: Measurement) -> float:
        """The CPU of a try in kernels: wall time says more of who else is at work than of us."""
        return one.cpu / self.calibration.cpu

    def lines(self) -> Iterable[Mapping[str, Any]]:
        """One for each operation."""
        around = {
            "schemaVersion": 1,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "kind": self.kind,
            "shape": asdict(self.shape),
            "machine": describe_machine(),
            "versions": list_versions(),
            "load": self.load,
            "calibration": asdict(self.calibration),
        }
        return [{**around, **self._describe(one)} for one in self.measurements]

    def _describe(self, one: Measurement) -> Mapping[str, Any]:
        described = asdict(one)
        return {
            **described,
            "tries": len(one.seconds),
            "p50": one.p50,
            "p99": one.p99,
            "quotient": self.quotient(one),
            "wallQuotient": one.p50 / self.calibration.seconds,
        }


def keep(result: Result, folder: Path) -> Path:
    """Added to the day's file of the tier."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC).date().isoformat()}-{result.shape.tier.name}.jsonl"
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in result.lines())
    return path


def print_table(result: Result, console: Console) -> None:
    """Milliseconds but for the quotient, which is the CPU in calibration kernels."""
    shape, kernel, load = result.shape, result.calibration, " to ".join(f"{each:.1f}" for each in result.load)
    title = (
        f"{result.kind} {shape.tier.name}: {shape.tier.services} services, {shape.proxies} proxies, graph {shape.graph}"
        f", seed {shape.seed}; kernel {kernel.seconds * 1e3:.0f} ms, cpu {kernel.cpu * 1e3:.0f} ms; load {load}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("operation")
    for heading in ("tries", "p50 ms", "p99 ms", "cpu ms", "quotient", "peak MB"):
        table.add_column(heading, justify="right")
    table.add_column("phases ms; counters; notes")
    for one in result.measurements:
        table.add_row(f"{one.operation} {one.title}", *_cells(one, result.quotient(one)))
    console.print(table)


def describe_machine() -> Mapping[str, Any]:
    """Nothing that names the machine, only what it is made of."""
    lines = _CPU.read_text().splitlines() if _CPU.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory": memory,
        "system": f"{platform.system()} {platform.release()}",
    }


def list_versions() -> Mapping[str, str]:
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    own = {"python": platform.python_version(), "libgit2": pygit2.LIBGIT2_VERSION, "git": git}
    return {**own, **{name: version(name) for name in _PACKAGES}}


def _cells(one: Measurement, quotient: float) -> Sequence[str]:
    """Counters that are 0 say nothing here; the JSON has them."""
    phases = ", ".join(f"{name} {seconds * 1e3:.1f}" for name, seconds in one.phases.items())
    counters = ", ".join(f"{name} {count:.7g}" for name, count in one.counters.items() if count)
    return (
        str(len(one.seconds)),
        f"{one.p50 * 1e3:.1f}",
        f"{one.p99 * 1e3:.1f}",
        f"{one.cpu * 1e3:.1f}",
        f"{quotient:.2f}",
        f"{one.peak_rss / 2**20:.0f}" if one.peak_rss else "",
        "; ".join(part for part in (phases, counters, *one.notes) if part),
    )
