"""Resources that differ from replica to replica by texts only: rendered and checked once, then filled in.

A text is put into the JSON and into the serialised message; the rest of both is as it was rendered.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from compiler.envoy.packing import rewrite
from compiler.envoy.resources import ResourceType
from compiler.mesh.holes import HOLE, has_hole, stand_in
from compiler.snapshot.canonical import Rendered, put_together
from compiler.snapshot.wire import SYMBOL_BYTES, Cut, cut, fill_in

_HOLE: Final = HOLE.encode()


class Template(NamedTuple):
    """JSON, and the member of a file, in pieces with an empty one for each hole; `places` say which text goes there.

    `is_placed` where an address is among the texts, so that each replica has a resource of its own.
    """

    type: ResourceType
    name: str
    json: tuple[bytes, ...]
    member: tuple[bytes, ...]
    places: tuple[int, ...]
    is_placed: bool
    body: Cut


def fill_each(templates: Iterable[Template], texts: Sequence[str]) -> tuple[Rendered, ...]:
    """What `render` gives for the messages with these texts; the pieces of members are shared."""
    encoded = [text.encode() for text in texts]
    return tuple([_fill(one, encoded) for one in templates])


def _fill(template: Template, texts: Sequence[bytes]) -> Rendered:
    written = [texts[place] for place in template.places]
    json, member = b"".join(fill_in(template.json, written)), tuple(fill_in(template.member, written))
    return put_together(template.type, template.name, json, member, template.body.fill(texts))


def has_holes(rendered: Rendered) -> bool:
    """Whether a resource is one that differs from replica to replica."""
    return any(_HOLE in piece for piece in rendered.pieces)


def make_template(rendered: Rendered) -> Template:
    """What was rendered of a message with holes."""
    json, places = _split(rendered.json)
    member, _ = _split(rendered.member)
    return Template(rendered.type, rendered.name, json, member, places, max(places) >= 0, cut(rendered.body))


def _split(text: bytes) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """At its holes."""
    pieces = SYMBOL_BYTES.split(text)
    places = tuple(map(int, pieces[1::2]))
    return tuple(fill_in(pieces, [b""] * len(places))), places


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
