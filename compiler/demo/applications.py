"""The applications that `make demo` puts into a mesh: an HTTP service that says who called it, a key/value store."""

import argparse
import asyncio
import json
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field

import h11

CALLER_HEADER = b"x-forwarded-client-cert"
"""Envoy writes it from the caller's verified certificate."""

_VERSIONED = re.compile(r"(?P<service>.+)-(?P<version>v[0-9]+)")
_READ_BYTES = 65_536
_LONGEST_LINE = 65_536
_MOST_KEYS = 100_000

Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@dataclass(slots=True)
class HttpApplication:
    """Answers any request with JSON: which service and version this is, and whose certificate the caller showed."""

    name: str
    requests: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """HTTP/1.1 with keep-alive, until the caller goes or breaks the protocol."""
        connection = h11.Connection(h11.SERVER)
        try:
            while await self._exchange(connection, reader, writer):
                connection.start_next_cycle()
        except (h11.RemoteProtocolError, ConnectionError):
            return
        finally:
            writer.close()

    async def _exchange(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One request and its answer; true where another may follow."""
        request = await _next_request(connection, reader, writer)
        if request is None:
            return False
        self.requests += 1
        writer.write(_answer(connection, request, self._body(request)))
        await writer.drain()
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    def _body(self, request: h11.Request) -> bytes:
        service, version = split_name(self.name)
        caller = next((value.decode("latin-1") for name, value in request.headers if name == CALLER_HEADER), None)
        answer = {
            "service": service,
            "version": version,
            "method": request.method.decode("ascii"),
            "path": request.target.decode("ascii"),
            "caller": caller,
            "requests": self.requests,
        }
        return json.dumps(answer).encode() + b"\n"


async def _next_request(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> h11.Request | None:
    """Read to the end of its body, which is dropped; None where the caller has gone."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                await _invite_body(connection, writer)
                connection.receive_data(await reader.read(_READ_BYTES))
            case h11.Request():
                request = event
            case h11.EndOfMessage():
                return request
            case h11.ConnectionClosed() | h11.PAUSED:
                return None


async def _invite_body(connection: h11.Connection, writer: asyncio.StreamWriter) -> None:
    """A caller that said `Expect: 100-continue` waits for this before it sends a body."""
    if connection.they_are_waiting_for_100_continue:
        writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        await writer.drain()


def _answer(connection: h11.Connection, request: h11.Request, body: bytes) -> bytes:
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    events = [h11.Response(status_code=200, headers=headers), h11.Data(data=body), h11.EndOfMessage()]
    if request.method == b"HEAD":
        del events[1]
    return b"".join(connection.send(event) or b"" for event in events)


@dataclass(slots=True)
class KeyValueStore:
    """A database in small: a line in, a line out. SET key value, GET key, DEL key, PING."""

    entries: dict[str, str] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the caller goes, or sends a line that is too long."""
        try:
            while line := await reader.readline():
                writer.write(self.answer(line.decode("utf-8", "replace").strip()).encode() + b"\n")
                await writer.drain()
        except ValueError:
            writer.write(f"ERR a line has at most {_LONGEST_LINE} bytes\n".encode())
        except ConnectionError:
            return
        finally:
            writer.close()

    def answer(self, line: str) -> str:
        """What a client is told; an unknown key is `NIL`."""
        match line.split(maxsplit=2):
            case ["PING"]:
                return "PONG"
            case ["GET", key]:
                return self.entries.get(key, "NIL")
            case ["DEL", key]:
                return "OK" if self.entries.pop(key, None) is not None else "NIL"
            case ["SET", key, _] if key not in self.entries and len(self.entries) >= _MOST_KEYS:
                return f"ERR full: {_MOST_KEYS} keys"
            case ["SET", key, value]:
                self.entries[key] = value
                return "OK"
            case _:
                return "ERR say SET key value, GET key, DEL key or PING"


def split_name(name: str) -> tuple[str, str | None]:
    """`backend-v1` is version v1 of `backend`; a name without version has none."""
    versioned = _VERSIONED.fullmatch(name)
    return (versioned["service"], versioned["version"]) if versioned else (name, None)


async def run_application(name: str, kind: str, host: str, port: int) -> None:
    """Prints one line of JSON when it listens (port 0 is chosen by the system), ends at SIGTERM or SIGINT."""
    serve: Connection = HttpApplication(name).serve if kind == "http" else KeyValueStore().serve
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await asyncio.start_server(_accept(serve), host, port, limit=_LONGEST_LINE, backlog=1024)
    ready = {"event": "ready", "name": name, "kind": kind, "port": server.sockets[0].getsockname()[1]}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    server.close()


def _accept(serve: Connection) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    """In tasks of our own: asyncio 3.11 prints a traceback for each of its own that the end of the program cancels."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return accept


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m compiler.demo.applications --name backend-v1 --port 8080 --kind http`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="service and version, as backend-v1")
    parser.add_argument("--kind", choices=("http", "tcp"), default="http")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one, which the ready line names")
    chosen = parser.parse_args(arguments)
    try:
        asyncio.run(run_application(chosen.name, chosen.kind, chosen.host, chosen.port))
    except OSError as error:
        sys.exit(f"{chosen.name} cannot listen on {chosen.host}:{chosen.port}: {error.strerror}")


if __name__ == "__main__":
    main()
