"""Stand-ins for the workloads behind proxies, and the client that calls them: all in one event loop, on loopback."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from compiler.review.promises.routing.answer import Ask, Headers

LOOPBACK: Final = "127.0.0.1"
ASK: Final = "x-meshwright-ask"
"""The header by which a stub knows which exchange a request belongs to."""

_MOST_BYTES: Final = 1 << 20
_BODILESS: Final = frozenset({204, 304})
_SHADOW: Final = "-shadow"
"""Envoy adds it to the host of a mirrored request, which is nobody's answer."""

Inbound = tuple[str, str]
"""A proxy, and the inbound listener whose workload is meant."""


@dataclass(frozen=True, slots=True)
class Received:
    """What a workload was asked."""

    inbound: Inbound
    method: str
    path: str
    headers: Headers

    def header(self, name: str) -> str:
        return ",".join(value for key, value in self.headers if key == name)


@dataclass(slots=True)
class Exchange:
    """One request of ours: what the workload is to answer, and what reached it."""

    status: int = 200
    headers: Headers = ()
    received: list[Received] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the caller got."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        return ",".join(value for key, value in self.headers if key == name)


@dataclass
class Stubs:
    """One port for each inbound; what comes is noted in the exchange that it names."""

    exchanges: dict[str, Exchange] = field(default_factory=dict)
    ports: dict[Inbound, int] = field(default_factory=dict)
    _servers: list[asyncio.Server] = field(default_factory=list)

    async def listen(self, inbound: Inbound, *, speaks_http: bool) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                    await (self._serve_http if speaks_http else self._serve_line)(inbound, reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, LOOPBACK, 0, limit=_MOST_BYTES)
        self._servers.append(server)
        self.ports[inbound] = server.sockets[0].getsockname()[1]

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def _serve_http(self, inbound: Inbound, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            first, headers = await _read_head(reader)
            await _read_body(reader, headers)
            method, path, _ = first.split(" ", 2)
            received = Received(inbound, method, path, headers)
            exchange = self.exchanges.get(received.header(ASK), Exchange())
            if not received.header("host").partition(":")[0].endswith(_SHADOW):
                exchange.received.append(received)
            writer.write(_answer(exchange))
            await writer.drain()

    async def _serve_line(self, inbound: Inbound, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A line that names an exchange is said back."""
        line = await reader.readuntil(b"\n")
        exchange = self.exchanges.get(line.decode("latin-1").strip(), Exchange())
        exchange.received.append(Received(inbound, "", "", ()))
        writer.write(line)
        await writer.drain()


@asynccontextmanager
async def serving(inbounds: Mapping[Inbound, bool]) -> AsyncIterator[Stubs]:
    """Stubs of all inbounds, by whether they speak HTTP."""
    stubs = Stubs()
    try:
        for inbound, speaks_http in sorted(inbounds.items()):
            await stubs.listen(inbound, speaks_http=speaks_http)
        yield stubs
    finally:
        stubs.close()


def _answer(exchange: Exchange) -> bytes:
    lines = [f"HTTP/1.1 {exchange.status} {_phrase(exchange.status)}"]
    lines += [f"{name}: {value}" for name, value in exchange.headers]
    lines += [] if exchange.status in _BODILESS else ["content-length: 0"]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unnamed"


async def call_http(port: int, ask: Ask, headers: Headers) -> Reply:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=_MOST_BYTES)
    try:
        body = () if ask.method in {"GET", "HEAD", "OPTIONS", "TRACE"} else (("content-length", "0"),)
        sent = (("host", ask.authority), ("connection", "close"), *body, *ask.headers, *headers)
        lines = [f"{ask.method} {ask.path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1"))
        first, answered = await _read_head(reader)
        status = int(first.split(" ")[1])
        bodiless = ask.method == "HEAD" or status in _BODILESS
        return Reply(status, answered, b"" if bodiless else await _read_body(reader, answered))
    finally:
        writer.close()


async def call_line(port: int, exchange: str) -> bool:
    """Whether a TCP connection was answered."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(f"{exchange}\n".encode())
        return bool(await reader.readline())
    except ConnectionError:
        return False
    finally:
        writer.close()


async def is_live(socket: str) -> bool:
    """Whether an Envoy says so, on its admin socket."""
    try:
        return "LIVE" in await _ask_admin(socket, "/ready")
    except OSError:
        return False


async def read_counter(socket: str, pattern: str) -> int:
    """The sum of an Envoy's counters whose names match, from its admin socket."""
    text = await _ask_admin(socket, f"/stats?filter={pattern}")
    return sum(int(number) for number in re.findall(r": ([0-9]+)\s", text))


async def _ask_admin(socket: str, path: str) -> str:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode())
        return (await reader.read(-1)).decode("latin-1").partition("\r\n\r\n")[2]
    finally:
        writer.close()


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, Headers]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)


async def _read_body(reader: asyncio.StreamReader, headers: Headers) -> bytes:
    """By its length or its last chunk: Envoy may hold a connection open for a second after it."""
    named = dict(headers)
    if "chunked" in named.get("transfer-encoding", ""):
        return await reader.readuntil(b"0\r\n\r\n")
    return await reader.readexactly(int(named.get("content-length", "0")))
