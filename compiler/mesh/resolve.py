"""Everything one proxy must do: its inbounds, its outbounds, whom it may reach, and the confs that hold for a call."""

from collections.abc import Iterator, Sequence
from typing import Final, cast

from compiler.memo import Memo, Query
from compiler.mesh.confs import INCOMING_CONF, MESH_CONF, PERMISSION, SOURCE_CONFS, Held
from compiler.mesh.graph import NAMES, mesh_spec, service_name
from compiler.mesh.policy import Inbounds
from compiler.mesh.proxy import (
    Confs,
    Destination,
    Inbound,
    Outbound,
    Permission,
    Proxy,
    SourceRule,
    Tls,
    Transparent,
    Upstream,
)
from compiler.mesh.reachability import reachable_services, trims
from compiler.mesh.routing import CONFS, Socket, outbounds, resolve_reference, routing_to
from compiler.mesh.selection import HOLDER, KINDS, PERMISSIONS, Holder, incoming, outgoing
from compiler.mesh.services import (
    OFFERED,
    SERVICE_KEYS,
    SERVICE_RESOURCE,
    Port,
    service_key,
    tag_port,
    virtual_address,
)
from compiler.mesh.shape import Shape, version_of, workload
from compiler.resources.model import (
    Dataplane,
    Mesh,
    MeshService,
    Networking,
    Resource,
    ServicePort,
    TransparentProxying,
)
from compiler.resources.model import Inbound as WrittenInbound

_SERVICELESS: Final = 49151
"""The reserved port of a Kubernetes pod without a service (kuma-core §2.2)."""
_LEGACY_BLOCK: Final = 240


def _proxy(memo: Memo, shape: Shape) -> Proxy:
    resource = shape.resource
    mesh = mesh_spec(memo, resource.key.mesh)
    networking = cast(Dataplane, resource.spec).networking
    holder = memo.ask(HOLDER, shape)
    backend = mesh.mtls.backend
    tls = Tls(resource.key.mesh, backend.mode == "PERMISSIVE") if backend is not None else None
    calls = tuple(outbounds(memo, _sockets(memo, resource, mesh), holder))
    return Proxy(
        mesh=resource.key.mesh,
        workload=workload(resource),
        tls=tls,
        identities=identities(resource),
        authority=backend.name if backend is not None else "",
        certificate_seconds=backend.dp_cert.rotation.expiration // 10**9 if backend is not None else 0,
        inbounds=tuple(_inbounds(memo, resource, tls, holder)),
        outbounds=calls,
        upstreams=_upstreams(memo, calls, holder),
        transparent=_transparent(memo, networking.transparent_proxying, mesh, holder),
    )


def identities(resource: Resource) -> tuple[str, ...]:
    """The URIs of its certificate: a SPIFFE id for each service, then one URI for each tag (kuma-core §2.1)."""
    mesh, tag_sets = resource.key.mesh, cast(Dataplane, resource.spec).tag_sets or ({},)
    services = {f"spiffe://{mesh}/{service_name(resource, tags)}" for tags in tag_sets}
    tags = {f"kuma://{key}/{value}" for tag_set in tag_sets for key, value in tag_set.items()}
    return (*sorted(services), *sorted(tags))


def _callers(resource: Resource) -> Iterator[frozenset[str]]:
    """What each of its tag sets shows by itself (kuma-core §6.3); a client without inbounds shows its workload."""
    for tags in cast(Dataplane, resource.spec).tag_sets or ({},):
        uris = {f"kuma://{key}/{value}" for key, value in tags.items()}
        yield frozenset(uris | {f"spiffe://{resource.key.mesh}/{service_name(resource, tags)}"})


# --- Inbound ------------------------------------------------------------------------------------------------------


def _inbounds(memo: Memo, resource: Resource, tls: Tls | None, holder: Holder) -> Iterator[Inbound]:
    networking = cast(Dataplane, resource.spec).networking
    for written in networking.inbound:
        if written.port != _SERVICELESS:
            yield _inbound(memo, resource, written, tls, holder)


