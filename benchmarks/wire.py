"""The client's side of one ADS stream on a connection of its own, as bare as HTTP/2 allows.

It shares a machine with what it measures, and a library's client costs as much as a library's server.
"""

import asyncio
import struct
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Final

METHOD: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_HEAD: Final = 9
_PREFIX: Final = 5
_INITIAL_WINDOW: Final = 0x4
_LARGEST_WINDOW: Final = 0x7FFFFFFF
_WINDOW_AT_FIRST: Final = 65_535
_LARGEST_FRAME: Final = 16_384
_STREAM: Final = 1


class Frame(IntEnum):
    """Those of RFC 9113 that either side of such a stream sends."""

    DATA = 0
    HEADERS = 1
    RESET = 3
    SETTINGS = 4
    PING = 6
    AWAY = 7
    WINDOW = 8


class Wire(asyncio.Protocol):
    """`reads` false: all is taken from the socket and no window is given back, so the server has to wait for ever."""

    def __init__(self, authority: str, take: Callable[[bytes], None], *, reads: bool) -> None:
        self.heard = asyncio.Event()
        self.lost = asyncio.Event()
        self._authority = authority
        self._take = take
        self._reads = reads
        self._unread = bytearray()
        self._message = bytearray()
        self._unsent = bytearray()
        self._stream_window = self._connection_window = self._first_window = _WINDOW_AT_FIRST
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        window = struct.pack("!HI", _INITIAL_WINDOW, _LARGEST_WINDOW) if self._reads else b""
        opening = [_PREFACE, _frame(Frame.SETTINGS, 0, 0, window)]
        if self._reads:
            opening.append(_frame(Frame.WINDOW, 0, 0, struct.pack("!I", _LARGEST_WINDOW - _WINDOW_AT_FIRST)))
        transport.write(
            b"".join((*opening, _frame(Frame.HEADERS, _END_HEADERS, _STREAM, _write_headers(self._authority))))
        )

    def send(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            self._unsent += struct.pack("!BI", 0, len(message)) + message
        self._flush()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self.heard.set()
        self.lost.set()

    def data_received(self, received: bytes) -> None:
        unread = self._unread
        unread += received
        at = 0
        while len(unread) - at >= _HEAD:
            end = at + _HEAD + int.from_bytes(unread[at : at + 3])
            if len(unread) < end:
                break
            kind, flags, stream = unread[at + 3], unread[at + 4], int.from_bytes(unread[at + 5 : at + _HEAD])
            self._take_frame(kind, flags, stream, bytes(unread[at + _HEAD : end]))
            at = end
        del unread[:at]

    def _take_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case Frame.DATA:
                self._take_data(payload)
            case Frame.SETTINGS if not flags & _ACK:
                self._take_settings(payload)
            case Frame.PING if not flags & _ACK:
                self._write(_frame(Frame.PING, _ACK, 0, payload))
            case Frame.WINDOW:
                self._widen(stream, int.from_bytes(payload))
        ends = kind in (Frame.RESET, Frame.AWAY) or (kind in (Frame.DATA, Frame.HEADERS) and flags & _END_STREAM)
        if ends:
            self.close()

    def _take_data(self, payload: bytes) -> None:
        """Mostly a frame is a message or some of them."""
        message = self._message
        message += payload
        at = 0
        while len(message) - at >= _PREFIX:
            end = at + _PREFIX + int.from_bytes(message[at + 1 : at + _PREFIX])
            if len(message) < end:
                break
            self._take(bytes(message[at + _PREFIX : end]))
            self.heard.set()
            at = end
        del message[:at]

    def _take_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack("!HI", payload):
            if name == _INITIAL_WINDOW:
                self._stream_window += value - self._first_window
                self._first_window = value
        self._write(_frame(Frame.SETTINGS, _ACK, 0, b""))
        self._flush()

    def _widen(self, stream: int, more: int) -> None:
        if stream:
            self._stream_window += more
        else:
            self._connection_window += more
        self._flush()

    def _flush(self) -> None:
        """As much as the server has windows for."""
        fits = min(len(self._unsent), self._stream_window, self._connection_window, _LARGEST_FRAME)
        while fits > 0:
            self._write(_frame(Frame.DATA, 0, _STREAM, bytes(self._unsent[:fits])))
            del self._unsent[:fits]
            self._stream_window -= fits
            self._connection_window -= fits
            fits = min(len(self._unsent), self._stream_window, self._connection_window, _LARGEST_FRAME)

    def _write(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload) << 8 | kind) + struct.pack("!BI", flags, stream) + payload


def _write_headers(authority: str) -> bytes:
    """Each as a literal that enters no table."""
    fields = (
        *((":method", "POST"), (":scheme", "http"), (":path", METHOD), (":authority", authority)),
        *(("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "meshwright-benchmarks")),
    )
    return b"".join(b"\0" + _write_text(name) + _write_text(value) for name, value in fields)


def _write_text(text: str) -> bytes:
    """All are shorter than the 127 bytes from which a length takes more than one."""
    return bytes((len(text),)) + text.encode()
