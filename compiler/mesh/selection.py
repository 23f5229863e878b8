"""Which policies hold for a proxy, and the confs that they merge to at each place.

Confs are asked for by the policies that hold and the place, not by the proxy, so that replicas share them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from compiler.memo import Input, Memo, Query
from compiler.mesh.graph import HEAD, KEYS, RESOURCE, candidates
from compiler.mesh.match import select
from compiler.mesh.merge import Merged
from compiler.mesh.order import Item, Side, items_of, sort_items
from compiler.mesh.permission import permission
from compiler.mesh.policy import Inbounds, PolicyKind
from compiler.mesh.proxy import Applied, Permission, SourceRule, UriMatch, Value
from compiler.mesh.rules import (
    InboundRule,
    catch_all,
    effective_rules,
    inbound_rules,
    meant_names,
    mesh_conf,
    outbound_conf,
)
from compiler.mesh.services import SERVICE_RESOURCE, Port
from compiler.mesh.shape import Shape
from compiler.resources.model import Policy, Resource, ResourceKey, TargetRef
from compiler.resources.values import decode

Policies = tuple[ResourceKey, ...]

KINDS: Final[Input[None, tuple[PolicyKind, ...]]] = Input("kinds", ())
"""The kinds of policies that this compiler knows."""
PERMISSIONS: Final = "MeshTrafficPermission"


class Selected(Value, frozen=True):
    """A policy that holds for a proxy: for which inbounds, and whether its `to` does."""

    policy: ResourceKey
    sections: frozenset[str]
    outbound: bool


class Place(Value, frozen=True):
    """Where outgoing confs are asked for: the policies that hold, and the destination."""

    kind: str
    policies: Policies
    port: Port


class Held(Value, frozen=True):
    """Where confs without a destination are asked for: the policies that hold for an inbound, or for all calls."""

    kind: str
    policies: Policies


def _selected(memo: Memo, shape: Shape) -> tuple[Selected, ...]:
    proxy = shape.resource

    def routes(target: TargetRef, mesh: str) -> Sequence[Resource]:
        keys = sorted(memo.read(KEYS, (target.kind, mesh)))
        return [route for one in keys if (route := memo.ask(HEAD, one)) is not None]

    chosen = ((policy, select(policy, proxy, routes)) for policy in candidates(memo, proxy))
    return tuple(
        Selected(policy.key, selection.sections, selection.outbound)
        for policy, selection in chosen
        if selection is not None
    )


def outgoing(selected: Sequence[Selected], kind: str) -> Policies:
    """The policies of a kind whose `to` holds."""
    return tuple(one.policy for one in selected if one.outbound and one.policy.type == kind)


def incoming(selected: Sequence[Selected], kind: str, section: str) -> Policies:
    """The policies of a kind whose `rules` and `from` hold for an inbound."""
    return tuple(one.policy for one in selected if section in one.sections and one.policy.type == kind)


def _items(memo: Memo, place: tuple[Policies, tuple[Side, ...]]) -> tuple[Item, ...]:
    policies, sides = place
    resources = (memo.read(RESOURCE, key) for key in policies)
    return sort_items(
        item
        for resource in resources
        if resource is not None and isinstance(resource.spec, Policy)
        for side in sides
        for item in items_of(resource, side)
    )


def _outgoing_conf(memo: Memo, place: Place) -> Applied:
    service = memo.ask(SERVICE_RESOURCE, place.port.service)
    merged = None
    if service is not None and place.policies:
        items = memo.ask(ITEMS_ABOUT, (place.policies, (service.name, place.port.service.name)))
        merged = outbound_conf(items, service, place.port.section, place.port.service.name)
    return apply(find_kind(memo, place.kind), merged)


def _index_items(memo: Memo, policies: Policies) -> Mapping[str | None, tuple[int, ...]]:
    """By each name that it may mean, with None those that may mean any: the places of the items of `to`."""
    found: dict[str | None, list[int]] = defaultdict(list)
    for place, item in enumerate(memo.ask(ITEMS, (policies, ("to",)))):
        for name in meant_names(item.target) or (None,):
            found[name].append(place)
    return {name: tuple(places) for name, places in found.items()}


def _items_about(memo: Memo, asked: tuple[Policies, tuple[str, str]]) -> tuple[Item, ...]:
    """The items that may mean a service of these names: an edit of one that cannot leaves its confs alone."""
    policies, names = asked
    items, index = memo.ask(ITEMS, (policies, ("to",))), memo.ask(ITEM_INDEX, policies)
    places = {place for name in (None, *names) for place in index.get(name, ())}
    return tuple(items[place] for place in sorted(places))


def apply(kind: PolicyKind, merged: Merged | None) -> Applied:
    """A merged conf with its type; where no policy speaks, the kind's empty conf."""
    if merged is None:
        return Applied(kind.type, kind.conf())
    return Applied(kind.type, decode(kind.conf, merged.conf), merged.origins)


