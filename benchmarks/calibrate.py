"""How fast this machine is now, in seconds of a fixed loop; a budget is a multiple of it, so CI's luck matters less."""

import gc
import hashlib
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import yaml
from envoy.config.cluster.v3.cluster_pb2 import Cluster

_BLOCK: Final = hashlib.sha256(b"calibration").digest() * 32_768
_DOCUMENT: Final = "".join(f"- {{name: entry-{each}, port: {8000 + each}, tags: [one, two]}}\n" for each in range(100))
_HASHES: Final = 2
_COPIES: Final = 50
_SYNCS: Final = 20
_READINGS: Final = 2
_CLUSTERS: Final = 2_500
_OBJECTS: Final = 24_000
"""How often each part is done. Objects weigh most: beside other people's work a compile slows down as they do, by
misses of the cache, and hashing hardly at all (of E3, under a changing load, 8 % spread with such a mix, 19 % without).
"""


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
    with tempfile.TemporaryDirectory(dir=folder) as scratch, _nothing_else_collected():
        parts = {**_PROCESSING, "fsync": lambda: _sync(Path(scratch) / "synced")}
        measured = [{name: _measure(part) for name, part in parts.items()} for _ in range(runs)]
    wall, cpu = ({name: median(run[name][clock] for run in measured) for name in parts} for clock in (0, 1))
    return Calibration(sum(wall.values()), sum(cpu.values()), wall)


@contextmanager
def _nothing_else_collected() -> Iterator[None]:
    """What the process holds already, a fleet of 10,000 proxies maybe, is not looked through while the kernel runs."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass
class Kernels:
    """The CPU seconds of a kernel that runs before each try of something and after the last, where that is wanted.

    Without the sync, which mostly waits: so it is short enough to stand between two tries.
    """

    wanted: bool
    seconds: list[float] = field(default_factory=list)

    def run(self, beside: float = 0.0) -> None:
        """Garbage goes first, so that nobody collects what another has left.

        `beside` is how many CPU seconds the try takes: beside a long one the kernel runs for a tenth of that time, and
        its mean counts, since one short moment says little of many seconds.
        """
        if not self.wanted:
            return
        gc.collect()
        begun, runs = time.process_time(), 0
        while not runs or time.process_time() - begun < beside * _SHARE:
            for part in _PROCESSING.values():
                part()
            runs += 1
        self.seconds.append((time.process_time() - begun) / runs)


def _measure(part: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    begun, cpu = time.perf_counter(), time.process_time()
    part()
    return time.perf_counter() - begun, time.process_time() - cpu


def _hash() -> None:
    for _ in range(_HASHES):
        hashlib.sha256(_BLOCK).digest()


def _compress() -> None:
    zlib.compress((_DOCUMENT * _COPIES).encode(), 6)


def _sync(path: Path) -> None:
    for _ in range(_SYNCS):
        with path.open("wb") as file:
            file.write(_BLOCK[:4096])
            file.flush()
            os.fsync(file.fileno())


def _parse() -> None:
    loader: Any = yaml.CSafeLoader
    for _ in range(_READINGS):
        yaml.load(_DOCUMENT, loader)  # the safe loader's C form


def _build() -> None:
    for each in range(_CLUSTERS):
        cluster = Cluster(name=f"cluster-{each}")
        cluster.connect_timeout.seconds = 5
        cluster.eds_cluster_config.service_name = cluster.name
        cluster.SerializeToString(deterministic=True)


def _make_objects() -> int:
    """Some megabytes of small objects, then a walk through them in no order of theirs."""
    made = {(each, str(each)): [each] for each in range(_OBJECTS)}
    return sum(made[each, str(each)][0] for start in range(16) for each in range(start, _OBJECTS, 16))


_PROCESSING: Final[Mapping[str, Callable[[], object]]] = {
    "sha256": _hash,
    "zlib": _compress,
    "yaml": _parse,
    "upb": _build,
    "objects": _make_objects,
}
"""The parts that need the processor alone."""
_SHARE: Final = 0.1
