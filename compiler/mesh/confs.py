"""The confs that policies merge to at each place, asked for by the policies that hold and not by the proxy."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields, replace

from compiler.memo import Memo, Query
from compiler.mesh.calls import Permission, Principal, SourceRule
from compiler.mesh.graph import RESOURCE
from compiler.mesh.http_route import HttpRoute
from compiler.mesh.kinds import find_kind
from compiler.mesh.layers import in_layers
from compiler.mesh.merge import Merged, origins_of
from compiler.mesh.order import Item, Side, items_of, sort_items
from compiler.mesh.permission import permission, principal_of, tag_uri
from compiler.mesh.policy import Inbounds, PolicyKind
from compiler.mesh.referring import REFERRED, read_reference
from compiler.mesh.rules import (
    InboundRule,
    catch_all,
    effective_rules,
    inbound_rules,
    meant_names,
    mesh_conf,
    outbound_conf,
    proxy_conf,
)
from compiler.mesh.selection import Policies
from compiler.mesh.services import SERVICE_RESOURCE, Port
from compiler.mesh.subsets import SubsetRule, subset_rules
from compiler.mesh.value import Applied, Confs, UriMatch, Value
from compiler.resources.model import Conf, Policy, ResourceKey
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
        for item in _prepare(find_kind(memo, resource.key.type), items_of(resource, side))
    )


def _prepare(kind: PolicyKind, items: Iterable[Item]) -> Iterable[Item]:
    """Items with confs as they are merged."""
    if not kind.growing:
        return items
    written = ((item, item.item) for item in items)
    return [
        dataclasses.replace(item, item=replace(one, default=kind.prepare(item.conf))) if one is not None else item
        for item, one in written
    ]


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


def _outgoing_conf(memo: Memo, place: Place) -> Applied | None:
    service = memo.ask(SERVICE_RESOURCE, place.port.service)
    merged = None
    if service is not None and place.policies:
        items = items_about(memo, place.policies, (service.name, place.port.service.name))
        merged = outbound_conf(items, service, place.port.section, place.port.service.name)
    return apply(memo, find_kind(memo, place.kind), merged)


def apply(memo: Memo, kind: PolicyKind, merged: Merged | None) -> Applied | None:
    """A merged conf with its type; where no policy speaks, the kind's empty conf if that does something."""
    if merged is None:
        return Applied(kind.type, kind.conf()) if kind.always else None
    return _type(memo, kind, merged)


def _type(memo: Memo, kind: PolicyKind, merged: Merged) -> Applied:
    conf = merged.conf
    if kind.resolve is not None:
        mesh = merged.origins[-1].policy.mesh
        conf = kind.resolve(conf, lambda written: memo.ask(REFERRED, read_reference(mesh, written)))
    return Applied(kind.type, decode(kind.conf, conf), merged.origins)


def with_inline(memo: Memo, route: HttpRoute) -> HttpRoute:
    """What a rule of a route says itself goes before what policies say of it; each kind stays in its place."""
    if not route.inline:
        return route
    origins = route.origins[-1:]
    held = {applied.policy: applied for applied in route.confs}
    for name, written in route.inline:
        base = held.get(name) or Applied(name, find_kind(memo, name).conf())
        conf = _overlay(base.conf, written)
        held[name] = Applied(name, conf, tuple(dict.fromkeys((*base.origins, *origins))))
    return replace(route, confs=tuple(held.values()), inline=())


def _overlay(conf: Any, written: Conf) -> Any:
    """A conf with what is written, field by field."""
    known = {field.encode_name: field for field in fields(conf)}
    found = ((known[name], value) for name, value in written.items() if value is not None)
    return replace(conf, **{field.name: _laid(getattr(conf, field.name), field.type, value) for field, value in found})


def _laid(present: Any, wanted: Any, value: Any) -> Any:
    return _overlay(present, value) if isinstance(present, Struct) else decode(wanted, value)


def _incoming_confs(memo: Memo, place: Held) -> Confs:
    """What holds for callers that no rule names; beside it, where each holds by itself, what each names."""
    kind = find_kind(memo, place.kind)
    regions = _regions(memo, kind, place.policies)
    rest = next((Merged(one.conf, one.origins) for one in regions if not one.positive), None)
    everyone = apply(memo, kind, rest if regions else catch_all(_rules(memo, kind, place.policies)))
    named = _each(memo, kind, place.policies) if kind.inbounds is Inbounds.EACH else ()
    return (*([everyone] if everyone is not None else []), *named)


