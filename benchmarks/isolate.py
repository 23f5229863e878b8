"""One tier in a process of its own, so that its memory is its own; the calibration kernel runs there too."""

import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks import compile_bench, serve_bench
from benchmarks.calibrate import calibrate
from benchmarks.effort import Effort
from benchmarks.report import Result
from benchmarks.tiers import Shape

KINDS: Final = {"compile": compile_bench.run, "serve": serve_bench.run}


def measure_apart(kind: str, shape: Shape, operations: Sequence[str], effort: Effort, folder: Path | None) -> Result:
    """As `measure`, in a fresh interpreter."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, kind, shape, operations, effort, folder).result()


def measure(kind: str, shape: Shape, operations: Sequence[str], effort: Effort, folder: Path | None) -> Result:
    """`folder` is where repositories and stores are made, and the kernel syncs to the same disk."""
    with tempfile.TemporaryDirectory(prefix="meshwright-bench-", dir=folder) as scratch:
        before, load = calibrate(Path(scratch)), os.getloadavg()[0]
        measurements = tuple(KINDS[kind](Path(scratch), shape, operations, effort))
        after = calibrate(Path(scratch))
    return Result(kind, shape, measurements, before.mean(after), (load, os.getloadavg()[0]))
