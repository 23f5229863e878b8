"""Where a proxy's calls go: references, destinations, outbounds, the routes of HTTP ones (kuma-core §5.1, §7.5)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from msgspec.structs import replace

from compiler.memo import Memo, Query
from compiler.mesh.calls import Outbound
from compiler.mesh.confs import OUTGOING_CONF, Place, apply, items_about, with_inline
from compiler.mesh.destination import Destination
from compiler.mesh.generators import as_labelled
from compiler.mesh.graph import HEAD, KEYS, RESOURCE, SHOWN_AS, Head
from compiler.mesh.http_route import Backend, HttpRoute
from compiler.mesh.kinds import KINDS, SPEAKING
from compiler.mesh.match import has_labels
from compiler.mesh.members import DESTINATION, MEMBERS
from compiler.mesh.merge import RouteRule, merge_route_rules
from compiler.mesh.order import Item, Origin
from compiler.mesh.policy import FindBackend, PolicyKind
from compiler.mesh.rules import outbound_items, outbound_routes, route_conf
from compiler.mesh.selection import Holder, Policies, outgoing
from compiler.mesh.services import (
    MESH_GATEWAY,
    MESH_SERVICE,
    OTHER_KEYS,
    PORTED_KEYS,
    SERVICE_RESOURCE,
    SERVICE_TYPES,
    Port,
    service_ports,
    tag_port,
)
from compiler.mesh.shape import Shape
from compiler.mesh.value import Applied, Confs, Value
from compiler.resources.model import SERVICE, ZONE, BackendReference, Resource, ResourceKey

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

    @property
    def mesh(self) -> str:
        """The caller's, whose policies hold for its calls to other meshes, too."""
        return self.profile.resource.key.mesh


class Split(Value, frozen=True):
    """Where connections to a destination go instead of to it, and the rules that say so; none where none does."""

    backends: tuple[Backend, ...] = ()
    origins: tuple[Origin, ...] = ()


NO_SPLIT: Final = Split()


class Caller(NamedTuple):
    """A profile and its proxies' own policies about calls."""

    profile: Shape
    own: tuple[tuple[ResourceKey, Head], ...]


def caller(memo: Memo, holder: Holder) -> Caller:
    """A proxy as one that calls, for all of its destinations."""
    heads = ((key, memo.ask(HEAD, key)) for key in holder.outgoing)
    return Caller(holder.profile, tuple((key, head) for key, head in heads if head is not None))


def routing_to(memo: Memo, calling: Caller, port: Port) -> Routing:
    """Of a proxy's own policies those that may say something about the destination or a route to it."""
    names = names_of(memo, port) if calling.own else ()
    own = (key for key, head in calling.own if head.names_routes or head.may_mean(names))
    return Routing(calling.profile, tuple(own), port)


def names_of(memo: Memo, port: Port) -> tuple[str, ...]:
    """The names by which a `to` may mean a destination; a gateway of another mesh has none in the caller's."""
    if port.service.type == MESH_GATEWAY:
        return ()
    service = memo.ask(SERVICE_RESOURCE, port.service)
    return tuple(dict.fromkeys((service.name if service is not None else "", port.service.name)))


