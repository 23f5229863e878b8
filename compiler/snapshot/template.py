"""Resources that differ from replica to replica by texts only: rendered and checked once, then filled in.

A text is put into the JSON and into the serialised message; the rest of both is as it was rendered.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from compiler.envoy.packing import rewrite
from compiler.envoy.resources import ResourceType
from compiler.mesh.holes import HOLE, has_hole, stand_in
from compiler.snapshot.canonical import Rendered, packed_bytes, put_together
from compiler.snapshot.wire import SYMBOL_BYTES, Cut, cut, in_turn

_HOLE: Final = HOLE.encode()


class Template(NamedTuple):
    """Pieces of JSON, and of the member of a file, stand around holes; `places` say which text goes into each."""

    type: ResourceType
    name: str
    json: tuple[bytes, ...]
    member: tuple[bytes, ...]
    places: tuple[int, ...]
    message: Cut

    @property
    def is_placed(self) -> bool:
        """Whether an address is among the texts, so that each replica has one of its own."""
        return any(place >= 0 for place in self.places)

    def fill(self, texts: Sequence[str]) -> Rendered:
        """What `render` gives for the message with these texts; the member's pieces are shared."""
        encoded = [text.encode() for text in texts]
        written = [encoded[place] for place in self.places]
        json, member = b"".join(in_turn(self.json, written)), tuple(in_turn(self.member, written))
        body = packed_bytes(self.type, self.message.fill(encoded))
        return put_together(self.type, self.name, json, member, body)


def has_holes(rendered: Rendered) -> bool:
    """Whether a resource is one that differs from replica to replica."""
    return any(_HOLE in piece for piece in rendered.pieces)


def make_template(rendered: Rendered, message: Message) -> Template:
    """What was rendered of a message with holes."""
    json, member = (SYMBOL_BYTES.split(text) for text in (rendered.json, rendered.member))
    places = tuple([int(place) for place in json[1::2]])
    return Template(rendered.type, rendered.name, tuple(json[::2]), tuple(member[::2]), places, cut(message))


def with_addresses(message: Message) -> Message:
    """The same with some address of the right kind in each hole: no address of a replica makes the rest wrong."""
    copy = _copy(message)
    for socket in _sockets(copy):
        if has_hole(socket.address):
            socket.address = stand_in(socket.address)
    return copy


def without_holes(message: Message) -> Message:
    """The same with some text of the right kind in each hole, wherever it is."""
    copy = _copy(message)
    rewrite(copy, _put_stand_ins)
    return copy


def _put_stand_ins(message: Any) -> None:
    for field, value in message.ListFields():
        if field.type != field.TYPE_STRING:
            continue
        if field.is_repeated:
            value[:] = [stand_in(text) for text in value]
        elif has_hole(value):
            setattr(message, field.name, stand_in(value))


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _sockets(message: Any) -> Iterator[Any]:
    """Where an inbound's listener binds, or its cluster connects."""
    if message.DESCRIPTOR.name == "Listener":
        yield message.address.socket_address
    elif message.DESCRIPTOR.name == "Cluster":
        for locality in message.load_assignment.endpoints:
            for endpoint in locality.lb_endpoints:
                yield endpoint.endpoint.address.socket_address
