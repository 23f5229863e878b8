"""One form for each resource: the same message is the same JSON, the same version and the same bytes everywhere."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message

from compiler.envoy.packing import UnknownTypeError, message_type, pack, repack
from compiler.envoy.resources import ResourceType
from compiler.snapshot.findings import Reading
from compiler.snapshot.reading import read
from compiler.snapshot.wire import varint

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = [
    "Rendered",
    "assemble",
    "file_bytes",
    "pack",
    "packed_bytes",
    "parse",
    "put_together",
    "render",
    "write_version",
]

_LAYOUT = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
_VERSION_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Rendered:
    """One distinct resource: `member` for people and Git, `body` (a serialised Any) for the wire, one `version`.

    Replicas share the `pieces` of what differs by an address only.
    """

    type: ResourceType
    name: str
    version: str
    pieces: tuple[bytes, ...] = field(compare=False)
    body: bytes

    @property
    def member(self) -> bytes:
        """As it stands in a file, with its name before it."""
        return b"".join(self.pieces)

    @property
    def json(self) -> bytes:
        """The canonical JSON, which the version is the hash of."""
        return self.member[len(_member_start(self.name)) :].replace(b"\n  ", b"\n")


def render(kind: ResourceType, name: str, message: Message, reading: Reading | None = None) -> Rendered:
    """Nested Anys must have been packed by `pack` (or repacked): their bytes are taken as they are.

    `reading` is what `read` gives for the message, where the caller has it. Raises `UnknownTypeError` for a nested type
    URL that Envoy's API does not have.
    """
    json = orjson.dumps(_plain(message, reading or read(message)), option=_LAYOUT)
    return assemble(kind, name, json, message.SerializeToString(deterministic=True))


def assemble(kind: ResourceType, name: str, json: bytes, value: bytes) -> Rendered:
    """A resource from its two forms: canonical JSON, and the message as it was serialised."""
    member = _member_start(name) + json.replace(b"\n", b"\n  ")
    return put_together(kind, name, json, (member,), packed_bytes(kind, value))


def put_together(kind: ResourceType, name: str, json: bytes, pieces: tuple[bytes, ...], body: bytes) -> Rendered:
    """As `assemble`, where somebody has the pieces of the member and the packed message already."""
    return Rendered(kind, name, write_version(hashlib.sha256(json)), pieces, body)


def write_version(hashed: "_Hash") -> str:
    """That of the resource whose canonical JSON was hashed."""
    return hashed.hexdigest()[:_VERSION_LENGTH]


def _member_start(name: str) -> bytes:
    """A line break in canonical JSON is never inside a string, so that what follows is indented by replacing it."""
    return b"\n  " + orjson.dumps(name) + b": "


def packed_bytes(kind: ResourceType, value: bytes) -> bytes:
    """A serialised Any is two fields with their lengths, and an empty one is not written."""
    return _TYPE_FIELDS[kind] + (b"\x12" + varint(len(value)) + value if value else b"")


_TYPE_FIELDS: Final = {kind: any_pb2.Any(type_url=kind.type_url).SerializeToString() for kind in ResourceType}


def parse(json: bytes, kind: ResourceType) -> Message:
    """The message of a canonical JSON; `render` gives the very same resource for it."""
    message = message_type(kind.type_url)()
    plain = orjson.loads(json)
    _know_types(plain)
    json_format.ParseDict(plain, message)
    repack(message)
    return message


def file_bytes(resources: Mapping[str, Rendered]) -> bytes:
    """One JSON object keyed by name, as if dumped in one go, put together from fragments that are already there."""
    if not resources:
        return b"{}\n"
    return b"{" + b",".join(resources[name].member for name in sorted(resources)) + b"\n}\n"


def _plain(message: Message, reading: Reading) -> Any:
    """What JSON has no form for, json_format refuses in its own words, and an unknown type `repack` by its name."""
    if not reading.unwritten:
        return reading.plain
    repack(_copy(message))
    return json_format.MessageToDict(message)


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _know_types(plain: object) -> None:
    """json_format looks types up only in the descriptor pool: meet each `@type` first.

    A Struct may hold a key of that name too, and anything under it.
    """
    match plain:
        case dict():
            if isinstance(type_url := plain.get("@type"), str):
                with suppress(UnknownTypeError):
                    message_type(type_url)
            for value in plain.values():
                _know_types(value)
        case list():
            for value in plain:
                _know_types(value)
