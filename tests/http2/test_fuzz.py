"""However the bytes are cut and whatever they are: one outcome, no exception, and an end within the bounds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.frames import write_frame
from tests.http2.conversation import Conversation, Echo, data, headers, message, parse, request, settings

BOUNDS = Bounds(window=65_535, connection_window=65_535, message_bytes=50_000, unread_bytes=60_000, streams=3)

HANDSHAKE = frames.PREFACE + settings() + frames.SETTINGS_ACK


def lengthy_conversation() -> bytes:
    """Three calls, two of them at once, with everything that a client may say."""
    encoder = Conversation().encoder
    return b"".join(
        (
            HANDSHAKE,
            headers(1, encoder.encode(request(("user-agent", "x")))),
            data(1, message(b"a") + message(b"b" * 200)),
            write_frame(frames.PING, 0, 0, b"12345678"),
            headers(3, encoder.encode(request(("who", "me")))),
            data(3, message(b"c" * 300)[:100], padding=7),
            settings((frames.INITIAL_WINDOW_SIZE, 400)),
            data(1, message(b"d"), ended=True),
            data(3, message(b"c" * 300)[100:]),
            frames.write_window_update(3, 5_000),
            data(3, b"", ended=True),
            headers(5, encoder.encode(request())),
            data(5, message(b"begun")[:7]),
            frames.write_reset(5, frames.Fault.CANCEL),
            write_frame(frames.PRIORITY, 0, 9, bytes(5)),
        )
    )


LENGTHY = lengthy_conversation()


def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    """What was received, what was said by stream, and whether it is closed."""
    talk = Conversation(BOUNDS, application=Echo)
    for piece in pieces:
        talk.connection.receive(piece)
        talk.settle()
    spoken: dict[tuple[int, int], bytes] = {}
    for frame in parse(bytes(talk.wire.sent)):
        key = frame.stream, frame.kind
        spoken[key] = spoken.get(key, b"") + frame.payload
    apps = [(app.received, app.half_closed, app.lost) for app in talk.calls]
    return apps, spoken, talk.wire.closed


WHOLE = outcome([LENGTHY])


def cut(text: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted({place % len(text) for place in places}), len(text)]
    return [text[start:stop] for start, stop in pairwise(marks)]


def test_the_conversation_is_one() -> None:
    apps = WHOLE[0]
    assert apps == [([b"a", b"b" * 200, b"d"], 1, 1), ([b"c" * 300], 1, 1), ([], 0, 1)]


@given(st.lists(st.integers(0, len(LENGTHY)), max_size=40))
@hypothesis_settings(max_examples=150, deadline=None)
def test_a_conversation_cut_anywhere_is_the_same(places: list[int]) -> None:
    assert outcome(cut(LENGTHY, places)) == WHOLE


def test_a_conversation_byte_by_byte_is_the_same() -> None:
    assert outcome([LENGTHY[place : place + 1] for place in range(len(LENGTHY))]) == WHOLE


def check_bounds(talk: Conversation) -> None:
    """What holds whatever was said."""
    talk.settle()
    parse(bytes(talk.wire.sent))
    assert len(talk.connection.streams.calls) <= BOUNDS.streams
    assert 0 <= talk.around.unread <= BOUNDS.unread_bytes
    if talk.wire.closed:
        assert talk.around.unread == 0
        assert all(app.lost == 1 for app in talk.calls)
    assert all(app.lost <= 1 for app in talk.calls)
    assert all(len(each) <= BOUNDS.message_bytes for app in talk.calls for each in app.received)


frame = st.builds(
    write_frame,
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 9, 0x20, 0x25, 0x2D]) | st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 7, 2**31 - 1]),
    st.binary(max_size=40)
    | st.sampled_from(
        [
            bytes(4),
            bytes(8),
            b"\x7f\xff\xff\xff",
            message(b"x"),
            message(b"y" * 30_000)[:16_384],
            *(
                Conversation().encoder.encode(request(extra))
                for extra in [("a", "b"), ("te", "x"), ("content-length", "6")]
            ),
        ]
    ),
)


@given(st.lists(frame, max_size=30), st.booleans())
@hypothesis_settings(max_examples=250, deadline=None)
def test_frames_that_somebody_made_up_end_within_the_bounds(said: list[bytes], full: bool) -> None:
    talk = Conversation(BOUNDS, application=Echo)
    talk.say(HANDSHAKE)
    talk.wire.room = 50 if full else None
    for each in said:
        talk.connection.receive(each)
        talk.settle()
    talk.drain()
    talk.wait(1_000)
    check_bounds(talk)
    talk.connection.lose()
    talk.settle()
    assert all(app.lost == 1 for app in talk.calls)
    assert talk.around.unread == 0


@given(st.binary(max_size=2_000), st.booleans())
@hypothesis_settings(max_examples=200, deadline=None)
def test_any_bytes_end_within_the_bounds(said: bytes, greeted: bool) -> None:
    talk = Conversation(BOUNDS, application=Echo)
    if greeted:
        talk.say(HANDSHAKE)
    talk.connection.receive(said)
    check_bounds(talk)


@given(st.lists(st.tuples(st.integers(len(HANDSHAKE), len(LENGTHY) - 1), st.integers(0, 255)), min_size=1, max_size=5))
@hypothesis_settings(max_examples=250, deadline=None)
def test_a_conversation_with_wrong_bytes_ends_within_the_bounds(wrong: list[tuple[int, int]]) -> None:
    said = bytearray(LENGTHY)
    for place, octet in wrong:
        said[place] = octet
    talk = Conversation(BOUNDS, application=Echo)
    talk.connection.receive(bytes(said))
    check_bounds(talk)
    talk.connection.lose()
    talk.settle()
    assert all(app.lost == 1 for app in talk.calls)


@given(st.binary(max_size=300))
@hypothesis_settings(max_examples=300, deadline=None)
def test_any_header_block_is_decoded_or_ends_the_connection(block: bytes) -> None:
    talk = Conversation(BOUNDS, application=Echo)
    talk.say(HANDSHAKE)
    talk.connection.receive(headers(1, block))
    check_bounds(talk)