def _inbound(
    memo: Memo, resource: Resource, written: WrittenInbound, tls: Tls | None, holder: Holder
) -> Inbound:
    networking = cast(Dataplane, resource.spec).networking
    address = written.address or networking.address
    called = written.service_address or address
    permissions = incoming(memo, holder, PERMISSIONS, written.section)
    return Inbound(
        section=written.section,
        address=address,
        port=written.port,
        workload_address=called,
        workload_port=written.service_port or written.port,
        workload_version=version_of(called),
        protocol=written.spoken,
        transparent=networking.transparent_proxying is not None,
        tls=tls,
        permission=memo.ask(PERMISSION, (resource.key.mesh, permissions)) if tls is not None else Permission(),
        confs=_incoming_confs(memo, holder, written.section),
        source_rules=_source_rules(memo, holder, written.section) if tls is not None else (),
    )


def _incoming_confs(memo: Memo, holder: Holder, section: str) -> Confs:
    return tuple(
        memo.ask(INCOMING_CONF, Held(kind.type, incoming(memo, holder, kind.type, section)))
        for kind in memo.read(KINDS, None)
        if kind.inbounds in {Inbounds.WHOLE, Inbounds.BY_SOURCE}
    )


def _source_rules(memo: Memo, holder: Holder, section: str) -> tuple[SourceRule, ...]:
    """Confs for the callers that rules name; everything else holds for them as for everyone."""
    found: tuple[SourceRule, ...] = ()
    for kind in memo.read(KINDS, None):
        if kind.inbounds is Inbounds.BY_SOURCE:
            found += memo.ask(SOURCE_CONFS, Held(kind.type, incoming(memo, holder, kind.type, section)))
    return found


# --- Outbound -----------------------------------------------------------------------------------------------------


def _sockets(memo: Memo, resource: Resource, mesh: Mesh) -> tuple[Socket, ...]:
    """Without redirection those that are written; with it also the virtual addresses of what is reachable."""
    networking = cast(Dataplane, resource.spec).networking
    written = tuple(_written(memo, resource, networking))
    if networking.transparent_proxying is None:
        return written
    taken = {(inbound.address or networking.address, inbound.port) for inbound in networking.inbound}
    taken |= {(socket.address, socket.port) for socket in written}
    virtual = _virtual(memo, resource, networking.transparent_proxying, mesh)
    if any(outbound.backend_ref is not None for outbound in networking.outbound):
        virtual = iter(())
    return written + tuple(socket for socket in virtual if (socket.address, socket.port) not in taken)


def _written(memo: Memo, resource: Resource, networking: Networking) -> Iterator[Socket]:
    transparent = networking.transparent_proxying is not None
    for outbound in networking.outbound:
        if outbound.backend_ref is None:
            yield Socket(outbound.address, outbound.port, transparent, tag_port(resource.key.mesh, outbound.tags))
            continue
        ports = resolve_reference(memo, outbound.backend_ref, resource.key.mesh, resource.namespace)
        if ports:
            yield Socket(outbound.address, outbound.port, transparent, ports[0])


def _virtual(memo: Memo, resource: Resource, proxying: TransparentProxying, mesh: Mesh) -> Iterator[Socket]:
    """By `meshServices.mode`: services of 2.x by their tag, MeshServices by their ports, or both (kuma-core §5.1)."""
    mode = mesh.mesh_services.mode
    backends = proxying.reachable_backends is not None
    if mode in {"Disabled", "Everywhere"} or (mode == "ReachableBackends" and not backends):
        yield from _tagged(memo, resource, proxying)
    if mode in {"Everywhere", "Exclusive"} or (mode == "ReachableBackends" and backends):
        yield from _mesh_services(memo, resource, proxying)


