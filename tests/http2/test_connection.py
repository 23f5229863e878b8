"""One connection by its bytes: calls, messages each way, windows, and how a call ends."""

import gc
from collections.abc import Callable

import pytest

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.calls import Call
from compiler.http2.frames import Fault
from compiler.http2.status import Status
from tests.http2.conversation import (
    WINDOW,
    Conversation,
    Echo,
    Told,
    body,
    data,
    fault_of,
    headers,
    kinds,
    list_ours,
    message,
    parse,
    request,
    settings,
)

OPEN_WINDOWS = (frames.INITIAL_WINDOW_SIZE, WINDOW)


def test_our_preface_answers_the_clients_in_one_write() -> None:
    talk = Conversation()
    heard = talk.say(frames.PREFACE, settings())
    assert kinds(heard) == [frames.SETTINGS, frames.WINDOW_UPDATE, frames.SETTINGS]
    assert dict(frames.read_settings(heard[0].payload))[frames.MAX_CONCURRENT_STREAMS] == 100
    assert heard[2].flags == frames.ACK
    assert talk.wire.writes == 1


def test_a_call_is_answered_in_one_write_with_its_headers() -> None:
    talk = Conversation(application=Echo)
    block = talk.encoder.encode(request())
    heard = talk.say(frames.PREFACE, settings(), headers(1, block), data(1, message(b"hello")))
    assert kinds(heard)[-2:] == [frames.HEADERS, frames.DATA]
    assert talk.decode(heard[-2]) == {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-accept-encoding": "identity",
    }
    assert heard[-1].payload == message(b"hello")
    assert talk.wire.writes == 1


def test_a_caller_is_described_without_what_is_the_protocols() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open(1, ("user-agent", "x/1"), ("who", "a"), ("who", "b"), ("key-bin", "AAA"), ("grpc-timeout", "9S"))
    assert app.call.caller.metadata == {"user-agent": "x/1", "who": "a,b"}
    assert app.call.caller.address == "ipv4:192.0.2.1:4000"
    assert app.call.caller.identity == {}


def test_the_last_message_may_carry_the_end() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    talk.say(data(1, message(b"x"), ended=True))
    assert (app.received, app.half_closed, app.lost) == ([b"x"], 1, 0)


def test_a_stir_from_elsewhere_writes_at_once() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    app.due.append(b"news")
    app.call.stir()
    assert body(parse(bytes(talk.wire.sent)), 1) == message(b"news")


def test_a_stir_in_a_pull_is_remembered_and_asks_once_more() -> None:
    class Restless(Told):
        def pull(self) -> bytes | None:
            if self.pulled == 0:
                self.call.stir()
            return super().pull()

    talk = Conversation(application=Restless)
    talk.greet()
    app = talk.open()
    app.call.stir()
    assert app.pulled == 2


def test_a_call_ends_with_trailers_and_then_loses() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open(ended=True)
    app.say(b"answer")
    talk.hear()
    app.call.finish(Status.NOT_FOUND, "niemand hört: 100%\n")
    assert app.lost == 0, "never before finish returns"
    heard = talk.hear()
    assert app.lost == 1
    assert kinds(heard) == [frames.HEADERS]
    assert heard[0].flags == frames.END_HEADERS | frames.END_STREAM
    assert talk.decode_last(heard) == {"grpc-status": "5", "grpc-message": "niemand h%C3%B6rt: 100%25%0A"}


def test_a_call_that_ends_before_its_first_message_has_headers_and_trailers_in_one() -> None:
    talk = Conversation()
    talk.greet()
    talk.open(ended=True).call.finish(Status.PERMISSION_DENIED, "no")
    heard = talk.hear()
    assert kinds(heard) == [frames.HEADERS]
    assert talk.decode_last(heard) | {"grpc-status": "7", "grpc-message": "no", ":status": "200"} == talk.decode_last(
        heard
    )


def test_a_client_that_has_not_ended_is_told_that_nobody_listens() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    app.call.finish(Status.OK, "")
    heard = talk.hear()
    assert kinds(heard) == [frames.HEADERS, frames.RST_STREAM]
    assert fault_of(heard) == Fault.NO_ERROR
    assert talk.say(data(1, message(b"late")), frames.write_window_update(1, 5)) == [], "what was under way is no fault"
    assert app.received == []


