"""Incremental (delta) ADS: messages to events and responses to bytes."""

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from compiler.xds.events import NO_CLAIMS, DeltaRequest, Response
from compiler.xds.framing import join_response
from compiler.xds.node import Node, read_node

METHOD = "DeltaAggregatedResources"

_TYPE_URL = 2 << 3 | 2
_NONCE = 6 << 3 | 2
_ONE_BYTE = 0x80
"""Below it a length is its own varint, and the length of any type URL or nonce is."""


def read_request(message: bytes) -> tuple[DeltaRequest, Node | None]:
    """Raises protobuf's DecodeError on bytes that are no request. A node comes with the first request at least."""
    return _read_ack(message) or _read_any(message)


def _read_ack(message: bytes) -> tuple[DeltaRequest, None] | None:
    """A type and a nonce and nothing else, as all but a few requests are: told by its bytes, without a message made."""
    if len(message) < 4 or message[0] != _TYPE_URL or message[1] >= _ONE_BYTE:
        return None
    behind_type = 2 + message[1]
    nonce = message[behind_type + 2 :]
    if message[behind_type : behind_type + 2] != bytes((_NONCE, len(nonce) % _ONE_BYTE)) or len(nonce) >= _ONE_BYTE:
        return None
    if not message.isascii():
        return None
    return DeltaRequest(message[2:behind_type].decode(), nonce=nonce.decode()), None


def _read_any(message: bytes) -> tuple[DeltaRequest, Node | None]:
    """A field that is empty is not copied: to find that out costs a fifth of copying nothing."""
    request = DeltaDiscoveryRequest.FromString(message)
    event = DeltaRequest(
        request.type_url,
        tuple(request.resource_names_subscribe),
        tuple(request.resource_names_unsubscribe) if request.resource_names_unsubscribe else (),
        dict(request.initial_resource_versions) if request.initial_resource_versions else NO_CLAIMS,
        request.response_nonce,
        request.error_detail.message if request.HasField("error_detail") else None,
    )
    return event, read_node(request.node) if request.HasField("node") else None


def write_response(response: Response) -> bytes:
    parts: list[bytes] = []
    for resource in response.resources:
        parts += (resource.delta_head, resource.body, resource.delta_tail)
    return join_response(response.version, parts, response.type_url, response.nonce, response.removals)
