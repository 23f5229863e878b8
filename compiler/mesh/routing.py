"""Where a proxy's calls go: references, destinations, outbounds, the routes of HTTP ones (kuma-core §5.1, §7.5)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, cast

from msgspec.structs import replace

from compiler.memo import Memo, Query
from compiler.mesh.confs import OUTGOING_CONF, Place, apply, items_about
from compiler.mesh.graph import HEAD, RESOURCE
from compiler.mesh.match import has_labels
from compiler.mesh.merge import RouteRule
from compiler.mesh.order import Item, Origin
from compiler.mesh.policy import PolicyKind
from compiler.mesh.proxy import Confs, Destination, HttpRoute, Outbound, Value
from compiler.mesh.rules import outbound_routes, route_conf
from compiler.mesh.selection import KINDS, Holder, Policies, outgoing
from compiler.mesh.services import (
    DESTINATION,
    SERVICE_KEYS,
    SERVICE_RESOURCE,
    Port,
    service_key,
    tag_port,
)
from compiler.mesh.shape import Shape
from compiler.resources.model import SERVICE, BackendReference, MeshService, Resource

HTTP: Final = frozenset({"http", "http2", "grpc"})


class Socket(Value, frozen=True):
    """An address on which a proxy takes calls to a destination."""

    address: str
    port: int
    transparent: bool
    destination: Port


class Routing(Value, frozen=True):
    """Where confs and routes are asked for: a profile, its proxies' own policies about the destination, and that."""

    profile: Shape
    own: Policies
    port: Port


def routing_to(memo: Memo, holder: Holder, port: Port) -> Routing:
    """Of a proxy's own policies those that may say something about the destination or a route to it."""
    names, heads = names_of(memo, port), ((key, memo.ask(HEAD, key)) for key in holder.outgoing)
    own = (key for key, head in heads if head is not None and (head.names_routes or head.may_mean(names)))
    return Routing(holder.profile, tuple(own), port)


def names_of(memo: Memo, port: Port) -> tuple[str, ...]:
    """The names by which a `to` may mean a destination."""
    service = memo.ask(SERVICE_RESOURCE, port.service)
    return tuple(dict.fromkeys((service.name if service is not None else "", port.service.name)))


