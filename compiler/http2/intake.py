"""What a client says is taken in: frames that are whole become calls, answers, and changes of windows."""

from typing import TYPE_CHECKING

from hpack import Decoder
from hpack.exceptions import HPACKError, OversizedHeaderListError

from compiler.http2 import frames
from compiler.http2.call import StreamCall
from compiler.http2.calls import Caller, Open
from compiler.http2.flooding import Allowance
from compiler.http2.frames import ConnectionFault, Fault, StreamFault
from compiler.http2.greetings import Fields, Greeting
from compiler.http2.headers import (
    MalformedError,
    RefusedError,
    Request,
    check_trailers,
    measure,
    read_request,
    write_refusal,
)
from compiler.http2.status import Status
from compiler.http2.streams import End

if TYPE_CHECKING:
    from compiler.http2.connection import Connection


class Intake:
    """The half of a connection that is told of frames; what it raises is answered by who reads them."""

    __slots__ = (
        "_allowance",
        "_bounds",
        "_connection",
        "_decoder",
        "_greeting",
        "_greetings",
        "_initial_window",
        "_outbox",
        "_streams",
        "_unacknowledged",
        "is_greeted",
        "is_settled",
    )

    def __init__(self, connection: "Connection") -> None:
        around = connection.around
        self._connection = connection
        self._bounds = around.bounds
        self._streams = connection.streams
        self._outbox = connection.outbox
        self._allowance = Allowance(around.bounds, around.now())
        self._decoder: Decoder | None = None
        self._greeting: Greeting | None = None
        self._greetings = around.greetings
        self._unacknowledged = 0
        self._initial_window = frames.DEFAULT_WINDOW
        self.is_greeted = False
        self.is_settled = False

    def take_data(self, stream: int, received: bytes, start: int, stop: int, length: int, *, ended: bool) -> None:
        self._unacknowledged += length
        if self._unacknowledged * 2 >= self._bounds.connection_window:
            self._outbox.put(frames.write_window_update(0, self._unacknowledged))
            self._unacknowledged = 0
        call = self._streams.calls.get(stream)
        if call is None or call.remote_closed:
            self._take_late(stream, call, length)
            return
        call.unacknowledged += length
        call.remote_closed = ended
        if call.unacknowledged * 2 >= self._bounds.window:
            if not call.is_held:
                self._connection.give_room(call)
            elif call.unacknowledged > self._bounds.window:
                raise StreamFault(stream, Fault.FLOW_CONTROL_ERROR, "more bytes than there was room for")
        if start < stop:
            call.take(received, start, stop)
        elif not ended:
            self._charge()
        if ended:
            call.close_remote()

    def _take_late(self, stream: int, call: StreamCall | None, length: int) -> None:
        """Of a stream that is over, or whose client had ended it."""
        if call is not None:
            raise StreamFault(stream, Fault.STREAM_CLOSED, "a stream goes on after its end")
        self._streams.expect_late(stream)
        if not length:
            self._charge()

    def take_headers(self, stream: int, block: bytes, *, ended: bool) -> None:
        fields = self._decode(block)
        call = self._streams.calls.get(stream)
        if call is not None:
            self._take_trailers(call, fields, ended=ended)
        elif self._streams.has_ended(stream):
            self._charge()
            self._streams.expect_late(stream)
        else:
            self._streams.open(stream)
            if self._connection.is_retiring:
                self._charge()
                self._connection.forget(stream, End.BY_US)
            elif len(self._streams.calls) >= self._bounds.streams:
                raise StreamFault(stream, Fault.REFUSED_STREAM, "too many calls at once")
            else:
                self._open(stream, fields, ended=ended)

    def _decode(self, block: bytes) -> Fields:
        """What cannot be decoded ends the connection: the tables of both sides are no longer the same."""
        if self._decoder is None and self._greeting is None:
            self._greeting = self._greetings.find(block)
            if self._greeting is not None:
                return self._greeting.fields
            fields = self._decode_on(block)
            self._greetings.keep(block, fields)
            return fields
        if self._decoder is None and self._greeting is not None:
            self._decode_on(self._greeting.block)
        return self._decode_on(block)

    def _decode_on(self, block: bytes) -> Fields:
        """With the table that the blocks before have left."""
        if self._decoder is None:
            self._decoder = Decoder(max_header_list_size=2 * self._bounds.metadata_bytes)
        try:
            return list(self._decoder.decode(block, raw=True))
        except OversizedHeaderListError as error:
            raise ConnectionFault(Fault.ENHANCE_YOUR_CALM, "too many headers") from error
        except HPACKError as error:
            raise ConnectionFault(Fault.COMPRESSION_ERROR, "headers that cannot be decoded") from error

    def _take_trailers(self, call: StreamCall, fields: Fields, *, ended: bool) -> None:
        if call.remote_closed:
            raise StreamFault(call.stream, Fault.STREAM_CLOSED, "headers after the end")
        if not ended:
            raise StreamFault(call.stream, Fault.PROTOCOL_ERROR, "trailers that do not end the stream")
        try:
            check_trailers(fields)
        except MalformedError as error:
            raise StreamFault(call.stream, Fault.PROTOCOL_ERROR, str(error)) from error
        call.remote_closed = True
        call.close_remote()

    def _open(self, stream: int, fields: Fields, *, ended: bool) -> None:
        try:
            request, opening = self._judge(fields)
        except MalformedError as error:
            raise StreamFault(stream, Fault.PROTOCOL_ERROR, str(error)) from error
        except RefusedError as refused:
            self._refuse(stream, refused, ended=ended)
        else:
            self._begin(stream, request, opening, ended=ended)

    def _judge(self, fields: Fields) -> tuple[Request, Open]:
        request = read_request(fields)
        if measure(fields) > self._bounds.metadata_bytes:
            raise RefusedError(Status.RESOURCE_EXHAUSTED, "too many headers")
        opening = self._connection.around.methods.get(request.path)
        if opening is None:
            raise RefusedError(Status.UNIMPLEMENTED, f"no method {request.path}")
        return request, opening

    def _begin(self, stream: int, request: Request, opening: Open, *, ended: bool) -> None:
        caller = Caller(self._connection.address, self._connection.identity, request.metadata)
        call = StreamCall(
            self._connection,
            stream,
            caller,
            window=self._initial_window,
            compressed=request.compressed,
            length=request.length,
        )
        self._streams.calls[stream] = call
        call.remote_closed = ended
        call.open(opening)
        if request.timeout is not None and not call.finished:
            call.deadline = self._connection.around.later(
                request.timeout, lambda: call.finish(Status.DEADLINE_EXCEEDED, "the call took too long")
            )
        if ended:
            call.close_remote()

    def _refuse(self, stream: int, refused: RefusedError, *, ended: bool) -> None:
        self._charge()
        block = write_refusal(refused.code, refused.reason, refused.http)
        self._outbox.put(frames.write_frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, block))
        if not ended:
            self._outbox.put(frames.write_reset(stream, Fault.NO_ERROR))
        self._connection.forget(stream, End.BY_BOTH if ended else End.BY_US)

    def take_fault(self, fault: StreamFault) -> None:
        self._charge()
        self._outbox.put(frames.write_reset(fault.stream, fault.fault))
        call = self._streams.calls.get(fault.stream)
        if fault.stream <= self._streams.last:
            self._connection.forget(fault.stream, End.BY_US)
        if call is not None:
            call.lose()

    def take_settings(self, settings: list[tuple[int, int]]) -> None:
        self._charge()
        if not self.is_greeted:
            self._greet()
        for number, value in settings:
            self._set(number, value)
        self._outbox.put(frames.SETTINGS_ACK)

    def _greet(self) -> None:
        """The server's preface; it waits for the client's, so that both go with the first answers."""
        self.is_greeted = True
        bounds = self._bounds
        settings = (
            (frames.MAX_CONCURRENT_STREAMS, bounds.streams),
            (frames.INITIAL_WINDOW_SIZE, bounds.window),
            (frames.MAX_HEADER_LIST_SIZE, bounds.metadata_bytes),
        )
        self._outbox.put(frames.write_settings(settings))
        more = bounds.connection_window - frames.DEFAULT_WINDOW
        if more:
            self._outbox.put(frames.write_window_update(0, more))

    def _set(self, number: int, value: int) -> None:
        if number == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise ConnectionFault(Fault.FLOW_CONTROL_ERROR, "too large a window")
            change, self._initial_window = value - self._initial_window, value
            for call in tuple(self._streams.calls.values()):
                self._widen(call, change)
        elif number == frames.MAX_FRAME_SIZE:
            if not frames.SMALLEST_FRAME <= value <= frames.LARGEST_FRAME:
                raise ConnectionFault(Fault.PROTOCOL_ERROR, "no size of frames")
            self._connection.largest_frame = min(value, 65_536)
        elif number == frames.ENABLE_PUSH and value > 1:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1")

    def _widen(self, call: StreamCall, change: int) -> None:
        """A window may be negative after a change of the settings."""
        call.window += change
        if call.window > frames.LARGEST_WINDOW:
            raise ConnectionFault(Fault.FLOW_CONTROL_ERROR, "too large a window")
        if call.is_waiting:
            call.stir()

    def take_settings_ack(self) -> None:
        self._charge()
        self.is_settled = True

    def take_ping(self, payload: bytes) -> None:
        self._charge_answer()
        self._outbox.put(frames.write_frame(frames.PING, frames.ACK, 0, payload))

    def take_pong(self) -> None:
        self._charge()

    def take_unknown(self) -> None:
        self._charge()

    def take_priority(self, _: int) -> None:
        self._charge()

    def take_reset(self, stream: int) -> None:
        self._streams.expect_opened(stream)
        self._charge()
        call = self._streams.calls.get(stream)
        if call is not None:
            self._connection.forget(stream, End.BY_RESET)
            call.lose()

    def take_window(self, stream: int, increment: int) -> None:
        if stream == 0:
            self._take_connection_window(increment)
            return
        self._streams.expect_opened(stream)
        self._charge_answer()
        call = self._streams.calls.get(stream)
        if increment == 0:
            raise StreamFault(stream, Fault.PROTOCOL_ERROR, "a window grows by nothing")
        if call is None:
            return
        if call.window + increment > frames.LARGEST_WINDOW:
            raise StreamFault(stream, Fault.FLOW_CONTROL_ERROR, "too large a window")
        self._widen(call, increment)

    def _take_connection_window(self, increment: int) -> None:
        self._charge_answer()
        if increment == 0:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a window grows by nothing")
        self._connection.window += increment
        if self._connection.window > frames.LARGEST_WINDOW:
            raise ConnectionFault(Fault.FLOW_CONTROL_ERROR, "too large a window")
        self._connection.feed_starved()

    def _charge(self) -> None:
        if not self._allowance.take(self._connection.around.now()):
            raise ConnectionFault(Fault.ENHANCE_YOUR_CALM, "too many frames that move nothing")

    def _charge_answer(self) -> None:
        if not self._allowance.answer(self._connection.around.now(), self._connection.data_frames):
            raise ConnectionFault(Fault.ENHANCE_YOUR_CALM, "too many frames that move nothing")
