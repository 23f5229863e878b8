"""Requests as applications make them: to their own proxy, over connections that are kept alive."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from compiler.demo.failure import DemoFailed
from compiler.demo.shop import Address

_SETTLED: Final = 100
"""So many answers in a row under the new rule, and it holds on every replica."""
_BREATH: Final = 0.0005
"""Seconds between two requests, so that the measurement leaves the machine to what is measured."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer and when it was here, in seconds since 1970; only an application's has a `body`."""

    status: int
    text: str
    at: float
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        return str(self.body.get("version") or "")


class Caller:
    """One kept-alive HTTP/1.1 connection; once it is closed, it is an error to use it, not a reason to open another."""

    def __init__(self, proxy: Address) -> None:
        self._connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=10)
        self._connection.connect()
        self._connection.auto_open = 0

    def get(self, path: str = "/") -> Answer:
        """Raises OSError or HTTPException where the connection is lost."""
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        text = response.read().decode(errors="replace")
        at = time.time()
        is_json = response.headers.get_content_type() == "application/json"
        return Answer(response.status, text, at, json.loads(text) if is_json else {})

    def close(self) -> None:
        self._connection.close()


@contextmanager
def calling(proxy: Address) -> Iterator[Caller]:
    caller = Caller(proxy)
    try:
        yield caller
    finally:
        caller.close()


@dataclass
class Watch:
    """A loop of requests on one connection: when the new rule showed first, and when the old one showed last."""

    caller: Caller
    is_new: Callable[[Answer], bool]
    answers: list[Answer] = field(default_factory=list)
    first_new: float | None = None
    last_old: float = 0.0
    lost: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _turned: threading.Event = field(default_factory=threading.Event)
    _settled: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until told to stop, or the connection is lost."""
        new_in_a_row = 0
        while not self._stop.is_set():
            try:
                answer = self.caller.get()
            except (OSError, http.client.HTTPException) as error:
                self.lost = f"after {len(self.answers):,} answers the connection was lost: {error!r}"
                return
            self.answers.append(answer)
            if self.is_new(answer):
                self.first_new = self.first_new or answer.at
                self._turned.set()
                new_in_a_row += 1
            else:
                self.last_old, new_in_a_row = answer.at, 0
            if new_in_a_row == _SETTLED:
                self._settled.set()
            time.sleep(_BREATH)

    def wait_turned(self, seconds: float) -> float:
        """When the first answer under the new rule was here; raises DemoFailed where none came."""
        self._turned.wait(seconds)
        if self.first_new is None:
            raise DemoFailed(self.lost or f"live traffic did not change within {seconds:.0f} s")
        return self.first_new

    def wait_settled(self, seconds: float) -> float:
        """When every replica follows the new rule: its first answer, or the last one under the old rule if later."""
        first = self.wait_turned(seconds)
        if not self._settled.wait(seconds):
            raise DemoFailed(self.lost or f"some answers still followed the old rule after {seconds:.0f} s")
        return max(first, self.last_old)

    def end(self) -> None:
        self._stop.set()


@contextmanager
def watching(caller: Caller, is_new: Callable[[Answer], bool]) -> Iterator[Watch]:
    """Requests go on while the block runs."""
    watch = Watch(caller, is_new)
    thread = threading.Thread(target=watch.run, name="traffic", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join(2)


def ask_store(proxy: Address, line: str) -> str:
    """One line to the key/value store and its answer; empty where the connection is closed without one."""
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as connection:
        try:
            connection.sendall(line.encode() + b"\n")
            return connection.recv(4096).decode(errors="replace").strip()
        except ConnectionError:
            return ""


def ask_plainly(proxy: Address) -> str:
    """What plain HTTP gets from a port that takes mutual TLS only; empty where the connection is just closed."""
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: backend\r\n\r\n")
            return connection.recv(4096).decode(errors="replace")
        except ConnectionError:
            return ""


class AdminConnection(http.client.HTTPConnection):
    """To an Envoy's admin interface, which is a socket in its folder."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def count_connections(admin: Path, service: str) -> int:
    """How many connections an Envoy has ever opened to a service's instances."""
    connection = AdminConnection(admin)
    connection.request("GET", f"/stats?filter={service}.*upstream_cx_total$")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(int(line.rpartition(":")[2]) for line in lines)
