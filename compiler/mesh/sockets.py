"""Where a proxy takes its workload's calls: outbounds that are written, and virtual addresses of what is reachable."""

from collections.abc import Collection, Iterator, Sequence
from typing import cast

from compiler.memo import Memo
from compiler.mesh.gateways.crossing import (
    address_of,
    is_abroad,
    may_cross,
    meant_abroad,
    number_of,
    reachable_abroad,
)
from compiler.mesh.graph import NAMES
from compiler.mesh.identity import has_tls, shown_uris
from compiler.mesh.reachability import reachable_services, trims
from compiler.mesh.routing import Socket, resolve_reference
from compiler.mesh.services import (
    LEGACY_BLOCK,
    MESH_SERVICE,
    MULTI_ZONE,
    OFFERED,
    OTHER_KEYS,
    PORTED_KEYS,
    SERVICE_RESOURCE,
    STANDS_FOR,
    TAGGED_NAMES,
    VIRTUAL_ADDRESS,
    Port,
    is_twin,
    service_key,
    service_ports,
    tag_port,
    virtual_address,
)
from compiler.mesh.virtual_outbounds import names_of
from compiler.resources.model import Dataplane, Mesh, Networking, Resource, ResourceKey, TransparentProxying
from compiler.resources.specs.dataplane import DataplaneOutbound


def list_sockets(memo: Memo, resource: Resource, mesh: Mesh) -> tuple[Socket, ...]:
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
            port = _tagged_port(memo, resource, outbound)
            if port is not None:
                yield Socket(outbound.address, outbound.port, transparent, port)
            continue
        ports = resolve_reference(memo, outbound.backend_ref, resource.key.mesh, resource.namespace)
        if ports:
            yield Socket(outbound.address, outbound.port, transparent, ports[0])


def _tagged_port(memo: Memo, resource: Resource, outbound: DataplaneOutbound) -> Port | None:
    """None where a proxy may not call, or finds nothing, in the other mesh that it names."""
    mesh = resource.key.mesh
    if not is_abroad(mesh, outbound.tags):
        return tag_port(mesh, outbound.tags)
    return meant_abroad(memo, mesh, outbound.tags, outbound.port) if may_cross(memo, resource) else None


def _virtual(memo: Memo, resource: Resource, proxying: TransparentProxying, mesh: Mesh) -> Iterator[Socket]:
    """By `meshServices.mode`: services of 2.x by their tag, MeshServices by their ports, or both (kuma-core §5.1)."""
    mode = mesh.mesh_services.mode
    yield from _abroad(memo, resource, proxying)
    if mode != "Exclusive":
        yield from _tagged(memo, resource, proxying)
    if mode == "ReachableBackends" and proxying.reachable_backends is None:
        return
    for socket in _mesh_services(memo, resource, proxying):
        if mode != "Disabled" or socket.destination.service.type != MESH_SERVICE:
            yield socket


def _abroad(memo: Memo, resource: Resource, proxying: TransparentProxying) -> Iterator[Socket]:
    """In other meshes no permission is asked for, and `reachableBackends` is about services of the proxy's own."""
    found = reachable_abroad(memo, resource.key.mesh, proxying.reachable_services)
    for port in found if found and may_cross(memo, resource) else ():
        yield Socket(address_of(port), number_of(port), True, port)


def _tagged(memo: Memo, resource: Resource, proxying: TransparentProxying) -> Iterator[Socket]:
    """What a VirtualOutbound says of a name and a port holds there."""
    mesh, names = resource.key.mesh, _reachable_names(memo, resource, proxying)
    named = (Socket(one.address, one.port, True, one.called) for one in names_of(memo, mesh, names))
    found: dict[tuple[str, int], Socket] = {}
    for socket in (*named, *_whole(memo, mesh, names)):
        found.setdefault((socket.address, socket.port), socket)
    yield from found.values()


def _whole(memo: Memo, mesh: str, names: Sequence[str]) -> Iterator[Socket]:
    for name in names:
        service = memo.ask(SERVICE_RESOURCE, service_key(mesh, name))
        if service is not None:
            ports = {port.port for port in service_ports(service)} | {80}
            address = virtual_address(service, LEGACY_BLOCK)
            yield from (Socket(address, port, True, Port(service.key, "")) for port in sorted(ports))


def _reachable_names(memo: Memo, resource: Resource, proxying: TransparentProxying) -> list[str]:
    """`reachableServices` stands in for the graph of callers (kuma-core §6.3)."""
    mesh = resource.key.mesh
    if proxying.reachable_services is not None:
        return sorted(set(proxying.reachable_services))
    if _is_trimmed(memo, resource):
        reachable = reachable_services(memo, mesh, shown_uris(memo, resource))
        return sorted({key.name for key in reachable if memo.ask(OFFERED, key)} | memo.ask(TAGGED_NAMES, mesh))
    return sorted(memo.read(NAMES, mesh))


def _mesh_services(memo: Memo, resource: Resource, proxying: TransparentProxying) -> Iterator[Socket]:
    for port in _reachable_ports(memo, resource, proxying):
        number = port_number(memo.ask(SERVICE_RESOURCE, port.service), port.section)
        if number is not None:
            yield Socket(memo.ask(VIRTUAL_ADDRESS, port.service), number, True, port)


def _reachable_ports(memo: Memo, resource: Resource, proxying: TransparentProxying) -> Sequence[Port]:
    mesh = resource.key.mesh
    if proxying.reachable_backends is not None:
        references = proxying.reachable_backends.refs
        found = {port for one in references for port in resolve_reference(memo, one, mesh, resource.namespace)}
        return sorted(found, key=lambda port: (port.service, port.section))
    if proxying.reachable_services is not None:
        return ()
    trimmed = _is_trimmed(memo, resource)
    # A proxy that is told of a few only does not look at the list of all: it would be resolved anew for each new one.
    keys = _reachable_keys(memo, resource) if trimmed else memo.ask(PORTED_KEYS, mesh)
    services = (memo.ask(SERVICE_RESOURCE, key) for key in (*memo.ask(OTHER_KEYS, mesh), *sorted(keys)))
    ports = (Port(one.key, port.section) for one in services if one is not None for port in service_ports(one))
    return [port for port in ports if not trimmed or _is_open(memo, port, keys)]


def _reachable_keys(memo: Memo, resource: Resource) -> frozenset[ResourceKey]:
    keys = reachable_services(memo, resource.key.mesh, shown_uris(memo, resource))
    return frozenset(key for key in keys if not is_twin(memo, key))


def _is_trimmed(memo: Memo, resource: Resource) -> bool:
    """Whoever shows nothing is asked by nobody who it is: where it may call is for those to say who take plaintext."""
    return trims(memo, resource.key.mesh) and has_tls(memo, resource)


def _is_open(memo: Memo, port: Port, reachable: Collection[ResourceKey]) -> bool:
    """Nobody's permission is asked outside of the mesh; of several zones one that admits the caller is enough."""
    if port.service.type == MULTI_ZONE:
        return any(member.service in reachable for member in memo.ask(STANDS_FOR, port))
    return True


def port_number(service: Resource | None, section: str) -> int | None:
    ports = service_ports(service) if service is not None else ()
    return next((port.port for port in ports if port.section == section), None)
