"""How fast this machine is now, in seconds of a fixed loop; a budget is a multiple of it, so CI's luck matters less."""

import hashlib
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import yaml
from envoy.config.cluster.v3.cluster_pb2 import Cluster

_BLOCK: Final = hashlib.sha256(b"calibration").digest() * 32_768
_DOCUMENT: Final = "".join(f"- {{name: entry-{each}, port: {8000 + each}, tags: [one, two]}}\n" for each in range(100))
_SYNCS: Final = 20
_CLUSTERS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Calibration:
    """`parts` are the medians over some runs, so that one slow sync counts for nothing; `seconds` is their sum.

    `cpu` is the same sum of CPU seconds: on a machine that others use it tells more than wall time does.
    """

    seconds: float
    cpu: float
    parts: Mapping[str, float]

    def mean(self, other: "Calibration") -> "Calibration":
        """Of one before and one after what is measured."""
        parts = {name: (seconds + other.parts[name]) / 2 for name, seconds in self.parts.items()}
        return Calibration((self.seconds + other.seconds) / 2, (self.cpu + other.cpu) / 2, parts)


def calibrate(folder: Path | None = None, runs: int = 5) -> Calibration:
    """`folder` decides which disk is synced to."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        parts: Mapping[str, Callable[[], object]] = {
            "sha256": _hash,
            "zlib": _compress,
            "fsync": lambda: _sync(Path(scratch) / "synced"),
            "yaml": _parse,
            "upb": _build,
        }
        measured = [{name: _measure(part) for name, part in parts.items()} for _ in range(runs)]
    wall, cpu = ({name: median(run[name][clock] for run in measured) for name in parts} for clock in (0, 1))
    return Calibration(sum(wall.values()), sum(cpu.values()), wall)


def _measure(part: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    begun, cpu = time.perf_counter(), time.process_time()
    part()
    return time.perf_counter() - begun, time.process_time() - cpu


def _hash() -> None:
    for _ in range(20):
        hashlib.sha256(_BLOCK).digest()


def _compress() -> None:
    zlib.compress((_DOCUMENT * 200).encode(), 6)


def _sync(path: Path) -> None:
    for _ in range(_SYNCS):
        with path.open("wb") as file:
            file.write(_BLOCK[:4096])
            file.flush()
            os.fsync(file.fileno())


def _parse() -> None:
    loader: Any = yaml.CSafeLoader
    yaml.load(_DOCUMENT, loader)  # the safe loader's C form


def _build() -> None:
    for each in range(_CLUSTERS):
        cluster = Cluster(name=f"cluster-{each}")
        cluster.connect_timeout.seconds = 5
        cluster.eds_cluster_config.service_name = cluster.name
        cluster.SerializeToString(deterministic=True)
