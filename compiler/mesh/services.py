"""Services: their ports, endpoints and identities.

A MeshService is written or offered by Dataplanes; a MeshMultiZoneService stands for MeshServices of several zones, and
a MeshExternalService for something outside of the mesh.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple, cast

from compiler.memo import Memo, Query
from compiler.mesh.destination import Destination, Endpoint, Outside
from compiler.mesh.external import outside_of, outside_of_tagged, split_address
from compiler.mesh.graph import (
    KEYS,
    NAMES,
    RESOURCE,
    SERVICE_NAMES,
    carriers,
    mesh_spec,
    read_proxy,
    service_name,
)
from compiler.mesh.identity import IDENTITIES_OF, accepted_uris, has_tls
from compiler.mesh.match import has_labels
from compiler.mesh.sni import server_name
from compiler.mesh.value import Value
from compiler.resources.model import (
    DISPLAY_NAME,
    MESH,
    PROTOCOL,
    SERVICE,
    ZONE,
    Dataplane,
    ExternalService,
    Inbound,
    LabelSelector,
    MeshExternalService,
    MeshMultiZoneService,
    MeshService,
    Resource,
    ResourceKey,
    ServicePort,
    ServiceSelector,
)

MESH_SERVICE: Final = "MeshService"
MULTI_ZONE: Final = "MeshMultiZoneService"
EXTERNAL: Final = "MeshExternalService"
TAGGED_EXTERNAL: Final = "ExternalService"
SERVICE_TYPES: Final = (EXTERNAL, MULTI_ZONE, MESH_SERVICE)
LEGACY_BLOCK: Final = 240
_BLOCKS: Final[Mapping[str, int]] = {MESH_SERVICE: 241, EXTERNAL: 242, MULTI_ZONE: 243}

_STACKS: Final[Mapping[str, tuple[str, ...]]] = {
    "grpc": ("grpc", "http2", "tcp"),
    "http2": ("http2", "tcp"),
    "http": ("http", "tcp"),
    "tls": ("tcp",),
    "tcp": ("tcp",),
}


class Member(Value, frozen=True):
    """A Dataplane of a service, and the inbound that takes its calls."""

    dataplane: ResourceKey
    section: str


class Port(Value, frozen=True):
    """A destination's place: a service and a section of it; an empty section stands for all of a 2.x service tag."""

    service: ResourceKey
    section: str
    subset: tuple[tuple[str, str], ...] = ()


def service_key(mesh: str, name: str) -> ResourceKey:
    return ResourceKey("MeshService", mesh, name)


def _service(memo: Memo, key: ResourceKey) -> Resource | None:
    """A MeshService that is written wins over one that Dataplanes offer under the same name."""
    written = memo.read(RESOURCE, key)
    return written if written is not None or key.type != MESH_SERVICE else _generate(memo, key)


def service_ports(service: Resource) -> tuple[ServicePort, ...]:
    """Those of any kind of service; the one of an external service has no name."""
    match service.spec:
        case MeshService(ports=ports):
            return ports
        case MeshMultiZoneService(ports=several):
            return tuple(ServicePort(port=one.port, name=one.name, app_protocol=one.app_protocol) for one in several)
        case MeshExternalService(match=match):
            return (ServicePort(port=match.port, app_protocol=match.protocol),)
    return ()


def _other_services(memo: Memo, mesh: str) -> tuple[ResourceKey, ...]:
    return tuple(key for kind in (EXTERNAL, MULTI_ZONE) for key in sorted(memo.read(KEYS, (kind, mesh))))


def _stands_for(memo: Memo, port: Port) -> tuple[Port, ...]:
    """The ports of MeshServices behind one of a MeshMultiZoneService: the first of that name, or of that number."""
    service = memo.ask(SERVICE_RESOURCE, port.service)
    if service is None or not isinstance(service.spec, MeshMultiZoneService):
        return ()
    wanted = service.spec.selector.mesh_service.match_labels
    members = (memo.ask(SERVICE_RESOURCE, key) for key in memo.ask(SERVICE_KEYS, port.service.mesh))
    return tuple(
        Port(member.key, one.section)
        for member in members
        if member is not None and has_labels(member, wanted)
        for one in islice((one for one in service_ports(member) if port.section in {one.name, str(one.port)}), 1)
    )


