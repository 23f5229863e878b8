"""One HTTP/1.1 question to a neighbour: Envoy's admin interface, or a listener of its on a socket."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import h11

from compiler.dataplane.bootstrap import AdminAddress, SocketAddress, UnixSocket

LARGEST_BODY = 64 * 1024 * 1024
"""Metrics of ten thousand clusters are some 20 MB."""

_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Question:
    """A GET where there is no body, else a POST of it."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


async def ask(
    place: AdminAddress, question: Question, seconds: float = 5.0, *, tls: ssl.SSLContext | None = None
) -> Answer:
    """OSError (TimeoutError, ConnectionError, FileNotFoundError) where there is no whole answer in time."""
    async with asyncio.timeout(seconds):
        reader, writer = await connect(place, tls)
        try:
            return await _exchange(question, reader, writer)
        except h11.RemoteProtocolError as error:
            raise ConnectionError(f"{place} gave no HTTP answer: {error}") from error
        finally:
            writer.close()


async def connect(
    place: AdminAddress, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    match place:
        case UnixSocket(path):
            return await asyncio.open_unix_connection(path)
        case SocketAddress(host, port):
            return await asyncio.open_connection(host, port, ssl=tls)


async def _exchange(question: Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
    connection = h11.Connection(h11.CLIENT)
    method = "POST" if question.body else "GET"
    headers = {
        "host": "localhost",
        **question.headers,
        "connection": "close",
        "content-length": str(len(question.body)),
    }
    request = h11.Request(method=method, target=question.path, headers=list(headers.items()))
    for event in (request, h11.Data(data=question.body), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()
    return await _read(connection, reader)


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    status, body = 0, bytearray()
    headers: Mapping[str, str] = {}
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(_PIECE))
            case h11.Response() as response:
                status, headers = response.status_code, _texts(response.headers)
            case h11.Data(data=data):
                body += data
                if len(body) > LARGEST_BODY:
                    raise ConnectionError(f"The answer is larger than {LARGEST_BODY:,} bytes.")
            case h11.EndOfMessage() | h11.ConnectionClosed():
                return Answer(status, headers, bytes(body))
            case _:
                pass


def _texts(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
