"""Requests as applications make them: to their own proxy, over one connection that is kept alive."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.places import Place

PATIENCE = 30.0
"""Seconds until a test gives up waiting, on a slow and busy machine; not a bound that anything promises."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`at` is when it was here, in seconds since 1970; `body` is an application's, if one answered."""

    status: int
    text: str
    headers: Mapping[str, str]
    at: float

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def application(self) -> str:
        return self.headers.get("served-by", "")


class Caller:
    """One connection; a lost one is an error, not a reason to open another."""

    def __init__(self, place: Place) -> None:
        self._connection = http.client.HTTPConnection(place.host, place.port, timeout=PATIENCE)
        self._connection.connect()
        self._connection.auto_open = 0

    def get(self, path: str = "/", **headers: str) -> Answer:
        """Raises OSError or HTTPException where the connection is lost."""
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        text = response.read().decode()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, text, found, time.time())

    def until(self, holds: Callable[[Answer], bool], path: str = "/") -> Answer:
        """The first answer for which it holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds(answer := self.get(path)):
            assert time.monotonic() < deadline, f"still {answer.status} {answer.text[:200]}"
            time.sleep(0.001)
        return answer

    def close(self) -> None:
        self._connection.close()


@contextmanager
def calling(place: Place) -> Iterator[Caller]:
    caller = Caller(place)
    try:
        yield caller
    finally:
        caller.close()


def get(place: Place, path: str = "/", **headers: str) -> Answer:
    """On a connection of its own."""
    with calling(place) as caller:
        return caller.get(path, **headers)


@dataclass
class Load:
    """What came of requests that were made one after the other, without a pause worth mentioning."""

    answers: list[Answer] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        return self.lost + [f"{one.status} {one.text[:200]}" for one in self.answers if one.status != 200]


@contextmanager
def loading(place: Place, connections: int = 2) -> Iterator[Load]:
    """Requests go on while the block runs, on connections that stay; a lost one is noted, and replaced.

    The block begins when the first has been answered, or lost.
    """
    load, stop = Load(), threading.Event()
    threads = [threading.Thread(target=_request, args=(place, load, stop), daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while not (load.answers or load.lost) and time.monotonic() < deadline:
            time.sleep(0.001)
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)


def _request(place: Place, load: Load, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with calling(place) as caller:
                while not stop.is_set():
                    load.answers.append(caller.get())
                    time.sleep(0.004)
        except (OSError, http.client.HTTPException) as error:
            load.lost.append(repr(error))
            time.sleep(0.05)


class Line:
    """A TCP connection to a store."""

    def __init__(self, place: Place) -> None:
        self._socket = socket.create_connection((place.host, place.port), timeout=PATIENCE)

    def ask(self, line: str) -> str:
        """Empty where the connection was closed instead."""
        try:
            self._socket.sendall(line.encode() + b"\n")
            return self._socket.recv(4096).decode().strip()
        except ConnectionError:
            return ""

    def wait_closed(self) -> float:
        """Seconds until the other side closed it."""
        began = time.monotonic()
        with suppress(ConnectionError):
            assert self._socket.recv(1) == b""
        return time.monotonic() - began

    def close(self) -> None:
        self._socket.close()


def ask(place: Place, line: str) -> str:
    """On a connection of its own."""
    connection = Line(place)
    try:
        return connection.ask(line)
    finally:
        connection.close()


def ask_plainly(place: Place) -> str:
    """What plain HTTP gets from a port."""
    return ask(place, "GET /plain HTTP/1.1\r\nhost: shop\r\n\r")


def is_tls_refusal(said: str) -> bool:
    """Nothing, or an alert in place of a handshake."""
    return not said or said.startswith("\x15\x03")
