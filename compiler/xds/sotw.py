"""State-of-the-world ADS: messages to events and responses to bytes."""

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from compiler.xds.events import Response, SotwRequest
from compiler.xds.framing import join_response
from compiler.xds.node import Node, read_node

METHOD = "StreamAggregatedResources"


def read_request(message: bytes) -> tuple[SotwRequest, Node | None]:
    """Raises protobuf's DecodeError on bytes that are no request. A node comes with the first request at least."""
    request = DiscoveryRequest.FromString(message)
    event = SotwRequest(
        type_url=request.type_url,
        names=tuple(request.resource_names),
        version=request.version_info,
        nonce=request.response_nonce,
        error=request.error_detail.message if request.HasField("error_detail") else None,
    )
    return event, read_node(request.node) if request.HasField("node") else None


def write_response(response: Response) -> bytes:
    """A removal is an omission here, so only the resources are written."""
    parts = (part for resource in response.resources for part in resource.sotw_parts())
    return join_response(response.version, parts, response.type_url, response.nonce)