def resolve_reference(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> tuple[Port, ...]:
    """The ports that a reference means, by service name; none where there is no such service or port.

    Without a port all ports of the service are meant. A 2.x reference with tags means the tagged endpoints.
    """
    if reference.kind == "MeshServiceSubset":
        return (tag_port(mesh, {**reference.tags, SERVICE: reference.name}),)
    found = referenced(memo, reference, mesh, namespace)
    return tuple(port for service in found for port in _ports(service, reference.port))


def referenced(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> tuple[Resource, ...]:
    """The services that a reference means, whichever of their ports it wants."""
    return tuple(service for service in _referenced(memo, reference, mesh, namespace) if service is not None)


def backend_port(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> Port | None:
    """The one place that a reference sends requests to; None where there is none, or no telling which.

    Without a port a service that only Dataplanes offer is meant as a whole, and a written one by its only port.
    """
    ports = resolve_reference(memo, reference, mesh, namespace)
    if not ports:
        return port_in_zone(memo, reference, mesh)
    first = ports[0].service
    if reference.kind == "MeshService" and reference.port is None and memo.read(RESOURCE, first) is None:
        return Port(first, "")
    return ports[0] if sum(port.service == first for port in ports) == 1 else None


def port_in_zone(memo: Memo, reference: BackendReference, mesh: str) -> Port | None:
    """By labels, one of them the zone: of a service that nobody wrote, which is one for all zones, the proxies there.

    Where it has a single port, for they are called by its tags.
    """
    zone = (reference.labels or {}).get(ZONE, "")
    labels = {label: value for label, value in (reference.labels or {}).items() if label != ZONE}
    for key in memo.ask(PORTED_KEYS, mesh) if zone and reference.kind == MESH_SERVICE else ():
        service = memo.ask(SERVICE_RESOURCE, key)
        if service is None or len(service_ports(service)) != 1 or not has_labels(as_labelled(memo, service), labels):
            continue
        port = tag_port(mesh, {SERVICE: key.name, ZONE: zone})
        if memo.read(RESOURCE, key) is None and memo.ask(MEMBERS, port):
            return port if reference.port in (None, service_ports(service)[0].port) else None
    return None


def _referenced(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> Iterator[Resource | None]:
    if reference.kind not in SERVICE_TYPES:
        return
    if reference.labels:
        known = memo.ask(PORTED_KEYS if reference.kind == MESH_SERVICE else OTHER_KEYS, mesh)
        keys = (key for key in known if key.type == reference.kind)
        services = (memo.ask(SERVICE_RESOURCE, key) for key in keys)
        yield from (one for one in services if one is not None and has_labels(as_labelled(memo, one), reference.labels))
        return
    yield _by_name(memo, reference, mesh, reference.namespace or namespace)


def _by_name(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> Resource | None:
    """A service that only Dataplanes offer is in no namespace: its name is a tag, the same for the whole mesh."""
    direct = memo.ask(SERVICE_RESOURCE, ResourceKey(reference.kind, mesh, reference.name))
    if direct is not None and direct.namespace == namespace:
        return direct
    found = memo.ask(SERVICE_RESOURCE, ResourceKey(reference.kind, mesh, f"{reference.name}.{namespace}"))
    if found is None and direct is not None and not reference.namespace and memo.read(RESOURCE, direct.key) is None:
        return direct
    return found or _shown_as(memo, reference, mesh, namespace)


def _shown_as(memo: Memo, reference: BackendReference, mesh: str, namespace: str) -> Resource | None:
    """Of several copies the one of the smallest name; Kuma takes the oldest, which Git does not know."""
    keys = sorted(memo.read(SHOWN_AS, (reference.kind, mesh, reference.name)))
    found = (memo.ask(SERVICE_RESOURCE, key) for key in keys)
    return next((one for one in found if one is not None and one.namespace == namespace), None)


def _ports(service: Resource, number: int | None) -> Iterator[Port]:
    """A number is a port's number, or its name where it has no other (kuma-core §6.2)."""
    for port in service_ports(service):
        if number is None or port.port == number or port.section == str(number):
            yield Port(service.key, port.section)


def outbounds(memo: Memo, sockets: Sequence[Socket], calling: Caller) -> Iterator[Outbound]:
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
            yield _outbound(memo, unique, socket, destination, routing_to(memo, calling, socket.destination))


def _outbound(memo: Memo, name: str, socket: Socket, destination: Destination, routing: Routing) -> Outbound:
    routes = memo.ask(ROUTES, routing)
    split = NO_SPLIT if routes else _split_of(memo, routing)
    return Outbound(
        name=name,
        address=socket.address,
        port=socket.port,
        transparent=socket.transparent,
        destination=destination,
        confs=memo.ask(CONFS, routing),
        routes=routes,
        backends=split.backends,
        backend_origins=split.origins,
    )


def _confs(memo: Memo, routing: Routing) -> Confs:
    """What holds for calls to a destination, of every kind that says something about calls."""
    names = names_of(memo, routing.port)
    found = (
        memo.ask(OUTGOING_CONF, Place(kind.type, _holding(memo, routing, kind.type, names), routing.port))
        for kind in _kinds(memo, routing)
    )
    return tuple(applied for applied in found if applied is not None)


def _kinds(memo: Memo, routing: Routing) -> Iterator[PolicyKind]:
    return (kind for kind in memo.ask(SPEAKING, routing.mesh) if kind.outbound)


def _holding(
    memo: Memo, routing: Routing, kind: str, names: tuple[str, ...], routes: Sequence[Resource] = ()
) -> Policies:
    return outgoing(memo, routing.profile, routing.own, kind, names, routes)


def _routes(memo: Memo, routing: Routing) -> tuple[HttpRoute, ...]:
    """None for a destination that is not reached by HTTP: its own protocol decides, unless a route is about it."""
    destination = memo.ask(DESTINATION, routing.port)
    service = memo.ask(SERVICE_RESOURCE, routing.port.service)
    if destination is None or service is None:
        return ()
    kind = next(kind for kind in memo.read(KINDS, None) if kind.shape_routes is not None)
    rules = _rules(memo, kind, routing, service)
    if rules is None and (destination.protocol not in HTTP or _split_of(memo, routing).origins):
        return ()  # an HTTP service whose connections are routed is one of TCP
    return tuple(_shape(memo, kind, rules or (), destination, routing, service))


def _rules(memo: Memo, kind: PolicyKind, routing: Routing, service: Resource) -> tuple[RouteRule, ...] | None:
    """None where no policy of the kind is about the destination."""
    return outbound_routes(_items(memo, kind, routing), service, *_place(routing))


def _items(memo: Memo, kind: PolicyKind, routing: Routing) -> tuple[Item, ...]:
    names = names_of(memo, routing.port)
    return items_about(memo, _holding(memo, routing, kind.type, names), names)


def _split_of(memo: Memo, routing: Routing) -> Split:
    """Most meshes have no policy that splits connections."""
    return memo.ask(SPLIT, routing) if memo.ask(SPLITTING, routing.mesh) is not None else NO_SPLIT


def _splitting(memo: Memo, mesh: str) -> PolicyKind | None:
    kind = next((kind for kind in memo.read(KINDS, None) if kind.shape_backends is not None), None)
    return kind if kind is not None and memo.read(KEYS, (kind.type, mesh)) else None


def _split(memo: Memo, routing: Routing) -> Split:
    """A route without rules sends connections to where they were going (kuma-core §4.7)."""
    destination = memo.ask(DESTINATION, routing.port)
    service = memo.ask(SERVICE_RESOURCE, routing.port.service)
    kind = memo.ask(SPLITTING, routing.mesh)
    if destination is None or service is None or kind is None or kind.shape_backends is None:
        return NO_SPLIT
    items = outbound_items(_items(memo, kind, routing), service, *_place(routing))
    if not items:
        return NO_SPLIT
    last = items[-1]
    if last.item is None or not last.item.rules:
        return Split((Backend(destination),), (last.origin,))
    rules = merge_route_rules(items)
    return Split(kind.shape_backends(rules, _finder(memo, routing.mesh)), rules[0].origins)


def _finder(memo: Memo, mesh: str, protocols: frozenset[str] | None = None) -> FindBackend:
    """What a reference of a policy sends to; None where there is nothing, or nothing that speaks such a protocol."""

    def find(reference: BackendReference, origin: Origin) -> Destination | None:
        policy = memo.read(RESOURCE, origin.policy)
        namespace = policy.namespace if policy is not None else ""
        port = backend_port(memo, reference, mesh, namespace)
        found = memo.ask(DESTINATION, port) if port is not None else None
        return found if found is not None and (protocols is None or found.protocol in protocols) else None

    return find


def _shape(
    memo: Memo,
    kind: PolicyKind,
    rules: Sequence[RouteRule],
    destination: Destination,
    routing: Routing,
    service: Resource,
) -> Iterator[HttpRoute]:
    if kind.shape_routes is None:
        return
    base = memo.ask(CONFS, routing)
    known: dict[tuple[Policies, str], Confs] = {}
    for route in kind.shape_routes(rules, destination, _finder(memo, routing.mesh, HTTP)):
        place = tuple(sorted({origin.policy for origin in route.origins})), _section(route.name)
        if place not in known:
            known[place] = _route_confs(memo, *place, routing, service, base)
        yield with_inline(memo, replace(route, confs=known[place]))


def _route_confs(memo: Memo, named: Policies, section: str, routing: Routing, service: Resource, base: Confs) -> Confs:
    """A conf that names the route stands in for the one of its destination."""
    routes = [resource for key in named if (resource := memo.read(RESOURCE, key)) is not None]
    if not routes:
        return base
    of_destination: Mapping[str, Applied] = {applied.policy: applied for applied in base}
    names = tuple(dict.fromkeys((*names_of(memo, routing.port), *(one.name for one in routes))))

    def conf_of(kind: PolicyKind) -> Applied | None:
        if not kind.routes:
            return of_destination.get(kind.type)
        items = items_about(memo, _holding(memo, routing, kind.type, names, routes), names)
        return apply(memo, kind, route_conf(items, routes, section, service, *_place(routing)))

    return tuple(applied for kind in _kinds(memo, routing) if (applied := conf_of(kind)) is not None)


def _place(routing: Routing) -> tuple[str, str]:
    return routing.port.section, routing.port.service.name


def _section(name: str) -> str:
    """`rule_0` of `kri_mhttpr_default___canary_rule_0`."""
    return "_".join(name.split("_")[-2:])


CONFS: Final[Query[Routing, Confs]] = Query("confs", _confs)
SPLITTING: Final[Query[str, PolicyKind | None]] = Query("splitting", _splitting)
"""By mesh: the kind that says where connections go, where there is a policy of it."""
SPLIT: Final[Query[Routing, Split]] = Query("split", _split)
ROUTES: Final[Query[Routing, tuple[HttpRoute, ...]]] = Query("routes", _routes)
