"""Who is behind a service: proxies that take its calls, their endpoints and identities, and what callers hear of it."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple, cast

from compiler.memo import Memo, Query
from compiler.mesh.destination import Destination, Endpoint, Outside
from compiler.mesh.external import outside_of, outside_of_tagged
from compiler.mesh.gateways.choosing import GATEWAY, taking
from compiler.mesh.graph import RESOURCE, carriers, mesh_spec, read_proxy, service_name
from compiler.mesh.identity import IDENTITIES_OF, accepted_uris, has_tls
from compiler.mesh.match import listener_section, listener_tags
from compiler.mesh.services import (
    MULTI_ZONE,
    PORT_PROTOCOL,
    SERVICE_RESOURCE,
    STANDS_FOR,
    Port,
    inbounds_of,
    offering,
    service_ports,
    tagged_by,
)
from compiler.mesh.shape import shape_of
from compiler.mesh.sni import server_name
from compiler.mesh.value import Value
from compiler.resources.model import (
    DISPLAY_NAME,
    PROTOCOL,
    Dataplane,
    Inbound,
    LabelSelector,
    MeshExternalService,
    MeshGateway,
    MeshMultiZoneService,
    MeshService,
    Resource,
    ResourceKey,
    ServicePort,
    ServiceSelector,
)


class Member(Value, frozen=True):
    """A Dataplane of a service, and the inbound that takes its calls."""

    dataplane: ResourceKey
    section: str


def _members(memo: Memo, port: Port) -> tuple[Member, ...]:
    service = memo.ask(SERVICE_RESOURCE, port.service)
    if service is not None and isinstance(service.spec, MeshMultiZoneService):
        found = {member for one in memo.ask(STANDS_FOR, port) for member in memo.ask(MEMBERS, one)}
        return tuple(sorted(found, key=lambda member: (member.dataplane, member.section)))
    if service is not None and isinstance(service.spec, MeshGateway):
        found = {Member(proxy.key, port.section) for one, proxy in taking(memo, port.service.mesh) if one == service}
        return tuple(sorted(found, key=lambda member: member.dataplane))
    if service is None or not isinstance(service.spec, MeshService):
        return ()
    selector, wanted = service.spec.selector, _wanted(service, port)
    if port.section and wanted.port is None:
        return ()
    found = {
        Member(resource.key, inbound.section)
        for resource in _selected(memo, service, selector)
        for inbound in inbounds_of(resource)
        if inbound.is_offered and wanted.is_met(resource, inbound)
    }
    return tuple(sorted(found, key=lambda member: (member.dataplane, member.section)))


def _selected(memo: Memo, service: Resource, selector: ServiceSelector) -> Iterable[Resource]:
    """A service of a zone has Dataplanes of that zone only."""
    mesh = service.key.mesh
    match selector:
        case ServiceSelector(dataplane_tags=dict() as tags):
            found: Iterable[Resource] = carriers(memo, mesh, tags, "tag:")
        case ServiceSelector(dataplane_labels=LabelSelector(match_labels=labels)):
            found = carriers(memo, mesh, labels, "label:")
        case ServiceSelector(dataplane_ref=reference) if reference is not None:
            found = _named(memo, service, reference.name)
        case _:
            found = offering(memo, service.key)
    return (resource for resource in found if service.zone in {"", resource.zone})


def _named(memo: Memo, service: Resource, name: str) -> Iterator[Resource]:
    """By its name in the mesh, or by the one that it has in the service's namespace."""
    keys = (ResourceKey("Dataplane", service.key.mesh, one) for one in (name, f"{name}.{service.namespace}"))
    found = (read_proxy(memo, key) for key in keys)
    yield from islice((one for one in found if one is not None), 1)


class _Wanted(NamedTuple):
    """What an inbound must be to take calls: called by a name, with tags, behind a port, where each of them counts."""

    name: str | None
    tags: frozenset[tuple[str, str]]
    port: ServicePort | None

    def is_met(self, resource: Resource, inbound: Inbound) -> bool:
        if self.name is not None and service_name(resource, inbound.tags) != self.name:
            return False
        if self.tags and not self.tags <= inbound.tags.items():
            return False
        return self.port is None or _targets(self.port, inbound)


def _wanted(service: Resource, port: Port) -> _Wanted:
    """Of those that the service selects already."""
    spec = cast(MeshService, service.spec)
    name = service.key.name if spec.selector == ServiceSelector() else None
    tags = frozenset((*(spec.selector.dataplane_tags or {}).items(), *port.subset))
    section = next((one for one in spec.ports if one.section == port.section), None) if port.section else None
    return _Wanted(name, tags, section)


def _targets(port: ServicePort, inbound: Inbound) -> bool:
    """A number is an inbound's port, a string its name (kuma-core §2.5)."""
    target = port.port if port.target_port is None else port.target_port
    return inbound.name == target if isinstance(target, str) else inbound.port == target


def _endpoints(memo: Memo, port: Port) -> tuple[Endpoint, ...]:
    """Those that stand in the repository; proxies that register themselves join when they are served (design D9)."""
    if port.service.type == MULTI_ZONE:
        return tuple(sorted({one for member in memo.ask(STANDS_FOR, port) for one in memo.ask(ENDPOINTS, member)}))
    written = (member for member in memo.ask(MEMBERS, port) if member.dataplane.type == "Dataplane")
    members = (_resolve(memo, member) for member in written)
    return tuple(sorted(_endpoint(resource, inbound) for resource, inbound in members if inbound.healthy))


