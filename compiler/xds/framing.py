"""The wire form of responses, joined from bytes that were framed once, not built by protobuf for each stream."""

from collections.abc import Iterable
from functools import lru_cache

_LENGTH_DELIMITED = 2
_CONTINUED = 0x80
_ONE_BYTE = tuple(bytes((number,)) for number in range(_CONTINUED))

# Field numbers of envoy.service.discovery.v3 (discovery.proto), in the order in which protobuf writes them.
_RESPONSE_VERSION = 1
_RESPONSE_RESOURCES = 2
_RESPONSE_TYPE_URL = 4
_RESPONSE_NONCE = 5
_RESPONSE_REMOVED = 6
_RESOURCE_VERSION = 1
_RESOURCE_BODY = 2
_RESOURCE_NAME = 3


def encode_varint(number: int) -> bytes:
    """Seven bits a byte, the least significant first."""
    if number < _CONTINUED:
        return _ONE_BYTE[number]
    encoded = bytearray()
    while number >= _CONTINUED:
        encoded.append(number % _CONTINUED | _CONTINUED)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def frame_string(field: int, text: str) -> bytes:
    """An empty string is not written: proto3's default."""
    payload = text.encode()
    return _open_field(field, len(payload)) + payload if payload else b""


def frame_delta_resource(name: str, version: str, body_length: int) -> tuple[bytes, bytes]:
    """What stands before and after a resource's body in the `resources` field of a delta response."""
    inner = frame_string(_RESOURCE_VERSION, version) + _open_field(_RESOURCE_BODY, body_length)
    tail = frame_string(_RESOURCE_NAME, name)
    return _open_field(_RESPONSE_RESOURCES, len(inner) + body_length + len(tail)) + inner, tail


def frame_sotw_resource(body_length: int) -> bytes:
    """What stands before a resource's body in the `resources` field of a state-of-the-world response."""
    return _open_field(_RESPONSE_RESOURCES, body_length)


def join_response(
    version: str, resources: Iterable[bytes], type_url: str, nonce: str, removed: Iterable[str] = ()
) -> bytes:
    """A DiscoveryResponse or, with the same field numbers, a DeltaDiscoveryResponse."""
    parts = [frame_string(_RESPONSE_VERSION, version), *resources]
    parts += (_frame_type(type_url), frame_string(_RESPONSE_NONCE, nonce))
    parts += [_open_field(_RESPONSE_REMOVED, len(name)) + name for name in map(str.encode, removed)]
    return b"".join(parts)


@lru_cache(maxsize=64)
def _frame_type(type_url: str) -> bytes:
    """Of each of the few types once."""
    return frame_string(_RESPONSE_TYPE_URL, type_url)


@lru_cache(maxsize=4096)
def _open_field(field: int, length: int) -> bytes:
    """Few lengths are met, over and over."""
    return encode_varint(field << 3 | _LENGTH_DELIMITED) + encode_varint(length)
