"""What a MeshGateway makes its proxies do: listeners, their routes, and the clusters that those reach.

Routes are MeshHTTPRoutes and MeshTCPRoutes whose top level names the gateway; where none of them is about a listener,
the MeshGatewayRoutes that select it are read as if they were written so (kuma-policies §4.2).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, cast

from msgspec.structs import replace

from compiler.memo import Memo
from compiler.mesh.calls import Tls, Upstream
from compiler.mesh.confs import ITEMS, with_inline
from compiler.mesh.destination import Destination
from compiler.mesh.gateways.choosing import GATEWAY, specificity
from compiler.mesh.gateways.confs import Place, incoming_confs, outgoing_confs, route_confs, upstream_of
from compiler.mesh.gateways.domains import closeness, contains, meet
from compiler.mesh.gateways.front import GatewayChain, GatewayHost, GatewayListener
from compiler.mesh.gateways.precedence import precedence
from compiler.mesh.gateways.routes import connection_rules, request_rules
from compiler.mesh.graph import KEYS, RESOURCE
from compiler.mesh.http_route import Backend, HttpRoute
from compiler.mesh.identity import credentials, has_tls
from compiler.mesh.kinds import KINDS
from compiler.mesh.match import is_builtin_gateway
from compiler.mesh.members import DESTINATION
from compiler.mesh.merge import RouteRule, merge_route_rules
from compiler.mesh.order import Item, Origin
from compiler.mesh.policy import FindBackend, PolicyKind
from compiler.mesh.routing import backend_port
from compiler.mesh.selection import Holder
from compiler.mesh.shape import Shape
from compiler.mesh.value import Confs, Owner
from compiler.resources.model import (
    BackendReference,
    Dataplane,
    MeshGateway,
    MeshGatewayRoute,
    Resource,
)

Reached = dict[str, Upstream]


class Gateway(NamedTuple):
    """What a proxy does as a builtin gateway; nothing where it is none."""

    listeners: tuple[GatewayListener, ...] = ()
    upstreams: tuple[Upstream, ...] = ()


def read_gateway(memo: Memo, shape: Shape, holder: Holder, confs: Confs, owner: Owner | None) -> Gateway:
    """One listener for each port, its chains by host name; `confs` hold for all of the proxy."""
    reached: Reached = {}
    found = [_listener(memo, places, reached) for places in _ports(memo, shape, holder) if _is_taken(memo, places)]
    upstreams = (replace(one, confs=one.confs + confs) for _, one in sorted(reached.items()))
    return Gateway(tuple(_with(one, confs, owner) for one in found), tuple(upstreams))


def _is_taken(memo: Memo, places: Sequence[Place]) -> bool:
    """What is for other meshes is not open to strangers: without a certificate it takes nobody, as a finding says."""
    crossing = [place.written.crosses for place in places if place.written.cross_mesh]
    return not crossing or (all(crossing) and has_tls(memo, places[0].proxy))


def _ports(memo: Memo, shape: Shape, holder: Holder) -> Iterator[tuple[Place, ...]]:
    """The listeners of each port; none for what is no builtin gateway."""
    gateway = memo.ask(GATEWAY, shape) if is_builtin_gateway(shape.resource) else None
    listeners = cast(MeshGateway, gateway.spec).conf.listeners if gateway is not None else ()
    places = (Place(one, gateway, shape.resource, holder) for one in listeners if gateway is not None)
    return (tuple(group) for _, group in groupby(sorted(places, key=_by_port), lambda one: one.written.port))


def entrances(memo: Memo, shape: Shape, holder: Holder) -> Iterator[tuple[Place, ...]]:
    """The listeners that count, together where no connection tells them apart."""
    for places in _ports(memo, shape, holder):
        match places[0].written.protocol:
            case "HTTP":
                yield places
            case "TCP":
                yield places[:1]
            case _:
                yield from ((place,) for place in places)


def _with(listener: GatewayListener, confs: Confs, owner: Owner | None) -> GatewayListener:
    chains = tuple(replace(one, incoming=one.incoming + confs) for one in listener.chains)
    return replace(listener, chains=chains, owner=owner)


def _by_port(place: Place) -> tuple[int, bool, int, str]:
    """Of one port the closest host name first, and as they are written where connections show no name."""
    if place.written.protocol == "TCP":
        return place.written.port, False, 0, ""
    exact, length = closeness(place.written.host)
    return place.written.port, not exact, -length, place.written.host


def _listener(memo: Memo, places: Sequence[Place], reached: Reached) -> GatewayListener:
    first = places[0]
    written = first.written
    name = f"{first.gateway.name}:{written.protocol}:{written.port}"
    chains = tuple(_chains(memo, name, places, reached))
    return GatewayListener(
        name=name,
        mesh=first.mesh,
        address=cast(Dataplane, first.proxy.spec).networking.address,
        port=written.port,
        protocol=written.protocol,
        chains=chains,
        limit=next((limit for one in places if (limit := one.written.resources.connection_limit)), None),
        origins=(Origin(first.gateway.kri(), first.gateway.key, "/conf/listeners"),),
        tls=_mutual(memo, first) if any(place.written.cross_mesh for place in places) else None,
    )


def _mutual(memo: Memo, place: Place) -> Tls | None:
    """Whatever a mesh does at its own ports: callers of others show a certificate."""
    own = credentials(memo, place.proxy).tls
    return replace(own, permissive=False) if own is not None else None


def _chains(memo: Memo, name: str, places: Sequence[Place], reached: Reached) -> Iterator[GatewayChain]:
    """What is not encrypted shows no server name, so that it is one chain; of TCP listeners the first counts."""
    protocol = places[0].written.protocol
    if protocol == "HTTP":
        yield _requests(memo, f"{name}:*", places, reached)
    elif protocol == "TCP":
        yield _connections(memo, f"{name}:*", places[0], reached)
    for place in places if protocol in ("HTTPS", "TLS") else ():
        host, tls = place.written.host, place.written.tls
        certificates = tuple(one.secret for one in tls.certificates) if tls is not None else ()
        make = _requests(memo, f"{name}:{host}", (place,), reached) if protocol == "HTTPS" else None
        chain = make or _connections(memo, f"{name}:{host}", place, reached)
        yield replace(chain, server_name="" if host == "*" else host, certificates=certificates)


def _requests(memo: Memo, name: str, places: Sequence[Place], reached: Reached) -> GatewayChain:
    """By host name: its own routes and those of every wider one, in the order in which they are tried."""
    groups: dict[str, list[HttpRoute]] = {}
    for place in places:
        for domain, routes in _routes(memo, place, reached).items():
            groups.setdefault(domain, []).extend(routes)
    domains = sorted({*groups, *(place.written.host.lower() for place in places)})
    outgoing = tuple(outgoing_confs(memo, places))
    hosts = (GatewayHost(one, _tried(one, groups), _untaken(memo, one, places, outgoing)) for one in domains)
    return GatewayChain(name=name, hosts=tuple(hosts), incoming=tuple(incoming_confs(memo, places)), outgoing=outgoing)


def _untaken(memo: Memo, domain: str, places: Sequence[Place], outgoing: Confs) -> Confs:
    """What the closest listener says of requests that no route takes, of the kinds that single routes have confs of."""
    if len(places) == 1:
        return ()
    closest = next(one for one in places if contains(one.written.host.lower(), domain))
    routed = {kind.type for kind in memo.read(KINDS, None) if kind.routes}
    found = outgoing_confs(memo, (closest,))
    return tuple(one for one in found if one.policy in routed and one not in outgoing)


def _connections(memo: Memo, name: str, place: Place, reached: Reached) -> GatewayChain:
    kind = next((kind for kind in memo.read(KINDS, None) if kind.shape_backends is not None), None)
    backends: tuple[Backend, ...] = ()
    rules: tuple[RouteRule, ...] = ()
    if kind is not None and kind.shape_backends is not None:
        rules = merge_route_rules(_route_items(memo, place, kind.type)) or _older_connections(memo, place)
        backends = kind.shape_backends(rules, _finder(memo, place, reached))
    return GatewayChain(
        name=name,
        backends=backends,
        origins=tuple(origin for rule in rules for origin in rule.origins),
        incoming=tuple(incoming_confs(memo, (place,))),
        outgoing=tuple(outgoing_confs(memo, (place,))),
    )


# --- Routes -------------------------------------------------------------------------------------------------------


def _tried(domain: str, groups: Mapping[str, Sequence[HttpRoute]]) -> tuple[HttpRoute, ...]:
    """Of routes with one precedence those of the closer host name come first."""
    around = sorted((one for one in groups if contains(one, domain)), key=closeness, reverse=True)
    found = dict.fromkeys(route for one in around for route in groups[one])
    return tuple(sorted(found, key=lambda route: precedence(route.match)))


def _routes(memo: Memo, place: Place, reached: Reached) -> dict[str, list[HttpRoute]]:
    """By the closer of the route's and the listener's host name."""
    kind = next((kind for kind in memo.read(KINDS, None) if kind.shape_routes is not None), None)
    groups: dict[str, list[HttpRoute]] = {}
    if kind is None or kind.shape_routes is None:
        return groups
    find = _finder(memo, place, reached)
    for domain, rules in _request_rules(memo, place, kind):
        shaped = kind.shape_routes(rules, None, find)
        groups.setdefault(domain, []).extend(
            with_inline(memo, replace(one, confs=route_confs(memo, place, one))) for one in shaped
        )
    return groups


def _request_rules(memo: Memo, place: Place, kind: PolicyKind) -> Iterator[tuple[str, tuple[RouteRule, ...]]]:
    by_domain: dict[str, list[Item]] = {}
    for item in _route_items(memo, place, kind.type):
        for domain in _domains(item.item.hostnames if item.item is not None else (), place):
            by_domain.setdefault(domain, []).append(item)
    yield from ((domain, merge_route_rules(items)) for domain, items in by_domain.items())
    if not by_domain:
        yield from _older_requests(memo, place)


def _route_items(memo: Memo, place: Place, kind: str) -> tuple[Item, ...]:
    """Those about the gateway: a route for calls to a service is for sidecars."""
    keys = tuple(sorted(one.policy for one in place.holder.own if one.policy.type == kind and place.holds(one)))
    return tuple(item for item in memo.ask(ITEMS, (keys, ("to",))) if item.target.kind == "Mesh")


def is_decided(memo: Memo, place: Place) -> bool:
    """Whether a MeshHTTPRoute or a MeshTCPRoute is about a listener, so that no MeshGatewayRoute counts there."""
    reads = place.written.protocol in ("HTTP", "HTTPS")
    items = _route_items(memo, place, "MeshHTTPRoute" if reads else "MeshTCPRoute")
    return any(_domains(one.item.hostnames if one.item is not None else (), place) for one in items)


def _older_requests(memo: Memo, place: Place) -> Iterator[tuple[str, tuple[RouteRule, ...]]]:
    """MeshGatewayRoutes are not merged with each other."""
    for route in _older(memo, place):
        http = cast(MeshGatewayRoute, route.spec).conf.http
        for domain in _domains(http.hostnames, place) if http is not None else ():
            yield domain, request_rules(route)


def _domains(hostnames: Sequence[str], place: Place) -> tuple[str, ...]:
    """Of each host name of a route, and of the listener, the closer one; all of the listener's where it names none."""
    own = place.written.host.lower()
    met = (meet(name.lower(), own) for name in hostnames or (own,))
    return tuple(dict.fromkeys(one for one in met if one is not None))


