"""A connection's socket, watched by the event loop itself: no transport of asyncio stands in between."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol

_AT_ONCE: Final = 16 * 1024
"""Bytes that are rather joined than handed over in pieces."""

_PIECES: Final = 512
"""Of one call of the system; Linux takes 1,024."""


class Listener(Protocol):
    """Who is told of bytes: a connection, or TLS before one."""

    def receive(self, received: bytes) -> None: ...
    def drain(self) -> None: ...
    def lose(self) -> None: ...


class SocketWire:
    """`room` is where all sockets of a server are read into, one after the other."""

    __slots__ = ("_closing_since", "_kept", "_loop", "_number", "_on_end", "_room", "_socket", "listener")

    def __init__(
        self,
        accepted: socket.socket,
        loop: asyncio.AbstractEventLoop,
        room: memoryview,
        on_end: Callable[["SocketWire"], None],
    ) -> None:
        self._socket = accepted
        self._number = accepted.fileno()
        self._loop = loop
        self._room = room
        self._on_end = on_end
        self._kept: deque[memoryview] | None = None
        self._closing_since: float | None = None
        self.listener: Listener | None = None

    def start(self, listener: Listener) -> None:
        self.listener = listener
        self._loop.add_reader(self._number, self._on_readable)

    def send(self, pieces: list[bytes | memoryview]) -> bool:
        """False where not all was taken; the listener is told once it is."""
        if self._number < 0:
            return False
        if self._kept is not None:
            self._kept.extend(memoryview(piece) for piece in pieces)
            return False
        joined = _join(pieces)
        sent = self._try(joined)
        if sent == sum(map(len, joined)):
            return True
        self._kept = deque(memoryview(piece) for piece in joined)
        _drop(self._kept, sent)
        if self._number >= 0:
            self._loop.add_writer(self._number, self._on_writable)
        return False

    def close(self) -> None:
        """What is kept goes out first; the peer's own words are read and forgotten, or it might never see our last."""
        if self._closing_since is None and self._number >= 0:
            self._closing_since = self._loop.time()
            self._shut_if_sent()

    def abort(self) -> None:
        """At once, and without a word to the listener."""
        if self._number < 0:
            return
        self._loop.remove_reader(self._number)
        self._loop.remove_writer(self._number)
        self._number = -1
        self._kept = None
        self.listener = None  # It knows this wire, and neither is left to the garbage collector.
        self._socket.close()
        self._on_end(self)

    def look(self, now: float, linger: float) -> None:
        if self._closing_since is not None and now - self._closing_since >= linger:
            self.abort()

    def _on_readable(self) -> None:
        try:
            count = self._socket.recv_into(self._room)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if count == 0:
            self._break()
        elif self._closing_since is None:
            self._tell(self._room[:count].tobytes())

    def _tell(self, received: bytes) -> None:
        """A defect of ours ends the connection; the event loop reports it."""
        try:
            self.listener.receive(received)  # type: ignore[union-attr]  # it is there before anything is read
        except BaseException:
            self._break()
            raise

    def _on_writable(self) -> None:
        kept = self._kept
        if kept is None:
            return
        _drop(kept, self._try(list(islice(kept, _PIECES))))
        if kept or self._number < 0:
            return
        self._kept = None
        self._loop.remove_writer(self._number)
        if self._closing_since is None:
            self.listener.drain()  # type: ignore[union-attr]  # it is who has sent
        else:
            self._shut_if_sent()

    def _try(self, pieces: list[bytes] | list[memoryview] | list[bytes | memoryview]) -> int:
        try:
            return self._socket.send(pieces[0]) if len(pieces) == 1 else self._socket.sendmsg(pieces[:_PIECES])
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._loop.call_soon(self._break)
            return 0

    def _shut_if_sent(self) -> None:
        if self._kept is None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def _break(self) -> None:
        """The peer is gone."""
        listener = self.listener
        self.abort()
        if listener is not None:
            listener.lose()


def _join(pieces: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """Small ones as one: a copy costs less than a list of them does the system."""
    if len(pieces) == 1 or sum(map(len, pieces)) > _AT_ONCE:
        return pieces
    return [b"".join(pieces)]


def _drop(kept: deque[memoryview], sent: int) -> None:
    """What was taken."""
    while sent:
        first = kept[0]
        if len(first) > sent:
            kept[0] = first[sent:]
            return
        sent -= len(first)
        kept.popleft()
