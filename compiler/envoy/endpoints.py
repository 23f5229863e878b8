"""Load assignments: the endpoints of a destination, grouped by zone and sorted (kuma-core §5.6)."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from envoy.config.core.v3.base_pb2 import Metadata
from envoy.config.endpoint.v3.endpoint_components_pb2 import LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from compiler.envoy.common import struct
from compiler.mesh.proxy import Endpoint
from compiler.resources.model import SERVICE

Tags = tuple[tuple[str, str], ...]

_METADATA: Final = ("envoy.lb", "envoy.transport_socket_match")


def load_assignment(cluster: str, endpoints: Sequence[Endpoint], preferred_zone: str | None) -> ClusterLoadAssignment:
    """With a preferred zone the others serve only when it has no healthy endpoint; without one all are equal."""
    assignment = ClusterLoadAssignment(cluster_name=cluster)
    if all(endpoint.zone != preferred_zone for endpoint in endpoints):
        preferred_zone = None  # priorities start at 0
    for zone, members in groupby(sorted(endpoints), key=lambda endpoint: endpoint.zone):
        assignment.endpoints.append(_locality(zone, members, preferred_zone))
    return assignment


def _locality(zone: str, members: Iterable[Endpoint], preferred_zone: str | None) -> LocalityLbEndpoints:
    metadata: dict[Tags, Metadata] = {}
    locality = LocalityLbEndpoints()
    for member in members:
        if member.tags not in metadata:
            metadata[member.tags] = _metadata(member.tags)
        _add_endpoint(locality, member, metadata[member.tags])
    if zone:
        locality.locality.zone = zone
    if preferred_zone is not None and zone != preferred_zone:
        locality.priority = 1
    return locality


def _add_endpoint(locality: LocalityLbEndpoints, member: Endpoint, metadata: Metadata) -> None:
    endpoint = locality.lb_endpoints.add()
    address = endpoint.endpoint.address.socket_address
    address.address, address.port_value = member.address, member.port
    endpoint.load_balancing_weight.value = 1
    if metadata.filter_metadata:
        endpoint.metadata.CopyFrom(metadata)


def _metadata(tags: Tags) -> Metadata:
    """Replicas have the same."""
    metadata = Metadata()
    kept = [(key, value) for key, value in tags if key != SERVICE]
    for key in _METADATA if kept else ():
        metadata.filter_metadata[key].CopyFrom(struct(kept))
    return metadata
