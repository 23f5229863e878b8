"""The DNS server that an application asks: by UDP and TCP on loopback, with a table that follows the snapshot."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import structlog

from compiler.dataplane.bootstrap import DataplaneError, SocketAddress, UnixSocket
from compiler.dataplane.dns.answering import LARGEST_UDP, answer, is_question
from compiler.dataplane.dns.names import Names, read_names
from compiler.dataplane.dns.upstream import ask_upstream, framed, read_framed
from compiler.dataplane.http_client import Question, ask
from compiler.dataplane.http_server import accept

SOCKET = "dns.sock"
DOCUMENT = "/dns"

_EVERY_SECONDS = 1.0
_OK, _NOT_MODIFIED = 200, 304
_LARGEST_TCP = 65535
_MOST_AT_ONCE = 1000
_IDLE_SECONDS = 30.0

log = structlog.get_logger("dataplane")


@dataclass
class NameServer:
    """`received` once a table came."""

    address: SocketAddress
    socket: UnixSocket
    resolvers: Sequence[SocketAddress]
    names: Names = field(default_factory=Names)
    received: bool = False
    _tag: str = ""
    _asking: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """DataplaneError where the port is taken."""
        loop = asyncio.get_running_loop()
        place = (self.address.host, self.address.port)
        try:
            server = await asyncio.start_server(accept(self._talk), *place)
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=place)
        except OSError as error:
            raise DataplaneError(f"DNS cannot be served at {self.address}: {error.strerror}.") from error
        try:
            async with server:
                yield
        finally:
            transport.close()

    async def follow(self) -> None:
        """The snapshot's table, for as long as it is not cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(_EVERY_SECONDS)

    async def resolve(self, query: bytes, largest: int, *, tcp: bool) -> bytes | None:
        found = answer(query, self.names, largest)
        if found is not None or not is_question(query):
            return found
        return await ask_upstream(query, self.resolvers, tcp=tcp)

    def take(self, query: bytes, sender: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        """Beyond a thousand questions at once the asker must ask again, as it does for a lost one."""
        if len(self._asking) < _MOST_AT_ONCE:
            task = asyncio.get_running_loop().create_task(self._reply(query, sender, transport))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _reply(self, query: bytes, sender: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        found = await self.resolve(query, LARGEST_UDP, tcp=False)
        if found is not None and not transport.is_closing():
            transport.sendto(found, sender)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    query = await read_framed(reader)
                found = await self.resolve(query, _LARGEST_TCP, tcp=True)
                if found is None:
                    break
                writer.write(framed(found))
                await writer.drain()
        writer.close()

    async def _look(self) -> None:
        """The old table stands until a new one can be read, for a name that is gone breaks its callers."""
        headers = {"if-none-match": self._tag} if self._tag else {}
        try:
            found = await ask(self.socket, Question(DOCUMENT, headers))
        except (FileNotFoundError, ConnectionRefusedError):
            return
        except OSError as error:
            log.warning("names are not known", reason=str(error) or type(error).__name__)
            return
        if found.status == _OK:
            self._read(found.body, found.headers.get("etag", ""))
        elif found.status != _NOT_MODIFIED:
            log.warning("names are not known", status=found.status)

    def _read(self, body: bytes, tag: str) -> None:
        self._tag = tag
        try:
            self.names = read_names(body)
        except ValueError as error:
            log.warning("names are not followed", reason=str(error))
            return
        self.received = True
        log.info("names", count=len(self.names.addresses))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Python 3.11's own transport of datagrams does not say that it is one."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        self._server.take(data, sender, self._transport)


def name_server(port: int, work_dir: Path, resolvers: Sequence[SocketAddress]) -> NameServer:
    """On loopback: it answers for this proxy's application and for nobody else."""
    return NameServer(SocketAddress("127.0.0.1", port), UnixSocket(work_dir / SOCKET), resolvers)
