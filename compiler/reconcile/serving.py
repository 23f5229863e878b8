"""The process that proxies and readers talk to; it parses nothing that a commit can influence."""

import asyncio
import contextlib
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from compiler.identity.authority import IdentityError
from compiler.identity.vault import VaultFolder
from compiler.reconcile.address import Refusal, parse_address
from compiler.reconcile.channel import Channel, Message, die_with, take_standard_streams
from compiler.reconcile.collection import collect_later, settle_memory, spare_storms
from compiler.reconcile.convergence import Convergence
from compiler.reconcile.deliverable import Deliverables
from compiler.reconcile.exit_codes import FINE, UNAVAILABLE, UNREADABLE
from compiler.reconcile.holdoff import HoldOff
from compiler.reconcile.identities import ServedIdentities, load_authorities
from compiler.reconcile.logs import configure_logs
from compiler.reconcile.nack_records import KeptNacks
from compiler.reconcile.options import ServeOptions
from compiler.reconcile.questions import NoAnswer, NotThere, Questions
from compiler.reconcile.status import (
    Heard,
    Origins,
    Serving,
    describe,
    describe_lacking,
    describe_proxy,
    is_worker_running,
    list_refused,
    match_origins,
)
from compiler.reconcile.upkeep import Upkeep
from compiler.reconcile.websites import Websites
from compiler.snapshot.image.frames import ImageDamaged
from compiler.snapshot.image.reading import ImageReader
from compiler.state.live import LiveState
from compiler.state.sqlite import SqliteState
from compiler.xds.metrics import Metrics
from compiler.xds.server import XdsServer
from compiler.xds.sources import CurrentGeneration
from compiler.xds.transports import TRANSPORTS

BEAT: Final = 1.0
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
            self._current,
            secrets=identities,
            records=KeptNacks(state),
            metrics=Metrics(self.registry),
            carry=TRANSPORTS[options.transport],
        )
        self._convergence = Convergence(self._xds, self.registry)
        self._upkeep = Upkeep(self._xds, self._current, identities, self._deliverables, state)
        self._generation_gauge = Gauge(
            "meshwright_generation", "Number of the generation served.", registry=self.registry
        )
        self._work = Counter("meshwright_work", "Runs of each step of the compiler.", ["step"], registry=self.registry)
        self._background: list[asyncio.Task[None]] = []
        self._websites = Websites(options)
        self._listening = False
        self._stopped = asyncio.Event()

    async def run(self) -> int:
        """Until the supervisor says stop or is gone."""
        self._listen_to_supervisor()
        self._refresh({})
        settle_memory()
        await self._open()
        self._say_serving()
        loop = asyncio.get_running_loop()
        keeping_up = self._upkeep.keep_up(self._look_at_image, self._note)
        sparing = spare_storms(lambda: self._xds.opened)
        tasks = (self._beat(), keeping_up, self._upkeep.issue_ahead(), self._upkeep.watch_secrets(), sparing)
        self._background += [loop.create_task(each) for each in tasks]
        await self._websites.answer(self, self._questions, self._stopped)
        await self._stopped.wait()
        await self._close()
        return FINE

    # What the pages show.

    async def status(self, after: str = "", limit: int | None = None) -> Mapping[str, object]:
        """Proxies whose names come after `after`, at most `limit`; pushes go on while they are described."""
        self._note("state", self._state.trouble)
        self._note("identity", describe_lacking(self._identities.troubles))
        proxies = [each async for each in _give_way(self._xds.iterate_proxies(after, limit))]
        refused = list_refused(proxies)
        origins = await self._find_origins(refused) if refused else {}
        described = [orjson.Fragment(orjson.dumps(describe_proxy(one, origins))) async for one in _give_way(proxies)]
        return describe(self._convergence.add_to(self._serving), self._heard, self._xds.count_proxies(), described)

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
                if not is_worker_running(message):
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
        collect_later(asyncio.get_running_loop())
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
            self._upkeep.note_generation()
            self._convergence.watch(served.digest, timings)
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

    async def _find_origins(self, refused: Sequence[tuple[str, str, str]]) -> Origins:
        """Where the refused resources come from, if the worker can say so in time."""
        try:
            found = await self._questions.ask("origins", {"resources": [list(one) for one in refused]})
        except (NoAnswer, NotThere):
            return {}
        return match_origins(refused, found)

    def _note(self, place: str, trouble: str | None) -> None:
        if trouble is None:
            self._heard.troubles.pop(place, None)
        else:
            self._heard.troubles[place] = trouble

    # Opening, keeping up, closing.

    async def _open(self) -> None:
        """Raises Refusal."""
        address = parse_address("--xds", self._options.xds)
        try:
            port = await self._xds.serve(str(address))
        except (OSError, RuntimeError) as error:
            raise Refusal(f"cannot listen on --xds {address}: it is in use or not ours to use", UNAVAILABLE) from error
        http = self._websites.bind()
        self._note("admin", self._websites.trouble)
        where = {"xds": str(replace(address, port=port)), "http": str(http)}
        self._listening = True
        self._channel.send("listening", **where)
        _log.info("listening", **where)

    async def _beat(self) -> None:
        """From the event loop: if that stands still, so do the streams."""
        while True:
            self._channel.send("beat")
            await asyncio.sleep(BEAT)

    def _look_at_image(self) -> None:
        if self._reader.is_replaced:
            self._refresh({})

    async def _close(self) -> None:
        """Streams end with UNAVAILABLE, so proxies keep what they have and look for another server."""
        await self._xds.stop(grace=1.0)
        await self._websites.close()
        for task in self._background:
            task.cancel()
        self._state.close()


def serve(channel: Channel, options: ServeOptions) -> int:
    """A refusal is told to the supervisor, which tells the user and ends."""

    async def run() -> int:
        folder = VaultFolder(Path(options.secrets) if options.secrets else None)
        identities = ServedIdentities(load_authorities(options.ca), folder)
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
    """Nothing is collected before it serves: nearly all that is made until then stays, and 10,000 proxies are much."""
    gc.disable()
    channel = take_standard_streams()
    hello = channel.receive() or {}
    die_with(hello.get("parent"))
    options = ServeOptions.from_hello(hello)
    configure_logs("server", debug=options.debug)
    return serve(channel, options)


async def _give_way(items: Iterable[_T]) -> AsyncIterator[_T]:
    """Whoever else has something to do on the event loop gets a turn after each few."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _IN_A_TURN == 0:
            await asyncio.sleep(0)


if __name__ == "__main__":
    sys.exit(main())
