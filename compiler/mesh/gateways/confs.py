"""What policies say at a gateway's listeners: of what comes in, of what is sent on, of single routes and clusters."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from compiler.memo import Memo
from compiler.mesh.calls import Upstream
from compiler.mesh.confs import INCOMING_CONFS, MESH_CONF, Held, apply, items_about
from compiler.mesh.destination import Destination
from compiler.mesh.graph import HEAD, RESOURCE
from compiler.mesh.http_route import HttpRoute
from compiler.mesh.kinds import SPEAKING
from compiler.mesh.layers import counting_items
from compiler.mesh.match import listener_section, listener_tags
from compiler.mesh.merge import Merged, merge_items
from compiler.mesh.order import Item
from compiler.mesh.policy import PolicyKind
from compiler.mesh.routing import CONFS, Caller, names_of, routing_to
from compiler.mesh.rules import means_route, route_conf
from compiler.mesh.selection import INCOMING, Holder, Policies, Selected, is_of_route, outgoing
from compiler.mesh.services import SERVICE_RESOURCE, Port
from compiler.mesh.value import Applied, Confs
from compiler.resources.model import Resource
from compiler.resources.specs.gateways import GatewayListener

_TAG_LENGTH: Final = 16


class Place(NamedTuple):
    """A listener as it is written, at one of the gateway's proxies."""

    written: GatewayListener
    gateway: Resource
    proxy: Resource
    holder: Holder

    @property
    def section(self) -> str:
        return listener_section(self.written)

    @property
    def tags(self) -> Mapping[str, str]:
        return listener_tags(self.written, self.gateway, self.proxy)

    @property
    def mesh(self) -> str:
        return self.gateway.key.mesh

    def holds(self, one: Selected) -> bool:
        return one.outbound and (not one.sections or self.section in one.sections)


def sends(kind: PolicyKind) -> bool:
    """Whether its `to` says something of what a gateway does."""
    return kind.outbound or "to" in kind.targets.gateways_only


def incoming_confs(memo: Memo, places: Sequence[Place]) -> Iterator[Applied]:
    """Of policies that hold for all of these listeners; where none was written, a gateway has its own defaults."""
    for kind in memo.ask(SPEAKING, places[0].mesh):
        if kind.at_gateways:
            confs = memo.ask(INCOMING_CONFS, Held(kind.type, incoming_policies(memo, places, kind.type)))
            yield from (applied for applied in confs if applied.origins and not applied.matches)


def incoming_policies(memo: Memo, places: Sequence[Place], kind: str) -> Policies:
    """The policies of a kind whose `rules` and `from` hold for all of these listeners, by key."""
    own = [one.policy for one in _common(memo, places) if one.policy.type == kind]
    wide = [one.policy for one in memo.ask(INCOMING, (places[0].holder.profile, kind))]
    return tuple(sorted([*own, *wide]))


def outgoing_confs(memo: Memo, places: Sequence[Place]) -> Iterator[Applied]:
    for kind in memo.ask(SPEAKING, places[0].mesh):
        if sends(kind):
            own = tuple(one.policy for one in _common(memo, places))
            held = Held(kind.type, outgoing(memo, places[0].holder.profile, own, kind.type, ()))
            applied = memo.ask(MESH_CONF, held)
            if applied is not None and applied.origins:
                yield applied


def _common(memo: Memo, places: Sequence[Place]) -> Iterator[Selected]:
    holding = (one for one in places[0].holder.own if all(place.holds(one) for place in places))
    return (one for one in holding if not _is_of_route(memo, one))


def route_confs(memo: Memo, place: Place, route: HttpRoute) -> Confs:
    """What holds for calls to the backend of the route where it has one, else for all calls; and for the route.

    Where nothing was written, a gateway has its own defaults.
    """
    written = [found for origin in route.origins if (found := memo.read(RESOURCE, origin.policy)) is not None]
    ports = {_port(one.destination) for one in route.backends if one.destination is not None}
    port = ports.pop() if len(ports) == 1 else None
    names = tuple(dict.fromkeys((*(names_of(memo, port) if port is not None else ()), *(one.name for one in written))))
    own = tuple(one.policy for one in place.holder.own if place.holds(one))
    section = "_".join(route.name.split("_")[-2:])
    applied: list[Applied | None] = []
    for kind in memo.ask(SPEAKING, place.mesh):
        if sends(kind):
            items = items_about(memo, outgoing(memo, place.holder.profile, own, kind.type, names, written), names)
            applied.append(apply(memo, kind, _merge(memo, items, written if kind.routes else (), section, port)))
    return tuple(one for one in applied if one is not None and one.origins)


def _merge(
    memo: Memo, items: Sequence[Item], routes: Sequence[Resource], section: str, port: Port | None
) -> Merged | None:
    service = memo.ask(SERVICE_RESOURCE, port.service) if port is not None else None
    if port is not None and service is not None:
        return route_conf(items, routes, section, service, port.section, port.service.name)
    return merge_items(
        counting_items([one for one in items if one.target.kind == "Mesh" or _means(one, routes, section)])
    )


def _means(item: Item, routes: Iterable[Resource], section: str) -> bool:
    return any(means_route(item, route, section) for route in routes)


def _port(destination: Destination) -> Port:
    return Port(destination.service, destination.section, destination.subset)


def upstream_of(memo: Memo, place: Place, port: Port, destination: Destination) -> Upstream:
    """A cluster of its own where policies about some listeners alone say something of its connections."""
    whole = memo.ask(CONFS, routing_to(memo, _caller(memo, place, narrowed=False), port))
    confs = memo.ask(CONFS, routing_to(memo, _caller(memo, place, narrowed=True), port))
    if confs != whole:
        said = "|".join(f"{one.kri}{one.pointer}" for applied in confs for one in applied.origins)
        digest = hashlib.sha256(said.encode()).hexdigest()[:_TAG_LENGTH]
        destination = replace(destination, kri=f"{destination.kri}-{digest}")
    return Upstream(destination, confs)


def _caller(memo: Memo, place: Place, *, narrowed: bool) -> Caller:
    """The proxy with the policies that hold for a listener, or only those that hold for all listeners."""
    own = (one for one in place.holder.own if place.holds(one) and (narrowed or not one.sections))
    heads = ((one.policy, memo.ask(HEAD, one.policy)) for one in own if not _is_of_route(memo, one))
    return Caller(place.holder.profile, tuple((key, head) for key, head in heads if head is not None))


def _is_of_route(memo: Memo, one: Selected) -> bool:
    """Whether it holds for one route alone."""
    head = memo.ask(HEAD, one.policy)
    return head is not None and is_of_route(head)
