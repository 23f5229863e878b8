"""Listens, accepts, and now and then looks at what did not happen; the rest is the connections'."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from compiler.http2.bounds import Bounds
from compiler.http2.calls import Open
from compiler.http2.connection import Connection, Surroundings
from compiler.http2.tls import TlsWire, secure
from compiler.http2.wire import SocketWire

log = structlog.get_logger("http2")

_BACKLOG: Final = 16_384
"""Connections that wait to be accepted: a fleet comes back at once. The system may allow fewer."""

_ACCEPTED_AT_ONCE: Final = 32
"""In one turn of the event loop; those that are there want to be answered too."""

_ROOM: Final = 64 * 1024
"""Bytes that are read at once."""

_SECONDS_BETWEEN_LOOKS: Final = 2.5
"""At all connections, of which 10,000 take some 10 ms: all that is looked for may be noticed a little late."""

_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Http2Server:
    """Everything runs on the event loop that `serve` was called on; methods are by path, `/package.Service/Method`."""

    def __init__(self, methods: Mapping[str, Open], bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._methods = methods
        self._listening: list[socket.socket] = []
        self._peers: dict[SocketWire, Connection | TlsWire] = {}
        self._young: dict[SocketWire, float] = {}
        self._room = memoryview(bytearray(_ROOM))
        self._looking: asyncio.TimerHandle | None = None
        self._around: Surroundings | None = None
        self._emptied: asyncio.Event | None = None

    async def serve(self, address: str, *, tls: ssl.SSLContext | None = None) -> int:
        """Returns the bound port, 0 for `unix:PATH`; raises OSError where the address cannot be had."""
        loop = asyncio.get_running_loop()
        if self._around is None:
            self._around = self._make_surroundings(loop)
            self._look()
        if tls is not None:
            secure(tls)
        listening = await _listen(address, loop)
        self._listening.append(listening)
        loop.add_reader(listening, self._accept, listening, tls)
        return 0 if listening.family == socket.AF_UNIX else int(listening.getsockname()[1])

    async def stop(self, grace: float) -> None:
        """Nobody is accepted any more, and whatever is left after so many seconds is cut."""
        self._stop_listening()
        self._emptied = asyncio.Event()
        for number, peer in enumerate(tuple(self._peers.values())):
            peer.retire()
            if number % 64 == 63:
                await asyncio.sleep(0)
        if self._peers:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._emptied.wait()
        for wire, peer in tuple(self._peers.items()):
            peer.cut()
            wire.abort()
        if self._looking is not None:
            self._looking.cancel()
        self._around = None

    @property
    def connections(self) -> int:
        return len(self._peers)

    def _make_surroundings(self, loop: asyncio.AbstractEventLoop) -> Surroundings:
        return Surroundings(
            bounds=self._bounds,
            methods=self._methods,
            now=loop.time,
            soon=loop.call_soon,
            later=lambda seconds, callback: loop.call_later(seconds, callback).cancel,
        )

    def _stop_listening(self) -> None:
        loop = asyncio.get_running_loop()
        for listening in self._listening:
            loop.remove_reader(listening)
            if listening.family == socket.AF_UNIX:
                Path(listening.getsockname()).unlink(missing_ok=True)
            listening.close()
        self._listening.clear()

    def _accept(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                self._rest(listening, tls, error)
                return
            self._open(accepted, name_address(accepted.family, address), tls)

    def _rest(self, listening: socket.socket, tls: ssl.SSLContext | None, error: OSError) -> None:
        """Files come free when somebody leaves; until then the listening socket would be readable all the time."""
        log.error("accept-failed", error=str(error))
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)

        def go_on() -> None:
            if listening in self._listening:
                loop.add_reader(listening, self._accept, listening, tls)

        loop.call_later(1.0, go_on)

    def _open(self, accepted: socket.socket, address: str, tls: ssl.SSLContext | None) -> None:
        around = self._around
        if around is None:
            accepted.close()
            return
        accepted.setblocking(False)
        wire = SocketWire(accepted, asyncio.get_running_loop(), self._room, self._forget)
        peer = Connection(wire, around, address, {}) if tls is None else TlsWire(wire, around, address, tls)
        self._peers[wire] = peer
        self._young[wire] = around.now()
        wire.start(peer)

    def _forget(self, wire: SocketWire) -> None:
        self._peers.pop(wire, None)
        self._young.pop(wire, None)
        if not self._peers and self._emptied is not None:
            self._emptied.set()

    def _look(self) -> None:
        """One timer for all: who does not shake hands, is quiet, takes nothing, or does not go."""
        loop, bounds = asyncio.get_running_loop(), self._bounds
        shortest = min(bounds.handshake, bounds.linger, bounds.keepalive_time, bounds.keepalive_timeout, bounds.idle)
        self._looking = loop.call_later(min(_SECONDS_BETWEEN_LOOKS, shortest / 2), self._look)
        now = loop.time()
        for wire, since in tuple(self._young.items()):
            if now - since < bounds.handshake:
                break
            del self._young[wire]
            self._peers[wire].check_settled()
        for wire, peer in tuple(self._peers.items()):
            peer.look(now)
            wire.look(now, bounds.linger)


async def _listen(address: str, loop: asyncio.AbstractEventLoop) -> socket.socket:
    """`127.0.0.1:0`, `[::1]:0`, `name:port`, `unix:PATH`; a socket file that nobody listens at is replaced."""
    if address.startswith("unix:"):
        return _listen_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    found = await loop.getaddrinfo(host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, place = found[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # What is accepted inherits it.
        if family == socket.AF_INET6 and host in {"", "::"}:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(place)
    except OSError:
        listening.close()
        raise
    return _begin(listening)


def _listen_unix(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).is_socket():
            _check_deserted(path)
        listening.bind(path)
    except OSError:
        listening.close()
        raise
    return _begin(listening)


def _check_deserted(path: str) -> None:
    """Raises OSError where somebody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise OSError(errno.EADDRINUSE, f"{path} is somebody's already")


def _begin(listening: socket.socket) -> socket.socket:
    listening.setblocking(False)
    listening.listen(_BACKLOG)
    return listening


def name_address(family: int, address: Any) -> str:
    """As gRPC writes it."""
    if family == socket.AF_UNIX:
        return f"unix:{address if isinstance(address, str) else ''}"
    host, port = address[:2]
    if host.startswith("::ffff:") and "." in host:
        return f"ipv4:{host.removeprefix('::ffff:')}:{port}"
    return f"ipv6:[{host}]:{port}" if family == socket.AF_INET6 else f"ipv4:{host}:{port}"
