"""From bytes to frames: the preface, sizes, padding, header blocks in several frames (RFC 9113 §3.4, §4, §6)."""

from typing import Protocol

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.frames import ConnectionFault, Fault, StreamFault


class Frames(Protocol):
    """Who is told of what came; all but `take_data` may raise ConnectionFault and StreamFault."""

    def take_data(self, stream: int, received: bytes, start: int, stop: int, length: int, *, ended: bool) -> None: ...
    def take_headers(self, stream: int, block: bytes, *, ended: bool) -> None: ...
    def take_settings(self, settings: list[tuple[int, int]]) -> None: ...
    def take_settings_ack(self) -> None: ...
    def take_ping(self, payload: bytes) -> None: ...
    def take_pong(self) -> None: ...
    def take_reset(self, stream: int) -> None: ...
    def take_window(self, stream: int, increment: int) -> None: ...
    def take_priority(self, stream: int) -> None: ...
    def take_unknown(self) -> None: ...
    def take_fault(self, fault: StreamFault) -> None: ...


class _Block:
    """A header block whose end has not come."""

    __slots__ = ("continuations", "ended", "octets", "stream")

    def __init__(self, stream: int, octets: bytes, *, ended: bool) -> None:
        self.stream = stream
        self.octets = bytearray(octets)
        self.ended = ended
        self.continuations = 0