def _generate(memo: Memo, key: ResourceKey) -> Resource | None:
    """Of the Dataplanes that have a port, or a name of one, the first by name decides (kuma-core §2.5)."""
    ports: dict[str, ServicePort] = {}
    offered = False
    for resource in _offering(memo, key):
        for inbound in _inbounds(resource):
            if inbound.is_offered and service_name(resource, inbound.tags) == key.name:
                offered = True
                port = ServicePort(
                    port=inbound.port, name=inbound.name, target_port=inbound.port, app_protocol=inbound.spoken
                )
                if all(one.port != port.port for one in ports.values()):
                    ports.setdefault(port.section, port)
    for tagged in memo.ask(TAGGED, key):
        outside, offered = cast(ExternalService, tagged.spec), True
        _, number = split_address(outside.networking.address)
        port = ServicePort(port=number, app_protocol=outside.tags.get(PROTOCOL, "tcp"))
        ports.setdefault(port.section, port)
    if not offered:
        return None
    labels = {MESH: key.mesh, DISPLAY_NAME: key.name, "kuma.io/managed-by": "meshservice-generator"}
    spec = MeshService(ports=tuple(ports[section] for section in sorted(ports)))
    return Resource(key, labels, spec)


def _tagged(memo: Memo, key: ResourceKey) -> tuple[Resource, ...]:
    """Where a Dataplane has the name too, it is a service of the mesh."""
    keys = sorted(memo.read(SERVICE_NAMES, (key.mesh, key.name)))
    if any(one.type != TAGGED_EXTERNAL for one in keys):
        return ()
    found = (memo.read(RESOURCE, one) for one in keys)
    return tuple(resource for resource in found if resource is not None)


def _tagged_names(memo: Memo, mesh: str) -> frozenset[str]:
    found = (memo.read(RESOURCE, key) for key in memo.read(KEYS, (TAGGED_EXTERNAL, mesh)))
    names = {cast(ExternalService, one.spec).tags.get(SERVICE, "") for one in found if one is not None}
    return frozenset(name for name in names if memo.ask(TAGGED, service_key(mesh, name)))


def _offering(memo: Memo, key: ResourceKey) -> Iterator[Resource]:
    for dataplane in sorted(memo.read(SERVICE_NAMES, (key.mesh, key.name))):
        resource = read_proxy(memo, dataplane)
        if resource is not None:
            yield resource


def _names(memo: Memo, mesh: str) -> tuple[ResourceKey, ...]:
    written = memo.read(KEYS, ("MeshService", mesh))
    return tuple(sorted(written | {service_key(mesh, name) for name in memo.read(NAMES, mesh)}))


