"""Lines between the supervisor and its children."""

import io
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.reconcile.channel import Channel, decode, encode

QUICK = settings(max_examples=40, deadline=None)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@QUICK
@given(st.text(), st.dictionaries(st.text().filter(lambda name: name != "kind"), PLAIN))
def test_a_message_is_one_line_and_comes_back_whole(kind: str, fields: dict[str, object]) -> None:
    line = encode(kind, fields)
    assert line.count(b"\n") == 1
    assert decode(line) == {**fields, "kind": kind}


def test_the_torn_last_line_of_a_killed_child_says_nothing() -> None:
    assert decode(encode("generation", {"digest": "sha1:aa"})[:-9]) == {}


def test_threads_that_send_at_once_do_not_mix_their_lines() -> None:
    written = io.BytesIO()
    channel = Channel(io.BytesIO(), written)
    threads = [threading.Thread(target=_send_fifty, args=(channel,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = written.getvalue().splitlines()
    assert len(lines) == 200
    assert all(decode(line)["text"] == "x" * 500 for line in lines)


def _send_fifty(channel: Channel) -> None:
    for _ in range(50):
        channel.send("beat", text="x" * 500)


def test_the_end_of_the_pipe_ends_the_messages() -> None:
    channel = Channel(io.BytesIO(encode("a", {}) + encode("b", {})), io.BytesIO())
    assert [message["kind"] for message in channel] == ["a", "b"]
