"""Headers that another connection has begun with are not decoded again, and what refers to them later still is."""

import pytest
from hpack import Decoder

from compiler.http2.connection import Connection
from compiler.http2.greetings import Greetings
from tests.http2.conversation import PATH, Conversation, headers


class Counted(Conversation):
    """Of several connections of one server, the last; each speaks in the same words."""

    def meet_another(self) -> None:
        self.connection = Connection(self.wire, self.around, "ipv4:192.0.2.2:4000", {})
        self.encoder = type(self.encoder)()
        self.greet()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The blocks that went through a decoder."""
    blocks: list[bytes] = []
    decode = Decoder.decode

    def note(self: Decoder, block: bytes, *, raw: bool) -> object:
        blocks.append(block)
        return decode(self, block, raw=raw)

    monkeypatch.setattr(Decoder, "decode", note)
    return blocks


def test_the_first_headers_of_a_fleet_are_decoded_once(decoded: list[bytes]) -> None:
    talk = Counted()
    talk.greet()
    for _ in range(3):
        talk.open(1, ("authorization", "Bearer abc"))
        talk.meet_another()
    assert len(decoded) == 1
    assert [dict(call.call.caller.metadata)["authorization"] for call in talk.calls] == ["Bearer abc"] * 3


def test_later_headers_may_refer_to_first_ones_that_were_not_decoded() -> None:
    """The encoder puts the token into the table that both sides keep, and names its place from then on."""
    talk = Counted()
    talk.greet()
    talk.open(1, ("authorization", "Bearer abc"))
    talk.meet_another()
    talk.open(1, ("authorization", "Bearer abc"))
    talk.open(3, ("authorization", "Bearer abc"), ("x-more", "1"))
    talk.open(5, ("x-more", "1"), ("authorization", "Bearer abc"))
    assert [dict(call.call.caller.metadata) for call in talk.calls[1:]] == [
        {"authorization": "Bearer abc"},
        {"authorization": "Bearer abc", "x-more": "1"},
        {"authorization": "Bearer abc", "x-more": "1"},
    ]


def test_headers_that_are_refused_once_are_refused_again() -> None:
    talk = Counted()
    talk.greet()
    block = talk.encoder.encode([(":method", "POST"), (":path", PATH), ("X-Upper", "1")])
    first = talk.say(headers(1, block))
    talk.meet_another()
    assert talk.say(headers(1, block)) == first
    assert talk.calls == []


def test_no_more_is_kept_than_the_bound() -> None:
    greetings = Greetings()
    greetings.keep(bytes(1025), [])
    assert greetings.find(bytes(1025)) is None
    for number in range(1000):
        greetings.keep(number.to_bytes(2, "big"), [(b"n", b"%d" % number)])
    kept = [number for number in range(1000) if greetings.find(number.to_bytes(2, "big"))]
    assert kept == list(range(744, 1000))
