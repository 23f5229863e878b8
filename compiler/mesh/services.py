"""Services: which there are, their ports and addresses.

A MeshService is written or offered by Dataplanes; a MeshMultiZoneService stands for MeshServices of several zones, and
a MeshExternalService for something outside of the mesh. To other meshes a MeshGateway is one, with a port for each of
its listeners that is for them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, cast

from compiler.memo import Memo, Query
from compiler.mesh.external import split_address
from compiler.mesh.graph import (
    KEYS,
    NAMES,
    RESOURCE,
    SERVICE_NAMES,
    read_proxy,
    service_name,
)
from compiler.mesh.match import has_labels, listener_section
from compiler.mesh.rules import SERVICE_TAG
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
    MeshExternalService,
    MeshGateway,
    MeshMultiZoneService,
    MeshService,
    Resource,
    ResourceKey,
    ServicePort,
)

MESH_SERVICE: Final = "MeshService"
MULTI_ZONE: Final = "MeshMultiZoneService"
EXTERNAL: Final = "MeshExternalService"
MESH_GATEWAY: Final = "MeshGateway"
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
        case MeshGateway(conf=conf):
            crossing = (one for one in conf.listeners if one.crosses)
            return tuple(ServicePort(one.port, listener_section(one), app_protocol="http") for one in crossing)
    return ()


def _other_services(memo: Memo, mesh: str) -> tuple[ResourceKey, ...]:
    return tuple(key for kind in (EXTERNAL, MULTI_ZONE) for key in sorted(memo.read(KEYS, (kind, mesh))))


def _stands_for(memo: Memo, port: Port) -> tuple[Port, ...]:
    """The ports of MeshServices behind one of a MeshMultiZoneService: the first of that name, or of that number."""
    service = memo.ask(SERVICE_RESOURCE, port.service)
    if service is None or not isinstance(service.spec, MeshMultiZoneService):
        return ()
    wanted = service.spec.selector.mesh_service.match_labels
    members = (memo.ask(SERVICE_RESOURCE, key) for key in memo.ask(PORTED_KEYS, port.service.mesh))
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
    for resource in offering(memo, key):
        for inbound in inbounds_of(resource):
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


def offering(memo: Memo, key: ResourceKey) -> Iterator[Resource]:
    """The proxies with an inbound of that name, in order."""
    for dataplane in sorted(memo.read(SERVICE_NAMES, (key.mesh, key.name))):
        resource = read_proxy(memo, dataplane)
        if resource is not None:
            yield resource


def _names(memo: Memo, mesh: str) -> tuple[ResourceKey, ...]:
    written = memo.read(KEYS, ("MeshService", mesh))
    return tuple(sorted(written | {service_key(mesh, name) for name in memo.read(NAMES, mesh)}))


def is_twin(memo: Memo, key: ResourceKey) -> bool:
    """Whether it is the tag of a Service of Kubernetes that has a MeshService, which is called by its ports (§2.5).

    Of other names nothing is asked: a proxy would be resolved anew for each service that comes.
    """
    tag = SERVICE_TAG.fullmatch(key.name)
    if tag is None or memo.read(RESOURCE, key) is not None:
        return False
    return memo.read(RESOURCE, service_key(key.mesh, f"{tag[1]}.{tag[2]}")) is not None


def _ported(memo: Memo, mesh: str) -> tuple[ResourceKey, ...]:
    return tuple(key for key in memo.ask(SERVICE_KEYS, mesh) if not is_twin(memo, key))


def _protocol(memo: Memo, port: Port) -> str:
    """The port's own; for a whole 2.x service the first that all its inbounds share (kuma-core §1.5)."""
    service = memo.ask(SERVICE_RESOURCE, port.service)
    ports = service_ports(service) if service is not None else ()
    if port.section:
        return next((one.app_protocol.lower() for one in ports if one.section == port.section), "tcp")
    stacks = [_STACKS.get(one.app_protocol.lower(), ("tcp",)) for one in ports]
    shared = (protocol for protocol in (stacks or [()])[0] if all(protocol in stack for stack in stacks))
    return next(shared, "tcp")


def tagged_by(memo: Memo, port: Port) -> tuple[Resource, ...]:
    """The ExternalServices of 2.x by the name, with the tags and at the port that are asked for."""
    return tuple(one for one in memo.ask(TAGGED, port.service) if _is_asked_for(cast(ExternalService, one.spec), port))


def _is_asked_for(outside: ExternalService, port: Port) -> bool:
    _, number = split_address(outside.networking.address)
    return set(port.subset) <= outside.tags.items() and port.section in {"", str(number)}


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


def inbounds_of(resource: Resource) -> tuple[Inbound, ...]:
    return cast(Dataplane, resource.spec).networking.inbound


SERVICE_RESOURCE: Final[Query[ResourceKey, Resource | None]] = Query("service", _service)
OFFERED: Final[Query[ResourceKey, bool]] = Query(
    "offered", lambda memo, key: bool(memo.read(SERVICE_NAMES, (key.mesh, key.name)))
)
"""Whether Dataplanes offer the service by its tag or workload, so that it is one of 2.x."""
SERVICE_KEYS: Final[Query[str, tuple[ResourceKey, ...]]] = Query("services", _names)
PORTED_KEYS: Final[Query[str, tuple[ResourceKey, ...]]] = Query("ported services", _ported)
"""By mesh: the MeshServices that are called by their ports, each once."""
OTHER_KEYS: Final[Query[str, tuple[ResourceKey, ...]]] = Query("other services", _other_services)
"""By mesh: services that are no MeshService."""
TAGGED: Final[Query[ResourceKey, tuple[Resource, ...]]] = Query("tagged", _tagged)
"""The ExternalServices of Kuma 2 that go by the name of a service, by name."""
TAGGED_NAMES: Final[Query[str, frozenset[str]]] = Query("tagged names", _tagged_names)
"""By mesh: the names that are of ExternalServices alone."""
STANDS_FOR: Final[Query[Port, tuple[Port, ...]]] = Query("stands for", _stands_for)
VIRTUAL_ADDRESS: Final[Query[ResourceKey, str]] = Query("virtual address", _virtual_address)
PORT_PROTOCOL: Final[Query[Port, str]] = Query("protocol", _protocol)
