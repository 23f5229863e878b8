"""The processes that the demo starts: each ended by its own id, in whatever way the demo ends."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from compiler.dataplane.children import die_with_parent
from compiler.demo.failure import DemoFailed, Interrupted

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_IMPATIENCE: Final = 0.3
"""After so many seconds a second SIGTERM ends the drain of a proxy that nobody calls any more."""
_LONGEST: Final = 12.0
_TAIL: Final = 12


class Signals:
    """Ctrl-C, SIGTERM and SIGHUP become `Interrupted`, but never between the start of a process and the note of it."""

    def __init__(self) -> None:
        self._held = False
        self._raised = False
        self._pending: int | None = None

    def install(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, self._receive)

    def ignore(self) -> None:
        """While everything is being ended, which takes a bounded time."""
        self._raised = True
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _receive(self, number: int, _: FrameType | None) -> None:
        """Raised once: a second Ctrl-C does not interrupt the ending of what was started."""
        self._pending = number
        if not self._held:
            self._interrupt(number)

    def _interrupt(self, number: int) -> None:
        if not self._raised:
            self._raised = True
            raise Interrupted(number)

    def __enter__(self) -> None:
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False
        if self._pending is not None:
            self._interrupt(self._pending)


@dataclass
class Children:
    """Named processes, with what each of them wrote."""

    logs: Path
    signals: Signals
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """In a group of its own, so that Ctrl-C on a terminal reaches the demo alone; gone when the demo is killed."""
        self.logs.mkdir(exist_ok=True)
        with (self.logs / f"{name}.out").open("wb") as out, (self.logs / f"{name}.err").open("wb") as err, self.signals:
            self.running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=dict(environment),
                process_group=0,
                preexec_fn=die_with_parent(),  # noqa: PLW1509  # no thread runs yet, and it calls nothing but prctl
            )

    def require_alive(self) -> None:
        """Raises DemoFailed with the last words of a process that has ended by itself."""
        for name, child in self.running.items():
            code = child.poll()
            if code is not None:
                raise DemoFailed(f"{name} ended by itself with code {code}. Its last words:\n{self.last_words(name)}")

    def first_line(self, name: str, seconds: float) -> str:
        """The first line that it printed, once it has."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            line, newline, _ = (self.logs / f"{name}.out").read_text(encoding="utf-8", errors="replace").partition("\n")
            if newline:
                return line
            self.require_alive()
            time.sleep(0.02)
        raise DemoFailed(f"{name} said nothing within {seconds:.0f} s.\n{self.last_words(name)}")

    def last_words(self, name: str) -> str:
        lines = (self.logs / f"{name}.err").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL:])

    def stop(self) -> None:
        """Asked once, asked again, killed; all at once, so that it takes as long as the slowest."""
        self._signal(signal.SIGTERM)
        self._wait(_IMPATIENCE)
        self._signal(signal.SIGTERM)
        self._wait(_LONGEST)
        self._signal(signal.SIGKILL)
        for child in self.running.values():
            child.wait()

    def _signal(self, number: signal.Signals) -> None:
        for child in self.running.values():
            if child.poll() is None:
                child.send_signal(number)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for child in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
