"""Which policies hold for a proxy, found through indexes.

Those that ask for a label or tag are looked up by it, and are few for each proxy. Those that may select any proxy are
judged once for each profile, which is what of a proxy they can look at, and only where they may be about what is asked:
an edit of one concerns the callers of what it names.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, cast

from compiler.memo import Memo, Query
from compiler.mesh.gateways.choosing import GATEWAY
from compiler.mesh.graph import (
    ABOUT,
    ANYWHERE,
    COMING_IN,
    HEAD,
    KEYS,
    SELECTORS,
    WHOLE,
    Head,
    is_everywhere,
    pairs_to_file,
)
from compiler.mesh.layers import counting, layer_of
from compiler.mesh.match import is_builtin_gateway, picks, select, source_tags
from compiler.mesh.order import spec_of
from compiler.mesh.shape import Shape, shape_of
from compiler.mesh.value import Value
from compiler.resources.model import (
    NAMESPACE,
    SERVICE,
    Dataplane,
    Gateway,
    Inbound,
    Layer,
    Networking,
    Resource,
    ResourceKey,
    TargetRef,
)
from compiler.resources.specs.dataplane import ZoneListener

Policies = tuple[ResourceKey, ...]
Names = tuple[str, ...]

PERMISSIONS: Final = "MeshTrafficPermission"


class Selected(Value, frozen=True):
    """A policy that holds for a proxy: for which inbounds, and whether its `to` does."""

    policy: ResourceKey
    sections: frozenset[str]
    outbound: bool
    layer: Layer


class Holder(Value, frozen=True):
    """For whom policies are looked up: `own` are those that ask for something that few proxies carry, by key."""

    profile: Shape
    own: tuple[Selected, ...]

    @property
    def outgoing(self) -> Policies:
        """Its own policies whose `to` holds."""
        return tuple(one.policy for one in self.own if one.outbound)


def _holder(memo: Memo, shape: Shape) -> Holder:
    proxy = shape.resource
    slots = ((proxy.key.mesh, pair) for pair in (ANYWHERE, *pairs_to_file(proxy)))
    keys = {key for slot in slots for key in memo.read(SELECTORS, slot)}
    return Holder(_profile(proxy), tuple(_select(memo, shape, sorted(keys))))


def _profile(proxy: Resource) -> Shape:
    """What policies that ask for no label or tag of its own can see of a proxy."""
    networking = cast(Dataplane, proxy.spec).networking
    inbound = tuple(Inbound(port=one.port, name=one.name) for one in networking.inbound)
    gateway = Gateway(networking.gateway.type) if networking.gateway is not None else None
    labels = {key: value for key, value in proxy.labels.items() if is_everywhere(key) or key == NAMESPACE}
    listeners = tuple(ZoneListener(one.type, one.port, name=one.name) for one in networking.listeners)
    key = ResourceKey(proxy.key.type, proxy.key.mesh, "")
    return shape_of(Resource(key, labels, Dataplane(Networking(inbound=inbound, gateway=gateway, listeners=listeners))))


def _select(memo: Memo, shape: Shape, keys: Iterable[ResourceKey]) -> Iterator[Selected]:
    return (one for key in keys if (one := _selects(memo, (shape, key))) is not None)


def _selects(memo: Memo, asked: tuple[Shape, ResourceKey]) -> Selected | None:
    shape, key = asked
    head = memo.ask(HEAD, key)

    def routes(target: TargetRef, mesh: str) -> Sequence[Resource]:
        found = (memo.ask(HEAD, one) for one in sorted(memo.read(KEYS, (target.kind, mesh))))
        return [route.policy for route in found if route is not None]

    gateway = memo.ask(GATEWAY, shape) if is_builtin_gateway(shape.resource) else None
    selection = select(head.policy, shape.resource, routes, gateway) if head is not None else None
    if head is None or selection is None:
        return None
    return Selected(key, selection.sections, selection.outbound, layer_of(head.policy))


def outgoing(
    memo: Memo, profile: Shape, own: Policies, kind: str, names: Names, routes: Sequence[Resource] = ()
) -> Policies:
    """The policies of a kind whose `to` holds and may be about something of these names, by key.

    One whose top level names a MeshHTTPRoute holds for that route alone, so only where it is among `routes`.
    """
    wide = memo.ask(OUTGOING, (profile, kind, names))
    heads = ((key, memo.ask(HEAD, key)) for key in own if key.type == kind)
    found = [key for key, head in heads if head is not None and head.may_mean(names) and _holds_for(head, routes)]
    return tuple(sorted([*found, *wide])) if found else wide


def _holds_for(head: Head, routes: Iterable[Resource]) -> bool:
    target = spec_of(head.policy).target_ref
    return not is_of_route(head) or any(
        route.key.type == target.kind and picks(target, head.policy, route) for route in routes
    )


def is_of_route(head: Head) -> bool:
    """Whether a policy's top level names a MeshHTTPRoute."""
    return spec_of(head.policy).target_ref.kind == "MeshHTTPRoute"


