"""The process that proxies and readers talk to; it parses nothing that a commit can influence."""

import asyncio
import contextlib
import gc
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from compiler.identity.authority import IdentityError
from compiler.reconcile.address import Refusal, bound_address, listen, parse_address
from compiler.reconcile.channel import Channel, Message, die_with, take_standard_streams
from compiler.reconcile.deliverable import Deliverables
from compiler.reconcile.exit_codes import FINE, UNAVAILABLE, UNREADABLE
from compiler.reconcile.holdoff import HoldOff
from compiler.reconcile.identities import ServedIdentities, load_authorities
from compiler.reconcile.logs import configure_logs
from compiler.reconcile.nack_records import KeptNacks
from compiler.reconcile.options import ServeOptions
from compiler.reconcile.profile_page import ProfilePage
from compiler.reconcile.questions import NoAnswer, NotThere, Questions
from compiler.reconcile.status import Heard, Serving, add_delivery, describe, describe_proxy, list_refused
from compiler.reconcile.web import WebServer, admin_api, open_admin_socket, read_api
from compiler.snapshot.image import ImageDamaged, ImageReader
from compiler.state.live import LiveState
from compiler.state.sqlite import SqliteState
from compiler.xds.metrics import Metrics
from compiler.xds.server import XdsServer
from compiler.xds.sources import CurrentGeneration

BEAT: Final = 1.0
SWEEP: Final = 30.0
POSITIONS: Final = 5.0
_CONVERGENCE: Final = 600.0
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_COLLECT_AFTER: Final = 10_000
"""Objects; 700 unless told, which costs a connect storm some 3 % of its CPU."""

_IN_A_TURN: Final = 16
"""Proxies that are described before others get a turn: about half a millisecond."""

_T = TypeVar("_T")
_log = structlog.get_logger()