class FrameReader:
    """Of one connection; it keeps at most one frame that is not whole and one header block."""

    __slots__ = ("_block", "_bounds", "_prefaced", "_rest", "_settled", "_sink")

    def __init__(self, sink: Frames, bounds: Bounds) -> None:
        self._sink = sink
        self._bounds = bounds
        self._rest = b""
        self._prefaced = False
        self._settled = False
        self._block: _Block | None = None

    def feed(self, received: bytes) -> None:
        """Raises ConnectionFault, after which nothing may be fed."""
        if self._rest:
            received = self._rest + received
            self._rest = b""
        if self._prefaced:
            position = 0
        elif (position := self._read_preface(received)) == 0:
            self._rest = received
            return
        end = len(received)
        while end - position >= 9:
            high, low, kind, flags, stream = frames.HEAD.unpack_from(received, position)
            length = high << 8 | low
            if length > frames.SMALLEST_FRAME:
                raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "a frame of more than 16,384 bytes")
            start = position + 9
            position = start + length
            if position > end:
                position = start - 9
                break
            try:
                if kind == frames.DATA and not flags and self._settled and self._block is None:
                    self._sink.take_data(stream & 0x7FFFFFFF, received, start, position, length, ended=False)
                else:
                    self._take(kind, flags, stream & 0x7FFFFFFF, received, start, position)
            except StreamFault as fault:
                self._sink.take_fault(fault)
        if position < end:
            self._rest = received[position:]

    def _read_preface(self, received: bytes) -> int:
        """How long it is; 0 while it may still come."""
        if len(received) < len(frames.PREFACE) and frames.PREFACE.startswith(received):
            return 0
        if not received.startswith(frames.PREFACE):
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "no preface of HTTP/2")
        self._prefaced = True
        return len(frames.PREFACE)

    def _take(self, kind: int, flags: int, stream: int, received: bytes, start: int, stop: int) -> None:
        block = self._block
        if block is not None and (kind != frames.CONTINUATION or stream != block.stream):
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a header block was not gone on with")
        if not self._settled and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "the first frame is SETTINGS")
        if kind == frames.DATA:
            self._take_data(flags, stream, received, start, stop)
        elif kind > frames.CONTINUATION:
            self._sink.take_unknown()
        else:
            self._take_known(kind, flags, stream, received[start:stop])

    def _take_known(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case frames.HEADERS:
                self._take_headers(flags, stream, payload)
            case frames.WINDOW_UPDATE:
                self._take_window(stream, payload)
            case frames.PING:
                self._take_ping(flags, stream, payload)
            case frames.SETTINGS:
                self._take_settings(flags, stream, payload)
            case frames.RST_STREAM:
                self._take_reset(stream, payload)
            case frames.CONTINUATION:
                self._take_continuation(flags, payload)
            case frames.PRIORITY:
                self._take_priority(stream, payload)
            case frames.GOAWAY:
                self._take_goaway(stream, payload)
            case _:
                raise ConnectionFault(Fault.PROTOCOL_ERROR, "a client pushes nothing")

    def _take_data(self, flags: int, stream: int, received: bytes, start: int, stop: int) -> None:
        """Padding counts for flow control, and for nothing else."""
        _expect_stream(stream)
        first, last = start, stop
        if flags & frames.PADDED:
            if start == stop:
                raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "padding without its length")
            first, last = start + 1, stop - received[start]
            if last < first:
                raise ConnectionFault(Fault.PROTOCOL_ERROR, "padding that is longer than its frame")
        self._sink.take_data(stream, received, first, last, stop - start, ended=bool(flags & frames.END_STREAM))

    def _take_headers(self, flags: int, stream: int, payload: bytes) -> None:
        _expect_stream(stream)
        if flags & frames.PADDED:
            payload = _strip_padding(payload)
        depends = -1
        if flags & frames.PRIORITIZED:
            if len(payload) < 5:
                raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "priority of less than five bytes")
            depends, payload = frames.read_word(payload), payload[5:]
        self._block = _Block(stream, payload, ended=bool(flags & frames.END_STREAM))
        if depends == stream:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a stream depends on itself")
        if flags & frames.END_HEADERS:
            self._end_block(self._block)

    def _take_continuation(self, flags: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "nothing to go on with")
        block.octets += payload
        block.continuations += 1
        if block.continuations > self._bounds.continuations or len(block.octets) > 2 * self._bounds.metadata_bytes:
            raise ConnectionFault(Fault.ENHANCE_YOUR_CALM, "too long a header block")
        if flags & frames.END_HEADERS:
            self._end_block(block)

    def _end_block(self, block: _Block) -> None:
        self._block = None
        self._sink.take_headers(block.stream, bytes(block.octets), ended=block.ended)

    def _take_priority(self, stream: int, payload: bytes) -> None:
        _expect_stream(stream)
        if len(payload) != 5:
            raise StreamFault(stream, Fault.FRAME_SIZE_ERROR, "PRIORITY has five bytes")
        if frames.read_word(payload) == stream:
            raise StreamFault(stream, Fault.PROTOCOL_ERROR, "a stream depends on itself")
        self._sink.take_priority(stream)

    def _take_reset(self, stream: int, payload: bytes) -> None:
        _expect_stream(stream)
        _expect_length(payload, 4)
        self._sink.take_reset(stream)

    def _take_settings(self, flags: int, stream: int, payload: bytes) -> None:
        _expect_connection(stream)
        if flags & frames.ACK:
            _expect_length(payload, 0)
            self._sink.take_settings_ack()
        elif len(payload) % 6:
            raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "half a setting")
        else:
            self._settled = True
            self._sink.take_settings(frames.read_settings(payload))

    def _take_ping(self, flags: int, stream: int, payload: bytes) -> None:
        _expect_connection(stream)
        _expect_length(payload, 8)
        if flags & frames.ACK:
            self._sink.take_pong()
        else:
            self._sink.take_ping(payload)

    def _take_goaway(self, stream: int, payload: bytes) -> None:
        """Its streams go on; and it will close the connection itself."""
        _expect_connection(stream)
        if len(payload) < 8:
            raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "GOAWAY has eight bytes at least")
        self._sink.take_unknown()

    def _take_window(self, stream: int, payload: bytes) -> None:
        _expect_length(payload, 4)
        self._sink.take_window(stream, frames.read_word(payload))


def _expect_stream(stream: int) -> None:
    if stream == 0:
        raise ConnectionFault(Fault.PROTOCOL_ERROR, "a frame of a stream without its number")


def _expect_connection(stream: int) -> None:
    if stream != 0:
        raise ConnectionFault(Fault.PROTOCOL_ERROR, "a frame of the connection with a stream's number")


def _expect_length(payload: bytes, length: int) -> None:
    if len(payload) != length:
        raise ConnectionFault(Fault.FRAME_SIZE_ERROR, f"a frame of {len(payload)} bytes instead of {length}")


def _strip_padding(payload: bytes) -> bytes:
    if not payload:
        raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "padding without its length")
    if payload[0] >= len(payload):
        raise ConnectionFault(Fault.PROTOCOL_ERROR, "padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]