def _tagged(memo: Memo, resource: Resource, proxying: TransparentProxying) -> Iterator[Socket]:
    mesh = resource.key.mesh
    for name in _reachable_names(memo, resource, proxying):
        service = memo.ask(SERVICE_RESOURCE, service_key(mesh, name))
        if service is not None:
            ports = {port.port for port in cast(MeshService, service.spec).ports} | {80}
            address = virtual_address(service, _LEGACY_BLOCK)
            yield from (Socket(address, port, True, Port(service.key, "")) for port in sorted(ports))


def _reachable_names(memo: Memo, resource: Resource, proxying: TransparentProxying) -> list[str]:
    """`reachableServices` stands in for the graph of callers (kuma-core §6.3)."""
    mesh = resource.key.mesh
    if proxying.reachable_services is not None:
        return sorted(set(proxying.reachable_services))
    if trims(memo, mesh):
        reachable = reachable_services(memo, mesh, _callers(resource))
        return sorted(key.name for key in reachable if memo.ask(OFFERED, key))
    return sorted(memo.read(NAMES, mesh))


def _mesh_services(memo: Memo, resource: Resource, proxying: TransparentProxying) -> Iterator[Socket]:
    for port in _reachable_ports(memo, resource, proxying):
        service = memo.ask(SERVICE_RESOURCE, port.service)
        number = _number(service, port.section)
        if service is not None and number is not None:
            yield Socket(virtual_address(service), number, True, port)


def _reachable_ports(memo: Memo, resource: Resource, proxying: TransparentProxying) -> Sequence[Port]:
    mesh = resource.key.mesh
    if proxying.reachable_backends is not None:
        references = proxying.reachable_backends.refs
        found = {port for one in references for port in resolve_reference(memo, one, mesh, resource.namespace)}
        return sorted(found, key=lambda port: (port.service, port.section))
    if proxying.reachable_services is not None:
        return ()
    trimmed = trims(memo, mesh)
    keys = reachable_services(memo, mesh, _callers(resource)) if trimmed else memo.ask(SERVICE_KEYS, mesh)
    services = (memo.ask(SERVICE_RESOURCE, key) for key in sorted(keys))
    return [
        Port(service.key, port.section)
        for service in services
        if service is not None
        for port in cast(MeshService, service.spec).ports
    ]


def _number(service: Resource | None, section: str) -> int | None:
    ports: Sequence[ServicePort] = cast(MeshService, service.spec).ports if service is not None else ()
    return next((port.port for port in ports if port.section == section), None)


def _upstreams(memo: Memo, calls: Sequence[Outbound], holder: Holder) -> tuple[Upstream, ...]:
    """Every destination that some outbound or route leads to, with what holds for its connections; by name."""
    found = {
        destination.name: Upstream(
            destination, memo.ask(CONFS, routing_to(memo, holder, destination_port(destination)))
        )
        for destination in _destinations(calls)
    }
    return tuple(found[name] for name in sorted(found))


def _destinations(calls: Sequence[Outbound]) -> Iterator[Destination]:
    for call in calls:
        yield call.destination
        for route in call.routes:
            yield from (backend.destination for backend in route.backends if backend.destination is not None)
            yield from (mirror.destination for mirror in route.mirrors)


def destination_port(destination: Destination) -> Port:
    """The place that a destination was made from."""
    return Port(destination.service, destination.section, destination.subset)


def _transparent(
    memo: Memo, proxying: TransparentProxying | None, mesh: Mesh, holder: Holder
) -> Transparent | None:
    if proxying is None:
        return None
    return Transparent(
        inbound_port=proxying.redirect_port_inbound,
        outbound_port=proxying.redirect_port_outbound,
        ipv6=proxying.ip_family_mode != "IPv4",
        passthrough=mesh.networking.outbound.passthrough,
        confs=tuple(
            memo.ask(MESH_CONF, Held(kind.type, outgoing(memo, holder.profile, holder.outgoing, kind.type, ())))
            for kind in memo.read(KINDS, None)
            if kind.outbound
        ),
    )


PROXY: Final[Query[Shape, Proxy]] = Query("proxy", _proxy)
