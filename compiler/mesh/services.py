"""Services, written as MeshService or offered by Dataplanes: their ports, endpoints and identities."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, cast

from compiler.memo import Memo, Query
from compiler.mesh.graph import (
    KEYS,
    NAMES,
    RESOURCE,
    SERVICE_NAMES,
    ZONE_ENABLED,
    carriers,
    mesh_spec,
    read_proxy,
    service_name,
)
from compiler.mesh.proxy import Destination, Endpoint, Value
from compiler.resources.model import (
    DISPLAY_NAME,
    MESH,
    PROTOCOL,
    SERVICE,
    ZONE,
    Dataplane,
    Inbound,
    LabelSelector,
    MeshService,
    Resource,
    ResourceKey,
    ServicePort,
    ServiceSelector,
)

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
    return written if written is not None else _generate(memo, key)


def _generate(memo: Memo, key: ResourceKey) -> Resource | None:
    """Of the Dataplanes that have a port, or a name of one, the first by name decides (kuma-core §2.5)."""
    ports: dict[str, ServicePort] = {}
    offered = False
    for resource in _offering(memo, key):
        for inbound in _inbounds(resource):
            if service_name(resource, inbound.tags) == key.name and inbound.state != "Ignored":
                offered = True
                port = ServicePort(
                    port=inbound.port, name=inbound.name, target_port=inbound.port, app_protocol=inbound.spoken
                )
                if all(one.port != port.port for one in ports.values()):
                    ports.setdefault(port.section, port)
    if not offered:
        return None
    labels = {MESH: key.mesh, DISPLAY_NAME: key.name, "kuma.io/managed-by": "meshservice-generator"}
    spec = MeshService(ports=tuple(ports[section] for section in sorted(ports)))
    return Resource(key, labels, spec)


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
    if service is None:
        return ()
    spec = cast(MeshService, service.spec)
    found = {
        Member(resource.key, inbound.section)
        for resource in _selected(memo, service, spec.selector)
        for inbound in _inbounds(resource)
        if inbound.state != "Ignored" and _serves(resource, inbound, service, port)
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
    return (
        resource for resource in found if memo.ask(ZONE_ENABLED, resource.zone) and service.zone in {"", resource.zone}
    )


def _named(memo: Memo, service: Resource, name: str) -> Iterator[Resource]:
    """By its name in the mesh, or by the one that it has in the service's namespace."""
    keys = (ResourceKey("Dataplane", service.key.mesh, one) for one in (name, f"{name}.{service.namespace}"))
    found = (read_proxy(memo, key) for key in keys)
    yield from islice((one for one in found if one is not None), 1)


def _serves(resource: Resource, inbound: Inbound, service: Resource, port: Port) -> bool:
    spec = cast(MeshService, service.spec)
    tags = spec.selector.dataplane_tags
    generated = spec.selector == ServiceSelector()
    if generated and service_name(resource, inbound.tags) != service.key.name:
        return False
    if tags is not None and not tags.items() <= inbound.tags.items():
        return False
    if not set(port.subset) <= set(inbound.tags.items()):
        return False
    if not port.section:
        return True
    wanted = next((candidate for candidate in spec.ports if candidate.section == port.section), None)
    return wanted is not None and _targets(wanted, inbound)


def _targets(port: ServicePort, inbound: Inbound) -> bool:
    """A number is an inbound's port, a string its name (kuma-core §2.5)."""
    target = port.port if port.target_port is None else port.target_port
    return inbound.name == target if isinstance(target, str) else inbound.port == target


def _endpoints(memo: Memo, port: Port) -> tuple[Endpoint, ...]:
    """Those that stand in the repository; proxies that register themselves join when they are served (design D9)."""
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


def _identities(memo: Memo, port: Port) -> tuple[str, ...]:
    """The SPIFFE ids that a caller accepts: one for each name that the service's proxies have."""
    names = {
        service_name(resource, inbound.tags)
        for resource, inbound in (_resolve(memo, member) for member in memo.ask(MEMBERS, port))
    }
    return tuple(f"spiffe://{port.service.mesh}/{name}" for name in sorted(names or {port.service.name}))


def _resolve(memo: Memo, member: Member) -> tuple[Resource, Inbound]:
    resource = cast(Resource, read_proxy(memo, member.dataplane))
    return resource, next(inbound for inbound in _inbounds(resource) if inbound.section == member.section)


def _protocol(memo: Memo, port: Port) -> str:
    """The port's own; for a whole 2.x service the first that all its inbounds share (kuma-core §1.5)."""
    service = memo.ask(SERVICE_RESOURCE, port.service)
    ports = cast(MeshService, service.spec).ports if service is not None else ()
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
    spec = cast(MeshService, service.spec)
    if port.section and all(one.section != port.section for one in spec.ports):
        return None
    secured = mesh_spec(memo, port.service.mesh).mtls.backend is not None
    return Destination(
        kri=service.kri(port.section) + _suffix(port.subset),
        service=port.service,
        section=port.section,
        protocol=memo.ask(PORT_PROTOCOL, port),
        mesh=port.service.mesh,
        subset=port.subset,
        secured=secured,
        identities=memo.ask(IDENTITIES, port) if secured else (),
    )


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


def virtual_address(service: Resource, block: int = 241) -> str:
    """A stable address in `241.0.0.0/8`, a pure function of the service's identity (kuma-core §5.1).

    Kuma allocates in order of creation, which Git does not have; a clash of two services is a diagnostic.
    """
    digest = hashlib.sha256(f"{service.kri()}@{service.labels.get(ZONE, '')}".encode()).digest()
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
VIRTUAL_ADDRESS: Final[Query[ResourceKey, str]] = Query("virtual address", _virtual_address)
MEMBERS: Final[Query[Port, tuple[Member, ...]]] = Query("members", _members)
ENDPOINTS: Final[Query[Port, tuple[Endpoint, ...]]] = Query("endpoints", _endpoints)
IDENTITIES: Final[Query[Port, tuple[str, ...]]] = Query("identities", _identities)
PORT_PROTOCOL: Final[Query[Port, str]] = Query("protocol", _protocol)
DESTINATION: Final[Query[Port, Destination | None]] = Query("destination", _destination)
