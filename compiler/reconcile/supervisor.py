"""The process that starts, watches, limits and restarts the other two; it needs the standard library alone."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TextIO

from compiler import __version__
from compiler.reconcile.address import Refusal, bound_address, listen, parse_address
from compiler.reconcile.channel import Message
from compiler.reconcile.child import Child, start_child
from compiler.reconcile.exit_codes import FINE
from compiler.reconcile.health import Health, serve_health
from compiler.reconcile.lock import DataFolder
from compiler.reconcile.options import ServeOptions
from compiler.reconcile.preflight import refuse_early
from compiler.reconcile.quarantine import KILLS, Quarantine
from compiler.reconcile.vitals import Death, Phase, is_silent, judge_worker

TICK: Final = 0.1
"""Seconds between two looks at the children: a runaway allocation grows by some hundred MB between them."""

_IDLE_TICK: Final = 0.4
_LATE: Final = 1.0
_DEAF: Final = 25.0
_BACK_OFF: Final = (0.05, 0.2, 0.8, 2.0, 4.0)
"""Seconds; no longer, because the next good commit is due within ten."""

_PHASES_TOLD_WITHIN: Final = 0.1
"""Seconds: an edit has five phases, and what it changes should not wait behind the news of them."""

_SETTLED: Final = 30.0
"""A child that lived this many seconds starts its back-off anew."""

_FROM_WORKER: Final = frozenset({"generation", "candidate", "source"})
_PASSED_ON: Final = frozenset({"answer", "work"})
"""Said once: a server that starts anew has no use for them."""

_FROM_SERVER: Final = frozenset({"ask", "reconcile", "image-damaged"})


def _module(name: str) -> tuple[str, ...]:
    """`-P`: started inside a mesh repository, no file of that repository is ever imported."""
    return sys.executable, "-P", "-m", name


@dataclass(frozen=True, slots=True)
class Commands:
    """How the two children are started."""

    worker: Sequence[str] = field(default_factory=lambda: _module("compiler.reconcile.worker"))
    server: Sequence[str] = field(default_factory=lambda: _module("compiler.reconcile.serving"))


def supervise(options: ServeOptions, commands: Commands | None = None) -> int:
    """Run until SIGTERM or Ctrl-C; the exit code of `serve`."""
    try:
        refuse_early(options)
        bound = listen("--health", parse_address("--health", options.health))
    except Refusal as refusal:
        complain(str(refusal))
        return refusal.code
    return asyncio.run(Supervisor(options, commands or Commands()).run(bound))


def log(event: str, **fields: object) -> None:
    """One JSON line on stderr, in the shape that the children's logs have."""
    line = {"event": event, "process": "supervisor", "timestamp": time.time(), **fields}
    _write(sys.stderr, json.dumps(line))


def complain(sentence: str) -> None:
    """To the person who started us."""
    _write(sys.stderr, f"meshwright serve: {sentence}")


def _write(stream: TextIO, line: str) -> None:
    """Whoever read this stream may be gone, which is no reason to stop serving."""
    with suppress(OSError):
        stream.write(line + "\n")
        stream.flush()