def _incoming_conf(memo: Memo, place: Held) -> Applied:
    """What holds for callers that no rule names."""
    return apply(find_kind(memo, place.kind), catch_all(_rules(memo, place.policies)))


def _mesh_conf(memo: Memo, place: Held) -> Applied:
    """What holds for calls that no destination's name is about, such as those that are passed through."""
    return apply(find_kind(memo, place.kind), mesh_conf(memo.ask(ITEMS, (place.policies, ("to",)))))


def _source_confs(memo: Memo, place: Held) -> tuple[SourceRule, ...]:
    """Callers that are told apart by SNI too are no callers of a sidecar, whose ports have one service each."""
    kind = find_kind(memo, place.kind)
    rules = effective_rules(_rules(memo, place.policies)) if kind.inbounds is Inbounds.BY_SOURCE else ()
    return tuple(
        SourceRule(_caller(rule), (apply(kind, rule.merged),))
        for rule in rules
        if rule.match is not None and rule.match.keys() == {"spiffeID"}
    )


def _caller(rule: InboundRule) -> UriMatch:
    spiffe = (rule.match or {})["spiffeID"]
    return UriMatch(spiffe["value"], prefix=spiffe["type"] == "Prefix")


def _rules(memo: Memo, policies: Policies) -> tuple[InboundRule, ...]:
    return inbound_rules(memo.ask(ITEMS, (policies, ("rules", "from"))))


def _permission(memo: Memo, place: tuple[str, Policies]) -> Permission:
    mesh, policies = place
    return permission(mesh, memo.ask(ITEMS, (policies, ("rules",))), memo.ask(ITEMS, (policies, ("from",))))


def find_kind(memo: Memo, name: str) -> PolicyKind:
    return next(kind for kind in memo.read(KINDS, None) if kind.type == name)


SELECTED: Final[Query[Shape, tuple[Selected, ...]]] = Query("selected", _selected)
ITEMS: Final[Query[tuple[Policies, tuple[Side, ...]], tuple[Item, ...]]] = Query("items", _items)
ITEM_INDEX: Final[Query[Policies, Mapping[str | None, tuple[int, ...]]]] = Query("item index", _index_items)
ITEMS_ABOUT: Final[Query[tuple[Policies, tuple[str, str]], tuple[Item, ...]]] = Query("items about", _items_about)
OUTGOING_CONF: Final[Query[Place, Applied]] = Query("outgoing conf", _outgoing_conf)
INCOMING_CONF: Final[Query[Held, Applied]] = Query("incoming conf", _incoming_conf)
MESH_CONF: Final[Query[Held, Applied]] = Query("mesh conf", _mesh_conf)
SOURCE_CONFS: Final[Query[Held, tuple[SourceRule, ...]]] = Query("source confs", _source_confs)
PERMISSION: Final[Query[tuple[str, Policies], Permission]] = Query("permission", _permission)
