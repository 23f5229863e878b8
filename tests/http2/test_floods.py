"""Hostile peers: what they may make us do and keep has a count."""

from collections.abc import Callable
from struct import pack

import pytest

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.frames import Fault, write_frame
from compiler.http2.status import Status
from tests.http2.conversation import Conversation, data, fault_of, headers, kinds, message, request, settings

FLOODS: dict[str, Callable[[int], bytes]] = {
    "pings": lambda _: write_frame(frames.PING, 0, 0, bytes(8)),
    "pongs": lambda _: write_frame(frames.PING, frames.ACK, 0, bytes(8)),
    "settings": lambda _: settings((frames.INITIAL_WINDOW_SIZE, 65_535)),
    "ACKs of settings": lambda _: frames.SETTINGS_ACK,
    "priorities": lambda number: write_frame(frames.PRIORITY, 0, 2 * number + 1, pack(">LB", 0, 1)),
    "windows of the connection": lambda _: frames.write_window_update(0, 1),
    "windows of a stream": lambda _: frames.write_window_update(1, 1),
    "empty data": lambda _: data(1, b""),
    "padding alone": lambda _: data(1, b"", padding=200),
    "unknown frames": lambda _: write_frame(0x77, 0, 0, b"x"),
    "farewells": lambda _: write_frame(frames.GOAWAY, 0, 0, bytes(8)),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_frames_that_move_nothing_run_out(flood: Callable[[int], bytes]) -> None:
    talk = Conversation(Bounds(burst=100, burst_rate=10.0))
    talk.greet()
    talk.open()
    for number in range(95):
        assert frames.GOAWAY not in kinds(talk.say(flood(number)))
    heard = talk.say(*map(flood, range(20)))
    assert (heard[-1].kind, fault_of(heard)) == (frames.GOAWAY, Fault.ENHANCE_YOUR_CALM)
    assert talk.wire.closed


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_the_same_frames_at_leisure_are_let_be(flood: Callable[[int], bytes]) -> None:
    talk = Conversation(Bounds(burst=100, burst_rate=10.0))
    talk.greet()
    talk.open()
    for number in range(500):
        talk.now += 0.11
        talk.say(flood(number))
    assert not talk.wire.closed


def test_calls_that_are_opened_and_reset_run_out() -> None:
    talk = Conversation(Bounds(burst=100, burst_rate=10.0))
    talk.greet()
    for number in range(150):
        stream = 2 * number + 1
        block = talk.encoder.encode(request())
        heard = talk.say(headers(stream, block), frames.write_reset(stream, Fault.CANCEL))
        if talk.wire.closed:
            break
    assert fault_of(heard) == Fault.ENHANCE_YOUR_CALM
    assert 90 < number < 101
    assert all(call.lost for call in talk.calls)


@pytest.mark.parametrize("extra", [(":path", "/none"), ("te", "gzip"), ("content-type", "text/html")])
def test_calls_that_are_refused_run_out(extra: tuple[str, str]) -> None:
    talk = Conversation(Bounds(burst=100, burst_rate=10.0))
    talk.greet()
    for number in range(150):
        heard = talk.say(headers(2 * number + 1, talk.encoder.encode(request(extra))))
        if talk.wire.closed:
            break
    assert fault_of(heard) == Fault.ENHANCE_YOUR_CALM
    assert 90 < number < 101


def test_who_reads_a_long_answer_may_say_so_ten_times_a_frame() -> None:
    talk = Conversation(Bounds(burst=10, burst_rate=0.0))
    talk.greet((frames.INITIAL_WINDOW_SIZE, frames.LARGEST_WINDOW))
    app = talk.open()
    app.say(*[b"x"] * 50)
    talk.hear()
    talk.say(*[frames.write_window_update(0, 1)] * 400, *[write_frame(frames.PING, 0, 0, bytes(8))] * 100)
    assert not talk.wire.closed
    talk.say(*[frames.write_window_update(0, 1)] * 20)
    assert talk.wire.closed


def test_answers_to_a_peer_that_does_not_read_run_out() -> None:
    talk = Conversation(Bounds(burst=1_000_000, reply_bytes=10_000))
    talk.greet()
    app = talk.open()
    talk.wire.room = 0
    app.say(b"x")
    ping = write_frame(frames.PING, 0, 0, bytes(8))
    for _ in range(600):
        talk.say(ping)
        assert len(talk.wire.kept) + talk.connection.outbox.size < 11_000
    assert (talk.wire.aborted, app.lost) == (True, 1)


def test_a_header_block_has_a_length() -> None:
    talk = Conversation(Bounds(metadata_bytes=10_000, continuations=1_000))
    talk.greet()
    heard = talk.say(
        write_frame(frames.HEADERS, 0, 1, bytes(10_000)), write_frame(frames.CONTINUATION, 0, 1, bytes(10_001))
    )
    assert fault_of(heard) == Fault.ENHANCE_YOUR_CALM


def test_a_header_block_has_a_number_of_frames() -> None:
    talk = Conversation(Bounds(continuations=8))
    talk.greet()
    empty = write_frame(frames.CONTINUATION, 0, 1, b"")
    assert talk.say(write_frame(frames.HEADERS, 0, 1, b""), *[empty] * 8) == []
    assert fault_of(talk.say(empty)) == Fault.ENHANCE_YOUR_CALM


def test_headers_above_the_bound_refuse_the_call() -> None:
    talk = Conversation(Bounds(metadata_bytes=10_000))
    talk.greet()
    heard = talk.say(headers(1, talk.encoder.encode(request(("a", "x" * 10_000)))))
    assert talk.decode_last(heard)["grpc-status"] == "8"
    assert talk.open(3).lost == 0


def test_a_small_block_that_inflates_ends_the_connection() -> None:
    """One entry of the table, named thousands of times (CVE-2016-1544)."""
    talk = Conversation(Bounds(metadata_bytes=10_000))
    talk.greet()
    bomb = b"\x40\x01a\x7f\x81\x17" + b"x" * 3_072 + b"\xbe" * 5_000
    assert fault_of(talk.say(headers(1, bomb))) == Fault.ENHANCE_YOUR_CALM
    assert talk.calls == []


def test_a_table_has_its_size() -> None:
    talk = Conversation()
    talk.greet()
    assert fault_of(talk.say(headers(1, b"\x3f\xe2\x1f"))) == Fault.COMPRESSION_ERROR


def test_a_peer_that_does_not_read_is_asked_for_nothing_and_costs_one_message() -> None:
    talk = Conversation()
    talk.greet((frames.INITIAL_WINDOW_SIZE, frames.LARGEST_WINDOW))
    talk.say(frames.write_window_update(0, frames.LARGEST_WINDOW - 65_535))
    app = talk.open()
    talk.wire.room = 100_000
    app.say(*[bytes(1_000_000)] * 50)
    for _ in range(20):
        app.call.stir()
        talk.connection.receive(frames.write_window_update(1, 1))
    assert app.pulled == 1
    assert len(talk.wire.kept) + talk.connection.outbox.size < 300_000


def test_one_connection_does_not_keep_the_others_waiting() -> None:
    talk = Conversation()
    talk.greet((frames.INITIAL_WINDOW_SIZE, frames.LARGEST_WINDOW))
    talk.say(frames.write_window_update(0, frames.LARGEST_WINDOW - 65_535))
    app = talk.open()
    app.say(*[bytes(1_000)] * 1_000)
    assert app.pulled < 20, "the rest waits for a further turn of the event loop"
    assert len(talk.soon) > 0
    talk.settle()
    assert app.pulled == 1_001


def test_headers_of_a_call_that_is_over_run_out() -> None:
    talk = Conversation(Bounds(burst=100, burst_rate=10.0))
    talk.greet()
    talk.open().call.finish(Status.OK, "")
    talk.hear()
    late = [headers(1, talk.encoder.encode([("a", "b")])) for _ in range(110)]
    assert fault_of(talk.say(*late)) == Fault.ENHANCE_YOUR_CALM


def test_many_large_messages_are_handed_to_the_socket_bit_by_bit() -> None:
    talk = Conversation()
    talk.greet((frames.INITIAL_WINDOW_SIZE, frames.LARGEST_WINDOW))
    talk.say(frames.write_window_update(0, frames.LARGEST_WINDOW - 65_535))
    talk.wire.room = 0
    apps = [talk.open(2 * number + 1) for number in range(60)]
    for app in apps:
        app.say(bytes(300_000))
    talk.drain()
    assert [app.pulled for app in apps] == [2] * 60
    assert talk.wire.longest < 400_000


def test_the_ends_of_streams_are_forgotten_in_time() -> None:
    talk = Conversation(Bounds(burst=10_000))
    talk.greet()
    for number in range(1_000):
        talk.open(2 * number + 1).call.finish(Status.OK, "")
        talk.settle()
    kept = talk.connection.streams
    assert len(kept.calls) == 0
    assert sum(kept.has_ended(stream) for stream in range(2_001)) <= 256
    assert not talk.wire.closed


def test_messages_in_one_byte_pieces_cost_what_they_are() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    said = b"".join(data(1, bytes((octet,))) for octet in message(b"slow"))
    for octet in said:
        talk.connection.receive(bytes((octet,)))
    assert app.received == [b"slow"]
