"""Services that nothing stands behind: a service may come before its proxies, so that is told and refused nowhere."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, cast

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo, Query
from compiler.mesh.graph import EXAMPLES, proxy_keys, read_proxy
from compiler.mesh.match import has_labels
from compiler.mesh.members import MEMBERS
from compiler.mesh.services import SERVICE_KEYS, SERVICE_RESOURCE, STANDS_FOR, Port, service_ports
from compiler.resources.findings import Finding
from compiler.resources.model import Dataplane, MeshMultiZoneService, MeshService, Resource, ResourceKey, ServicePort

EMPTY_SERVICE: Final = Code(
    "empty-service",
    Severity.WARNING,
    "a service, or one of its ports, that nothing stands behind",
    "No Dataplane and no DataplaneSet is selected by the MeshService, or none of those has an inbound at the port's "
    "`targetPort`; or no MeshService has the labels, or the port, that a MeshMultiZoneService asks for. Calls fail "
    "until there is one: right where a service comes before its proxies, else often a misspelt label. A MeshService "
    "of a zone whose proxies are not in the repository is left alone.",
)
_EXAMPLES: Final = 8
"""Proxies of which the inbounds are named."""


def check_members(memo: Memo, service: Resource) -> Iterator[Finding]:
    """Of a service that is written; one that Dataplanes offer has them."""
    several = isinstance(service.spec, MeshMultiZoneService)
    behind = STANDS_FOR if several else MEMBERS
    ports = service_ports(service)
    idle = [index for index, port in enumerate(ports) if not memo.ask(behind, Port(service.key, port.section))]
    if ports and not idle:
        return
    yield from _check_labels(memo, service, ports, idle) if several else _check_proxies(memo, service, ports, idle)


def _check_proxies(
    memo: Memo, service: Resource, ports: Sequence[ServicePort], idle: Sequence[int]
) -> Iterator[Finding]:
    if not memo.ask(INHABITED, (service.key.mesh, service.zone)):
        return
    if not memo.ask(MEMBERS, Port(service.key, "")):
        yield _unselected(service)
        return
    for index in idle:
        target = ports[index].port if ports[index].target_port is None else ports[index].target_port
        called = "name" if isinstance(target, str) else "port"
        message = f"no inbound of its proxies has the {called} {target!r}, where calls to port {ports[index].port} go"
        yield Finding(f"/ports/{index}", EMPTY_SERVICE, message, f"they have {_inbounds(memo, service)}")


def _unselected(service: Resource) -> Finding:
    selector = cast(MeshService, service.spec).selector
    where = f"mesh {service.key.mesh!r}" + (f" in zone {service.zone!r}" if service.zone else "")
    if selector.dataplane_ref is not None:
        message = f"{where} has no Dataplane {selector.dataplane_ref.name!r} that takes its calls"
        return Finding("/selector/dataplaneRef", EMPTY_SERVICE, message)
    words = "labels" if selector.dataplane_labels is not None else "tags"
    hint = f"compare the {words} with those of the Dataplanes"
    return Finding("/selector", EMPTY_SERVICE, f"no proxy of {where} is selected by this service", hint)


def _inbounds(memo: Memo, service: Resource) -> str:
    members = islice(memo.ask(MEMBERS, Port(service.key, "")), _EXAMPLES)
    proxies = (read_proxy(memo, member.dataplane) for member in members)
    inbounds = {
        (one.port, f"{one.port} ({one.name})" if one.name else str(one.port))
        for proxy in proxies
        if proxy is not None
        for one in cast(Dataplane, proxy.spec).networking.inbound
    }
    return ", ".join(text for _, text in sorted(inbounds))


def _check_labels(
    memo: Memo, service: Resource, ports: Sequence[ServicePort], idle: Sequence[int]
) -> Iterator[Finding]:
    """A mesh without any MeshService has its services elsewhere."""
    wanted = cast(MeshMultiZoneService, service.spec).selector.mesh_service.match_labels
    known = [memo.ask(SERVICE_RESOURCE, key) for key in memo.ask(SERVICE_KEYS, service.key.mesh)]
    if any(one is not None and has_labels(one, wanted) for one in known):
        for index in idle:
            message = f"none of its MeshServices has the port {ports[index].section!r}"
            yield Finding(f"/ports/{index}", EMPTY_SERVICE, message, "ports meet by their names, or else by number")
    elif known:
        hint = "compare the labels with those of the MeshServices"
        yield Finding("/selector/meshService", EMPTY_SERVICE, "no MeshService of the mesh has these labels", hint)


def _is_inhabited(memo: Memo, asked: tuple[str, str]) -> bool:
    mesh, zone = asked
    proxies = (read_proxy(memo, key) for key in _proxies(memo, mesh))
    zones = (proxy.zone for proxy in proxies if proxy is not None)
    return any(zone in {"", one} for one in zones)


def _proxies(memo: Memo, mesh: str) -> Iterator[ResourceKey]:
    """A few first: most often one of those is in the zone, and then a new proxy does not have it asked again."""
    yield from memo.read(EXAMPLES, mesh)
    yield from sorted(proxy_keys(memo, mesh))


INHABITED: Final[Query[tuple[str, str], bool]] = Query("inhabited", _is_inhabited)
"""By mesh and zone: whether a proxy stands there; without a zone, in any."""
