"""What earlier runs have measured: the newest line for each operation of each shape, read from benchmarks/results/."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Measurement
from benchmarks.tiers import Shape, Tier

RESULTS: Final = Path(__file__).parent / "results"
_FIELDS: Final = frozenset(one.name for one in fields(Measurement))


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a result file; `around` is the machine, the load, versions, calibration."""

    kind: str
    shape: Shape
    measurement: Measurement
    time: str
    around: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def tier(self) -> str:
        return self.shape.tier.name


def read_newest(folder: Path = RESULTS) -> tuple[Record, ...]:
    """Of lines for one operation of one shape that which was written last."""
    found = {}
    for record in sorted(_read_all(folder), key=lambda record: record.time):
        found[record.kind, record.shape, record.measurement.operation] = record
    return tuple(found.values())


def counters_by_operation(records: Iterable[Record]) -> Mapping[str, Mapping[str, float]]:
    """Of one shape, from both kinds of measurement: pushes are counted end to end, the rest in the compiler."""
    found: dict[str, dict[str, float]] = {}
    for record in sorted(records, key=lambda record: record.kind, reverse=True):
        found.setdefault(record.measurement.operation, {}).update(record.measurement.counters)
    return found


def _read_all(folder: Path) -> Iterator[Record]:
    for path in sorted(folder.glob("*.jsonl")):
        yield from (_decode(json.loads(line)) for line in path.read_text().splitlines())


def _decode(line: Mapping[str, Any]) -> Record:
    """Fields that a line does not have stand for what they were when it was written."""
    shape = {**line["shape"], "tier": Tier(**line["shape"]["tier"])}
    measured = {name: _freeze(value) for name, value in line.items() if name in _FIELDS and name != "points"}
    points = {name: tuple(seconds) for name, seconds in line.get("points", {}).items()}
    around = {name: line[name] for name in ("machine", "versions", "load", "calibration")}
    return Record(line["kind"], Shape(**shape), Measurement(**measured, points=points), line["time"], around)


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
