"""Applications behind the proxies, in a thread of the test's own process, so that a test sees what reached them."""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.e2e.places import Place

Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """What an application was asked."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class WebApplication:
    """Answers with what it was asked, as JSON; `/status/503` with that status, `/slow/0.5` after so many seconds."""

    name: str
    seen: list[Request] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await _read_request(reader)) is not None:
            self.seen.append(request)
            words = request.path.partition("?")[0].split("/")
            if words[1] == "slow":
                await asyncio.sleep(float(words[2]))
            status = int(words[2]) if words[1] == "status" else 200
            writer.write(self._answer(status, request))
            await writer.drain()

    def paths(self) -> list[str]:
        return [request.path for request in self.seen]

    def _answer(self, status: int, request: Request) -> bytes:
        body = {"application": self.name, "method": request.method, "path": request.path, "headers": request.headers}
        text = json.dumps(body).encode()
        lines = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "content-type: application/json",
            f"served-by: {self.name}",
            f"content-length: {len(text)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + text


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """None where the caller has gone."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines):
        said = value.strip()
        headers[name.lower()] = f"{headers[name.lower()]},{said}" if name.lower() in headers else said
    await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers)


@dataclass
class Store:
    """Says a line back, as a server of plain TCP."""

    name: str
    seen: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.seen.append(line)
            writer.write(self.name.encode() + b": " + line)
            await writer.drain()


class Applications:
    """One event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="applications", daemon=True)
        self._thread.start()

    def listen(self, place: Place, serve: Connection, encrypted: ssl.SSLContext | None = None) -> None:
        server = asyncio.start_server(
            lambda *streams: self._accept(serve, *streams), place.host, place.port, ssl=encrypted
        )
        started: Future[asyncio.Server] = asyncio.run_coroutine_threadsafe(server, self._loop)
        self._servers.append(started.result(10))

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, serve: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(_until_gone(serve, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _until_gone(serve: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            await serve(reader, writer)
    finally:
        writer.close()


@contextmanager
def running_applications() -> Iterator[Applications]:
    applications = Applications()
    try:
        yield applications
    finally:
        applications.close()
