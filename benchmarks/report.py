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
from benchmarks.goals import Judged, judge, list_goals
from benchmarks.measure import Measurement
from benchmarks.proportion import Step
from benchmarks.tiers import Shape
from compiler.xds.compiled import IS_COMPILED

_PACKAGES: Final = ("protobuf", "xds-protos", "pygit2", "grpcio", "msgspec", "orjson", "PyYAML", "jsonschema-rs")
_CPU: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of one shape, and the state of the machine around it.

    `calibration` is the mean of one before and one after; `load` the load averages of the last minute then; `broken`
    why not all was measured, where that is so.
    """

    kind: str
    shape: Shape
    measurements: tuple[Measurement, ...]
    calibration: Calibration
    load: tuple[float, float]
    broken: str = ""

    def quotient(self, one: Measurement) -> float:
        """The CPU of a try in kernels: wall time says more of who else is at work than of us.

        By the kernels that ran between the tries, where there were such.
        """
        return one.cpu / self.calibration.cpu if one.quotient is None else one.quotient

    def judge(self, one: Measurement) -> tuple[Judged, ...]:
        """What it says of the goals."""
        return tuple(judge(self.kind, self.shape.tier.name, one)) if self.shape.is_usual else ()

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
            "goals": [describe_goal(each) for each in self.judge(one)],
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
        f"{result.kind} {shape.tier.name}: {shape.services} services, {shape.proxies} proxies, graph {shape.graph}"
        f", seed {shape.seed}; kernel {kernel.seconds * 1e3:.0f} ms, cpu {kernel.cpu * 1e3:.0f} ms; load {load}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("operation")
    for heading in ("tries", "least ms", "p50 ms", "p99 ms", "cpu ms", "quotient", "peak MB"):
        table.add_column(heading, justify="right")
    table.add_column("goals")
    table.add_column("phases ms; counters; notes")
    for one in result.measurements:
        verdicts = _worst(result.judge(one))
        table.add_row(f"{one.operation} {one.title}", *_figures(one, result.quotient(one)), verdicts, _remarks(one))
    console.print(table)


def print_goals(results: Sequence[Result], console: Console, *, complete: bool) -> None:
    """Every goal that was measured, met or not; where that should be `complete`, those too that were not."""
    tiers = dict.fromkeys(result.shape.tier.name for result in results)
    found = (one for result in results for each in result.measurements for one in result.judge(each))
    judged = {(one.goal.metric, one.tier): one for one in found}
    table = Table(title="goals", title_justify="left")
    table.add_column("metric")
    for heading in ("tier", "measured", "must", "lead"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for blank in list_goals(tiers):
        one = judged.get((blank.goal.metric, blank.tier), blank)
        if not complete and one.verdict is None:
            continue
        figures = (_figure(value, one.goal.unit) for value in (one.value, one.bound.must, one.bound.lead))
        table.add_row(one.goal.metric, one.tier, *figures, _colour(one.verdict))
    if table.row_count:
        console.print(table)


def print_proportion(smaller: str, larger: str, steps: Iterable[Step], console: Console, *, judged: bool) -> None:
    """What the same small edit made the compiler do in two meshes; `judged` where they differ in size alone."""
    table = Table(title=f"work for one edit, {smaller} and {larger}", title_justify="left")
    table.add_column("operation")
    table.add_column("counter")
    for heading in (smaller, larger):
        table.add_column(heading, justify="right")
    table.add_column("")
    for step in steps:
        remark = "[red]grew[/]" if judged and step.grew else ""
        table.add_row(step.operation, step.counter, f"{step.smaller:g}", f"{step.larger:g}", remark)
    console.print(table)


def describe_goal(one: Judged) -> Mapping[str, Any]:
    """For a result file."""
    goal, bound = one.goal, one.bound
    figures = {"value": one.value, "unit": goal.unit, "must": bound.must, "lead": bound.lead}
    return {"metric": goal.metric, **figures, "verdict": one.verdict}


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
    core = "compiled" if IS_COMPILED else "interpreted"
    own = {"python": platform.python_version(), "core": core, "libgit2": pygit2.LIBGIT2_VERSION, "git": git}
    return {**own, **{name: version(name) for name in _PACKAGES}}


def _figures(one: Measurement, quotient: float) -> Sequence[str]:
    return (
        str(len(one.seconds)),
        f"{min(one.seconds) * 1e3:.1f}",
        f"{one.p50 * 1e3:.1f}",
        f"{one.p99 * 1e3:.1f}",
        f"{one.cpu * 1e3:.1f}",
        f"{quotient:.2f}",
        f"{one.peak_rss / 2**20:.0f}" if one.peak_rss else "",
    )


def _remarks(one: Measurement) -> str:
    """Counters that are 0 say nothing here; the JSON has them."""
    phases = ", ".join(f"{name} {seconds * 1e3:.1f}" for name, seconds in one.phases.items())
    counters = ", ".join(f"{name} {count:.7g}" for name, count in one.counters.items() if count)
    return "; ".join(part for part in (phases, counters, *one.notes) if part)


def _worst(judged: Iterable[Judged]) -> str:
    """Of the goals that one operation is about, how far the furthest from being met is."""
    verdicts = {one.verdict for one in judged}
    return next((_colour(verdict) for verdict in ("missed", "must", "lead") if verdict in verdicts), "")


def _colour(verdict: str | None) -> str:
    colours = {"lead": "green", "must": "yellow", "missed": "red"}
    return f"[{colours[verdict]}]{verdict}[/]" if verdict else "[dim]not measured[/]"


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.4g} {unit}".strip()
