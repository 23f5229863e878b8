"""The engine that asks a real Envoy: it holds the snapshots' own resources, and stubs stand behind it."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final

from compiler.envoy.resources import ResourceType
from compiler.review.promises.envoy_process import Binary, PortTaken, ending_in_order, running
from compiler.review.promises.exchange import Met, read_exchange, read_tcp
from compiler.review.promises.loopback import (
    FRACTION,
    MILLION,
    WEIGHT,
    Loopback,
    doors_of,
    free_ports,
    make_bootstrap,
    speaks_http,
)
from compiler.review.promises.routing.answer import (
    RETRIED_STATUS,
    Ask,
    CannotTell,
    Outcome,
    Taken,
    collect,
    with_retries,
)
from compiler.review.promises.routing.held import Fleet, is_http, terminal_filter
from compiler.review.promises.routing.table import fraction_of
from compiler.review.promises.stubs import ASK, Exchange, Reply, Stubs, call_http, call_line, read_counter, serving

_PATIENCE_SECONDS: Final = 20.0
"""For one answer; a test's own machine may be busy."""
_MOST_DRAWS: Final = 200
"""Of a split: each of its weights is drawn up to this total, beyond it so many spread evenly."""
_MOST_TRIES: Final = 64
"""Until each sort of proxy behind a cluster was met; Envoy takes them in turn."""
_STARTS: Final = 3
_DENIALS: Final = "rbac%5C.denied"


@dataclass(frozen=True)
class EnvoyEngine:
    """Starts one Envoy for all requests; raises `EnvoyFailed` where it does not start."""

    fleet: Fleet
    binary: Binary
    name: str = "envoy"

    def answer(self, asks: Sequence[Ask]) -> Sequence[tuple[Outcome, ...] | CannotTell]:
        if not asks:
            return ()
        with ending_in_order():
            return asyncio.run(self._start(asks))

    async def _start(self, asks: Sequence[Ask]) -> Sequence[tuple[Outcome, ...] | CannotTell]:
        """Once more where a port was taken between our looking and Envoy's."""
        for _ in range(_STARTS - 1):
            with suppress(PortTaken):
                return await self._run(asks)
        return await self._run(asks)

    async def _run(self, asks: Sequence[Ask]) -> Sequence[tuple[Outcome, ...] | CannotTell]:
        doors = doors_of(self.fleet, asks)
        inbounds = {door: speaks_http(self.fleet, door) for door, is_inbound in doors.items() if is_inbound}
        with tempfile.TemporaryDirectory(prefix="mw-") as folder:
            admin = str(Path(folder) / "admin")
            async with serving(inbounds) as stubs:
                # The stubs listen by now: no port that they have is found free.
                ports = dict(zip(doors, free_ports(len(doors)), strict=True))
                loopback = Loopback(self.fleet, asks, ports)
                bootstrap = make_bootstrap(loopback, stubs.ports, datetime.now(UTC), admin)
                file = Path(folder) / "bootstrap.pb"
                file.write_bytes(bootstrap.SerializeToString(deterministic=True))
                async with running(self.binary, file, admin):
                    conversation = _Conversation(loopback, stubs, admin)
                    return [await conversation.answer(ask) for ask in asks]


