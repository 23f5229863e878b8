"""What RFC 9113 forbids ends the stream or the connection that it says, and nothing else."""

from struct import pack

import pytest

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.frames import Fault, write_frame
from tests.http2.conversation import (
    PATH,
    WINDOW,
    Conversation,
    Told,
    data,
    fault_of,
    headers,
    kinds,
    message,
    request,
    settings,
)

PRIORITY = pack(">LB", 0, 16)


def block(*extra: tuple[str, str], without: tuple[str, ...] = ()) -> bytes:
    """Headers for a table that is not used."""
    fields = request(*extra, without=without)
    return b"".join(b"\x00" + bytes((len(n),)) + n.encode() + bytes((len(v),)) + v.encode("latin-1") for n, v in fields)


OPENED = headers(1, block())

CONNECTION = {
    "data of a stream that was never opened": (data(3, b"x"), Fault.PROTOCOL_ERROR),
    "data of a stream that only we could open": (data(2, b"x"), Fault.PROTOCOL_ERROR),
    "data of no stream": (data(0, b"x"), Fault.PROTOCOL_ERROR),
    "padding that is longer than its frame": (
        write_frame(frames.DATA, frames.PADDED, 1, b"\x05abcd"),
        Fault.PROTOCOL_ERROR,
    ),
    "padding without its length": (write_frame(frames.DATA, frames.PADDED, 1), Fault.FRAME_SIZE_ERROR),
    "headers of no stream": (headers(0, block()), Fault.PROTOCOL_ERROR),
    "headers of an even stream": (headers(2, block()), Fault.PROTOCOL_ERROR),
    "headers with an index that is none": (headers(3, b"\xff\xff\x03"), Fault.COMPRESSION_ERROR),
    "headers that end in the middle": (headers(3, b"\x00\x0aab"), Fault.COMPRESSION_ERROR),
    "headers padded beyond their end": (
        write_frame(frames.HEADERS, frames.PADDED | frames.END_HEADERS, 3, b"\x09a"),
        Fault.PROTOCOL_ERROR,
    ),
    "headers whose priority is cut": (
        write_frame(frames.HEADERS, frames.PRIORITIZED | frames.END_HEADERS, 3, b"abc"),
        Fault.FRAME_SIZE_ERROR,
    ),
    "headers that depend on themselves": (
        write_frame(frames.HEADERS, frames.PRIORITIZED | frames.END_HEADERS, 3, pack(">LB", 3, 1) + block()),
        Fault.PROTOCOL_ERROR,
    ),
    "headers that are not gone on with": (
        write_frame(frames.HEADERS, 0, 3, block()) + write_frame(frames.PING, 0, 0, bytes(8)),
        Fault.PROTOCOL_ERROR,
    ),
    "headers that data break off": (
        write_frame(frames.HEADERS, 0, 3, block()) + data(1, message(b"x")),
        Fault.PROTOCOL_ERROR,
    ),
    "headers that go on in another stream": (
        write_frame(frames.HEADERS, 0, 3, b"") + write_frame(frames.CONTINUATION, 0, 5, b""),
        Fault.PROTOCOL_ERROR,
    ),
    "nothing that goes on": (write_frame(frames.CONTINUATION, 0, 1, b""), Fault.PROTOCOL_ERROR),
    "a reset of no stream": (frames.write_reset(0, Fault.CANCEL), Fault.PROTOCOL_ERROR),
    "a reset of an idle stream": (frames.write_reset(3, Fault.CANCEL), Fault.PROTOCOL_ERROR),
    "a reset of three bytes": (write_frame(frames.RST_STREAM, 0, 1, b"abc"), Fault.FRAME_SIZE_ERROR),
    "settings of a stream": (write_frame(frames.SETTINGS, 0, 1), Fault.PROTOCOL_ERROR),
    "half a setting": (write_frame(frames.SETTINGS, 0, 0, b"abc"), Fault.FRAME_SIZE_ERROR),
    "an ACK that says more": (write_frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), Fault.FRAME_SIZE_ERROR),
    "a push that is neither on nor off": (settings((frames.ENABLE_PUSH, 2)), Fault.PROTOCOL_ERROR),
    "too large an initial window": (settings((frames.INITIAL_WINDOW_SIZE, 2**31)), Fault.FLOW_CONTROL_ERROR),
    "too small a frame size": (settings((frames.MAX_FRAME_SIZE, 16_383)), Fault.PROTOCOL_ERROR),
    "too large a frame size": (settings((frames.MAX_FRAME_SIZE, 2**24)), Fault.PROTOCOL_ERROR),
    "a push": (write_frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, bytes(4)), Fault.PROTOCOL_ERROR),
    "a ping of a stream": (write_frame(frames.PING, 0, 1, bytes(8)), Fault.PROTOCOL_ERROR),
    "a ping of seven bytes": (write_frame(frames.PING, 0, 0, bytes(7)), Fault.FRAME_SIZE_ERROR),
    "a farewell of a stream": (write_frame(frames.GOAWAY, 0, 1, bytes(8)), Fault.PROTOCOL_ERROR),
    "a farewell of seven bytes": (write_frame(frames.GOAWAY, 0, 0, bytes(7)), Fault.FRAME_SIZE_ERROR),
    "a window of an idle stream": (frames.write_window_update(3, 1), Fault.PROTOCOL_ERROR),
    "a window that grows by nothing": (frames.write_window_update(0, 0), Fault.PROTOCOL_ERROR),
    "a window of three bytes": (write_frame(frames.WINDOW_UPDATE, 0, 0, b"abc"), Fault.FRAME_SIZE_ERROR),
    "a window beyond all bounds": (frames.write_window_update(0, WINDOW), Fault.FLOW_CONTROL_ERROR),
    "a stream's window that settings carry beyond all bounds": (
        frames.write_window_update(1, WINDOW - 65_535) + settings((frames.INITIAL_WINDOW_SIZE, 65_536)),
        Fault.FLOW_CONTROL_ERROR,
    ),
    "a frame that is too large": (write_frame(frames.DATA, 0, 1, bytes(16_385)), Fault.FRAME_SIZE_ERROR),
    "priority of no stream": (write_frame(frames.PRIORITY, 0, 0, PRIORITY), Fault.PROTOCOL_ERROR),
}