def _endpoint(resource: Resource, inbound: Inbound) -> Endpoint:
    """Where a proxy is advertised, others are sent there, whatever its inbounds bind to (kuma-core §2.2)."""
    networking = cast(Dataplane, resource.spec).networking
    address = networking.advertised_address or inbound.address or networking.address
    tags = inbound.tags or {
        PROTOCOL: inbound.spoken,
        **{key: value for key, value in resource.labels.items() if key != DISPLAY_NAME},
    }
    return Endpoint(resource.zone, address, inbound.port, tuple(sorted(tags.items())))


def _secured(memo: Memo, port: Port) -> bool:
    """Whether all of its proxies take mutual TLS, as Kuma's `status.tls` says in the end (kuma-core §2.5)."""
    if mesh_spec(memo, port.service.mesh).mtls.backend is not None:
        return True
    if not memo.ask(IDENTITIES_OF, port.service.mesh):
        return False
    if port.service.type == MULTI_ZONE:
        return all(memo.ask(SECURED, one) for one in memo.ask(STANDS_FOR, port))
    members = memo.ask(MEMBERS, port)
    return bool(members) and all(has_tls(memo, resource) for resource, _ in (_resolve(memo, one) for one in members))


def _identities(memo: Memo, port: Port) -> tuple[str, ...]:
    """The SPIFFE ids that a caller accepts: those that the service's proxies have, or may have in a moment."""
    if port.service.type == MULTI_ZONE:
        return tuple(sorted({uri for member in memo.ask(STANDS_FOR, port) for uri in memo.ask(IDENTITIES, member)}))
    members = (_resolve(memo, member) for member in memo.ask(MEMBERS, port))
    called = ((resource, service_name(resource, inbound.tags)) for resource, inbound in members)
    if memo.ask(IDENTITIES_OF, port.service.mesh):
        accepted = {uri for resource, name in called for uri in accepted_uris(memo, resource, name)}
    else:
        accepted = {f"spiffe://{port.service.mesh}/{name}" for name in {name for _, name in called}}
    return tuple(sorted(accepted or {f"spiffe://{port.service.mesh}/{port.service.name}"}))


def _resolve(memo: Memo, member: Member) -> tuple[Resource, Inbound]:
    resource = cast(Resource, read_proxy(memo, member.dataplane))
    inbounds = inbounds_of(resource) or tuple(crossing_inbounds(memo, resource))
    return resource, next(inbound for inbound in inbounds if inbound.section == member.section)


def crossing_inbounds(memo: Memo, proxy: Resource) -> Iterator[Inbound]:
    """What a builtin gateway takes of proxies of other meshes, as its inbounds; they have the listeners' tags."""
    gateway = memo.ask(GATEWAY, shape_of(proxy))
    for one in cast(MeshGateway, gateway.spec).conf.listeners if gateway is not None else ():
        if gateway is not None and one.crosses:
            tags = dict(listener_tags(one, gateway, proxy))
            yield Inbound(port=one.port, name=listener_section(one), protocol="http", tags=tags)


def _destination(memo: Memo, port: Port) -> Destination | None:
    """None where there is no such service, or no such port of it."""
    service = memo.ask(SERVICE_RESOURCE, port.service)
    if service is None:
        return None
    if port.section and all(one.section != port.section for one in service_ports(service)):
        return None
    outside = _outside(memo, port, service)
    secured = outside is None and memo.ask(SECURED, port)
    return Destination(
        kri=service.kri(port.section) + _suffix(port.subset),
        service=port.service,
        section=port.section,
        protocol=memo.ask(PORT_PROTOCOL, port),
        mesh=port.service.mesh,
        subset=port.subset,
        secured=secured,
        identities=memo.ask(IDENTITIES, port) if secured else (),
        outside=outside,
        server_name=server_name(service, port.section, port.subset) if secured else "",
    )


def _outside(memo: Memo, port: Port, service: Resource) -> Outside | None:
    if isinstance(service.spec, MeshExternalService):
        return outside_of(service)
    wanted = tagged_by(memo, port) if memo.read(RESOURCE, port.service) is None else ()
    return outside_of_tagged(wanted) if wanted else None


def _suffix(subset: tuple[tuple[str, str], ...]) -> str:
    """Told apart from the whole service as Kuma 2 does: 16 hex digits of the tags."""
    if not subset:
        return ""
    text = ",".join(f"{key}={value}" for key, value in subset)
    return f"-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


MEMBERS: Final[Query[Port, tuple[Member, ...]]] = Query("members", _members)
ENDPOINTS: Final[Query[Port, tuple[Endpoint, ...]]] = Query("endpoints", _endpoints)
IDENTITIES: Final[Query[Port, tuple[str, ...]]] = Query("identities", _identities)
SECURED: Final[Query[Port, bool]] = Query("secured", _secured)
DESTINATION: Final[Query[Port, Destination | None]] = Query("destination", _destination)
