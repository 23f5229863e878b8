"""What is measured, and with which clocks: wall time, CPU, the peak of resident memory, counters."""

import math
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One operation, tried some times. Seconds; `phases` and `cpu` are means of one try.

    `counters` are the greater of the last two tries, since some edits take turns; `notes` say what a reader of the
    numbers must know. `points` are the seconds to each clock point by try. `cpus` are the CPU seconds of each try and
    `kernels` those of the calibration kernel, which ran before each of them and after the last.
    """

    operation: str
    title: str
    seconds: tuple[float, ...]
    cpu: float
    phases: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    peak_rss: int = 0
    notes: tuple[str, ...] = ()
    points: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    cpus: tuple[float, ...] = ()
    kernels: tuple[float, ...] = ()

    @property
    def quotient(self) -> float | None:
        """The CPU of a try in kernels; None where no kernel ran between the tries.

        Each try is divided by the kernels next to it, which ran at the same speed of the machine, and of these
        quotients the lower quartile counts: a disturbance only ever adds.
        """
        if not self.kernels:
            return None
        beside = [(before + after) / 2 for before, after in pairwise(self.kernels)]
        return percentile([cpu / kernel for cpu, kernel in zip(self.cpus, beside, strict=True)], 25)

    @property
    def p50(self) -> float:
        return percentile(self.seconds, 50)

    @property
    def p99(self) -> float:
        return percentile(self.seconds, 99)


@dataclass(slots=True)
class Stopwatch:
    """Sums of the phases of all tries, and the wall and CPU time of each try."""

    seconds: list[float] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    cpus: list[float] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Of all tries."""
        return sum(self.cpus)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.sums[name] = self.sums.get(name, 0.0) + time.perf_counter() - begun

    @contextmanager
    def whole(self) -> Iterator[None]:
        """One try of the operation."""
        begun, cpu = time.perf_counter(), read_cpu()
        yield
        self.seconds.append(time.perf_counter() - begun)
        self.cpus.append(read_cpu() - cpu)

    def means(self) -> Mapping[str, float]:
        return {name: total / len(self.seconds) for name, total in self.sums.items()}


def read_cpu() -> float:
    """Seconds of this process and of its children that have ended: some work is done on every core."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def read_child_rss() -> int:
    """Bytes of the largest child that has ended; where it was forked, most of them are shared with us."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def percentile(values: Sequence[float], rank: float) -> float:
    """The nearest rank; of fewer than a hundred values the 99th is the greatest."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]


def reset_peak_rss() -> None:
    """From now on the peak counts anew; where the kernel does not allow it, it goes on counting from before."""
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except PermissionError:
        return


def read_peak_rss(status: Path = _STATUS) -> int:
    """Bytes; 0 where the kernel does not say (only Linux does)."""
    if not status.exists():
        return 0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024