def _older_connections(memo: Memo, place: Place) -> tuple[RouteRule, ...]:
    """The first that there is: connections cannot be told apart."""
    return next((rules for route in _older(memo, place) if (rules := connection_rules(route))), ())


def _older(memo: Memo, place: Place) -> Iterator[Resource]:
    """The MeshGatewayRoutes that select a listener, the closest first."""
    keys = sorted(memo.read(KEYS, ("MeshGatewayRoute", place.mesh)))
    known = [route for key in keys if (route := memo.read(RESOURCE, key)) is not None]
    found = [(specificity(cast(MeshGatewayRoute, one.spec).selectors, place.tags), one) for one in known]
    fitting = sorted(((-count, one.key, one) for count, one in found if count is not None), key=lambda one: one[:2])
    return (route for _, _, route in fitting)


# --- Backends -----------------------------------------------------------------------------------------------------


def _finder(memo: Memo, place: Place, reached: Reached) -> FindBackend:
    """What a reference of a route sends to; it becomes an upstream of the proxy."""

    def find(reference: BackendReference, origin: Origin) -> Destination | None:
        policy = memo.read(RESOURCE, origin.policy)
        port = backend_port(memo, reference, place.mesh, policy.namespace if policy is not None else "")
        destination = memo.ask(DESTINATION, port) if port is not None else None
        if port is None or destination is None:
            return None
        upstream = upstream_of(memo, place, port, destination)
        reached[upstream.destination.name] = upstream
        return upstream.destination

    return find
