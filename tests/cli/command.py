"""The real command, as somebody types it, and the repositories that it is given."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START = [sys.executable, "-m", "compiler.cli.start"]
MESH = "type: Mesh\nname: default\n"
FULL_DISK = ["/bin/sh", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$@"', "sh"]
"""Runs a command whose every write to a file is refused."""

ANYWHERE = ["--xds", "127.0.0.1:0", "--http", "127.0.0.1:0", "--health", "127.0.0.1:0"]


def environment(**changed: str) -> dict[str, str]:
    """That of a plain shell: nothing of ours is set, and Git knows nobody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MESHWRIGHT_", "GIT_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **changed}


def meshwright(
    *arguments: str | Path,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
    stdout: Any = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run to its end; `within` is a command that runs it."""
    return subprocess.run(
        [*within, *START, *map(str, arguments)],
        cwd=cwd,
        env=environment(**(variables or {})),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=False,
    )


def refuses(done: subprocess.CompletedProcess[str], code: int, phrase: str) -> None:
    """Exit code and one sentence on stderr, which holds the phrase; a usage error has its usage above it."""
    assert done.returncode == code, done.stderr + (done.stdout or "")
    sentences = [line for line in done.stderr.splitlines() if line and not line.startswith(("Usage:", "Try '"))]
    assert len(sentences) == 1, done.stderr
    assert phrase in sentences[0], done.stderr
    assert "Traceback" not in done.stderr


def repository(path: Path, files: Mapping[str, str] | None = None, *options: str) -> Path:
    """A Git repository with one commit of the files on `main`; without files it has none."""
    _git(path.parent, "init", "-q", "-b", "main", *options, str(path))
    write(path, files or {})
    if files:
        commit(path)
    return path


def commit(path: Path) -> None:
    _git(path, "add", "-A")
    _git(path, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "change")


def write(path: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def _git(path: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=path, check=True, env=environment(), capture_output=True)


class Serving:
    """`meshwright serve`, until it is told to stop."""

    def __init__(self, arguments: Sequence[str | Path], within: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*within, *START, "serve", "--insecure", *ANYWHERE, *map(str, arguments)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=lambda: self.out.extend(self.process.stdout or ()), daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_log(self) -> None:
        for line in self.process.stderr or ():
            self.err.append(line)

    def says(self, phrase: str, seconds: float = 30.0) -> dict[str, Any]:
        """The first line of the log that holds the phrase."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in tuple(self.err):
                if phrase in line:
                    return dict(json.loads(line))
            time.sleep(0.02)
        raise AssertionError(f"never said {phrase!r}: {self.err}")

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(15)
        for reader in self._readers:
            reader.join(5)
        said = "".join(self.err)
        assert "Traceback" not in said, said
        return code


@contextmanager
def serving(*arguments: str | Path, within: Sequence[str] = ()) -> Iterator[Serving]:
    started = Serving(arguments, within)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.wait()
