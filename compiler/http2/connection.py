"""One connection of HTTP/2: turns, the beginnings and ends of calls, its own end; bytes in, bytes out, no socket."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.call import StreamCall
from compiler.http2.calls import Open
from compiler.http2.frames import ConnectionFault, Fault
from compiler.http2.greetings import Greetings
from compiler.http2.intake import Intake
from compiler.http2.outbox import Outbox, Wire
from compiler.http2.reading import FrameReader
from compiler.http2.streams import End, Streams

_ROUND: Final = 256 * 1024
"""Bytes that are written before the socket is asked whether it takes them."""

_ROUNDS: Final = 16
"""Of writing in one turn of the event loop; other connections wait meanwhile."""


@dataclass(slots=True)
class Surroundings:
    """What the connections of one server share; `unread` are bytes of messages that are begun or held."""

    bounds: Bounds
    methods: Mapping[str, Open]
    now: Callable[[], float]
    soon: Callable[[Callable[[], None]], object]
    later: Callable[[float, Callable[[], None]], Callable[[], None]]
    unread: int = 0
    greetings: Greetings = field(default_factory=Greetings)


class Connection:
    """A turn is what happens between two looks at the socket: all that is said in it goes out at its end.

    `window` and `largest_frame` are the peer's, `data_frames` how many it was sent.
    """

    __deletable__ = ("_intake", "_reader")  # for mypyc
    __slots__ = (
        "_actions",
        "_closed",
        "_heard",
        "_idle_since",
        "_intake",
        "_leaving",
        "_pinged",
        "_promised",
        "_quiet_since",
        "_reader",
        "_ready",
        "_starved",
        "_stuck_since",
        "_turning",
        "_unread",
        "_wire",
        "address",
        "around",
        "bounds",
        "data_frames",
        "identity",
        "is_retiring",
        "largest_frame",
        "outbox",
        "streams",
        "window",
    )

    def __init__(
        self, wire: Wire, around: Surroundings, address: str, identity: Mapping[str, tuple[bytes, ...]]
    ) -> None:
        self.around = around
        self.bounds = around.bounds
        self.address = address
        self.identity = identity
        self.outbox = Outbox(wire)
        self.streams = Streams()
        self.window = frames.DEFAULT_WINDOW
        self.largest_frame = frames.SMALLEST_FRAME
        self.data_frames = 0
        self.is_retiring = False
        self._wire = wire
        self._intake = Intake(self)
        self._reader = FrameReader(self._intake, around.bounds)
        self._ready: list[StreamCall] = []
        self._actions: list[Callable[[], None]] = []
        self._starved: dict[int, StreamCall] = {}
        self._leaving: list[StreamCall] = []
        self._unread = 0
        self._turning = False
        self._closed = False
        self._heard = True
        self._pinged = False
        self._promised = frames.LARGEST_STREAM
        self._quiet_since = around.now()
        self._idle_since: float | None = None
        self._stuck_since: float | None = None

    # For the wire.

    def receive(self, received: bytes) -> None:
        if self._closed:
            return
        self._heard = True
        self._turning = True
        try:
            self._reader.feed(received)
        except ConnectionFault as fault:
            self._fail(fault)
        if self.outbox.blocked and self.outbox.size > self.bounds.reply_bytes:
            self.cut()
        if self._ready or self._actions or self._leaving or self.outbox.size:
            self._pump()
        else:
            self._turning = False  # most ACKs owe nobody a word

    def drain(self) -> None:
        """The socket has taken all that it had refused."""
        self.outbox.blocked = False
        self._stuck_since = None
        self._pump()

    def lose(self) -> None:
        """The socket is gone, or is not listened to any more."""
        if self._closed:
            return
        self._closed = True
        calls = [*self._leaving, *self.streams.calls.values()]
        self.streams.calls.clear()
        self._leaving, self._ready, self._starved, self._actions = [], [], {}, []
        for call in calls:
            call.lose()
        del self._intake, self._reader  # They know this connection, and it is not left to the garbage collector.

    # For the server.

    def look(self, now: float) -> None:
        """Now and then, for what did not happen."""
        if self._closed:
            return
        self._look_for_silence(now)
        if self._stuck_since is not None and now - self._stuck_since >= self.bounds.linger:
            self.cut()
        elif self.streams.calls:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since >= self.bounds.idle:
            self.retire()

    def _look_for_silence(self, now: float) -> None:
        if self._heard:
            self._heard = self._pinged = False
            self._quiet_since = now
        elif self._pinged:
            if now - self._quiet_since >= self.bounds.keepalive_timeout:
                self.cut()
        elif now - self._quiet_since >= self.bounds.keepalive_time:
            self._pinged = True
            self._quiet_since = now
            self._say(frames.KEEPALIVE)

    def check_settled(self) -> None:
        """The time for a handshake is over."""
        if not self._closed and not self._intake.is_settled:
            self._fail(ConnectionFault(Fault.SETTINGS_TIMEOUT, "no answer to our settings"))

    def retire(self) -> None:
        """No further calls; those that are there may end."""
        if self.is_retiring or self._closed:
            return
        self.is_retiring = True
        if self._intake.is_greeted:
            self._say(self._write_goaway(Fault.NO_ERROR))
        self._close_if_retired()

    def cut(self) -> None:
        """At once."""
        if not self._closed:
            self._wire.abort()
            self.lose()

    # For its calls.

    def take_ready(self, call: StreamCall) -> None:
        """It may have something to write, and is asked once in a turn."""
        self._ready.append(call)
        if not self._turning:
            self._pump()

    def take_starved(self, call: StreamCall) -> None:
        """It waits for the window of the connection."""
        self._starved[call.stream] = call

    def act(self, action: Callable[[], None]) -> None:
        """At the end of the turn, so that no application is told while it speaks; at once where there is none."""
        self._actions.append(action)
        if not self._turning:
            self._pump()

    def keep(self, length: int) -> bool:
        """Whether so many bytes more may lie unread."""
        self._unread += length
        self.around.unread += length
        return self._unread <= self.bounds.unread_bytes and self.around.unread <= self.bounds.all_unread_bytes

    def give_room(self, call: StreamCall) -> None:
        """What was received is made up for, once it is half a window."""
        if call.unacknowledged * 2 >= self.bounds.window and not call.remote_closed and not call.finished:
            self.outbox.put(frames.write_window_update(call.stream, call.unacknowledged))
            call.unacknowledged = 0

    def end(self, call: StreamCall, block: bytes) -> None:
        """With trailers; a client that has not ended is told that nobody listens (RFC 9113 §8.1)."""
        ending = frames.write_frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, call.stream, block)
        if call.remote_closed:
            self._take_leave(call, ending, End.BY_BOTH)
        else:
            self._take_leave(call, ending + frames.write_reset(call.stream, Fault.NO_ERROR), End.BY_US)

    def reset(self, call: StreamCall, fault: Fault) -> None:
        self._take_leave(call, frames.write_reset(call.stream, fault), End.BY_US)

    def _take_leave(self, call: StreamCall, ending: bytes, end: End) -> None:
        """A call that is no longer known has ended in another way."""
        if self.streams.calls.get(call.stream) is not call:
            return
        self.outbox.put(ending)
        self.forget(call.stream, end)
        self._leaving.append(call)
        if self.outbox.blocked and self._stuck_since is None:
            self._stuck_since = self.around.now()
        if not self._turning:
            self._pump()

    # For the intake.

    def forget(self, stream: int, end: End) -> None:
        self._starved.pop(stream, None)
        self.streams.end(stream, end)

    def feed_starved(self) -> None:
        """The connection's window has grown."""
        starved, self._starved = self._starved, {}
        for call in starved.values():
            call.stir()

    # Turns.

    def _pump(self) -> None:
        """Rounds of writing until nothing is owed or the socket is full; it ends each turn."""
        self._turning = True
        try:
            self._write_rounds()
        finally:
            self._turning = False
        if self._leaving and not self.outbox.blocked:
            self.around.soon(self._lose_leaving)

    def _write_rounds(self) -> None:
        outbox = self.outbox
        for _ in range(_ROUNDS):
            if self._actions:
                self._act()
            if self._closed or outbox.blocked:
                return
            if self._ready:
                self._write_round()
            outbox.flush()
            if not self._ready and not self._actions:
                return
        self.around.soon(self._pump)

    def _act(self) -> None:
        actions, self._actions = self._actions, []
        for action in actions:
            action()

    def _write_round(self) -> None:
        ready, self._ready = self._ready, []
        for number, call in enumerate(ready, 1):
            call.queued = False
            call.write()
            if self.outbox.size > _ROUND and number < len(ready):
                self._ready = ready[number:] + self._ready
                return

    def _lose_leaving(self) -> None:
        """Outside of any turn, so that no application is told while it speaks."""
        if self.outbox.blocked:
            return
        leaving, self._leaving = self._leaving, []
        for call in leaving:
            call.lose()
        self._close_if_retired()

    def _say(self, frame: bytes) -> None:
        self.outbox.put(frame)
        if not self._turning:
            self._pump()

    def _close_if_retired(self) -> None:
        if self.is_retiring and not self.streams.calls and not self._leaving and not self._closed:
            self._close()

    def _fail(self, fault: ConnectionFault) -> None:
        """The peer is told why, where it speaks HTTP/2 at all."""
        if self._intake.is_greeted:
            self.outbox.put(self._write_goaway(fault.fault, fault.reason))
        self._close()

    def _write_goaway(self, fault: Fault, reason: str = "") -> bytes:
        """What was once told to be the last call stays so."""
        self._promised = min(self._promised, self.streams.last)
        return frames.write_goaway(self._promised, fault, reason)

    def _close(self) -> None:
        self.outbox.empty()
        self._wire.close()
        self.lose()