def test_only_the_first_end_counts() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open(ended=True)
    app.call.finish(Status.OK, "")
    app.call.finish(Status.INTERNAL, "")
    app.call.stir()
    app.call.hold()
    app.call.release()
    assert talk.decode_last(talk.hear())["grpc-status"] == "0"
    assert (app.lost, app.pulled) == (1, 0)


def test_a_half_written_message_resets_its_stream() -> None:
    talk = Conversation()
    talk.greet((frames.INITIAL_WINDOW_SIZE, 10))
    app = talk.open()
    app.say(b"more than ten")
    talk.hear()
    app.call.finish(Status.UNAVAILABLE, "")
    assert fault_of(talk.hear()) == Fault.INTERNAL_ERROR
    assert app.lost == 1


def test_a_message_of_which_nothing_was_written_is_let_go() -> None:
    talk = Conversation()
    talk.greet((frames.INITIAL_WINDOW_SIZE, 0))
    app = talk.open()
    app.say(b"nothing of it")
    app.call.finish(Status.UNAVAILABLE, "bye")
    assert talk.decode_last(talk.hear())["grpc-status"] == "14"


def test_lose_waits_until_the_trailers_are_written() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    talk.wire.room = 0
    app.say(b"a")
    app.call.finish(Status.OK, "")
    talk.settle()
    assert app.lost == 0
    assert kinds(talk.drain())[-2:] == [frames.HEADERS, frames.RST_STREAM]
    assert app.lost == 1


def test_a_socket_that_takes_nothing_after_the_end_is_cut_off() -> None:
    talk = Conversation(Bounds(linger=5.0))
    talk.greet()
    app = talk.open()
    talk.wire.room = 0
    app.say(b"a")
    app.call.finish(Status.OK, "")
    talk.wait(4.9)
    assert not talk.wire.aborted
    talk.wait(0.2)
    assert talk.wire.aborted
    assert app.lost == 1


def test_a_reset_loses_the_call_at_once() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    assert talk.say(frames.write_reset(1, Fault.CANCEL)) == []
    assert app.lost == 1
    app.call.stir()
    app.call.hold()
    app.call.release()
    app.call.finish(Status.OK, "")
    assert (talk.hear(), app.pulled) == ([], 0)


def test_a_lost_connection_loses_every_call_once() -> None:
    talk = Conversation()
    talk.greet()
    apps = [talk.open(stream) for stream in (1, 3)]
    apps[0].call.finish(Status.OK, "")
    talk.connection.lose()
    talk.settle()
    assert [app.lost for app in apps] == [1, 1]


def test_a_deadline_ends_the_call() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open(1, ("grpc-timeout", "1500m"), ended=True)
    talk.wait(1.4)
    assert app.lost == 0
    assert talk.decode_last(talk.wait(0.2))["grpc-status"] == "4"


def test_a_call_that_is_over_leaves_no_deadline() -> None:
    talk = Conversation()
    talk.greet()
    talk.open(1, ("grpc-timeout", "1S")).call.finish(Status.OK, "")
    talk.settle()
    assert talk.timers == {}


@pytest.mark.parametrize("method", ["receive", "pull", "half_close"])
def test_a_failing_application_ends_its_call_and_no_other(method: str) -> None:
    class Failing(Echo):
        def _fail(self, *_: object) -> None:
            raise RuntimeError("a defect")

    talk = Conversation(application=Failing)
    talk.greet()
    bad, good = talk.open(1), talk.open(3)
    setattr(bad, method, bad._fail)  # type: ignore[attr-defined]
    heard = talk.say(data(1, message(b"x"), ended=True), data(3, message(b"y")))
    assert {frame.stream: talk.decode(frame) for frame in heard if frame.kind == frames.HEADERS}[1][
        "grpc-status"
    ] == "13"
    assert body(heard, 3) == message(b"y")
    assert (bad.lost, good.lost) == (1, 0)


