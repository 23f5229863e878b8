"""Messages are put together, cut, held, and sent within the windows of RFC 9113 §5.2."""

import pytest

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.frames import Fault
from tests.http2.conversation import (
    WINDOW,
    Conversation,
    Told,
    body,
    data,
    fault_of,
    message,
    settings,
)

OPEN_WINDOWS = (frames.INITIAL_WINDOW_SIZE, WINDOW)


def window(stream: int, increment: int) -> bytes:
    return frames.write_window_update(stream, increment)


def test_messages_come_whole_however_they_are_cut() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    sent = [b"", b"a", b"b" * 300, b"", b"c" * 20]
    stream = b"".join(map(message, sent))
    for start in range(0, len(stream), 7):
        talk.say(data(1, stream[start : start + 7]))
    talk.say(data(1, stream), data(1, stream[:3]), data(1, stream[3:], padding=9))
    assert app.received == sent * 3


def test_a_message_is_pulled_once_the_one_before_has_gone_to_the_socket() -> None:
    talk = Conversation()
    talk.greet(OPEN_WINDOWS)
    app = talk.open()
    talk.wire.room = 10
    app.say(b"first", b"second")
    assert app.pulled == 1
    talk.drain(room=len(talk.wire.kept))
    assert app.pulled == 2
    assert talk.wire.kept.endswith(b"second")


def test_nothing_is_pulled_while_the_window_is_closed() -> None:
    talk = Conversation()
    talk.greet((frames.INITIAL_WINDOW_SIZE, 0))
    app = talk.open()
    app.say(b"hello", b"again")
    assert body(talk.hear(), 1) == b""
    assert app.pulled == 1
    assert body(talk.say(window(1, 3)), 1) == message(b"hello")[:3]
    assert body(talk.say(window(1, 7)), 1) == message(b"hello")[3:]
    assert body(talk.say(window(1, 10)), 1) == message(b"again")


def test_a_window_may_become_negative() -> None:
    talk = Conversation()
    talk.greet((frames.INITIAL_WINDOW_SIZE, 15))
    app = talk.open()
    app.say(b"0123456789", b"!")
    assert body(talk.hear(), 1) == message(b"0123456789")
    assert body(talk.say(settings((frames.INITIAL_WINDOW_SIZE, 5))), 1) == b""
    assert body(talk.say(window(1, 10)), 1) == b""
    assert body(talk.say(settings((frames.INITIAL_WINDOW_SIZE, 11))), 1) == message(b"!")


def test_a_large_message_goes_in_frames_that_the_peer_takes() -> None:
    talk = Conversation()
    talk.greet(OPEN_WINDOWS)
    app = talk.open()
    talk.say(window(0, WINDOW - frames.DEFAULT_WINDOW))
    large = bytes(range(256)) * 2_000
    app.say(large)
    heard = talk.hear()
    assert body(heard, 1) == message(large)
    assert max(len(frame.payload) for frame in heard) == frames.SMALLEST_FRAME
    talk.say(settings((frames.MAX_FRAME_SIZE, 20_000)))
    app.say(large)
    assert max(len(frame.payload) for frame in talk.hear()) == 20_000


def test_calls_share_the_window_of_their_connection() -> None:
    talk = Conversation()
    talk.greet(OPEN_WINDOWS)
    apps = [talk.open(stream) for stream in (1, 3, 5)]
    for app in apps:
        app.say(b"x" * 200_000)
    total = {1: b"", 3: b"", 5: b""}
    heard = talk.hear()
    for _ in range(400):
        for stream in total:
            total[stream] += body(heard, stream)
        heard = talk.say(window(0, 2_000))
    assert set(total.values()) == {message(b"x" * 200_000)}


def test_a_large_message_leaves_room_for_a_neighbours_small_one() -> None:
    talk = Conversation()
    talk.greet(OPEN_WINDOWS)
    talk.say(window(0, WINDOW - frames.DEFAULT_WINDOW))
    large, small = talk.open(1), talk.open(3)
    talk.wire.room = 0
    large.say(b"x" * 5_000_000)
    small.say(b"y")
    heard = talk.drain()
    assert body(heard, 3) == message(b"y")
    before = heard[: [frame.stream for frame in heard if frame.kind == frames.DATA].index(3)]
    assert len(body(before, 1)) < 300_000
    assert len(body(heard, 1)) == 5_000_005


def test_a_small_message_waits_for_no_window_that_another_call_lacks() -> None:
    talk = Conversation()
    talk.greet((frames.INITIAL_WINDOW_SIZE, 10))
    one, other = talk.open(1), talk.open(3)
    one.say(b"too much for it")
    other.say(b"fits")
    assert body(talk.hear(), 3) == message(b"fits")


def test_received_bytes_are_made_up_for_by_halves_of_a_window() -> None:
    talk = Conversation(Bounds(window=65_535, connection_window=100_000))
    talk.greet()
    talk.open()
    chunk = message(b"x" * 16_000)
    heard = [frame for _ in range(8) for frame in talk.say(data(1, chunk))]
    given = {0: 0, 1: 0}
    for frame in heard:
        assert frame.kind == frames.WINDOW_UPDATE
        given[frame.stream] += int.from_bytes(frame.payload, "big")
    assert given == {0: 8 * len(chunk), 1: 6 * len(chunk)} or given == {0: 4 * len(chunk), 1: 6 * len(chunk)}
    assert len(heard) <= 5


