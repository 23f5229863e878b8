"""A small HTTP/1.1 server for what is asked of us beside Envoy: readiness and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress

import h11

from compiler.dataplane.http_client import Answer, Question

Answering = Callable[[Question], Awaitable[Answer]]
Accepting = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]

_PIECE = 65536
_IDLE_SECONDS = 60.0
_LARGEST_REQUEST = 65536
_REASONS = {200: b"OK", 404: b"Not Found", 503: b"Service Unavailable"}


def serve(answering: Answering) -> Accepting:
    """For `asyncio.start_server` and its like: connections are kept, and end when nothing is asked for a minute."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, h11.ProtocolError):
            await _talk(answering, reader, writer)
        writer.close()

    return accept(talk)


def accept(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]) -> Accepting:
    """Each connection is a task of ours: those of asyncio's own tell of their end by an error when we stop."""
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(talk(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return begin


async def _talk(answering: Answering, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h11.Connection(h11.SERVER)
    while (question := await _read(connection, reader)) is not None:
        answer = await answering(question)
        headers = [*answer.headers.items(), ("content-length", str(len(answer.body)))]
        response = h11.Response(status_code=answer.status, headers=headers, reason=_REASONS.get(answer.status, b""))
        for event in (response, h11.Data(data=answer.body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        if connection.our_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Question | None:
    """The next request; None where the caller has gone. A body is read, so that the next one is found behind it."""
    question, length = None, 0
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                async with asyncio.timeout(_IDLE_SECONDS):
                    data = await reader.read(_PIECE)
                connection.receive_data(data)
            case h11.Request() as request:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
                question = Question(request.target.decode("latin-1"), headers)
            case h11.Data(data=data):
                length += len(data)
                if length > _LARGEST_REQUEST:
                    raise ConnectionError("The request is too large.")
            case h11.EndOfMessage():
                return question
            case _:
                return None
