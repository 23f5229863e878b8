"""What runs while something is measured end to end: repository, daemon and proxies; and how its CPU is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.daemon import Daemon, Proxies
from benchmarks.fleet import Fleet
from benchmarks.repository import Changes, WorkloadRepository

PATIENCE: Final = 240.0


@dataclass
class Stage:
    """Everything that runs while something is measured; `log` is the daemon's."""

    fleet: Fleet
    repository: WorkloadRepository
    daemon: Daemon
    proxies: Proxies
    nodes: Sequence[str]
    folder: Path
    log: IO[bytes]

    def commit_and_wait(self, changes: Changes, message: str) -> None:
        """Until it is served; whoever it concerns may still be hearing of it."""
        moved = self.repository.commit(changes, message)
        self.daemon.wait_for(serves(moved.commit), PATIENCE)


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of each of the daemon's processes between two moments."""

    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def parts(self) -> Mapping[str, float]:
        return {name: seconds - self.before.get(name, 0.0) for name, seconds in self.after.items()}

    @property
    def total(self) -> float:
        return sum(self.parts.values())


def serves(commit: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda status: bool(status["serving"]["commit"] == commit)


def converged(commit: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda status: serves(commit)(status) and "last_ack" in status["serving"]["timings"]


def all_current(count: int) -> Callable[[Mapping[str, Any]], bool]:
    """So many proxies are connected and hold all that they should."""
    return lambda status: bool(status["fleet"]["current"] >= count)