def test_a_stream_that_is_over_gets_no_more_room() -> None:
    talk = Conversation(Bounds(window=65_535))
    talk.greet()
    talk.open()
    talk.say(*[data(1, message(b"x" * 16_000)) for _ in range(2)])
    heard = talk.say(data(1, message(b"x" * 16_000), ended=True))
    assert [frame for frame in heard if frame.stream == 1] == []


def test_a_held_call_gets_nothing_and_its_client_no_room() -> None:
    talk = Conversation(Bounds(window=65_535))
    talk.greet()
    app = talk.open()
    app.call.hold()
    heard = talk.say(*[data(1, message(b"x" * 16_000)) for _ in range(4)])
    assert (app.received, heard) == ([], [])
    app.call.release()
    assert [len(each) for each in app.received] == [16_000] * 4
    assert [(frame.kind, frame.stream) for frame in talk.hear()] == [(frames.WINDOW_UPDATE, 1)]


def test_who_sends_more_than_there_is_room_for_loses_its_call() -> None:
    talk = Conversation(Bounds(window=65_535))
    talk.greet()
    app = talk.open()
    app.call.hold()
    heard = talk.say(*[data(1, message(b"x" * 16_000)) for _ in range(5)])
    assert fault_of(heard) == Fault.FLOW_CONTROL_ERROR
    assert app.lost == 1


def test_a_message_in_which_the_call_is_held_is_the_last_until_it_is_released() -> None:
    class Careful(Told):
        def receive(self, message: bytes) -> None:
            super().receive(message)
            self.call.hold()

    talk = Conversation(application=Careful)
    talk.greet()
    app = talk.open()
    talk.say(data(1, message(b"1") + message(b"2") + message(b"3")[:4]), data(1, message(b"3")[4:], ended=True))
    for number in (1, 2, 3):
        assert (len(app.received), app.half_closed) == (number, 0)
        app.call.release()
    assert (app.received, app.half_closed) == ([b"1", b"2", b"3"], 1)


@pytest.mark.parametrize("within", ["receive", "pull"])
def test_a_release_takes_effect_after_the_application_has_spoken(within: str) -> None:
    class Breathing(Told):
        speaking = False

        def receive(self, message: bytes) -> None:
            assert not self.speaking
            self.speaking = within == "receive"
            super().receive(message)
            self.call.hold()
            if within == "receive":
                self.call.release()
            else:
                self.call.stir()
            self.speaking = False

        def pull(self) -> bytes | None:
            self.speaking = True
            self.call.release()
            self.speaking = False
            return super().pull()

        def half_close(self) -> None:
            assert not self.speaking
            assert len(self.received) == 4
            super().half_close()

    talk = Conversation(application=Breathing)
    talk.greet()
    app = talk.open()
    talk.say(data(1, message(b"1") + message(b"2") + message(b"3") + message(b"4"), ended=True))
    assert (app.received, app.half_closed) == ([b"1", b"2", b"3", b"4"], 1)


def test_a_held_call_is_released_though_the_socket_takes_nothing() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    talk.wire.room = 0
    app.say(b"x")
    app.call.hold()
    talk.connection.receive(data(1, message(b"y")))
    app.call.release()
    assert app.received == [b"y"]


@pytest.mark.parametrize(
    ("extra", "prefix", "code"),
    [
        ((), message(b"x", compressed=1), "13"),
        ((("grpc-encoding", "gzip"),), message(b"x", compressed=1), "12"),
        ((), message(b"x", compressed=7), "13"),
        ((), b"\0" + (1001).to_bytes(4, "big"), "8"),
    ],
    ids=["compressed, and none named", "compressed with gzip", "no flag", "too large"],
)
def test_a_message_that_is_not_taken_ends_its_call(
    extra: tuple[tuple[str, str], ...], prefix: bytes, code: str
) -> None:
    talk = Conversation(Bounds(message_bytes=1000))
    talk.greet()
    app = talk.open(1, *extra)
    assert talk.decode_last(talk.say(data(1, prefix)))["grpc-status"] == code
    assert (app.received, app.lost) == ([], 1)


def test_an_end_in_the_middle_of_a_message_ends_the_call() -> None:
    talk = Conversation()
    talk.greet()
    app = talk.open()
    assert talk.decode_last(talk.say(data(1, message(b"hello")[:-1], ended=True)))["grpc-status"] == "13"
    assert (app.half_closed, app.lost) == (0, 1)


def test_messages_that_are_not_whole_have_a_bound_for_a_connection_and_for_all() -> None:
    for bounds in (Bounds(unread_bytes=10_000), Bounds(all_unread_bytes=10_000)):
        talk = Conversation(bounds)
        talk.greet()
        talk.open(1)
        talk.open(3)
        begun = b"\0" + (100_000).to_bytes(4, "big") + bytes(6_000)
        assert talk.say(data(1, begun)) == []
        assert talk.decode_last(talk.say(data(3, begun)))["grpc-status"] == "8"
        assert talk.around.unread == len(begun)
        talk.say(frames.write_reset(1, Fault.CANCEL))
        assert talk.around.unread == 0