STREAM = {
    "trailers that do not end": (headers(1, block()), Fault.PROTOCOL_ERROR),
    "trailers with a pseudo-header": (headers(1, block(), ended=True), Fault.PROTOCOL_ERROR),
    "data after the end": (data(1, b"", ended=True) + data(1, b"x"), Fault.STREAM_CLOSED),
    "headers after the end": (data(1, b"", ended=True) + headers(1, block()), Fault.STREAM_CLOSED),
    "data after a reset": (frames.write_reset(1, Fault.CANCEL) + data(1, b"x"), Fault.STREAM_CLOSED),
    "a window that grows by nothing": (frames.write_window_update(1, 0), Fault.PROTOCOL_ERROR),
    "a window beyond all bounds": (frames.write_window_update(1, WINDOW), Fault.FLOW_CONTROL_ERROR),
    "priority of four bytes": (write_frame(frames.PRIORITY, 0, 1, bytes(4)), Fault.FRAME_SIZE_ERROR),
    "priority over itself": (write_frame(frames.PRIORITY, 0, 1, pack(">LB", 1, 1)), Fault.PROTOCOL_ERROR),
}

MALFORMED = {
    "upper case": block(("X-Up", "a")),
    "no name": block(("", "a")),
    "a space in a name": block(("a b", "a")),
    "a line's end in a value": block(("a", "b\nc")),
    "a space before a value": block(("a", " b")),
    "a header of connections": block(("connection", "close")),
    "te is not trailers": block(("te", "gzip")),
    "an unknown pseudo-header": block((":status", "200")),
    "a pseudo-header twice": block((":path", PATH), (":path", PATH)),
    "a late pseudo-header": block(("a", "b"), without=(":authority",)) + b"\x00\x0a:authority\x01a",
    "no method": block(without=(":method",)),
    "no scheme": block(without=(":scheme",)),
    "no path": block(without=(":path",)),
    "an empty path": block((":path", "")),
    "a length that is no number": block(("content-length", "+1")),
}


