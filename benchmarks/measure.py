"""What is measured, and with which clocks: wall time, CPU, the peak of resident memory, counters."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One operation, tried some times. Seconds; `phases` and `cpu` are means of one try.

    `counters` are of the last try; `notes` say what a reader of the numbers must know.
    """

    operation: str
    title: str
    seconds: tuple[float, ...]
    cpu: float
    phases: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    peak_rss: int = 0
    notes: tuple[str, ...] = ()

    @property
    def p50(self) -> float:
        return percentile(self.seconds, 50)

    @property
    def p99(self) -> float:
        return percentile(self.seconds, 99)


@dataclass(slots=True)
class Stopwatch:
    """Sums of the phases of all tries, and the wall time of each try."""

    seconds: list[float] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.sums[name] = self.sums.get(name, 0.0) + time.perf_counter() - begun

    @contextmanager
    def whole(self) -> Iterator[None]:
        """One try of the operation."""
        begun, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds.append(time.perf_counter() - begun)
        self.cpu += time.process_time() - cpu

    def means(self) -> Mapping[str, float]:
        return {name: total / len(self.seconds) for name, total in self.sums.items()}


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
