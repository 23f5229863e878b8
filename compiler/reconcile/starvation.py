"""How long a process had work to do and no CPU to do it on: on a crowded machine that is no fault of its own."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

Waits = Mapping[str, float]
"""For each thread, by its number: the seconds that it has ever stood in line for a CPU."""


def read_waits(pid: int) -> Waits:
    """From Linux; nothing where the kernel does not count it, or where the process or the thread is gone."""
    waits = {}
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError, ValueError, IndexError):
                waits[task.name] = _read_wait(task)
    return waits


def count_starved(before: Waits, now: Waits) -> float:
    """Of the thread that stood in line longest: threads that wait for each other's lock wait at the same time."""
    return max((wait - before[task] for task, wait in now.items() if task in before), default=0.0)


class Starvation:
    """What one process has starved since it was first asked about, after the last reset."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before: Waits | None = None

    def reset(self) -> None:
        self._before = None

    def count(self) -> float:
        """Seconds; the first call begins to count, and is 0."""
        now = read_waits(self._pid)
        self._before = now if self._before is None else self._before
        return count_starved(self._before, now)


def _read_wait(task: Path) -> float:
    """The second field of `schedstat`: nanoseconds on a run queue."""
    return int((task / "schedstat").read_bytes().split()[1]) / 1e9