class Supervisor:
    """All of the daemon that outlives a child."""

    def __init__(self, options: ServeOptions, commands: Commands) -> None:
        self._options = options
        self._commands = commands
        self._data = DataFolder(Path(options.data))
        self._quarantine = Quarantine(Path(options.data) / "quarantine.json", __version__)
        self._children: dict[str, Child] = {}
        self._attempts = {"worker": 0, "server": 0}
        self._restarts = {"worker": 0, "server": 0}
        self._last_death: Mapping[str, object] | None = None
        self._longest_compile: float | None = None
        self._remembered: dict[str, Message] = {}
        self._serving: str | None = None
        self._server_heard = time.monotonic()
        self._announced = False
        self._untold: asyncio.TimerHandle | None = None
        self._health = ""
        self._stopping = asyncio.Event()
        self._exit_code = FINE

    async def run(self, health: socket.socket) -> int:
        """Three tasks, ended by a signal or by what the server refuses."""
        self._health = str(bound_address(health))
        log("health-listening", health=self._health)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        web = await serve_health(health, self.check)
        tasks = [loop.create_task(work) for work in (self._keep_server(), self._keep_worker(), self._watch())]
        await self._until_stopped(tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*(child.stop(self._options.limits.stop) for child in self._children.values()))
        web.close()
        self._data.release()
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()
        log("stopped", exit_code=self._exit_code)
        return self._exit_code

    async def _until_stopped(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """A task that ends by itself has failed, and takes the daemon down in good order."""
        for task in tasks:
            task.add_done_callback(lambda _: self._stopping.set())
        await self._stopping.wait()
        log("stopping")

    def check(self) -> Health:
        """The worker's state is told, not judged: a server that holds a snapshot serves without it."""
        deaf = time.monotonic() - self._server_heard > _DEAF
        stopping = self._stopping.is_set()
        ready = self._serving is not None and not deaf and not stopping
        worker = self._children.get("worker")
        return Health(
            live=not deaf,
            ready=ready,
            parts={
                "server": "stopping" if stopping else "silent" if deaf else "serving" if ready else "no snapshot yet",
                "worker": worker.phase.name if worker else self._data.reason or "restarting",
            },
        )

    async def _keep_server(self) -> None:
        while True:
            child = await start_child("server", self._commands.server, {"options": self._options.to_json()})
            for kind, message in self._remembered.items():
                child.send(kind, message)
            await self._live_with(child, self._hear_server)
            self._serving = None
            await self._pause(child)

    async def _keep_worker(self) -> None:
        while True:
            await self._wait_for_data()
            hello = {
                "options": self._options.to_json(),
                "quarantine": dict(self._quarantine.trees),
                "lock": self._data.descriptor,
                "serving": self._serving is not None,
            }
            keep = () if self._data.descriptor is None else (self._data.descriptor,)
            child = await start_child("worker", self._commands.worker, hello, keep)
            await self._live_with(child, self._hear_worker)
            await self._pause(child)

    async def _live_with(self, child: Child, hear: Callable[[Message], None]) -> None:
        """From a child's start to its end, and what its end means."""
        self._children[child.name] = child
        log("started", child=child.name, pid=child.pid)
        self._tell_processes()
        async for message in child.messages():
            hear(message)
        death = await child.end()
        del self._children[child.name]
        self._bury(child, death)

    async def _pause(self, child: Child) -> None:
        attempt = 0 if child.age > _SETTLED else self._attempts[child.name]
        self._attempts[child.name] = attempt + 1
        await asyncio.sleep(_BACK_OFF[min(attempt, len(_BACK_OFF) - 1)])

    async def _wait_for_data(self) -> None:
        """Another writer, or a folder that cannot be written: what it holds is served, and followed, meanwhile."""
        said = ""
        while not self._data.hold():
            if said != self._data.reason:
                said = self._data.reason
                log("read-only", reason=said)
                self._tell_processes()
            self._tell("server", "refresh", {})
            await asyncio.sleep(1.0)

    async def _watch(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(TICK if self._is_busy() else _IDLE_TICK)
            late, before = time.monotonic() - before > _LATE, time.monotonic()
            for child in tuple(self._children.values()):
                if late:
                    child.excuse()
                elif death := self._judge(child):
                    child.kill(death)

    def _is_busy(self) -> bool:
        worker = self._children.get("worker")
        return worker is not None and worker.phase.name != "idle"

    def _judge(self, child: Child) -> Death | None:
        limits = self._options.limits
        if child.name == "worker":
            return judge_worker(child.vitals(), limits, self._longest_compile)
        return Death.STALLED if is_silent(child.vitals(), limits.start, limits.server_silence) else None

    def _hear_worker(self, message: Message) -> None:
        kind = str(message["kind"])
        if kind == "phase":
            self._enter(self._children["worker"], message)
        elif kind in _FROM_WORKER:
            self._remember(kind, message)
        elif kind in _PASSED_ON:
            self._tell("server", kind, message)

    def _enter(self, child: Child, message: Message) -> None:
        """The bound of the next compile is reckoned from the longest of this life: a restarted worker compiles cold."""
        if child.phase.name == "compile":
            self._longest_compile = max(self._longest_compile or 0.0, child.phase_age)
            self._quarantine.absolve(child.phase.tree)
        child.enter(Phase(str(message["phase"]), str(message.get("commit", "")), str(message.get("tree", ""))))
        if self._untold is None:
            self._untold = asyncio.get_running_loop().call_later(_PHASES_TOLD_WITHIN, self._tell_processes)

    def _hear_server(self, message: Message) -> None:
        self._server_heard = time.monotonic()
        match message["kind"]:
            case "listening":
                self._options = replace(self._options, xds=str(message["xds"]), http=str(message["http"]))
            case "serving":
                if self._serving is None:
                    self._tell("worker", "serving", {})
                self._serving = str(message["digest"])
                self._announce_ready()
            case "refused":
                complain(str(message["sentence"]))
                self._exit_code = int(str(message["code"]))
                self._stopping.set()
            case kind if kind in _FROM_SERVER:
                self._pass_to_worker(str(kind), message)

    def _pass_to_worker(self, kind: str, message: Message) -> None:
        if kind == "reconcile" and message.get("forgive"):
            self._quarantine.forgive()
            self._tell("worker", "quarantine", {"trees": {}})
        if not self._tell("worker", kind, message) and kind == "ask":
            self._tell("server", "answer", {"id": message["id"], "error": "the compiling process is not running"})

    def _announce_ready(self) -> None:
        """The one line on stdout; whoever started us waits for it."""
        if self._announced:
            return
        self._announced = True
        where = {"xds": self._options.xds, "http": self._options.http, "health": self._health}
        _write(sys.stdout, json.dumps({"event": "ready", **where, "digest": self._serving}))

    def _bury(self, child: Child, death: Death) -> None:
        """That it died is told before what became of its commit: who reads the verdict finds the deaths behind it."""
        if self._stopping.is_set():
            return
        self._restarts[child.name] += 1
        log("died", child=child.name, reason=death, how=child.ending, phase=child.phase.name, commit=child.phase.commit)
        verdict = self._blame(child, death) if child.name == "worker" else None
        self._tell_processes()
        if verdict is not None:
            self._remember("candidate", verdict)

    def _blame(self, child: Child, death: Death) -> Message | None:
        """What became of the commit at which it died, if it was at one."""
        phase = child.phase
        self._last_death = {
            "reason": death,
            "how": child.ending,
            "at": time.time(),
            "phase": phase.name,
            "commit": phase.commit,
        }
        culprit = phase.tree or phase.commit
        if not culprit:
            return None
        verdict = self._quarantine.blame(culprit, phase.commit, f"{death} in {phase.name}, {child.ending}")
        state = "quarantined" if verdict.kills >= KILLS else "failed"
        reason = f"the compiling process was lost at this commit: {verdict.reason} ({verdict.kills} of {KILLS} tries)"
        return {"commit": phase.commit, "state": state, "reason": reason, "diagnostics": []}

    def _tell_processes(self) -> None:
        if self._untold is not None:
            self._untold.cancel()
            self._untold = None
        worker = self._children.get("worker")
        state = {
            "worker": {
                "running": worker is not None,
                "phase": worker.phase.name if worker is not None else None,
                "commit": (worker.phase.commit or None) if worker is not None else None,
                "restarts": self._restarts["worker"],
                "last_death": self._last_death,
                "quarantined": dict(self._quarantine.trees),
            },
            "server": {"restarts": self._restarts["server"]},
            "writer": self._data.descriptor is not None,
            "reason": self._data.reason,
        }
        self._remember("processes", state)

    def _remember(self, kind: str, message: Message) -> None:
        """A server that starts anew is told the latest of each kind."""
        self._remembered[kind] = message
        self._tell("server", kind, message)

    def _tell(self, name: str, kind: str, message: Message) -> bool:
        child = self._children.get(name)
        if child is not None:
            child.send(kind, message)
        return child is not None
