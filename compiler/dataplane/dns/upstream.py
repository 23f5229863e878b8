"""Questions that are not the mesh's, passed on to the resolvers that this machine had before us."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from compiler.dataplane.bootstrap import SocketAddress
from compiler.dataplane.dns.answering import refuse

RESOLVERS = Path("/etc/resolv.conf")

_PORT = 53
_ANSWER_SECONDS = 2.0
_MOST_ASKED = 3


def read_resolvers(file: Path = RESOLVERS) -> tuple[SocketAddress, ...]:
    """Those of a resolv.conf, three at most as its readers have it; none where it cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    found = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return tuple(SocketAddress(host, _PORT) for host in found[:_MOST_ASKED])


async def ask_upstream(query: bytes, resolvers: Sequence[SocketAddress], *, tcp: bool) -> bytes | None:
    """The first answer, one resolver after the other; that it failed where none answers."""
    for resolver in resolvers:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await (_ask_tcp if tcp else _ask_udp)(query, resolver)
        except (OSError, asyncio.IncompleteReadError):
            continue
    return refuse(query)


async def read_framed(reader: asyncio.StreamReader) -> bytes:
    """A message over TCP follows its length; raises IncompleteReadError at the end."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


async def _ask_tcp(query: bytes, resolver: SocketAddress) -> bytes:
    reader, writer = await asyncio.open_connection(resolver.host, resolver.port)
    try:
        writer.write(framed(query))
        return await read_framed(reader)
    finally:
        writer.close()


async def _ask_udp(query: bytes, resolver: SocketAddress) -> bytes:
    """From a port of its own for each question, which is hard to guess."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Waiting(answered, query[:2]), remote_addr=(resolver.host, resolver.port)
    )
    try:
        transport.sendto(query)
        return await answered
    finally:
        transport.close()


class _Waiting(asyncio.DatagramProtocol):
    """The first answer with the question's number."""

    def __init__(self, answered: "asyncio.Future[bytes]", number: bytes) -> None:
        self._answered = answered
        self._number = number

    def datagram_received(self, data: bytes, _address: object) -> None:
        if data[:2] == self._number and not self._answered.done():
            self._answered.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(error)
