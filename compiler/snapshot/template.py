"""Resources of which replicas have one each that differs by an address only: rendered and checked once, then filled in.

The address is put into the JSON as text and into the message as a field; the rest of both is as it was rendered.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from compiler.envoy.resources import ResourceType
from compiler.mesh.shape import has_hole, hole_place, stand_in
from compiler.snapshot.canonical import Rendered, assemble, render
from compiler.snapshot.findings import Reading

_HOLE_IN_JSON: Final = re.compile(rb'"\\u0000[46]([0-9]+)\\u0000"')


class Template(NamedTuple):
    """`pieces` of JSON stand around holes, `places` say which of a replica's addresses goes into each."""

    type: ResourceType
    name: str
    pieces: tuple[bytes, ...]
    places: tuple[int, ...]
    message: Message

    def fill(self, addresses: Sequence[str]) -> Rendered:
        """What `render` gives for the message with these addresses."""
        message = _copy(self.message)
        for socket in _sockets(message):
            if has_hole(socket.address):
                socket.address = addresses[hole_place(socket.address)]
        json = [self.pieces[0]]
        for place, piece in zip(self.places, self.pieces[1:], strict=True):
            json += (b'"', addresses[place].encode(), b'"', piece)
        return assemble(self.type, self.name, b"".join(json), message.SerializeToString(deterministic=True))


def has_holes(message: Message) -> bool:
    """Whether a listener or cluster is one that each replica has of its own."""
    return any(has_hole(socket.address) for socket in _sockets(message))


def make_template(kind: ResourceType, name: str, message: Message, reading: Reading | None = None) -> Template:
    """From a message with holes; `reading` is what `read` gives for it, where the caller has it."""
    pieces = _HOLE_IN_JSON.split(render(kind, name, message, reading).json)
    return Template(kind, name, tuple(pieces[::2]), tuple(int(place) for place in pieces[1::2]), message)


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
