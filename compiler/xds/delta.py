"""Incremental (delta) ADS: messages to events and responses to bytes."""

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from compiler.xds.events import DeltaRequest, Response
from compiler.xds.framing import join_response
from compiler.xds.node import Node, read_node

METHOD = "DeltaAggregatedResources"


def read_request(message: bytes) -> tuple[DeltaRequest, Node | None]:
    """Raises protobuf's DecodeError on bytes that are no request. A node comes with the first request at least."""
    request = DeltaDiscoveryRequest.FromString(message)
    event = DeltaRequest(
        type_url=request.type_url,
        subscribe=tuple(request.resource_names_subscribe),
        unsubscribe=tuple(request.resource_names_unsubscribe),
        claims=dict(request.initial_resource_versions),
        nonce=request.response_nonce,
        error=request.error_detail.message if request.HasField("error_detail") else None,
    )
    return event, read_node(request.node) if request.HasField("node") else None


def write_response(response: Response) -> bytes:
    parts = (part for resource in response.resources for part in resource.delta_parts())
    return join_response(response.version, parts, response.type_url, response.nonce, response.removals)
