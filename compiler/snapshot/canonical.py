"""One form for each resource: the same message is the same JSON, the same version and the same bytes everywhere."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message

from compiler.envoy.packing import UnknownTypeError, message_type, pack, repack
from compiler.envoy.resources import ResourceType

__all__ = ["Rendered", "assemble", "file_bytes", "pack", "parse", "render"]

_LAYOUT = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
_VERSION_LENGTH = 32
_EXACT_IN_JSON = 2**53


@dataclass(frozen=True, slots=True)
class Rendered:
    """One distinct resource: `json` for people and Git, `body` (a serialised Any) for the wire, `version` for both."""

    type: ResourceType
    name: str
    version: str
    json: bytes
    body: bytes


def render(kind: ResourceType, name: str, message: Message) -> Rendered:
    """Nested Anys must have been packed by `pack` (or repacked): their bytes are taken as they are.

    Raises `UnknownTypeError` for a nested type URL that Envoy's API does not have.
    """
    return assemble(kind, name, _dump(_plain(message)), message.SerializeToString(deterministic=True))


def assemble(kind: ResourceType, name: str, json: bytes, value: bytes) -> Rendered:
    """A resource from its two forms: canonical JSON, and the message as it was serialised."""
    version = hashlib.sha256(json).hexdigest()[:_VERSION_LENGTH]
    body = any_pb2.Any(type_url=kind.type_url, value=value)
    return Rendered(kind, name, version, json, body.SerializeToString(deterministic=True))


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
    members = (b"\n  " + orjson.dumps(name) + b": " + _indented(resources[name]) for name in sorted(resources))
    return b"{" + b",".join(members) + b"\n}\n"


def _indented(resource: Rendered) -> bytes:
    """A line break in canonical JSON is never inside a string."""
    return resource.json.replace(b"\n", b"\n  ")


def _plain(message: Message) -> dict[str, Any]:
    try:
        return json_format.MessageToDict(message)
    except TypeError:  # a nested type that has not been met yet
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


def _dump(plain: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(plain, option=_LAYOUT)
    except orjson.JSONEncodeError:  # a Struct's 1e20 comes as an int that no 64 bits hold
        return orjson.dumps(_without_big_integers(plain), option=_LAYOUT)


def _without_big_integers(plain: Any) -> Any:
    match plain:
        case dict():
            return {key: _without_big_integers(value) for key, value in plain.items()}
        case list():
            return [_without_big_integers(value) for value in plain]
        case int() if abs(plain) > _EXACT_IN_JSON:
            return float(plain)
    return plain
