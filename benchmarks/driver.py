"""A process that plays all proxies of a workload, one connection each; it is told what to do by lines of JSON."""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from benchmarks.client import SDS, Names, Proxy
from benchmarks.wire import Wire

_AT_ONCE: Final = 100
"""Streams that are being opened at a time."""
_BREATH: Final = 0.5
"""Seconds before a client that was cut off comes back."""


@dataclass(slots=True)
class Tally:
    """What happened since it was reset; times are seconds since 1970, 0 where nothing happened.

    `changes` are pushes but for secrets: of ten thousand certificates one is due every few seconds.
    """

    pushes: int = 0
    changes: int = 0
    bytes: int = 0
    touched: int = 0
    first_push: float = 0.0
    last_ack: float = 0.0
    lost: int = 0


@dataclass
class Driver:
    """All connections, on one event loop."""

    address: str = ""
    tally: Tally = field(default_factory=Tally)
    _names: Names = field(default_factory=Names)
    _proxies: dict[str, Proxy] = field(default_factory=dict)
    _streams: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _mute: list[asyncio.Task[None]] = field(default_factory=list)
    _touched: set[str] = field(default_factory=set)
    _unsettled: set[str] = field(default_factory=set)
    _settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, nodes: Sequence[str], patience: float) -> Mapping[str, Any]:
        """Until every proxy holds all that it was told of; `missing` did not get there in time."""
        begun = time.time()
        self._unsettled = set(nodes)
        self._settled.clear()
        gate = asyncio.Semaphore(_AT_ONCE)
        for node in nodes:
            proxy = self._proxies.setdefault(node, Proxy(node, self._names))
            self._streams[node] = asyncio.create_task(self._stream(proxy, gate))
        try:
            await asyncio.wait_for(self._settled.wait(), patience)
        except TimeoutError:
            return {"seconds": time.time() - begun, "missing": sorted(self._unsettled)}
        return {"seconds": time.time() - begun, "missing": []}

    async def disconnect(self) -> Mapping[str, Any]:
        """What the proxies hold they keep, for the next connection."""
        tasks = [*self._streams.values(), *self._mute]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._streams.clear()
        self._mute.clear()
        return {}

    async def mute(self, nodes: Sequence[str]) -> Mapping[str, Any]:
        """Clients that ask for everything and never read; once all have asked."""
        asked = asyncio.Semaphore(0)
        self._mute += [asyncio.create_task(self._ask_and_be_silent(node, asked)) for node in nodes]
        for _ in nodes:
            await asked.acquire()
        return {}

    async def _ask_and_be_silent(self, node: str, asked: asyncio.Semaphore) -> None:
        """Again whenever the server has lost patience."""
        while True:
            wire = await self._open(lambda _: None, reads=False)
            try:
                wire.send(Proxy(node, self._names).open_all())
                asked.release()
                await wire.lost.wait()
            finally:
                wire.close()
            await asyncio.sleep(_BREATH)

    async def settle(self, quiet: float, patience: float) -> Mapping[str, Any]:
        """Until something was changed and then nothing pushed for as long as `quiet`."""
        deadline = time.time() + patience
        while (now := time.time()) < deadline:
            if self.tally.changes and now > self.tally.last_ack + quiet:
                break
            await asyncio.sleep(quiet / 4)  # the end of a silence is no event
        return self.read()

    def reset(self) -> Mapping[str, Any]:
        self.tally = Tally()
        self._touched.clear()
        return {}

    def read(self) -> Mapping[str, Any]:
        self.tally.touched = len(self._touched)
        return asdict(self.tally)

    async def _stream(self, proxy: Proxy, gate: asyncio.Semaphore) -> None:
        """On a connection of its own. One that says nothing would be cut off, so it is not opened before its turn."""
        async with gate:
            wire = await self._open(lambda message: self._take(proxy, wire, message))
            wire.send(proxy.open())
            self._note_settled(proxy)
            if not proxy.is_settled:
                await wire.heard.wait()
        try:
            await wire.lost.wait()
            self.tally.lost += 1
        finally:
            wire.close()

    async def _open(self, take: Callable[[bytes], None], *, reads: bool = True) -> Wire:
        host, _, port = self.address.rpartition(":")
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: Wire(self.address, take, reads=reads), host, int(port))
        return wire

    def _take(self, proxy: Proxy, wire: Wire, message: bytes) -> None:
        self._note_push(proxy, len(message))
        wire.send(proxy.take(message))
        self.tally.changes += proxy.heard != SDS
        self._note_ack(proxy)

    def _note_push(self, proxy: Proxy, length: int) -> None:
        self.tally.pushes += 1
        self.tally.bytes += length
        self.tally.first_push = self.tally.first_push or time.time()
        self._touched.add(proxy.node)

    def _note_ack(self, proxy: Proxy) -> None:
        self.tally.last_ack = time.time()
        self._note_settled(proxy)

    def _note_settled(self, proxy: Proxy) -> None:
        """A proxy that holds all already is sent nothing, so it is settled as soon as it has said so."""
        if proxy.node in self._unsettled and proxy.is_settled:
            self._unsettled.discard(proxy.node)
            if not self._unsettled:
                self._settled.set()


async def _serve(driver: Driver) -> None:
    """One command a line, one answer a line, until the input ends."""
    commands: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]] = {
        "connect": lambda asked: driver.connect(asked["nodes"], asked["patience"]),
        "disconnect": lambda _: driver.disconnect(),
        "mute": lambda asked: driver.mute(asked["nodes"]),
        "settle": lambda asked: driver.settle(asked["quiet"], asked["patience"]),
        "reset": lambda _: _now(driver.reset),
        "read": lambda _: _now(driver.read),
    }
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        driver.address = asked.get("address", driver.address)
        print(json.dumps(await commands[asked["do"]](asked)), flush=True)
    await driver.disconnect()


async def _now(function: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    return function()


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_serve(Driver()))


if __name__ == "__main__":
    main()
