"""Taking an Envoy out of service without losing a request: its admin interface, asked over HTTP/1.1."""

import asyncio
import re

from compiler.dataplane.bootstrap import AdminAddress, SocketAddress, UnixSocket

FAIL_HEALTH_CHECKS = "/healthcheck/fail"
DRAIN_ALL = "/drain_listeners?graceful&skip_exit"
"""Listeners go on accepting, each answer says `Connection: close`; without `skip_exit` Envoy would end them itself."""

DRAIN_INBOUND = "/drain_listeners?inboundonly&graceful&skip_exit"

_ANSWER_SECONDS = 5.0
_OK = 200
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


async def begin_drain(admin: AdminAddress) -> None:
    """Health checks fail from now on and connections are asked to close; OSError where Envoy does not say yes."""
    await post(admin, FAIL_HEALTH_CHECKS)
    await post(admin, DRAIN_ALL)


async def drain_inbound(admin: AdminAddress) -> None:
    """What others call is drained, what the application itself calls goes on (Kuma's SIGUSR2)."""
    await post(admin, DRAIN_INBOUND)


async def post(admin: AdminAddress, path: str) -> None:
    """OSError (TimeoutError after 5 s, ConnectionError, FileNotFoundError) unless the answer is 200."""
    async with asyncio.timeout(_ANSWER_SECONDS):
        status = await _ask(admin, path)
    if status != _OK:
        raise ConnectionError(f"Envoy's admin interface answered {status} to POST {path}.")


async def _ask(admin: AdminAddress, path: str) -> int:
    reader, writer = await _connect(admin)
    try:
        writer.write(f"POST {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        return _status(await reader.readline())
    finally:
        writer.close()


async def _connect(admin: AdminAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    match admin:
        case UnixSocket(path):
            return await asyncio.open_unix_connection(path)
        case SocketAddress(host, port):
            return await asyncio.open_connection(host, port)


def _status(line: bytes) -> int:
    answer = _STATUS_LINE.match(line)
    if answer is None:
        raise ConnectionError("Envoy's admin interface gave no HTTP answer.")
    return int(answer[1])
