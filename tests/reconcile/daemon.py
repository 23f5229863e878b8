"""A daemon and a repository for it, for tests that want the real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any, TypeVar

from compiler.reconcile.options import MIB, Limits, ServeOptions

T = TypeVar("T")
HERE = Path(__file__).parent
LIMITS = Limits(worker_memory=400 * MIB, compile_base=4.0)


@dataclass
class Repository:
    """A working repository with one branch."""

    path: Path

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, standard_input: bytes = b"") -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{who}_{what}": f"t@{what}.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            input=standard_input,
            capture_output=True,
            check=True,
            env=environment,
        )
        return done.stdout.decode().strip()

    def commit(self, text: str, message: str = "change", file: str = "mesh.yaml") -> str:
        (self.path / file).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@dataclass
class Daemon:
    """Started at once; `ready` waits for the line on stdout."""

    options: ServeOptions
    program: Path = HERE / "run_toy.py"
    lines: "Queue[str]" = field(default_factory=Queue)
    log: list[dict[str, Any]] = field(default_factory=list)
    where: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        command = [sys.executable, str(self.program), json.dumps(self.options.to_json())]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        threading.Thread(target=self._read_out, args=(self.process.stdout,), daemon=True).start()
        threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True).start()

    def ready(self, seconds: float = 60.0) -> dict[str, str]:
        """Where it listens."""
        try:
            self.where = json.loads(self.lines.get(timeout=seconds))
        except Empty:
            raise AssertionError(f"not ready within {seconds} s: {self.log}") from None
        assert self.where["event"] == "ready"
        return self.where

    def heard(self, event: str, seconds: float = 60.0, **fields: object) -> dict[str, Any]:
        """The first log line of this kind."""
        wanted = {"event": event, **fields}
        return wait(
            lambda: next((line for line in self.log if wanted.items() <= line.items()), None), seconds, lambda: self.log
        )

    def get(self, path: str, part: str = "http") -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://{self.where[part]}{path}", timeout=5) as answer:
                return answer.status, _decode(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _decode(error.read())

    def status(self) -> dict[str, Any]:
        code, status = self.get("/status")
        assert code == 200
        return dict(status)

    def until(self, holds: Callable[[dict[str, Any]], object], seconds: float = 60.0) -> dict[str, Any]:
        """The first status that satisfies."""

        def look() -> dict[str, Any] | None:
            status = self.status()
            return status if holds(status) else None

        return wait(look, seconds, self.status)

    def serves(self, commit: str, seconds: float = 60.0) -> dict[str, Any]:
        return self.until(lambda status: (status["serving"] or {}).get("commit") == commit, seconds)

    def until_ready_again(self, seconds: float = 60.0) -> None:
        """After the server process was killed."""
        deaths = [line for line in self.log if line.get("event") == "died"]
        wait(
            lambda: None if [one for one in self.log if one.get("event") == "died"] == deaths else True,
            5,
            lambda: self.log,
        )
        wait(lambda: True if self.get("/readyz", "health")[0] == 200 else None, seconds, lambda: self.log)

    def pid_of(self, child: str) -> int:
        return next(
            int(line["pid"]) for line in reversed(self.log) if line.get("event") == "started" and line["child"] == child
        )

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read_out(self, stream: IO[bytes]) -> None:
        for line in stream:
            self.lines.put(line.decode())

    def _read_log(self, stream: IO[bytes]) -> None:
        for line in stream:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"event": "text", "text": line.decode(errors="replace")})


def wait(look: Callable[[], T | None], seconds: float, tell: Callable[[], object]) -> T:
    """What `look` first returns that is not None."""
    deadline = time.monotonic() + seconds
    while True:
        if (found := look()) is not None:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {tell()}"
        time.sleep(0.02)


def options_for(repository: Path | str, data: Path, **changed: object) -> ServeOptions:
    anywhere: Mapping[str, Any] = {"xds": "127.0.0.1:0", "http": "127.0.0.1:0", "health": "127.0.0.1:0"}
    return ServeOptions(
        **{"repo": str(repository), "data": str(data), "insecure": True, "limits": LIMITS, **anywhere, **changed}
    )


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()