@pytest.mark.parametrize(("said", "fault"), CONNECTION.values(), ids=CONNECTION.keys())
def test_a_fault_of_the_connection_ends_it(said: bytes, fault: Fault) -> None:
    talk = Conversation()
    talk.greet()
    talk.say(OPENED)
    heard = talk.say(said, frames.write_frame(frames.PING, 0, 0, bytes(8)))
    assert heard[-1].kind == frames.GOAWAY
    assert fault_of(heard) == fault
    assert talk.wire.closed
    assert not talk.wire.aborted, "the peer may read why"
    assert talk.calls[0].lost == 1


@pytest.mark.parametrize(("said", "fault"), STREAM.values(), ids=STREAM.keys())
def test_a_fault_of_a_stream_ends_it_alone(said: bytes, fault: Fault) -> None:
    talk = Conversation()
    talk.greet()
    talk.say(OPENED, headers(3, block()))
    heard = talk.say(said)
    assert (heard[-1].kind, heard[-1].stream, fault_of(heard)) == (frames.RST_STREAM, 1, fault)
    assert [call.lost for call in talk.calls] == [1, 0]
    talk.say(data(3, message(b"x")))
    assert talk.calls[1].received == [b"x"]


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_reset(fields: bytes) -> None:
    talk = Conversation()
    talk.greet()
    heard = talk.say(headers(1, fields))
    assert (heard[-1].kind, fault_of(heard)) == (frames.RST_STREAM, Fault.PROTOCOL_ERROR)
    assert talk.calls == []
    assert talk.say(data(1, b"under way"), headers(3, block())) == []
    assert len(talk.calls) == 1


@pytest.mark.parametrize(
    ("extra", "http", "code"),
    [
        ((":path", "/echo.Echo/Nothing"), "200", "12"),
        ((":method", "GET"), "405", "2"),
        (("content-type", "application/json"), "415", "2"),
        (("content-type", "application/grpc-web"), "415", "2"),
        (("grpc-timeout", "soon"), "200", "13"),
        (("grpc-timeout", "123456789S"), "200", "13"),
    ],
)
def test_what_is_no_call_of_ours_is_refused_in_one_frame(extra: tuple[str, str], http: str, code: str) -> None:
    talk = Conversation()
    talk.greet()
    heard = talk.say(headers(1, block(extra), ended=True))
    assert kinds(heard) == [frames.HEADERS]
    answer = talk.decode(heard[0])
    assert (answer[":status"], answer["grpc-status"]) == (http, code)
    assert talk.calls == []


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"])
def test_every_kind_of_grpc_is_served(kind: str) -> None:
    talk = Conversation()
    talk.greet()
    talk.say(headers(1, block(("content-type", kind))))
    assert len(talk.calls) == 1


@pytest.mark.parametrize(
    ("length", "said"),
    [("9", data(1, message(b"hello"), ended=True)), ("11", data(1, message(b"hello"), ended=True)), ("1", b"")],
)
def test_a_content_length_that_disagrees_is_a_fault(length: str, said: bytes) -> None:
    talk = Conversation()
    talk.greet()
    heard = talk.say(headers(1, block(("content-length", length)), ended=not said), said)
    assert (heard[-1].kind, fault_of(heard)) == (frames.RST_STREAM, Fault.PROTOCOL_ERROR)
    assert talk.calls[0].half_closed == 0
    talk.say(headers(3, block(("content-length", "10"))), data(3, message(b"hello"), ended=True))
    assert talk.calls[1].half_closed == 1


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSN"]
)
def test_who_speaks_something_else_gets_no_answer(said: bytes) -> None:
    talk = Conversation()
    assert talk.say(said) == []
    assert talk.wire.closed


