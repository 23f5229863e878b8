"""Who is meant by a name in a question or a promise: a workload, a proxy, or a service that leads to some."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from compiler.envoy.resources import ResourceType
from compiler.review.access.doors import find_doors, service_of, uris_of
from compiler.review.access.known import Known
from compiler.review.access.reaching import places_of
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.snapshot import Snapshot

__all__ = ["Party", "find_party", "services_named"]

_SERVICES = "kri_msvc_"


class Party(NamedTuple):
    """One side of a question: a service, or some of its proxies (node ids); what is outside, or gone, has none."""

    service: str
    nodes: frozenset[str] = frozenset()


def find_party(snapshots: Mapping[str, Snapshot], name: str) -> tuple[Party, ...]:
    """The services that a name may mean: `mesh/workload`, a workload, a proxy, or a service by its name; else none."""
    by_service: dict[str, set[str]] = {}
    for node, snapshot in snapshots.items():
        by_service.setdefault(service_of(snapshot), set()).add(node)
    if name in by_service:
        return (Party(name, frozenset(by_service[name])),)
    found = [one for one in sorted(by_service) if one.partition("/")[2] == name]
    if found:
        return tuple(Party(one, frozenset(by_service[one])) for one in found)
    proxies = {node: one for node, one in snapshots.items() if name in {node, one.node.proxy}}
    if not proxies:
        proxies = {node: one for node, one in snapshots.items() if f"spiffe://{one.node.mesh}/{name}" in uris_of(one)}
    if not proxies:
        return tuple(Party(one, frozenset(by_service[one])) for one in services_named(snapshots, name))
    services = sorted({service_of(one) for one in proxies.values()})
    return tuple(
        Party(service, frozenset(node for node, one in proxies.items() if service_of(one) == service))
        for service in services
    )


def services_named(snapshots: Mapping[str, Snapshot], name: str) -> tuple[str, ...]:
    """The workloads to which the clusters of a MeshService lead; `name` is its own, or `mesh/name`."""
    leading = list(_leading(snapshots, *name.rpartition("/")[::2]))
    if not leading:
        return ()
    known, found = Known(), set()
    doors = find_doors(snapshots.values(), known)
    for snapshot, rendered in leading:
        upstream = known.cluster(rendered)
        there, _ = doors.open_to(upstream, places_of(snapshot, upstream, known), snapshot.node.mesh)
        found |= {door.service for door in there}
    return tuple(sorted(found))


def _leading(snapshots: Mapping[str, Snapshot], mesh: str, name: str) -> Iterator[tuple[Snapshot, Rendered]]:
    """Each cluster of the service once for every zone, which may know other endpoints."""
    seen = set()
    for snapshot in snapshots.values():
        for cluster, rendered in snapshot.resources.get(ResourceType.CLUSTER, {}).items():
            key = cluster, snapshot.node.mesh, snapshot.node.zone
            if service_named_by(cluster) == name and mesh in {"", cluster.split("_")[2]} and key not in seen:
                seen.add(key)
                yield snapshot, rendered


def service_named_by(resource: str) -> str:
    """The MeshService that an Envoy resource is about (kuma-core §5.3), or nothing."""
    parts = resource.split("_") if resource.startswith(_SERVICES) else []
    return parts[5] if len(parts) > 6 else ""
