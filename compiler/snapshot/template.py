"""Resources of which replicas have one each that differs by an address only: rendered and checked once, then filled in.

The address is put into the JSON as text and into the message as a field; the rest of both is as it was rendered.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from compiler.envoy.resources import ResourceType
from compiler.mesh.shape import has_hole, hole_place, stand_in
from compiler.snapshot.canonical import Rendered, put_together, render
from compiler.snapshot.findings import Reading

_HOLE_IN_JSON: Final = re.compile(rb'"\\u0000[46]([0-9]+)\\u0000"')


class Template(NamedTuple):
    """Pieces of JSON, and of the member of a file, stand around holes; `places` say which address goes into each."""

    type: ResourceType
    name: str
    json: tuple[bytes, ...]
    member: tuple[bytes, ...]
    places: tuple[int, ...]
    message: Message

    def fill(self, addresses: Sequence[str]) -> Rendered:
        """What `render` gives for the message with these addresses; the member's pieces are shared."""
        message = _copy(self.message)
        for socket in _sockets(message):
            if has_hole(socket.address):
                socket.address = addresses[hole_place(socket.address)]
        written = [b'"%s"' % addresses[place].encode() for place in self.places]
        json, member = b"".join(_between(self.json, written)), tuple(_between(self.member, written))
        return put_together(self.type, self.name, json, member, message.SerializeToString(deterministic=True))


def _between(pieces: Sequence[bytes], filling: Sequence[bytes]) -> Iterator[bytes]:
    yield pieces[0]
    for filled, piece in zip(filling, pieces[1:], strict=True):
        yield filled
        yield piece


def has_holes(message: Message) -> bool:
    """Whether a listener or cluster is one that each replica has of its own."""
    return any(has_hole(socket.address) for socket in _sockets(message))


def make_template(kind: ResourceType, name: str, message: Message, reading: Reading | None = None) -> Template:
    """From a message with holes; `reading` is what `read` gives for it, where the caller has it."""
    rendered = render(kind, name, message, reading)
    json, member = (_HOLE_IN_JSON.split(text) for text in (rendered.json, rendered.member))
    places = tuple(int(place) for place in json[1::2])
    return Template(kind, name, tuple(json[::2]), tuple(member[::2]), places, message)


def without_holes(message: Message) -> Message:
    """The same with some address of the right kind in each hole: no address of a replica makes the rest wrong."""
    copy = _copy(message)
    for socket in _sockets(copy):
        if has_hole(socket.address):
            socket.address = stand_in(socket.address)
    return copy


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _sockets(message: Any) -> Iterator[Any]:
    """Where an inbound's listener binds, or its cluster connects."""
    if message.DESCRIPTOR.name == "Listener":
        yield message.address.socket_address
        return
    for locality in message.load_assignment.endpoints:
        for endpoint in locality.lb_endpoints:
            yield endpoint.endpoint.address.socket_address