def _each(memo: Memo, kind: PolicyKind, policies: Policies) -> Iterator[Applied]:
    """By item: a caller that several of its matches name is still one caller."""
    for item in memo.ask(ITEMS, (policies, ("rules",))):
        matches = item.item.matches if item.item is not None else ()
        callers = tuple(_caller(match) for match in matches if match.keys() == {"spiffeID"})
        if callers:
            yield replace(_type(memo, kind, Merged(item.conf, (item.origin,))), matches=callers)


def _whole_conf(memo: Memo, place: Held) -> Applied | None:
    kind, items = find_kind(memo, place.kind), memo.ask(ITEMS, (place.policies, ("default",)))
    if kind.collect is not None:
        return Applied(kind.type, kind.collect(in_layers(items)), origins_of(items)) if items else None
    return apply(memo, kind, proxy_conf(items))


def _mesh_conf(memo: Memo, place: Held) -> Applied | None:
    """What holds for calls that no destination's name is about, such as those that are passed through."""
    return apply(memo, find_kind(memo, place.kind), mesh_conf(items_about(memo, place.policies, ())))


def _source_confs(memo: Memo, place: Held) -> tuple[SourceRule, ...]:
    """Callers that are told apart by SNI too are no callers of a sidecar, whose ports have one service each."""
    kind = find_kind(memo, place.kind)
    regions = _regions(memo, kind, place.policies)
    if regions:
        mesh = place.policies[0].mesh
        return tuple(
            SourceRule(principal_of(mesh, one), (_type(memo, kind, Merged(one.conf, one.origins)),))
            for one in regions
            if one.positive
        )
    rules = effective_rules(_rules(memo, kind, place.policies)) if kind.inbounds is Inbounds.BY_SOURCE else ()
    return tuple(
        SourceRule(_callers(rule.match), (_type(memo, kind, rule.merged),))
        for rule in rules
        if rule.match is not None and "sni" not in rule.match
    )


def _callers(match: Conf) -> Principal:
    """Those of a match by tags show them beside their SPIFFE id."""
    tags = (UriMatch(tag_uri(key, value)) for key, value in match.get("tags", {}).items())
    return Principal((*([_caller(match)] if "spiffeID" in match else []), *tags))


def _caller(match: Conf) -> UriMatch:
    spiffe = match["spiffeID"]
    return UriMatch(spiffe["value"], prefix=spiffe["type"] == "Prefix")


def _rules(memo: Memo, kind: PolicyKind, policies: Policies) -> tuple[InboundRule, ...]:
    sides: tuple[Side, ...] = ("rules",) if kind.from_tags else ("rules", "from")
    return inbound_rules(memo.ask(ITEMS, (policies, sides)))


def _regions(memo: Memo, kind: PolicyKind, policies: Policies) -> tuple[SubsetRule, ...]:
    """Classes of callers by their tags; where an inbound has `rules`, its `from` is passed over."""
    if not kind.from_tags or memo.ask(ITEMS, (policies, ("rules",))):
        return ()
    return subset_rules(memo.ask(ITEMS, (policies, ("from",))))


def _permission(memo: Memo, place: tuple[str, Policies]) -> Permission:
    mesh, policies = place
    return permission(mesh, memo.ask(ITEMS, (policies, ("rules",))), memo.ask(ITEMS, (policies, ("from",))))


ITEMS: Final[Query[tuple[Policies, tuple[Side, ...]], tuple[Item, ...]]] = Query("items", _items)
ITEM_INDEX: Final[Query[ResourceKey, Mapping[str | None, tuple[Item, ...]]]] = Query("item index", _index_items)
OUTGOING_CONF: Final[Query[Place, Applied | None]] = Query("outgoing conf", _outgoing_conf)
INCOMING_CONFS: Final[Query[Held, Confs]] = Query("incoming confs", _incoming_confs)
WHOLE_CONF: Final[Query[Held, Applied | None]] = Query("whole conf", _whole_conf)
MESH_CONF: Final[Query[Held, Applied | None]] = Query("mesh conf", _mesh_conf)
SOURCE_CONFS: Final[Query[Held, tuple[SourceRule, ...]]] = Query("source confs", _source_confs)
PERMISSION: Final[Query[tuple[str, Policies], Permission]] = Query("permission", _permission)
