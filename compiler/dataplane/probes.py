"""Probes of the application by way of the sidecar: `inject` sends them here, and we ask the application itself.

`/8080/ready` is an HTTP probe of port 8080, `/tcp/8080` one that opens the port, `/grpc/8080` one by gRPC's health
protocol. What of a probe would be lost on the way comes in headers. An application must listen on loopback too, as it
does when it listens everywhere.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

import betterproto2
import grpc.aio

from compiler.dataplane.bootstrap import SocketAddress
from compiler.dataplane.http_client import Answer, Question, ask

_HEADER: Final = "x-kuma-probes-"
_HOP: Final = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive", "accept-encoding"})
_APPLICATION: Final = "127.0.0.1"
"""Not the pod's own address, which leads back to Envoy from here."""
_SERVING: Final = b"\x08\x01"
_WELL: Final = Answer(200)
_ILL: Final = 503
_SECONDS: Final = 1.0
"""As long as the kubelet waits unless a probe says otherwise."""
_HEALTH: Final = "/grpc.health.v1.Health/Check"


async def answer_probe(question: Question) -> Answer:
    """503 with the reason where the application does not answer well."""
    kind, _, rest = question.path.removeprefix("/").partition("/")
    seconds = _seconds(question.headers)
    try:
        if kind == "tcp":
            return await _open(_port(rest), seconds)
        if kind == "grpc":
            return await _check(_port(rest), question.headers.get(f"{_HEADER}grpc-service", ""), seconds)
        return await _get(_port(kind), f"/{rest}", question.headers, seconds)
    except ValueError:
        return Answer(404, body=b"a probe is /PORT/PATH, /tcp/PORT or /grpc/PORT\n")
    except grpc.aio.AioRpcError as error:
        return Answer(_ILL, body=f"{error.code().name}: {error.details()}\n".encode())
    except OSError as error:
        return Answer(_ILL, body=f"{str(error) or type(error).__name__}\n".encode())


async def _open(port: int, seconds: float) -> Answer:
    async with asyncio.timeout(seconds):
        _, writer = await asyncio.open_connection(_APPLICATION, port)
    writer.close()
    return _WELL


async def _get(port: int, path: str, headers: Mapping[str, str], seconds: float) -> Answer:
    """Redirects are not followed: the kubelet holds them well, and so do we. Certificates are not checked either."""
    kept = {name: value for name, value in headers.items() if name not in _HOP and not name.startswith(_HEADER)}
    host = headers.get(f"{_HEADER}host", f"{_APPLICATION}:{port}")
    tls = _unchecked() if headers.get(f"{_HEADER}scheme", "HTTP").upper() == "HTTPS" else None
    answer = await ask(SocketAddress(_APPLICATION, port), Question(path, {**kept, "host": host}), seconds, tls=tls)
    return Answer(answer.status, {}, answer.body)


async def _check(port: int, service: str, seconds: float) -> Answer:
    name = service.encode()
    wanted = b"\n" + betterproto2.encode_varint(len(name)) + name if name else b""
    async with grpc.aio.insecure_channel(f"{_APPLICATION}:{port}") as channel:
        found = await channel.unary_unary(_HEALTH)(wanted, timeout=seconds)
    return _WELL if found == _SERVING else Answer(_ILL, body=b"not serving\n")


def _port(text: str) -> int:
    """ValueError for what is none."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        raise ValueError(text)
    return int(text)


def _seconds(headers: Mapping[str, str]) -> float:
    written = headers.get(f"{_HEADER}timeout", "")
    return float(written) if written.isascii() and written.isdigit() and len(written) < 6 else _SECONDS


def _unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