class Server:
    """All of one server process; everything runs on its event loop."""

    def __init__(self, options: ServeOptions, channel: Channel, state: LiveState, identities: ServedIdentities) -> None:
        self.registry = CollectorRegistry()
        self._options = options
        self._channel = channel
        self._state = state
        self._identities = identities
        self._questions = Questions(channel.send)
        self._reader = ImageReader(Path(options.data) / "serving.image")
        self._deliverables = Deliverables()
        self._current = CurrentGeneration()
        self._serving: Serving | None = None
        self._heard = Heard()
        self._pauses = HoldOff()
        self._held: asyncio.TimerHandle | None = None
        self._newest: Mapping[str, float] = {}
        self._xds = XdsServer(
            self._current, secrets=identities, records=KeptNacks(state), metrics=Metrics(self.registry)
        )
        self._convergence = Histogram(
            "meshwright_convergence_seconds",
            "From a commit's detection to the last ACK of its generation.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._generation_gauge = Gauge(
            "meshwright_generation", "Number of the generation served.", registry=self.registry
        )
        self._work = Counter("meshwright_work", "Runs of each step of the compiler.", ["step"], registry=self.registry)
        self._converging: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []
        self._websites: list[WebServer] = []
        self._listening = False
        self._admin: Path | None = None
        self._stopped = asyncio.Event()

    async def run(self) -> int:
        """Until the supervisor says stop or is gone."""
        self._listen_to_supervisor()
        self._refresh({})
        _settle_memory()
        await self._open()
        self._say_serving()
        loop = asyncio.get_running_loop()
        self._background += [loop.create_task(self._beat()), loop.create_task(self._keep_up())]
        await self._stopped.wait()
        await self._close()
        return FINE

    # What the pages show.

    async def status(self, after: str = "", limit: int | None = None) -> Mapping[str, object]:
        """Proxies whose names come after `after`, at most `limit`; pushes go on while they are described."""
        self._note("state", self._state.trouble)
        self._note("identity", self._describe_lacking())
        proxies = [each async for each in _give_way(self._xds.iterate_proxies(after, limit))]
        refused = list_refused(proxies)
        origins = await self._find_origins(refused) if refused else {}
        described = [orjson.Fragment(orjson.dumps(describe_proxy(one, origins))) async for one in _give_way(proxies)]
        return describe(self._timed(), self._heard, self._xds.count_proxies(), described)

    async def ask(self, question: str, arguments: Mapping[str, object]) -> object:
        return await self._questions.ask(question, arguments)

    def reconcile(self, *, forgive: bool) -> None:
        self._channel.send("reconcile", forgive=forgive)

    # What the supervisor says.

    def _hear(self, message: Message) -> None:
        match message.get("kind"):
            case "generation":
                timings = message.get("timings")
                self._hold_off(timings if isinstance(timings, Mapping) else {})
            case "refresh":
                self._refresh({})
                self._say_serving()
            case "candidate":
                self._heard.candidate = message
            case "source":
                self._heard.source = message
            case "work":
                self._count_work(message.get("steps"))
            case "processes":
                self._heard.processes = message
                if not _is_worker_running(message):
                    self._questions.fail("the compiling process has ended")
            case "answer":
                self._questions.take(message)
            case "stop":
                self._stopped.set()

    def _listen_to_supervisor(self) -> None:
        loop = asyncio.get_running_loop()

        def listen_for_ever() -> None:
            with contextlib.suppress(RuntimeError):
                for message in self._channel:
                    loop.call_soon_threadsafe(self._hear, message)
                loop.call_soon_threadsafe(self._stopped.set)

        threading.Thread(target=listen_for_ever, name="listen", daemon=True).start()

    def _count_work(self, steps: object) -> None:
        for step, count in steps.items() if isinstance(steps, Mapping) else ():
            self._work.labels(step).inc(count)

    # What is served.

    def _hold_off(self, timings: Mapping[str, float]) -> None:
        """What comes while a generation is held takes its place."""
        loop = asyncio.get_running_loop()
        self._newest = timings
        if self._held is not None:
            return
        pause = self._pauses.wait(loop.time())
        if pause:
            self._held = loop.call_later(pause, self._pass_on)
        else:
            self._pass_on()

    def _pass_on(self) -> None:
        self._pauses.note_passed(asyncio.get_running_loop().time(), held=self._held is not None)
        self._held = None
        self._refresh(self._newest)
        self._say_serving()

    def _refresh(self, timings: Mapping[str, float]) -> None:
        """The image's last generation; where the image cannot be read, what is in memory is served on."""
        try:
            served = self._reader.latest()
            self._note("image", None)
        except (ImageDamaged, OSError) as error:
            self._note("image", f"the serving image cannot be read ({error}); what was read before is served")
            self._channel.send("image-damaged")
            return
        if served is None:
            return
        former = self._serving
        if former is None or former.digest != served.digest:
            self._identities.serve(served)
            self._current.publish(self._deliverables.convert(served))
            self._watch_convergence(served.digest, timings)
        same = former is not None and former.digest == served.digest
        since = former.since if former is not None and same else time.time()
        known = former.timings if former is not None and same and not timings else timings
        self._serving = Serving(served.number, served.commit or "", served.digest, since, known)
        if former is None or (former.commit, former.digest) != (self._serving.commit, self._serving.digest):
            self._generation_gauge.set(served.number)
            _log.info("serving", commit=served.commit, digest=served.digest, generation=served.number)

    def _say_serving(self) -> None:
        """Only once there is something to connect to."""
        if self._serving is not None and self._listening:
            self._channel.send("serving", digest=self._serving.digest, commit=self._serving.commit)

    def _watch_convergence(self, digest: str, timings: Mapping[str, float]) -> None:
        if self._converging is not None:
            self._converging.cancel()
        detected = timings.get("detected")
        if detected is not None:
            self._converging = asyncio.get_running_loop().create_task(self._converge(digest, detected))

    async def _converge(self, digest: str, detected: float) -> None:
        if not await self._xds.wait_delivered(digest, _CONVERGENCE):
            return
        delivery = self._xds.delivery
        if delivery is not None and delivery.digest == digest and delivery.last_ack is not None:
            self._convergence.observe(max(delivery.last_ack + _wall_offset() - detected, 0.0))

    def _timed(self) -> Serving | None:
        delivery = self._xds.delivery
        if self._serving is None or delivery is None or delivery.digest != self._serving.digest:
            return self._serving
        return replace(self._serving, timings=add_delivery(self._serving.timings, delivery, _wall_offset()))

    async def _find_origins(
        self, refused: tuple[tuple[str, str, str], ...]
    ) -> Mapping[tuple[str, str, str], Mapping[str, object]]:
        """Where the refused resources come from, if the worker can say so in time."""
        try:
            found = await self._questions.ask("origins", {"resources": [list(one) for one in refused]})
        except (NoAnswer, NotThere):
            return {}
        if not isinstance(found, list):
            return {}
        return {one: origin for one, origin in zip(refused, found, strict=False) if isinstance(origin, Mapping)}

    def _note(self, place: str, trouble: str | None) -> None:
        if trouble is None:
            self._heard.troubles.pop(place, None)
        else:
            self._heard.troubles[place] = trouble

    def _describe_lacking(self) -> str | None:
        lacking = ", ".join(self._identities.lacking)
        return f"no authority for mesh {lacking}: its proxies get no certificates; start with --ca" if lacking else None

    # Opening, keeping up, closing.

    async def _open(self) -> None:
        """Raises Refusal."""
        address = parse_address("--xds", self._options.xds)
        try:
            port = await self._xds.serve(str(address))
        except RuntimeError as error:
            raise Refusal(f"cannot listen on --xds {address}: it is in use or not ours to use", UNAVAILABLE) from error
        http = listen("--http", parse_address("--http", self._options.http))
        self._serve_web(WebServer(read_api(self)), http)
        self._open_admin()
        where = {"xds": str(replace(address, port=port)), "http": str(bound_address(http))}
        self._listening = True
        self._channel.send("listening", **where)
        _log.info("listening", **where)

    def _open_admin(self) -> None:
        """A path that was asked for must do; the usual one may be taken, by the instance that holds the data."""
        path = Path(self._options.admin or Path(self._options.data) / "admin.sock")
        try:
            bound = open_admin_socket(path)
        except Refusal as refusal:
            if self._options.admin is not None:
                raise
            self._note("admin", str(refusal))
            return
        self._admin = path
        profiles = ProfilePage(self._questions, self._stopped, debug=self._options.debug)
        self._serve_web(WebServer(admin_api(self, profiles.route())), bound)

    def _serve_web(self, website: WebServer, bound: socket.socket) -> None:
        self._websites.append(website)
        self._background.append(asyncio.get_running_loop().create_task(website.serve(sockets=[bound])))

    async def _beat(self) -> None:
        """From the event loop: if that stands still, so do the streams."""
        while True:
            self._channel.send("beat")
            await asyncio.sleep(BEAT)

    async def _keep_up(self) -> None:
        """Certificates that are due, and which proxy holds what."""
        swept = time.monotonic()
        while True:
            await asyncio.sleep(POSITIONS)
            self._state.note_acked_digests(self._xds.take_acked())
            self._identities.rotate_due()
            if time.monotonic() - swept > SWEEP:
                swept = time.monotonic()
                self._note("unknown", _describe_unknown(self._xds.count_proxies()["unknown"]))
                self._forget_strangers(self._xds.connected)

    def _forget_strangers(self, connected: frozenset[str]) -> None:
        """Who left both the commit and us will not be asked for again."""
        if self._current.generation is not None:
            self._state.keep_only(connected | self._current.generation.proxies.keys())

    async def _close(self) -> None:
        """Streams end with UNAVAILABLE, so proxies keep what they have and look for another server."""
        await self._xds.stop(grace=1.0)
        for website in self._websites:
            website.should_exit = True
        _, late = await asyncio.wait(self._background[: len(self._websites)], timeout=2.0)
        for task in (*late, *self._background):
            task.cancel()
        self._remove_admin_socket()
        self._state.close()

    def _remove_admin_socket(self) -> None:
        if self._admin is not None:
            self._admin.unlink(missing_ok=True)


