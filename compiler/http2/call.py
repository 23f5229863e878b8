"""One call: its messages are put together and taken apart, each way within its window."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

from compiler.http2 import frames
from compiler.http2.calls import Application, Caller, Open
from compiler.http2.frames import Fault, StreamFault
from compiler.http2.headers import RESPONSE, write_refusal, write_trailers
from compiler.http2.status import Status

if TYPE_CHECKING:
    from compiler.http2.connection import Connection

log = structlog.get_logger("http2")

_QUANTUM = 64 * 1024
"""Bytes that one call writes before another has its turn."""


_Answer = TypeVar("_Answer")


class _Nobody:
    """Stands for the application before it is there, and after its end."""

    def receive(self, message: bytes) -> None: ...
    def pull(self) -> bytes | None: ...
    def half_close(self) -> None: ...
    def lose(self) -> None: ...


class StreamCall:
    """The transport's half of a call; the application has the other.

    `window` is what the client lets us send, `unacknowledged` what it has sent and has got no new room for.
    """

    __deletable__ = ("_connection",)  # for mypyc
    __slots__ = (
        "_answered",
        "_application",
        "_begun",
        "_compressed",
        "_connection",
        "_half_written",
        "_held",
        "_length",
        "_received",
        "_rest",
        "_told_half_closed",
        "caller",
        "deadline",
        "finished",
        "over",
        "queued",
        "remote_closed",
        "stream",
        "unacknowledged",
        "window",
    )

    def __init__(
        self, connection: "Connection", stream: int, caller: Caller, *, window: int, compressed: bool, length: int
    ) -> None:
        self.caller = caller
        self.stream = stream
        self.window = window
        self.unacknowledged = 0
        self.queued = False
        self.finished = False
        self.over = False
        self.remote_closed = False
        self.deadline: Callable[[], None] | None = None
        self._connection = connection
        self._application: Application = _Nobody()
        self._compressed = compressed
        self._length = length
        self._received = 0
        self._begun: bytearray | None = None
        self._rest: memoryview | None = None
        self._half_written = False
        self._answered = False
        self._held = False
        self._told_half_closed = False

    # For the application.

    def stir(self) -> None:
        if not self.queued and not self.finished:
            self.queued = True
            self._connection.take_ready(self)

    def finish(self, code: Status, reason: str) -> None:
        if self.finished:
            return
        self.finished = True
        self._rest = None
        self._drop_begun()
        if self._half_written:
            self._connection.reset(self, Fault.INTERNAL_ERROR)
            return
        block = write_trailers(code, reason) if self._answered else write_refusal(code, reason)
        self._connection.end(self, block)

    def hold(self) -> None:
        self._held = not self.finished

    def release(self) -> None:
        if self._held:
            self._held = False
            self._connection.act(self._go_on)

    # For the connection.

    def open(self, opening: Open) -> None:
        self._application = self._ask(opening, self) or self._application

    def take(self, received: bytes, start: int, stop: int) -> None:
        """Most often it is one whole message."""
        if self._length >= 0:
            self._count(stop - start)
        if self._begun is None and not self._held:
            limit = self._connection.bounds.message_bytes
            while stop - start >= 5:
                compressed, length = frames.PREFIX.unpack_from(received, start)
                end = start + 5 + length
                if compressed or end > stop or length > limit:
                    break
                self._ask(self._application.receive, received[start + 5 : end])
                start = end
                if self.finished:
                    return
                if self._held:
                    break
        if start < stop:
            self._take_part(received[start:stop])

    def _count(self, length: int) -> None:
        self._received += length
        if self._received > self._length:
            raise StreamFault(self.stream, Fault.PROTOCOL_ERROR, "more bytes than content-length said")

    def close_remote(self) -> None:
        """The client has said all: END_STREAM."""
        if self.finished:
            return
        if 0 <= self._length != self._received:
            raise StreamFault(self.stream, Fault.PROTOCOL_ERROR, "fewer bytes than content-length said")
        self._tell_half_closed()

    def lose(self) -> None:
        """Nothing is asked or told afterwards."""
        if self.over:
            return
        self.over = self.finished = True
        self._rest = None
        self._drop_begun()
        if self.deadline is not None:
            self.deadline()
            self.deadline = None
        self._held = False
        self._ask(self._application.lose)
        self._application = _Nobody()
        del self._connection  # Whoever keeps a call that is over keeps nothing else.

    def write(self) -> None:
        """A round: the next message, or a further part of the one before."""
        if self.finished:
            return
        if self._rest is None:
            message = self._ask(self._application.pull)
            if message is not None and not self.finished:
                self._begin(message)
        else:
            self._write_rest()

    def _begin(self, message: bytes) -> None:
        connection = self._connection
        outbox = connection.outbox
        if not self._answered:
            self._answered = True
            outbox.put(frames.write_frame(frames.HEADERS, frames.END_HEADERS, self.stream, RESPONSE))
        length = len(message)
        whole = length + 5
        if whole > connection.largest_frame or whole > connection.window or whole > self.window:
            self._rest = memoryview(frames.PREFIX.pack(0, length) + message)
            self._write_rest()
            return
        self.window -= whole
        connection.window -= whole
        connection.data_frames += 1
        outbox.put(frames.write_opening(self.stream, length))
        outbox.put(message)
        self._queue()

    def _write_rest(self) -> None:
        connection = self._connection
        rest = self._rest
        room = min(self.window, connection.window, _QUANTUM)
        while rest is not None and room > 0:
            size = min(room, connection.largest_frame, len(rest))
            connection.outbox.put(frames.write_data_head(self.stream, size))
            connection.outbox.put(rest[:size])
            connection.data_frames += 1
            self.window -= size
            connection.window -= size
            room -= size
            self._half_written = size < len(rest)
            rest = rest[size:] if self._half_written else None
        self._rest = rest
        if rest is None or (self.window > 0 and connection.window > 0):
            self._queue()
        elif self.window > 0:
            connection.take_starved(self)

    @property
    def is_waiting(self) -> bool:
        """A message could not be written for want of a window."""
        return self._rest is not None and not self.queued

    def _queue(self) -> None:
        if not self.queued:
            self.queued = True
            self._connection.take_ready(self)

    # Messages in parts.

    def _take_part(self, part: bytes) -> None:
        if self._begun is None:
            self._begun = bytearray()
        self._begun += part
        if not self._connection.keep(len(part)):
            self.finish(Status.RESOURCE_EXHAUSTED, "too many bytes of messages that are not whole")
        elif not self._held:
            self._cut()

    def _go_on(self) -> None:
        """After `release`; it may have been held again since."""
        if self.finished:
            return
        if self._begun is not None:
            self._cut()
        if self.remote_closed:
            self._tell_half_closed()
        if not self._held and not self.finished:
            self._connection.give_room(self)

    def _cut(self) -> None:
        """Whole messages are taken off what has come so far."""
        begun = self._begun
        while begun is not None and len(begun) >= 5 and not self._held and not self.finished:
            compressed, length = frames.PREFIX.unpack_from(begun)
            if compressed or length > self._connection.bounds.message_bytes:
                self._refuse(compressed)
                return
            if len(begun) < length + 5:
                return
            message = bytes(memoryview(begun)[5 : length + 5])
            del begun[: length + 5]
            self._connection.keep(-length - 5)
            self._ask(self._application.receive, message)
        if not begun and not self.finished:
            self._begun = None

    def _refuse(self, compressed: int) -> None:
        if not compressed:
            most = self._connection.bounds.message_bytes
            self.finish(Status.RESOURCE_EXHAUSTED, f"a message of more than {most:,} bytes")
        elif compressed == 1 and self._compressed:
            self.finish(Status.UNIMPLEMENTED, "messages are not decompressed here")
        else:
            self.finish(Status.INTERNAL, "a message is compressed, and no encoding was named")

    def _tell_half_closed(self) -> None:
        if self._held or self.finished or self._told_half_closed:
            return
        self._told_half_closed = True
        if self._begun:
            self.finish(Status.INTERNAL, "the client ended in the middle of a message")
        else:
            self._ask(self._application.half_close)

    def _drop_begun(self) -> None:
        if self._begun is not None:
            self._connection.keep(-len(self._begun))
            self._begun = None

    @property
    def is_held(self) -> bool:
        return self._held

    def _ask(self, method: Callable[..., _Answer], *arguments: object) -> _Answer | None:
        """An application that fails takes its call with it, and no other."""
        try:
            return method(*arguments)
        except Exception:
            log.exception("call-failed", address=self.caller.address)
            self.finish(Status.INTERNAL, "the server failed")
            return None
