"""A connection without a socket: frames in, frames out, a clock by hand."""

import gc
from collections import deque
from collections.abc import Callable, Iterable
from struct import Struct
from typing import NamedTuple

from hpack import Decoder, Encoder

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.calls import Call
from compiler.http2.connection import Connection, Surroundings
from compiler.http2.frames import write_frame
from compiler.http2.status import Status

PATH = "/echo.Echo/Talk"
_HEAD = Struct(">HBBBL")
WINDOW = frames.LARGEST_WINDOW


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def parse(said: bytes) -> list[Frame]:
    """All of it: what is no whole frame fails."""
    found, position = [], 0
    while position < len(said):
        high, low, kind, flags, stream = _HEAD.unpack_from(said, position)
        start = position + 9
        position = start + (high << 8 | low)
        assert position <= len(said), "half a frame"
        found.append(Frame(kind, flags, stream, said[start:position]))
    return found


def message(content: bytes, compressed: int = 0) -> bytes:
    return bytes((compressed,)) + len(content).to_bytes(4, "big") + content


def data(stream: int, payload: bytes, *, ended: bool = False, padding: int | None = None) -> bytes:
    flags = frames.END_STREAM if ended else 0
    if padding is None:
        return write_frame(frames.DATA, flags, stream, payload)
    return write_frame(frames.DATA, flags | frames.PADDED, stream, bytes((padding,)) + payload + bytes(padding))


def headers(stream: int, block: bytes, *, ended: bool = False) -> bytes:
    flags = frames.END_HEADERS | (frames.END_STREAM if ended else 0)
    return write_frame(frames.HEADERS, flags, stream, block)


def settings(*changes: tuple[int, int]) -> bytes:
    return frames.write_settings(changes)


def request(*extra: tuple[str, str], path: str = PATH, without: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Of an ordinary call; what is given anew replaces what is there."""
    plain = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "meshwright"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    given = {name for name, _ in extra}
    kept = [(name, value) for name, value in plain if name not in given and name not in without]
    extras = sorted(extra, key=lambda field: not field[0].startswith(":"))
    return [*(field for field in extras if field[0].startswith(":")), *kept] + [
        field for field in extras if not field[0].startswith(":")
    ]


class FakeWire:
    """Takes so many bytes, and then none until it is drained."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.writes = 0
        self.longest = 0
        self.room: int | None = None
        self.kept = bytearray()
        self.closed = self.aborted = False

    def send(self, pieces: list[bytes | memoryview]) -> bool:
        self.writes += 1
        self.longest = max(self.longest, sum(map(len, pieces)))
        self.kept += b"".join(pieces)
        return self.take()

    def take(self) -> bool:
        size = len(self.kept) if self.room is None else min(self.room, len(self.kept))
        self.sent += self.kept[:size]
        del self.kept[:size]
        if self.room is not None:
            self.room -= size
        return not self.kept

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


class Told:
    """An application that writes down what it is told, and says what the test gives it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.received: list[bytes] = []
        self.due: deque[bytes] = deque()
        self.pulled = 0
        self.half_closed = self.lost = 0

    def receive(self, message: bytes) -> None:
        assert not self.lost
        self.received.append(message)

    def pull(self) -> bytes | None:
        assert not self.lost
        self.pulled += 1
        return self.due.popleft() if self.due else None

    def half_close(self) -> None:
        assert not self.lost
        self.half_closed += 1

    def lose(self) -> None:
        self.lost += 1

    def say(self, *messages: bytes) -> None:
        self.due.extend(messages)
        self.call.stir()


class Echo(Told):
    """Says what it was told, and ends when the client has."""

    def receive(self, message: bytes) -> None:
        super().receive(message)
        self.due.append(message)
        self.call.stir()

    def pull(self) -> bytes | None:
        message = super().pull()
        if message is None and self.half_closed:
            self.call.finish(Status.OK, "")
        return message

    def half_close(self) -> None:
        super().half_close()
        self.call.stir()


class Conversation:
    """`calls` are the applications in the order in which they were opened."""

    def __init__(self, bounds: Bounds | None = None, application: Callable[[Call], Told] = Told) -> None:
        self.wire = FakeWire()
        self.calls: list[Told] = []
        self.now = 1000.0
        self.soon: deque[Callable[[], None]] = deque()
        self.timers: dict[int, tuple[float, Callable[[], None]]] = {}
        self.encoder = Encoder()
        self._decoder = Decoder()

        def opening(call: Call) -> Told:
            self.calls.append(application(call))
            return self.calls[-1]

        self.around = Surroundings(
            bounds or Bounds(), {PATH: opening}, lambda: self.now, self.soon.append, self._set_timer
        )
        self.connection = Connection(self.wire, self.around, "ipv4:192.0.2.1:4000", {})

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        number = len(self.timers)
        self.timers[number] = (self.now + seconds, callback)

        def cancel() -> None:
            self.timers.pop(number, None)

        return cancel

    def say(self, *said: bytes) -> list[Frame]:
        """What is answered to this."""
        self.connection.receive(b"".join(said))
        return self.hear()

    def hear(self) -> list[Frame]:
        self.settle()
        heard = parse(bytes(self.wire.sent))
        self.wire.sent.clear()
        return heard

    def settle(self) -> None:
        while self.soon:
            self.soon.popleft()()

    def drain(self, room: int | None = None) -> list[Frame]:
        """The socket takes again."""
        self.wire.room = room
        if self.wire.take():
            self.connection.drain()
        return self.hear()

    def wait(self, seconds: float) -> list[Frame]:
        self.now += seconds
        for number, (due, callback) in tuple(self.timers.items()):
            if due <= self.now:
                self.timers.pop(number)
                callback()
        self.connection.look(self.now)
        return self.hear()

    def greet(self, *changes: tuple[int, int]) -> list[Frame]:
        """Both prefaces, and both ACKs."""
        return self.say(frames.PREFACE, settings(*changes), frames.SETTINGS_ACK)

    def open(self, stream: int = 1, *extra: tuple[str, str], ended: bool = False) -> Told:
        self.say(headers(stream, self.encoder.encode(request(*extra)), ended=ended))
        return self.calls[-1]

    def decode(self, frame: Frame) -> dict[str, str]:
        assert frame.kind == frames.HEADERS
        return dict(self._decoder.decode(frame.payload))

    def decode_last(self, heard: list[Frame]) -> dict[str, str]:
        """Of the last headers among these; the others are seen by the decoder all the same."""
        return [self.decode(frame) for frame in heard if frame.kind == frames.HEADERS][-1]


def kinds(heard: list[Frame]) -> list[int]:
    return [frame.kind for frame in heard]


def fault_of(heard: list[Frame]) -> frames.Fault:
    """Of the GOAWAY or reset that came last."""
    last = heard[-1]
    assert last.kind in {frames.GOAWAY, frames.RST_STREAM}, heard
    offset = 4 if last.kind == frames.GOAWAY else 0
    return frames.Fault(int.from_bytes(last.payload[offset : offset + 4], "big"))


def body(heard: list[Frame], stream: int) -> bytes:
    return b"".join(frame.payload for frame in heard if frame.kind == frames.DATA and frame.stream == stream)


def list_ours() -> set[str]:
    """The types of all objects of the package that there are."""
    kinds = {type(each) for each in gc.get_objects()}
    return {kind.__name__ for kind in kinds if str(kind.__module__).startswith("compiler.http2.")}
