"""What the kernel counts of a process that is crowded out, and of one that stands still by itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from compiler.reconcile.starvation import Starvation, count_starved, read_waits


@pytest.fixture
def crowd() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Three processes that want one CPU at once."""
    cpu = min(os.sched_getaffinity(0))
    busy = f"import os; os.sched_setaffinity(0, {{{cpu}}}); print(end='', flush=True)\nwhile True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(3)]
    yield processes
    for each in processes:
        each.kill()
        each.wait()


def wait_for_starvation(starvation: Starvation, seconds: float) -> float:
    until = time.monotonic() + seconds
    while (starved := starvation.count()) <= 0.2 and time.monotonic() < until:
        time.sleep(0.05)
    return starved


def test_who_stands_in_line_for_a_cpu_is_starved(crowd: list[subprocess.Popen[bytes]]) -> None:
    starvation = Starvation(crowd[0].pid)
    assert wait_for_starvation(starvation, 30.0) > 0.2
    starvation.reset()
    assert starvation.count() == 0.0


def test_who_is_stopped_does_not_stand_in_line(crowd: list[subprocess.Popen[bytes]]) -> None:
    os.kill(crowd[0].pid, signal.SIGSTOP)
    starvation = Starvation(crowd[0].pid)
    assert wait_for_starvation(starvation, 1.0) < 0.2


def test_a_process_that_is_gone_waited_for_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert count_starved(read_waits(gone.pid), read_waits(gone.pid)) == 0.0


def test_a_thread_that_came_since_is_not_counted() -> None:
    assert count_starved({"1": 2.0}, {"1": 2.5, "2": 9.0}) == 0.5
