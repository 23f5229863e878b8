"""The confs that policies merge to at each place, asked for by the policies that hold and not by the proxy."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from compiler.memo import Memo, Query
from compiler.mesh.graph import RESOURCE
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
from compiler.mesh.selection import Policies, find_kind
from compiler.mesh.services import SERVICE_RESOURCE, Port
from compiler.resources.model import Policy, ResourceKey
from compiler.resources.values import decode


class Place(Value, frozen=True):
    """Where outgoing confs are asked for: the policies that hold, and the destination."""

    kind: str
    policies: Policies
    port: Port


class Held(Value, frozen=True):
    """Where confs without a destination are asked for: the policies that hold for an inbound, or for all calls."""

    kind: str
    policies: Policies


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


def _index_items(memo: Memo, policy: ResourceKey) -> Mapping[str | None, tuple[Item, ...]]:
    """By each name that it may mean, with None those that may mean any: the items of a policy's `to`."""
    found: dict[str | None, list[Item]] = defaultdict(list)
    for item in memo.ask(ITEMS, ((policy,), ("to",))):
        for name in meant_names(item.target) or (None,):
            found[name].append(item)
    return {name: tuple(items) for name, items in found.items()}


def items_about(memo: Memo, policies: Policies, names: Iterable[str]) -> tuple[Item, ...]:
    """The items of `to` that may mean something of these names, in ascending precedence."""
    wanted = (None, *dict.fromkeys(names))
    indexes = [memo.ask(ITEM_INDEX, key) for key in policies]
    found = (item for index in indexes for name in wanted for item in index.get(name, ()))
    return sort_items({(item.policy.key, item.index): item for item in found}.values())


def _outgoing_conf(memo: Memo, place: Place) -> Applied:
    service = memo.ask(SERVICE_RESOURCE, place.port.service)
    merged = None
    if service is not None and place.policies:
        items = items_about(memo, place.policies, (service.name, place.port.service.name))
        merged = outbound_conf(items, service, place.port.section, place.port.service.name)
    return apply(find_kind(memo, place.kind), merged)


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
    return apply(find_kind(memo, place.kind), mesh_conf(items_about(memo, place.policies, ())))


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


ITEMS: Final[Query[tuple[Policies, tuple[Side, ...]], tuple[Item, ...]]] = Query("items", _items)
ITEM_INDEX: Final[Query[ResourceKey, Mapping[str | None, tuple[Item, ...]]]] = Query("item index", _index_items)
OUTGOING_CONF: Final[Query[Place, Applied]] = Query("outgoing conf", _outgoing_conf)
INCOMING_CONF: Final[Query[Held, Applied]] = Query("incoming conf", _incoming_conf)
MESH_CONF: Final[Query[Held, Applied]] = Query("mesh conf", _mesh_conf)
SOURCE_CONFS: Final[Query[Held, tuple[SourceRule, ...]]] = Query("source confs", _source_confs)
PERMISSION: Final[Query[tuple[str, Policies], Permission]] = Query("permission", _permission)
