"""Power laws over even workloads: which measurements make a series, and the exponent that fits it best."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from benchmarks.goals import Bound
from benchmarks.measure import Measurement
from benchmarks.records import Record

Point = tuple[float, float]
Read = Callable[[Measurement], float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of the picture: what it shows, in which panel, from which measurements, and what its exponent may be.

    `by_documents` fits against documents instead of proxies; the picture shows it against proxies all the same.
    """

    label: str
    panel: str
    kind: str
    operation: str
    read: Read
    bound: Bound | None = None
    by_documents: bool = False


@dataclass(frozen=True, slots=True)
class Fitted:
    """Points by proxies, and the exponent of the power law that fits best; None for fewer than two sizes."""

    series: Series
    points: tuple[Point, ...]
    exponent: float | None

    @property
    def verdict(self) -> str:
        if self.series.bound is None or self.exponent is None:
            return ""
        return self.series.bound.judge(self.exponent)


def fit_exponent(points: Sequence[Point]) -> float | None:
    """The slope of the least-squares line through the logarithms."""
    logs = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    middle_x, middle_y = fmean(x for x, _ in logs), fmean(y for _, y in logs)
    return sum((x - middle_x) * (y - middle_y) for x, y in logs) / sum((x - middle_x) ** 2 for x, _ in logs)


def fit_all(records: Iterable[Record]) -> tuple[Fitted, ...]:
    """Every series that was measured in even workloads, whole or in part."""
    even = [record for record in records if record.shape.even and not record.shape.per_dataplane]
    documents = {
        record.shape.proxies: count for record in even if (count := record.measurement.counters.get("documents"))
    }
    return tuple(fitted for series in SERIES if (fitted := _fit(series, even, documents)).points)


def _fit(series: Series, even: Sequence[Record], documents: dict[int, float]) -> Fitted:
    points = tuple(sorted(_list_points(series, even)))
    fitted = [(documents[int(x)] if series.by_documents else x, y) for x, y in points]
    return Fitted(series, points, fit_exponent(fitted))


def _list_points(series: Series, even: Sequence[Record]) -> Iterator[Point]:
    for record in even:
        if (record.kind, record.measurement.operation) == (series.kind, series.operation):
            value = series.read(record.measurement)
            if value and series.panel == CPU:
                value *= _USUAL_KERNEL / record.around["calibration"]["cpu"]
            if value:
                yield float(record.shape.proxies), value


def _milliseconds(one: Measurement) -> float:
    return one.p50 * 1e3


def _cpu(one: Measurement) -> float:
    return median(one.cpus) if one.cpus else one.cpu


def _megabytes(one: Measurement) -> float:
    return one.peak_rss / 1e6


def _counter(name: str, scale: float) -> Read:
    return lambda one: one.counters.get(name, 0) * scale


_USUAL_KERNEL: Final = 0.04
"""Seconds of CPU that the calibration kernel takes on an ordinary day; CPU is shown as if it had taken that long before
and after each size, since a machine that is slower for some minutes is no growth."""
LATENCY: Final = "Latency of one edited file"
CPU: Final = "CPU of one operation"
MEMORY: Final = "Peak memory"
BYTES: Final = "Bytes added to the store"
UNITS: Final = {LATENCY: "ms, p50", CPU: "seconds", MEMORY: "MB", BYTES: "KB"}
"""The panels and their axes."""
_FLAT: Final = Bound(0.15, 0.05)

SERIES: Final = (
    Series("E1 commit to durable", LATENCY, "compile", "E1", _milliseconds, _FLAT),
    Series("E3 commit to durable", LATENCY, "compile", "E3", _milliseconds, _FLAT),
    Series("E1 commit to last ACK", LATENCY, "serve", "E1", _milliseconds, _FLAT),
    Series("E3 commit to last ACK", LATENCY, "serve", "E3", _milliseconds, _FLAT),
    Series("cold compile", CPU, "compile", "cold", _cpu, Bound(1.05, 1.0), by_documents=True),
    Series("E6 mesh-wide edit", CPU, "compile", "E6", _cpu, Bound(1.0, 0.95)),
    Series("E1 inbound policy", CPU, "compile", "E1", _cpu),
    Series("E3 endpoint", CPU, "compile", "E3", _cpu),
    Series("compiler, peak of cold", MEMORY, "compile", "cold", _megabytes),
    Series("compiler, peak of E6", MEMORY, "compile", "E6", _megabytes),
    Series("daemon, all connected", MEMORY, "serve", "C1", _megabytes),
    Series("store after cold", BYTES, "compile", "cold", _counter("stored bytes", 1e-3)),
    Series("store, E6", BYTES, "compile", "E6", _counter("stored bytes", 1e-3)),
    Series("store, E1", BYTES, "compile", "E1", _counter("stored bytes", 1e-3)),
    Series("store, E3", BYTES, "compile", "E3", _counter("stored bytes", 1e-3)),
)
