"""What runs while something is measured end to end: repository, daemon and proxies; and how its CPU is told."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.daemon import Daemon, Proxies
from benchmarks.fleet import Fleet
from benchmarks.probe import NODES, Ports
from benchmarks.repository import Changes, WorkloadRepository

PATIENCE: Final = 240.0
LOG: Final = "daemon.log"
_LOOK: Final = 0.005


@dataclass
class Stage:
    """Everything that runs while something is measured; `log` is the daemon's.

    `witnesses` are the ports of the two real Envoys, as long as they are there.
    """

    fleet: Fleet
    repository: WorkloadRepository
    daemon: Daemon
    proxies: Proxies
    nodes: Sequence[str]
    folder: Path
    log: IO[bytes]
    witnesses: Ports | None = None

    @property
    def everyone(self) -> int:
        """Proxies that connect, the real ones included."""
        return len(self.nodes) + (len(NODES) if self.witnesses else 0)

    def wait_for_verdict(self, commit: str, since: int) -> float:
        """When the daemon's log, from this place on, says that it does not publish the commit; raises TimeoutError.

        The status page says so too, but to ask it again and again would cost the server more than what is measured.
        """
        deadline = time.monotonic() + PATIENCE
        with (self.folder / LOG).open() as log:
            while time.monotonic() < deadline:
                log.seek(since)
                said = [json.loads(line) for line in log if commit in line and line.endswith("\n")]
                verdict = next((line["timestamp"] for line in said if line["event"] == "not-published"), None)
                if verdict is not None:
                    return float(verdict)
                time.sleep(_LOOK)
        raise TimeoutError(f"the daemon's log says nothing of {commit}")

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