@dataclass
class _Conversation:
    """With an Envoy that runs."""

    loopback: Loopback
    stubs: Stubs
    admin: str
    numbers: Iterator[int] = field(default_factory=count)

    async def answer(self, ask: Ask) -> tuple[Outcome, ...] | CannotTell:
        caller = self.loopback.fleet[ask.caller]
        last = caller.filter(terminal_filter(caller.find(ResourceType.LISTENER, ask.listener).filter_chains[0]))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = await (self._http(ask, caller.routes(last)) if is_http(last) else self._tcp(ask, last.cluster))
        except TimeoutError:
            return CannotTell(f"no answer within {_PATIENCE_SECONDS:.0f} s")
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            return CannotTell(f"Envoy broke the connection off: {error}")
        return collect(found)

    async def _http(self, ask: Ask, table: Any) -> list[Outcome]:
        return [outcome for low, high in _intervals(table) for outcome in await self._drawn(ask, table, low, high)]

    async def _drawn(self, ask: Ask, table: Any, low: int, high: int) -> list[Outcome]:
        """All answers to requests whose drawn number lies between two bounds, where the same routes match."""
        first = await self._one(_Draw(ask, table, low, 0))
        numbers = _numbers(table, first.answer.taken)
        draws = [_Draw(ask, table, low, number) for number in numbers]
        met = [first, *[await self._one(draw) for draw in draws[1:]]]
        found: list[Outcome] = []
        for cluster, times in Counter(one.cluster for one in met).items():
            share = Fraction((high - low) * times, MILLION * len(met))
            index = next(index for index, one in enumerate(met) if one.cluster == cluster)
            found += await self._behind(draws[index], met[index], share)
        return found

    async def _behind(self, draw: "_Draw", met: Met, share: Fraction) -> list[Outcome]:
        """Where proxies that differ take their turns, the answer of each of them; their shares are those of weights."""
        callees = self.loopback.fleet.callees(self.loopback.fleet[draw.ask.caller], met.cluster) if met.cluster else ()
        doors = {(callee.node, callee.listener): callee.share for callee in callees}
        if len(doors) < 2:
            return [await self._counted(draw, Outcome(share, met.answer))]
        answers = {met.door: met.answer}
        for _ in range(_MOST_TRIES * len(doors)):
            if doors.keys() <= answers.keys():
                break
            again = await self._one(draw)
            answers.setdefault(again.door, again.answer)
        chosen = [(door, answers[door]) for door in doors if door in answers]
        total = sum(doors[door] for door, _ in chosen) or Fraction(1)
        return [await self._counted(draw, Outcome(share * doors[door] / total, answer)) for door, answer in chosen]

    async def _counted(self, draw: "_Draw", outcome: Outcome) -> Outcome:
        """With the retries that the stub saw while it answered 503 always; only a service that answers is asked so."""
        if not draw.ask.counts_retries or outcome.answer.timeout is None:
            return outcome
        if not outcome.answer.node or outcome.answer.denied:
            return with_retries(outcome, 0)
        exchange = Exchange(RETRIED_STATUS)
        await self._send(draw, exchange)
        return with_retries(outcome, len(exchange.received) - 1)

    async def _one(self, draw: "_Draw") -> Met:
        exchange = Exchange(draw.ask.answer_status, draw.ask.answer_headers)
        reply = await self._send(draw, exchange)
        return read_exchange(self.loopback, draw.ask, draw.table, reply, exchange)

    async def _send(self, draw: "_Draw", exchange: Exchange) -> Reply:
        number = str(next(self.numbers))
        self.stubs.exchanges[number] = exchange
        door = self.loopback.doors[draw.ask.caller, draw.ask.listener]
        headers = ((ASK, number), (FRACTION, str(draw.fraction)), (WEIGHT, str(draw.weight)))
        try:
            return await call_http(door, draw.ask, headers)
        finally:
            del self.stubs.exchanges[number]

    async def _tcp(self, ask: Ask, cluster: str) -> list[Outcome]:
        """A connection that is closed without a word was denied where a proxy counted a denial."""
        number, exchange = str(next(self.numbers)), Exchange()
        self.stubs.exchanges[number] = exchange
        before = await read_counter(self.admin, _DENIALS)
        answered = await call_line(self.loopback.doors[ask.caller, ask.listener], number)
        denied = not answered and await read_counter(self.admin, _DENIALS) > before
        met = read_tcp(self.loopback, ask, cluster, exchange, denied=denied)
        return [Outcome(Fraction(1), met.answer)]


@dataclass(frozen=True, slots=True)
class _Draw:
    """A request with the numbers that Envoy would draw for it."""

    ask: Ask
    table: Any
    fraction: int
    weight: int


def _intervals(table: Any) -> Iterator[tuple[int, int]]:
    """Between two neighbouring bounds of fractions the same routes match."""
    matches = (route.match for host in table.virtual_hosts for route in host.routes)
    drawn = (one.runtime_fraction.default_value for one in matches if one.HasField("runtime_fraction"))
    bounds = {int(fraction_of(one) * MILLION) for one in drawn}
    return pairwise(sorted({0, *bounds, MILLION}))


def _numbers(table: Any, taken: Taken | None) -> list[int]:
    """The draws that show how a route splits; one where it does not, or where no route was taken."""
    if taken is None:
        return [0]
    host = next(host for host in table.virtual_hosts if host.name == taken.host)
    total = sum(one.weight.value for one in host.routes[taken.index].route.weighted_clusters.clusters)
    if total <= _MOST_DRAWS:
        return list(range(max(1, total)))
    return [total * number // _MOST_DRAWS for number in range(_MOST_DRAWS)]