def serve(channel: Channel, options: ServeOptions) -> int:
    """A refusal is told to the supervisor, which tells the user and ends."""

    async def run() -> int:
        identities = ServedIdentities(load_authorities(options.ca))
        return await Server(options, channel, SqliteState(Path(options.data) / "state.db"), identities).run()

    try:
        return asyncio.run(run())
    except Refusal as refusal:
        channel.send("refused", sentence=str(refusal), code=refusal.code)
        return refusal.code
    except IdentityError as error:
        channel.send("refused", sentence=str(error), code=UNREADABLE)
        return UNREADABLE


def main() -> int:
    channel = take_standard_streams()
    hello = channel.receive() or {}
    die_with(hello.get("parent"))
    options = ServeOptions.from_hello(hello)
    configure_logs("server", debug=options.debug)
    return serve(channel, options)


def _is_worker_running(processes: Message) -> bool:
    worker = processes.get("worker")
    return isinstance(worker, Mapping) and bool(worker.get("running"))


def _settle_memory() -> None:
    """What was read at the start stays for good and need not be looked through; streams leave little in cycles."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


async def _give_way(items: Iterable[_T]) -> AsyncIterator[_T]:
    """Whoever else has something to do on the event loop gets a turn after each few."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _IN_A_TURN == 0:
            await asyncio.sleep(0)


def _wall_offset() -> float:
    return time.time() - time.monotonic()


def _describe_unknown(count: int) -> str | None:
    return f"{count} connected proxies are in no commit; they are sent nothing" if count else None


if __name__ == "__main__":
    sys.exit(main())
