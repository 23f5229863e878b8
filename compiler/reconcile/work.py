"""The life of a worker: it beats, listens, reconciles, and ends when it is told to or runs out of memory."""

import os
import resource
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from compiler.garbage import collect_by_hand, settle
from compiler.reconcile.channel import Channel, Message, die_with, take_standard_streams
from compiler.reconcile.exit_codes import FINE, OUT_OF_MEMORY, UNAVAILABLE
from compiler.reconcile.logs import configure_logs
from compiler.reconcile.loop import HINT, Loop, Question
from compiler.reconcile.options import MIB, ServeOptions
from compiler.reconcile.ports import Compiler, Shelf, Source
from compiler.reconcile.preflight import local_folder
from compiler.reconcile.reconcile import Reconciler
from compiler.reconcile.report import Report
from compiler.reconcile.watch import watch_refs
from compiler.reconcile.worker_profile import WorkerProfile
from compiler.snapshot.failures import NotTheWriter

BEAT: Final = 0.5
"""Seconds between two beats; the supervisor waits for three seconds of silence."""

_ADDRESS_SPACE_BESIDE: Final = 4096 * MIB
"""Libraries and thread stacks map far more than they touch: RLIMIT_AS only stops what outruns the supervisor's look."""

_COURTESY: Final = 5.0
"""Seconds; 10,000 proxies are served after two."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker works with, made once it has begun to beat."""

    source: Source
    compiler: Compiler
    shelf: Shelf
    questions: Mapping[str, Question]


Equip = Callable[[ServeOptions, int | None], Tools]
"""From the options and the descriptor of the data folder's lock."""


def work(equip: Equip) -> int:
    """A worker's whole life."""
    channel = take_standard_streams()
    hello = channel.receive() or {}
    die_with(hello.get("parent"))
    options = ServeOptions.from_hello(hello)
    _beat(channel)
    configure_logs("worker", debug=options.debug)
    _limit_memory(options.limits.worker_memory)
    collect_by_hand()
    try:
        _loop(channel, hello, options, equip).run()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except NotTheWriter as error:
        structlog.get_logger().error("lock-lost", reason=str(error))
        return UNAVAILABLE
    return FINE


def _loop(channel: Channel, hello: Message, options: ServeOptions, equip: Equip) -> Loop:
    report = Report(channel)
    descriptor, quarantine = hello.get("lock"), hello.get("quarantine")
    tools = equip(options, descriptor if isinstance(descriptor, int) else None)
    reconciler = Reconciler(tools.source, tools.compiler, tools.shelf, report)
    if isinstance(quarantine, Mapping):
        reconciler.quarantine = quarantine
    folder = local_folder(options.repo)
    courtesy = 0.0 if hello.get("serving") else _COURTESY
    loop = Loop(
        reconciler,
        report,
        tools.questions,
        options.interval,
        fetches=folder is None,
        offline=options.offline,
        courtesy=courtesy,
        settle=settle,
    )
    threading.Thread(target=_listen, args=(channel, loop, WorkerProfile(channel)), name="listen", daemon=True).start()
    if folder is not None and not options.offline:
        watch_refs(folder, lambda: loop.inbox.put(HINT))
    return loop


def _beat(channel: Channel) -> None:
    """From a Python thread: whoever holds the interpreter lock for ever is meant to silence it."""

    def beat() -> None:
        while True:
            channel.send("beat")
            time.sleep(BEAT)

    threading.Thread(target=beat, name="beat", daemon=True).start()


def _listen(channel: Channel, loop: Loop, profile: WorkerProfile) -> None:
    """A closed pipe means that the supervisor is gone."""
    for message in channel:
        if not profile.take(message):
            loop.inbox.put(message)
    loop.inbox.put({"kind": "stop"})


def _limit_memory(resident: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = 2 * resident + _ADDRESS_SPACE_BESIDE
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