def _members(memo: Memo, port: Port) -> tuple[Member, ...]:
    service = memo.ask(SERVICE_RESOURCE, port.service)
    if service is not None and isinstance(service.spec, MeshMultiZoneService):
        found = {member for one in memo.ask(STANDS_FOR, port) for member in memo.ask(MEMBERS, one)}
        return tuple(sorted(found, key=lambda member: (member.dataplane, member.section)))
    if service is None or not isinstance(service.spec, MeshService):
        return ()
    selector, wanted = service.spec.selector, _wanted(service, port)
    if port.section and wanted.port is None:
        return ()
    found = {
        Member(resource.key, inbound.section)
        for resource in _selected(memo, service, selector)
        for inbound in _inbounds(resource)
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
            found = _offering(memo, service.key)
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
    return resource, next(inbound for inbound in _inbounds(resource) if inbound.section == member.section)


def _protocol(memo: Memo, port: Port) -> str:
    """The port's own; for a whole 2.x service the first that all its inbounds share (kuma-core §1.5)."""
    service = memo.ask(SERVICE_RESOURCE, port.service)
    ports = service_ports(service) if service is not None else ()
    if port.section:
        return next((one.app_protocol.lower() for one in ports if one.section == port.section), "tcp")
    stacks = [_STACKS.get(one.app_protocol.lower(), ("tcp",)) for one in ports]
    shared = (protocol for protocol in (stacks or [()])[0] if all(protocol in stack for stack in stacks))
    return next(shared, "tcp")


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


def tagged_by(memo: Memo, port: Port) -> tuple[Resource, ...]:
    """The ExternalServices of 2.x by the name, with the tags and at the port that are asked for."""
    return tuple(one for one in memo.ask(TAGGED, port.service) if _is_asked_for(cast(ExternalService, one.spec), port))


def _is_asked_for(outside: ExternalService, port: Port) -> bool:
    _, number = split_address(outside.networking.address)
    return set(port.subset) <= outside.tags.items() and port.section in {"", str(number)}


def _suffix(subset: tuple[tuple[str, str], ...]) -> str:
    """Told apart from the whole service as Kuma 2 does: 16 hex digits of the tags."""
    if not subset:
        return ""
    text = ",".join(f"{key}={value}" for key, value in subset)
    return f"-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def tag_port(mesh: str, tags: Mapping[str, str]) -> Port:
    """What an outbound with 2.x tags means: the service, narrowed by its other tags."""
    subset = tuple(sorted((key, value) for key, value in tags.items() if key not in {SERVICE, PROTOCOL}))
    return Port(service_key(mesh, tags.get(SERVICE, "")), "", subset)


def virtual_address(service: Resource, block: int = 0) -> str:
    """A stable address in the block of its kind, a pure function of the service's identity (kuma-core §5.1).

    Kuma allocates in order of creation, which Git does not have; a clash of two services is a diagnostic.
    """
    return hashed_address(f"{service.kri()}@{service.labels.get(ZONE, '')}", block or _BLOCKS[service.key.type])


def hashed_address(text: str, block: int) -> str:
    """An address of a block, for as long as the text is the same."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"{block}.{digest[0]}.{digest[1]}.{digest[2]}"


def _virtual_address(memo: Memo, key: ResourceKey) -> str:
    """Empty where there is no such service."""
    service = memo.ask(SERVICE_RESOURCE, key)
    return virtual_address(service) if service is not None else ""


def _inbounds(resource: Resource) -> tuple[Inbound, ...]:
    return cast(Dataplane, resource.spec).networking.inbound


SERVICE_RESOURCE: Final[Query[ResourceKey, Resource | None]] = Query("service", _service)
OFFERED: Final[Query[ResourceKey, bool]] = Query(
    "offered", lambda memo, key: bool(memo.read(SERVICE_NAMES, (key.mesh, key.name)))
)
"""Whether Dataplanes offer the service by its tag or workload, so that it is one of 2.x."""
SERVICE_KEYS: Final[Query[str, tuple[ResourceKey, ...]]] = Query("services", _names)
OTHER_KEYS: Final[Query[str, tuple[ResourceKey, ...]]] = Query("other services", _other_services)
"""By mesh: services that are no MeshService."""
TAGGED: Final[Query[ResourceKey, tuple[Resource, ...]]] = Query("tagged", _tagged)
"""The ExternalServices of Kuma 2 that go by the name of a service, by name."""
TAGGED_NAMES: Final[Query[str, frozenset[str]]] = Query("tagged names", _tagged_names)
"""By mesh: the names that are of ExternalServices alone."""
STANDS_FOR: Final[Query[Port, tuple[Port, ...]]] = Query("stands for", _stands_for)
VIRTUAL_ADDRESS: Final[Query[ResourceKey, str]] = Query("virtual address", _virtual_address)
MEMBERS: Final[Query[Port, tuple[Member, ...]]] = Query("members", _members)
ENDPOINTS: Final[Query[Port, tuple[Endpoint, ...]]] = Query("endpoints", _endpoints)
IDENTITIES: Final[Query[Port, tuple[str, ...]]] = Query("identities", _identities)
SECURED: Final[Query[Port, bool]] = Query("secured", _secured)
PORT_PROTOCOL: Final[Query[Port, str]] = Query("protocol", _protocol)
DESTINATION: Final[Query[Port, Destination | None]] = Query("destination", _destination)
