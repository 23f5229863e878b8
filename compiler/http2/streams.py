"""The streams of one connection: those that are open are its calls, and of some others it is known how they ended."""

from enum import IntEnum
from typing import Final

from compiler.http2.call import StreamCall
from compiler.http2.frames import ConnectionFault, Fault, StreamFault

_REMEMBERED: Final = 256
"""Streams whose end is remembered, since frames may be under way."""


class End(IntEnum):
    """Who ended a stream."""

    BY_US = 0
    """With a reset or a refusal; the client may not know yet."""
    BY_RESET = 1
    """The client's."""
    BY_BOTH = 2
    """Each said END_STREAM."""


class Streams:
    """`last` is the highest number that the client has used."""

    __slots__ = ("_ended", "calls", "last")

    def __init__(self) -> None:
        self.calls: dict[int, StreamCall] = {}
        self.last = 0
        self._ended: dict[int, End] = {}

    def end(self, stream: int, end: End) -> None:
        self.calls.pop(stream, None)
        self._ended[stream] = end
        if len(self._ended) > _REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def open(self, stream: int) -> None:
        """Raises ConnectionFault: numbers of a client are odd and grow."""
        if stream <= self.last or stream % 2 == 0:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a new stream has a higher, odd number")
        self.last = stream

    def expect_opened(self, stream: int) -> None:
        """Raises ConnectionFault for one that is idle."""
        if stream > self.last or stream % 2 == 0:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a frame of a stream that was never opened")

    def has_ended(self, stream: int) -> bool:
        """As far as it is remembered."""
        return stream in self._ended

    def expect_late(self, stream: int) -> None:
        """Raises unless what comes for this stream, which is not open, was under way when we ended it."""
        self.expect_opened(stream)
        end = self._ended.get(stream)
        if end is End.BY_RESET:
            raise StreamFault(stream, Fault.STREAM_CLOSED, "a stream goes on after its reset")
        if end is not End.BY_US:
            raise ConnectionFault(Fault.STREAM_CLOSED, "a stream goes on after its end")
