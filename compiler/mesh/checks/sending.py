"""Whether a proxy may send requests; who may call whom is not asked, as what is wrong does not lean on it."""

from collections.abc import Iterator
from typing import cast

from compiler.memo import Memo
from compiler.mesh.gateways.crossing import is_abroad, reachable_abroad, tagged_abroad
from compiler.mesh.graph import KEYS, NAMES, mesh_spec
from compiler.mesh.kinds import KINDS
from compiler.mesh.routing import HTTP, resolve_reference
from compiler.mesh.services import (
    OTHER_KEYS,
    PORT_PROTOCOL,
    SERVICE_KEYS,
    SERVICE_RESOURCE,
    Port,
    service_key,
    service_ports,
    tag_port,
)
from compiler.resources.model import Dataplane, Resource, TransparentProxying


def may_send(memo: Memo, proxy: Resource) -> bool:
    """Looked for up to the first destination that speaks HTTP, or that a route may have called by it."""
    mesh = proxy.key.mesh
    if any(memo.read(KEYS, (kind.type, mesh)) for kind in memo.read(KINDS, None) if kind.shape_routes is not None):
        return bool(next(_destinations(memo, proxy), None))
    redirected = cast(Dataplane, proxy.spec).networking.transparent_proxying is not None
    spoken = (memo.ask(PORT_PROTOCOL, port) for port in _destinations(memo, proxy))
    return any(one in HTTP for one in spoken) or (redirected and lets_through(memo, mesh))


def lets_through(memo: Memo, mesh: str) -> bool:
    """Whether a policy says which calls to the outside are let through, some of which may be requests."""
    kinds = (kind for kind in memo.read(KINDS, None) if kind.shape_transparent is not None)
    return any(memo.read(KEYS, (kind.type, mesh)) for kind in kinds)


def _destinations(memo: Memo, proxy: Resource) -> Iterator[Port]:
    """Those that are written, and where its calls are redirected all that it may reach or some more."""
    networking, mesh = cast(Dataplane, proxy.spec).networking, proxy.key.mesh
    for outbound in networking.outbound:
        if outbound.backend_ref is None and is_abroad(mesh, outbound.tags):
            yield from tagged_abroad(memo, mesh, outbound.tags)
        elif outbound.backend_ref is None:
            yield tag_port(mesh, outbound.tags)
        else:
            yield from resolve_reference(memo, outbound.backend_ref, mesh, proxy.namespace)
    if networking.transparent_proxying is not None:
        yield from reachable_abroad(memo, mesh, networking.transparent_proxying.reachable_services)
        yield from _reachable(memo, proxy, networking.transparent_proxying)


def _reachable(memo: Memo, proxy: Resource, proxying: TransparentProxying) -> Iterator[Port]:
    """Without either list everything, whoever lets it in: by its name as in Kuma 2, and by its ports."""
    mesh, by_name, by_port = proxy.key.mesh, proxying.reachable_services, proxying.reachable_backends
    if mesh_spec(memo, mesh).mesh_services.mode != "Exclusive":
        names = memo.read(NAMES, mesh) if by_name is None else by_name
        yield from (Port(service_key(mesh, name), "") for name in sorted(names))
    if by_port is not None:
        for one in by_port.refs:
            yield from resolve_reference(memo, one, mesh, proxy.namespace)
    elif by_name is None:
        yield from _ports(memo, mesh)


def _ports(memo: Memo, mesh: str) -> Iterator[Port]:
    for key in (*memo.ask(OTHER_KEYS, mesh), *memo.ask(SERVICE_KEYS, mesh)):
        service = memo.ask(SERVICE_RESOURCE, key)
        yield from (Port(key, one.section) for one in (service_ports(service) if service is not None else ()))