def test_a_failing_opening_ends_its_call() -> None:
    def fail(_: Call) -> Told:
        raise RuntimeError("a defect")

    talk = Conversation(application=fail)
    talk.greet()
    heard = talk.say(headers(1, talk.encoder.encode(request())))
    assert talk.decode_last(heard)["grpc-status"] == "13"


def test_a_call_may_end_while_it_opens() -> None:
    class Busy(Told):
        def __init__(self, call: Call) -> None:
            super().__init__(call)
            call.finish(Status.UNAVAILABLE, "later")

    talk = Conversation(application=Busy)
    talk.greet()
    heard = talk.say(headers(1, talk.encoder.encode(request(("grpc-timeout", "1S")))))
    assert talk.decode_last(heard)["grpc-status"] == "14"
    assert (talk.calls[0].lost, talk.timers) == (1, {})


def test_a_retired_connection_ends_with_its_last_call() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    talk.connection.retire()
    heard = talk.hear()
    assert (kinds(heard), fault_of(heard)) == ([frames.GOAWAY], Fault.NO_ERROR)
    assert talk.say(headers(3, talk.encoder.encode(request()))) == [], "a call that came too late is tried elsewhere"
    assert len(talk.calls) == 1
    assert heard[0].payload[:4] == talk.connection._write_goaway(Fault.NO_ERROR)[9:13], "no later one promises more"
    app.say(b"still there")
    assert body(talk.hear(), 1) == message(b"still there")
    app.call.finish(Status.OK, "")
    talk.hear()
    assert talk.wire.closed
    assert not talk.wire.aborted


def test_a_quiet_peer_is_pinged_and_then_given_up() -> None:
    talk = Conversation(Bounds(keepalive_time=180.0, keepalive_timeout=15.0, idle=10_000.0))
    talk.greet()
    talk.wait(0)
    assert talk.wait(179) == []
    assert kinds(talk.wait(2)) == [frames.PING]
    talk.wait(14)
    talk.say(frames.write_frame(frames.PING, frames.ACK, 0, b"keepaliv"))
    talk.wait(1)
    assert kinds(talk.wait(181)) == [frames.PING]
    assert not talk.wire.aborted
    talk.wait(16)
    assert talk.wire.aborted


def test_a_connection_without_a_call_is_sent_away_after_a_while() -> None:
    talk = Conversation(Bounds(idle=300.0))
    talk.greet()
    app = talk.open()
    talk.wait(100)
    talk.wait(100)
    app.call.finish(Status.OK, "")
    talk.hear()
    talk.wait(1)
    assert talk.wait(298) == [] or not talk.wire.closed
    assert frames.GOAWAY in kinds(talk.wait(2))
    assert talk.wire.closed


def test_settings_that_are_not_answered_end_the_connection() -> None:
    talk = Conversation()
    talk.say(frames.PREFACE, settings())
    talk.connection.check_settled()
    assert fault_of(talk.hear()) == Fault.SETTINGS_TIMEOUT
    talk = Conversation()
    talk.greet()
    talk.connection.check_settled()
    assert not talk.wire.closed


def end_by_reset(talk: Conversation) -> None:
    talk.say(frames.write_reset(1, Fault.CANCEL))


def end_by_fault(talk: Conversation) -> None:
    talk.say(data(0, b""))


def end_by_trailers(talk: Conversation) -> None:
    talk.calls[0].call.finish(Status.OK, "")
    talk.hear()


@pytest.mark.parametrize("end", [end_by_reset, end_by_fault, end_by_trailers, lambda talk: None])
def test_nothing_of_a_lost_connection_is_left_to_the_garbage_collector(end: Callable[[Conversation], None]) -> None:
    gc.collect()
    gc.disable()
    try:
        talk = Conversation(application=Echo)
        talk.greet()
        talk.open(1, ("grpc-timeout", "1H"))
        talk.say(data(1, message(b"x") * 3 + b"\0\0"))
        end(talk)
        talk.connection.lose()
        talk.settle()
        del talk.connection
        assert not {"Connection", "Intake", "FrameReader", "Outbox", "Streams"} & list_ours()
    finally:
        gc.enable()
