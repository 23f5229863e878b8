"""Load assignments: the endpoints of a destination, grouped by zone and sorted (kuma-core §5.6)."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from envoy.config.core.v3.base_pb2 import Metadata
from envoy.config.endpoint.v3.endpoint_components_pb2 import LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from compiler.envoy.common import struct
from compiler.mesh.destination import Endpoint, Spread
from compiler.mesh.zones.views import BEYOND_EGRESS
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
    endpoint.load_balancing_weight.value = member.weight
    if metadata.filter_metadata:
        endpoint.metadata.CopyFrom(metadata)


def _metadata(tags: Tags) -> Metadata:
    """Replicas have the same."""
    metadata = Metadata()
    kept = [(key, value) for key, value in tags if key != SERVICE]
    for key in _METADATA if kept else ():
        metadata.filter_metadata[key].CopyFrom(struct(kept))
    return metadata


# --- Spread over zones by a policy --------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A locality in the order in which they are listed; a weight of 0 is none."""

    priority: int
    zone: str
    rank: int
    sub_zone: str
    weight: int


def spread_assignment(cluster: str, endpoints: Sequence[Endpoint], zone: str, spread: Spread) -> ClusterLoadAssignment:
    """As a caller in the zone is to see them; endpoints that it may not call are left out."""
    assignment = ClusterLoadAssignment(cluster_name=cluster)
    places: dict[_Place, list[Endpoint]] = {}
    for endpoint in sorted(endpoints):
        place = _place(endpoint, zone, spread)
        if place is not None:
            places.setdefault(place, []).append(endpoint)
    for place, members in sorted(places.items()):
        locality = _locality(place.zone, members, None)
        locality.priority = place.priority
        if place.sub_zone:
            locality.locality.sub_zone = place.sub_zone
        if place.weight:
            locality.load_balancing_weight.value = place.weight
        assignment.endpoints.append(locality)
    if spread.overprovisioning:
        assignment.policy.overprovisioning_factor.value = spread.overprovisioning
    return assignment


def _place(endpoint: Endpoint, zone: str, spread: Spread) -> _Place | None:
    """None where the caller may not call it. With weights of localities, one without gets no calls."""
    weight = 1 if spread.affinities is not None else 0
    if endpoint.zone == zone:
        return _local_place(endpoint, spread)
    if spread.disabled:
        return _Place(0, endpoint.zone, 0, "", weight)
    if spread.local_only:
        return None
    if spread.failovers is None:
        return _Place(1, endpoint.zone, 0, "", weight)
    if endpoint.zone == BEYOND_EGRESS:
        leaves = any(rule.kind != "None" and (not rule.callers or zone in rule.callers) for rule in spread.failovers)
        return _Place(1, endpoint.zone, 0, "", weight) if leaves else None
    for index, rule in enumerate(spread.failovers):
        if (not rule.callers or zone in rule.callers) and rule.takes(endpoint.zone):
            return _Place(index + 1, endpoint.zone, 0, "", weight)
    return None


def _local_place(endpoint: Endpoint, spread: Spread) -> _Place:
    """The first affinity that holds counts; those that come first are listed first."""
    tags = dict(endpoint.tags)
    for rank, affinity in enumerate(spread.affinities or ()):
        if tags.get(affinity.key) == affinity.value:
            return _Place(0, endpoint.zone, rank, f"{affinity.key}={affinity.value}", affinity.weight)
    affinities = spread.affinities
    return _Place(0, endpoint.zone, len(affinities or ()), "", 1 if affinities is not None else 0)