def _outgoing(memo: Memo, asked: tuple[Shape, str, Names]) -> Policies:
    profile, kind, names = asked
    mesh = profile.resource.key.mesh
    keys = {key for name in (None, *names) for key in memo.read(ABOUT, (mesh, kind, name))}
    chosen = ((key, memo.ask(SELECTS, (profile, key))) for key in sorted(keys))
    return tuple(key for key, selected in chosen if selected is not None and selected.outbound)


def incoming(memo: Memo, holder: Holder, kind: str, section: str) -> Policies:
    """The policies of a kind whose `rules` and `from` hold for an inbound, by key."""
    return _keys(one for one in _coming_in(memo, holder, kind) if section in one.sections)


def incoming_everywhere(memo: Memo, holder: Holder, kind: str) -> Policies:
    """Those that hold at the proxy itself: at every inbound that it has, or could have, and not for one service."""
    networking = cast(Dataplane, holder.profile.resource.spec).networking
    every = {one.section for one in networking.inbound} | {one.section for one in networking.listeners}
    chosen = (one for one in _coming_in(memo, holder, kind) if one.outbound and every <= one.sections)
    return _keys(one for one in chosen if not _is_of_service(memo, one.policy))


def _coming_in(memo: Memo, holder: Holder, kind: str) -> Iterator[Selected]:
    yield from (one for one in holder.own if one.policy.type == kind and _comes_in(memo, one.policy))
    yield from memo.ask(INCOMING, (holder.profile, kind))


def _is_of_service(memo: Memo, key: ResourceKey) -> bool:
    """Whether it asks for the name of a service, however many of the proxy's inbounds are of that."""
    head = memo.ask(HEAD, key)
    return head is None or SERVICE in source_tags(spec_of(head.policy).target_ref)


def _incoming(memo: Memo, asked: tuple[Shape, str]) -> tuple[Selected, ...]:
    profile, kind = asked
    keys = sorted(memo.read(COMING_IN, (profile.resource.key.mesh, kind)))
    chosen = (memo.ask(SELECTS, (profile, key)) for key in keys)
    return tuple(selected for selected in chosen if selected is not None)


def whole(memo: Memo, holder: Holder, kind: str) -> Policies:
    """The policies of a kind whose `default` holds for all of the proxy, by key."""
    own = (one.policy for one in holder.own if one.policy.type == kind)
    return tuple(sorted([*own, *memo.ask(WHOLE_OF, (holder.profile, kind))]))


def _whole(memo: Memo, asked: tuple[Shape, str]) -> Policies:
    profile, kind = asked
    keys = sorted(memo.read(WHOLE, (profile.resource.key.mesh, kind)))
    return tuple(key for key in keys if memo.ask(SELECTS, (profile, key)) is not None)


def heeded(chosen: Iterable[Selected]) -> Sequence[Selected]:
    """Of policies that meet, those that count."""
    return counting(list(chosen), _layer_of)


def _layer_of(selected: Selected) -> Layer:
    return selected.layer


def _keys(chosen: Iterable[Selected]) -> Policies:
    return tuple(sorted(one.policy for one in heeded(chosen)))


def _comes_in(memo: Memo, key: ResourceKey) -> bool:
    """What comes in takes no route of a MeshHTTPRoute."""
    head = memo.ask(HEAD, key)
    return head is not None and head.comes_in and not is_of_route(head)


def all_selected(memo: Memo, shape: Shape) -> tuple[Selected, ...]:
    """Every policy that holds for a proxy, by key: for whoever asks about one."""
    holder = memo.ask(HOLDER, shape)
    wide = sorted(memo.read(SELECTORS, (shape.resource.key.mesh, None)))
    chosen = [*holder.own, *_select(memo, holder.profile, wide)]
    return tuple(sorted(chosen, key=lambda one: one.policy))


HOLDER: Final[Query[Shape, Holder]] = Query("selected", _holder)
SELECTS: Final[Query[tuple[Shape, ResourceKey], Selected | None]] = Query("selects", _selects)
OUTGOING: Final[Query[tuple[Shape, str, Names], Policies]] = Query("outgoing policies", _outgoing)
INCOMING: Final[Query[tuple[Shape, str], tuple[Selected, ...]]] = Query("incoming policies", _incoming)
WHOLE_OF: Final[Query[tuple[Shape, str], Policies]] = Query("whole policies", _whole)
