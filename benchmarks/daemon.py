"""The processes of an end-to-end run: the real daemon with its flags, and the driver; their clocks, CPU and memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final
from urllib.request import urlopen

import psutil  # type: ignore[import-untyped]  # its stubs are a package apart

from benchmarks.documents import MESH
from compiler.identity.authority import create_authority, write_authority

_PROGRAM: Final = "import sys; from compiler.cli.main import main; sys.exit(main())"
"""What the `meshwright` script does, with this interpreter."""
NO_PROXIES: Final = "?limit=0"
"""Of the status page only the head: the proxies of a large mesh are megabytes."""


@dataclass
class Daemon:
    """`meshwright serve` over one repository."""

    process: subprocess.Popen[str]
    xds: str
    http: str

    @classmethod
    def start(cls, folder: Path, repository: Path, log: IO[bytes]) -> "Daemon":
        """Ready when it returns; raises RuntimeError where it ends instead."""
        authority = folder / "authority.pem"
        if not authority.exists():
            write_authority(authority, create_authority(MESH, "builtin", now=datetime.now(UTC)))
        flags = {"repo": repository, "data": folder / "data", "ca": f"file:{authority}", "interval": 1.0}
        flags |= dict.fromkeys(("xds", "http", "health"), "127.0.0.1:0")
        command = [sys.executable, "-c", _PROGRAM, "serve", "--insecure"]
        command += [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        first = process.stdout.readline() if process.stdout is not None else ""
        if not first:
            raise RuntimeError(f"the daemon ended with {process.wait()} before it was ready")
        ready = json.loads(first)
        return cls(process, ready["xds"], ready["http"])

    def status(self, query: str = NO_PROXIES) -> Mapping[str, Any]:
        with urlopen(f"http://{self.http}/status{query}") as answer:  # our own server on loopback
            found: Mapping[str, Any] = json.load(answer)
            return found

    def count_refusals(self) -> int:
        """NACKs since the start, of all proxies and types."""
        return self._count("meshwright_xds_nacks_total")

    def count_pushes(self) -> int:
        """Responses since the start but for secrets: of ten thousand certificates one is due every few seconds."""
        return self._count("meshwright_xds_pushes_total", without='type="Secret"')

    def _count(self, metric: str, without: str | None = None) -> int:
        with urlopen(f"http://{self.http}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        counted = (line for line in lines if line.startswith(metric) and (without is None or without not in line))
        return round(sum(float(line.rpartition(" ")[2]) for line in counted))

    def wait_for(
        self,
        condition: Callable[[Mapping[str, Any]], bool],
        timeout: float,
        pause: float = 0.1,
        query: str = NO_PROXIES,
    ) -> Mapping[str, Any]:
        """The first status page that meets the condition; raises TimeoutError with the last one's own words."""
        deadline = time.monotonic() + timeout
        while not condition(status := self.status(query)):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"serving {status['serving']}, candidate {status['candidate']}, {status['troubles']}"
                )
            time.sleep(pause)
        return status

    def cpu(self) -> Mapping[str, float]:
        """Seconds so far, by process."""
        return {name: sum(map(_cpu, processes)) for name, processes in self._family().items()}

    def rss(self) -> Mapping[str, int]:
        """Bytes now, by process."""
        return {name: processes[0].memory_info().rss for name, processes in self._family().items()}

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)

    def _family(self) -> Mapping[str, Sequence[psutil.Process]]:
        """The supervisor, and its children by the module that they run, each with what it has forked."""
        own = psutil.Process(self.process.pid)
        children = {_role(child): (child, *child.children(recursive=True)) for child in own.children()}
        return {"supervisor": (own,), **children}


def _role(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    return "server" if "serving" in words or "server" in words else "worker" if "work" in words else str(process.pid)


_CLOCK_OF_A_PROCESS: Final = 2
"""Of the three bits below the inverted number of a process, in a clock's id (clock_getcpuclockid(3))."""


def _cpu(process: psutil.Process) -> float:
    """With that of its children that have ended, but for the supervisor's: they were told while they lived.

    Its own by the clock that Linux has of every process, all of its threads together: psutil counts in hundredths of a
    second, of which a push is the hundredth part.
    """
    with suppress(psutil.NoSuchProcess, OSError):
        times = process.cpu_times()
        ended = times.children_user + times.children_system if process.ppid() != os.getpid() else 0.0
        return time.clock_gettime((~process.pid << 3) | _CLOCK_OF_A_PROCESS) + float(ended)
    return 0.0


def _start_driver() -> subprocess.Popen[str]:
    environment = {**os.environ, "GRPC_VERBOSITY": "ERROR"}
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.driver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


@dataclass
class Proxies:
    """The driver's end of its pipe."""

    process: subprocess.Popen[str] = field(default_factory=_start_driver)

    def ask(self, do: str, **more: object) -> Mapping[str, Any]:
        """One command and its answer; raises RuntimeError where the driver is gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the driver ended with {self.process.wait()}")
        answer: Mapping[str, Any] = json.loads(line)
        return answer

    def connect(self, address: str, nodes: Sequence[str], timeout: float) -> float:
        """Seconds until all hold everything; raises TimeoutError."""
        answer = self.ask("connect", address=address, nodes=list(nodes), patience=timeout)
        if answer["missing"]:
            raise TimeoutError(
                f"{len(answer['missing'])} of {len(nodes)} proxies lack resources: {answer['missing'][:3]}"
            )
        return float(answer["seconds"])

    def stop(self) -> None:
        self.process.communicate(timeout=60)
