"""One child of the supervisor: its process, its pipes, and when it was last heard."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from compiler.reconcile.channel import Message, decode, encode
from compiler.reconcile.exit_codes import OUT_OF_MEMORY
from compiler.reconcile.starvation import Starvation
from compiler.reconcile.vitals import Death, Phase, Vitals

LINE_LIMIT: Final = 256 * 1024 * 1024
"""The configuration of one proxy, with all diagnostics of one commit, is one line."""

_ENVIRONMENT: Final = {"GRPC_EXPERIMENTS": "-event_engine_listener"}
"""gRPC's older listener takes a fifth less CPU for a push and its ACK (1.85); releases without it say so in the log."""

_SUSPICIOUS: Final = 1.0
"""Seconds of silence, two beats of a worker, or of one phase, from which on the reason is looked into."""

_PAGE: Final = resource.getpagesize()


class Child:
    """Made by `start_child`; everything here runs on the supervisor's loop."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.phase = Phase("start")
        self.killed_for: Death | None = None
        self._signalled = False
        self._process = process
        self._started = self._phase_since = time.monotonic()
        self._heard: float | None = None
        self._starved_silent = Starvation(process.pid)
        self._starved_in_phase = Starvation(process.pid)

    async def messages(self) -> AsyncIterator[Message]:
        """Until the child closes its output or says a line beyond all measure; beats are taken in on the way."""
        output = self._process.stdout
        while output is not None:
            try:
                line = await output.readline()
            except ValueError:
                self.kill(Death.MEMORY)
                return
            if not line:
                return
            self._heard = time.monotonic()
            self._starved_silent.reset()
            if message := decode(line):
                yield message

    def send(self, kind: str, fields: Mapping[str, object]) -> None:
        """A child that is gone is noticed by whoever waits for its end."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(encode(kind, fields))

    def enter(self, phase: Phase) -> None:
        self.phase, self._phase_since = phase, time.monotonic()
        self._starved_in_phase.reset()

    def excuse(self) -> None:
        """We ourselves were not scheduled: what the child said meanwhile is still in the pipe."""
        now = time.monotonic()
        self._heard = now if self._heard is not None else None
        self._starved_silent.reset()
        self._starved_in_phase.reset()
        self._phase_since = now

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def age(self) -> float:
        return time.monotonic() - self._started

    @property
    def phase_age(self) -> float:
        return time.monotonic() - self._phase_since

    def vitals(self) -> Vitals:
        now = time.monotonic()
        silent = self._heard is not None and now - self._heard > _SUSPICIOUS
        return Vitals(
            now=now,
            started=self._started,
            heard=self._heard,
            phase=self.phase,
            phase_since=self._phase_since,
            resident=self._resident(),
            starved_silent=self._starved_silent.count() if silent else 0.0,
            starved_in_phase=self._starved_in_phase.count() if self._is_long_at_it else 0.0,
        )

    @property
    def _is_long_at_it(self) -> bool:
        return self.phase.name != "idle" and self.phase_age > _SUSPICIOUS

    def kill(self, reason: Death) -> None:
        """SIGKILL: a child that holds the interpreter lock hears nothing else.

        Once: for a second signal `subprocess` would ask for the exit code first, and asyncio would not get it.
        """
        self.killed_for = self.killed_for or reason
        if self._process.returncode is None and not self._signalled:
            self._signalled = True
            self._process.kill()

    async def end(self) -> Death:
        """Wait for the process and say why it ended."""
        code = await self._process.wait()
        if self.killed_for is not None:
            return self.killed_for
        if code == OUT_OF_MEMORY:
            return Death.MEMORY
        return Death.CRASHED if code < 0 else Death.FAILED

    @property
    def ending(self) -> str:
        """How the process ended, for a log line."""
        code = self._process.returncode
        if code is None:
            return "still running"
        return f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"

    async def stop(self, seconds: float) -> None:
        """Asked first, killed when it does not listen."""
        self.killed_for = self.killed_for or Death.STOPPED
        self.send("stop", {})
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            self.kill(Death.STOPPED)
            await self._process.wait()

    def _resident(self) -> int:
        try:
            return int(Path(f"/proc/{self._process.pid}/statm").read_bytes().split()[1]) * _PAGE
        except (OSError, IndexError):
            return 0


async def start_child(name: str, command: Sequence[str], options: Message, keep: Sequence[int] = ()) -> Child:
    """In a process group of its own, so that Ctrl-C reaches the supervisor alone.

    Options go by pipe: they may hold credentials, and everybody may read a command line.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
        env={**_ENVIRONMENT, **os.environ, "MALLOC_ARENA_MAX": "2"},
        pass_fds=tuple(keep),
        process_group=0,
    )
    child = Child(name, process)
    child.send("options", {**options, "parent": os.getpid()})
    return child


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
