"""One tier in a process of its own, so that its memory is its own; the calibration kernel runs there too."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks import compile_bench, serve_bench
from benchmarks.calibrate import calibrate
from benchmarks.effort import Effort
from benchmarks.measure import Measurement
from benchmarks.report import Result
from benchmarks.tiers import Shape

KINDS: Final = {"compile": compile_bench.run, "files": compile_bench.run, "serve": serve_bench.run}
"""The compiler by itself, the same with a file for each proxy, and the whole daemon."""


def measure_apart(kind: str, shape: Shape, operations: Sequence[str], effort: Effort, folder: Path | None) -> Result:
    """As `measure`, in a fresh interpreter."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, kind, shape, operations, effort, folder).result()


def measure(kind: str, shape: Shape, operations: Sequence[str], effort: Effort, folder: Path | None) -> Result:
    """`folder` is where repositories and stores are made, and the kernel syncs to the same disk.

    What was measured before something did not do what it should is kept, and the result says what that was.
    """
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="meshwright-bench-", dir=folder) as scratch:
        before, load = calibrate(Path(scratch)), os.getloadavg()[0]
        broken = _collect(KINDS[kind](Path(scratch), shape, operations, effort), found)
        after = calibrate(Path(scratch))
    return Result(kind, shape, tuple(found), before.mean(after), (load, os.getloadavg()[0]), broken)


def _collect(measurements: Iterable[Measurement], found: list[Measurement]) -> str:
    """Each is told as it comes, for who waits; empty where all came, else why no more did."""
    try:
        for one in measurements:
            found.append(one)
            told = f"{one.operation}: {len(one.seconds)} tries, p50 {one.p50 * 1e3:.1f} ms"
            print(told, file=sys.stderr, flush=True)
    except (RuntimeError, OSError) as error:
        return f"{type(error).__name__} after {found[-1].operation if found else 'nothing'}: {error}"
    return ""