def resolve_reference(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> tuple[Port, ...]:
    """The ports that a reference means, by service name; none where there is no such service or port.

    Without a port all ports of the service are meant. A 2.x reference with tags means the tagged endpoints.
    """
    if reference.kind == "MeshServiceSubset":
        return (tag_port(mesh, {**reference.tags, SERVICE: reference.name}),)
    found = [service for service in _referenced(memo, reference, mesh, namespace) if service is not None]
    return tuple(port for service in found for port in _ports(service, reference.port))


def backend_port(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> Port | None:
    """The one place that a reference sends requests to; None where there is none, or no telling which.

    Without a port a service that only Dataplanes offer is meant as a whole, and a written one by its only port.
    """
    ports = resolve_reference(memo, reference, mesh, namespace)
    if not ports:
        return None
    first = ports[0].service
    if reference.kind == "MeshService" and reference.port is None and memo.read(RESOURCE, first) is None:
        return Port(first, "")
    return ports[0] if sum(port.service == first for port in ports) == 1 else None


def _referenced(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> Iterator[Resource | None]:
    if reference.kind != "MeshService":
        return
    if reference.labels:
        services = (memo.ask(SERVICE_RESOURCE, key) for key in memo.ask(SERVICE_KEYS, mesh))
        yield from (service for service in services if service is not None and has_labels(service, reference.labels))
        return
    yield _by_name(memo, reference, mesh, reference.namespace or namespace)


def _by_name(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> Resource | None:
    """A service that only Dataplanes offer is in no namespace: its name is a tag, the same for the whole mesh."""
    direct = memo.ask(SERVICE_RESOURCE, service_key(mesh, reference.name))
    if direct is not None and direct.namespace == namespace:
        return direct
    found = memo.ask(SERVICE_RESOURCE, service_key(mesh, f"{reference.name}.{namespace}"))
    if found is None and direct is not None and not reference.namespace:
        return direct if memo.read(RESOURCE, direct.key) is None else None
    return found


def _ports(service: Resource, number: int | None) -> Iterator[Port]:
    """A number is a port's number, or its name where it has no other (kuma-core §6.2)."""
    for port in cast(MeshService, service.spec).ports:
        if number is None or port.port == number or port.section == str(number):
            yield Port(service.key, port.section)


def outbounds(memo: Memo, sockets: Sequence[Socket], holder: Holder) -> Iterator[Outbound]:
    """By name; sockets that lead to one destination are told apart by their address."""
    known = [
        (destination, socket)
        for socket in sockets
        if (destination := memo.ask(DESTINATION, socket.destination)) is not None
    ]
    known.sort(key=lambda entry: (entry[0].name, entry[1].address, entry[1].port))
    for name, group in groupby(known, key=lambda entry: entry[0].name):
        members = list(group)
        for destination, socket in members:
            unique = name if len(members) == 1 else f"{name}:{socket.address}:{socket.port}"
            yield _outbound(memo, unique, socket, destination, routing_to(memo, holder, socket.destination))


def _outbound(memo: Memo, name: str, socket: Socket, destination: Destination, routing: Routing) -> Outbound:
    return Outbound(
        name=name,
        address=socket.address,
        port=socket.port,
        transparent=socket.transparent,
        destination=destination,
        confs=memo.ask(CONFS, routing),
        routes=memo.ask(ROUTES, routing),
    )


def _confs(memo: Memo, routing: Routing) -> Confs:
    """What holds for calls to a destination, of every kind that says something about calls."""
    names = names_of(memo, routing.port)
    return tuple(
        memo.ask(OUTGOING_CONF, Place(kind.type, _holding(memo, routing, kind.type, names), routing.port))
        for kind in memo.read(KINDS, None)
        if kind.outbound
    )


def _holding(memo: Memo, routing: Routing, kind: str, names: tuple[str, ...]) -> Policies:
    return outgoing(memo, routing.profile, routing.own, kind, names)


def _routes(memo: Memo, routing: Routing) -> tuple[HttpRoute, ...]:
    """None for a destination that is not reached by HTTP: its own protocol decides, unless a route is about it."""
    destination = memo.ask(DESTINATION, routing.port)
    service = memo.ask(SERVICE_RESOURCE, routing.port.service)
    if destination is None or service is None:
        return ()
    kind = next(kind for kind in memo.read(KINDS, None) if kind.shape_routes is not None)
    names = names_of(memo, routing.port)
    items = items_about(memo, _holding(memo, routing, kind.type, names), names)
    rules = outbound_routes(items, service, routing.port.section, routing.port.service.name)
    if rules is None and destination.protocol not in HTTP:
        return ()
    return tuple(_shape(memo, kind, rules or (), destination, routing, service))


def _shape(
    memo: Memo,
    kind: PolicyKind,
    rules: Sequence[RouteRule],
    destination: Destination,
    routing: Routing,
    service: Resource,
) -> Iterator[HttpRoute]:
    def find(reference: BackendReference, origin: Origin) -> Destination | None:
        policy = memo.read(RESOURCE, origin.policy)
        namespace = policy.namespace if policy is not None else ""
        port = backend_port(memo, reference, destination.mesh, namespace)
        found = memo.ask(DESTINATION, port) if port is not None else None
        return found if found is not None and found.protocol in HTTP else None

    if kind.shape_routes is None:
        return
    base = memo.ask(CONFS, routing)
    for route in kind.shape_routes(rules, destination, find):
        yield replace(route, confs=_route_confs(memo, route, routing, service, base))


def _route_confs(memo: Memo, route: HttpRoute, routing: Routing, service: Resource, base: Confs) -> Confs:
    """A conf that names the route stands in for the one of its destination."""
    named = {origin.policy: origin for origin in route.origins}
    routes = [resource for key in sorted(named) if (resource := memo.read(RESOURCE, key)) is not None]
    by_kind: Mapping[str, PolicyKind] = {kind.type: kind for kind in memo.read(KINDS, None)}

    names = tuple(dict.fromkeys((*names_of(memo, routing.port), *(one.name for one in routes))))

    def conf_of(name: str) -> Sequence[Item]:
        return items_about(memo, _holding(memo, routing, name, names), names)

    if not routes:
        return base
    section = _section(route.name)
    return tuple(
        apply(kind, route_conf(conf_of(kind.type), routes, section, service, *_place(routing)))
        if (kind := by_kind[applied.policy]).routes
        else applied
        for applied in base
    )


def _place(routing: Routing) -> tuple[str, str]:
    return routing.port.section, routing.port.service.name


def _section(name: str) -> str:
    """`rule_0` of `kri_mhttpr_default___canary_rule_0`."""
    return "_".join(name.split("_")[-2:])


CONFS: Final[Query[Routing, Confs]] = Query("confs", _confs)
ROUTES: Final[Query[Routing, tuple[HttpRoute, ...]]] = Query("routes", _routes)