@pytest.mark.parametrize("first", [OPENED, frames.SETTINGS_ACK, write_frame(frames.PING, 0, 0, bytes(8)), data(1, b"")])
def test_the_first_frame_is_settings(first: bytes) -> None:
    talk = Conversation()
    talk.say(frames.PREFACE, first)
    assert talk.wire.closed
    assert talk.calls == []


def test_a_number_that_was_passed_over_cannot_be_used() -> None:
    talk = Conversation()
    talk.greet()
    talk.say(headers(5, block()))
    assert fault_of(talk.say(headers(3, block()))) == Fault.PROTOCOL_ERROR


def test_a_stream_that_both_ended_is_closed_for_good() -> None:
    from compiler.http2.status import Status

    for late in (headers(1, block()), data(1, b"x")):
        talk = Conversation()
        talk.greet()
        talk.open(ended=True).call.finish(Status.OK, "")
        talk.hear()
        assert fault_of(talk.say(late)) == Fault.STREAM_CLOSED
        assert talk.wire.closed


def test_headers_of_a_stream_that_we_ended_still_change_the_table() -> None:
    from compiler.http2.status import Status

    talk = Conversation()
    talk.greet()
    app = talk.open()
    app.call.finish(Status.OK, "")
    talk.hear()
    talk.say(headers(1, talk.encoder.encode([("trailing", "late")]), ended=True))
    assert talk.open(3, ("trailing", "late")).call.caller.metadata == {"trailing": "late"}


def test_what_is_unknown_is_passed_over() -> None:
    talk = Conversation()
    talk.greet((0x99, 7))
    heard = talk.say(
        write_frame(0xBE, 0xFF, 1, b"anything"),
        write_frame(frames.PRIORITY, 0, 7, PRIORITY),
        write_frame(frames.GOAWAY, 0, 0, bytes(8)),
        write_frame(frames.PING, 0, 0, b"12345678"),
    )
    assert [(frame.kind, frame.flags, frame.payload) for frame in heard] == [(frames.PING, frames.ACK, b"12345678")]


def test_the_reserved_bit_of_a_stream_is_passed_over() -> None:
    talk = Conversation()
    talk.greet()
    said = bytearray(OPENED)
    said[5] |= 0x80
    talk.say(bytes(said))
    assert len(talk.calls) == 1


def test_a_call_more_than_is_served_at_once_is_refused_and_may_come_later() -> None:
    talk = Conversation(Bounds(streams=2))
    talk.greet()
    for stream in (1, 3):
        talk.open(stream)
    heard = talk.say(headers(5, block()))
    assert (heard[-1].stream, fault_of(heard)) == (5, Fault.REFUSED_STREAM)
    talk.say(frames.write_reset(1, Fault.CANCEL), headers(7, block()))
    assert len(talk.calls) == 3


def test_headers_may_go_on_and_be_padded() -> None:
    talk = Conversation()
    talk.greet()
    fields = block()
    first = b"\x03" + PRIORITY + fields[:10] + bytes(3)
    talk.say(
        write_frame(frames.HEADERS, frames.PADDED | frames.PRIORITIZED | frames.END_STREAM, 1, first),
        write_frame(frames.CONTINUATION, 0, 1, fields[10:20]),
        write_frame(frames.CONTINUATION, frames.END_HEADERS, 1, fields[20:]),
    )
    assert talk.calls[0].half_closed == 1


def test_a_fault_reaches_a_peer_that_waits_with_its_reading() -> None:
    talk = Conversation()
    talk.greet()
    app: Told = talk.open()
    talk.wire.room = 0
    app.say(b"kept")
    talk.say(data(0, b""))
    talk.wire.room = None
    talk.wire.take()
    assert fault_of(talk.hear()) == Fault.PROTOCOL_ERROR
