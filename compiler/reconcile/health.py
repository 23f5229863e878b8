"""/livez and /readyz, answered by the supervisor itself with nothing but the standard library."""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_DEADLINE: Final = 5.0
_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Health:
    """Live: the server's loop turns. Ready: it also holds a verified snapshot. `parts` says how each process is."""

    live: bool
    ready: bool
    parts: Mapping[str, str] = field(default_factory=dict)


async def serve_health(bound: socket.socket, check: Callable[[], Health]) -> asyncio.Server:
    """One answer a connection; a slow or broken client costs its own connection only."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_DEADLINE):
                request = (await reader.readline()).split()
                while (await reader.readline()).strip():
                    pass
                writer.write(_response(request, check()))
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, sock=bound, limit=16 * 1024)


def _response(request: list[bytes], health: Health) -> bytes:
    match request:
        case [b"GET" | b"HEAD", path, *_]:
            code = _code(path.split(b"?")[0], health)
        case _:
            code = 405
    body = json.dumps({"live": health.live, "ready": health.ready, **health.parts}).encode() + b"\n"
    head = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if request[:1] == [b"HEAD"] else body)


def _code(path: bytes, health: Health) -> int:
    match path:
        case b"/livez":
            return 200 if health.live else 503
        case b"/readyz":
            return 200 if health.ready else 503
        case _:
            return 404
