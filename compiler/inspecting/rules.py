"""The rules of a proxy: every conf that holds for it, merged, with where each came from.

The shape is that of Kuma's `_rules` (kuma-core §9.2), so that tools that read it go on working; `position` beside an
origin is ours: the file, line and column where it was written, null for an initial policy, which no file holds.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from msgspec import to_builtins

from compiler.inspecting.outgoing import show_outgoing
from compiler.inspecting.shown import (
    Json,
    Sources,
    gateway_places,
    selected_policies,
    show_meta,
    show_origin,
    written_proxy,
)
from compiler.memo import Memo
from compiler.mesh.confs import ITEMS
from compiler.mesh.gateways.confs import incoming_policies
from compiler.mesh.graph import RESOURCE
from compiler.mesh.kinds import KINDS
from compiler.mesh.merge import merge_confs
from compiler.mesh.order import Side
from compiler.mesh.policy import Inbounds, PolicyKind
from compiler.mesh.rules import InboundRule, inbound_rules, proxy_conf
from compiler.mesh.selection import Selected, all_selected, heeded
from compiler.mesh.shape import shape_of
from compiler.mesh.subsets import SubsetRule, subset_rules
from compiler.resources.model import (
    Dataplane,
    Gateway,
    MeshGateway,
    Networking,
    Resource,
    ResourceKey,
)

_COMING_IN: Final[tuple[Side, ...]] = ("rules", "from")


def show_rules(memo: Memo, key: ResourceKey, sources: Sources) -> Json:
    """Every conf that holds for a proxy, merged, with where each came from; KeyError for what is no proxy."""
    proxy = written_proxy(memo, key)
    return _show(memo, proxy, proxy, selected_policies(memo, key), sources)


def show_gateway_rules(memo: Memo, key: ResourceKey, sources: Sources) -> Json:
    """The same of a proxy that a MeshGateway selects, whether there is one or not; KeyError for what is no gateway."""
    gateway = memo.read(RESOURCE, key)
    if gateway is None or not isinstance(gateway.spec, MeshGateway):
        raise KeyError(key)
    tags = gateway.spec.selectors[0].match if gateway.spec.selectors else {}
    spec = Dataplane(networking=Networking(gateway=Gateway(type="BUILTIN", tags=tags)))
    proxy = Resource(ResourceKey("Dataplane", key.mesh, ""), {}, spec)
    return _show(memo, gateway, proxy, all_selected(memo, shape_of(proxy)), sources)


def _show(memo: Memo, shown: Resource, proxy: Resource, selected: Sequence[Selected], sources: Sources) -> Json:
    rules = (_show_kind(memo, kind, proxy, selected, sources) for kind in memo.read(KINDS, None))
    return {"resource": show_meta(shown), "httpMatches": [], "rules": [one for one in rules if one is not None]}


def _incoming(selected: Sequence[Selected], kind: str, section: str) -> tuple[ResourceKey, ...]:
    """The policies of a kind whose `rules` and `from` hold for an inbound."""
    chosen = (one for one in selected if section in one.sections and one.policy.type == kind)
    return tuple(one.policy for one in heeded(chosen))


def _show_kind(
    memo: Memo, kind: PolicyKind, proxy: Resource, selected: Sequence[Selected], sources: Sources
) -> Json | None:
    to_resources = list(show_outgoing(memo, kind, proxy, selected, sources))
    inbounds = [one for one in _inbounds(memo, kind, proxy, selected, sources) if one["rules"]]
    subsets = list(_from_rules(memo, kind, proxy, selected, sources))
    whole = _show_whole(memo, kind, selected, sources)
    if not (to_resources or inbounds or subsets or whole or kind.always):
        return None
    return {
        "type": kind.type,
        **({"proxyRule": whole} if whole is not None else {}),
        **({"defaults": _show_defaults(kind)} if kind.always else {}),
        "warnings": [],
        "fromRules": subsets,
        "inboundRules": inbounds,
        "toResourceRules": to_resources,
    }


def _show_defaults(kind: PolicyKind) -> Json:
    """What holds wherever no policy says otherwise, field by field."""
    return {"conf": to_builtins(kind.defaults or kind.conf(), enc_hook=str), "origin": "default"}


def _show_whole(memo: Memo, kind: PolicyKind, selected: Sequence[Selected], sources: Sources) -> Json | None:
    """What holds for all of the proxy."""
    keys = tuple(one.policy for one in selected if one.policy.type == kind.type) if kind.whole else ()
    merged = proxy_conf(memo.ask(ITEMS, (keys, ("default",))))
    if merged is None:
        return None
    return {
        "conf": kind.restore(merged.conf),
        "origin": [show_origin(origin, sources) for origin in merged.origins],
    }


def _inbounds(
    memo: Memo, kind: PolicyKind, proxy: Resource, selected: Sequence[Selected], sources: Sources
) -> Iterator[Json]:
    yield from _entrances(memo, kind, proxy, sources)
    sides: tuple[Side, ...] = ("rules",) if kind.passes_over_from else _COMING_IN
    for inbound in cast(Dataplane, proxy.spec).networking.inbound if kind.inbounds is not Inbounds.NONE else ():
        items = memo.ask(ITEMS, (_incoming(selected, kind.type, inbound.section), sides))
        yield {
            "inbound": {"name": inbound.name, "port": inbound.port, "tags": inbound.tags or None},
            "rules": [_show_inbound(kind, rule, sources) for rule in _merged(inbound_rules(items))],
        }


def _entrances(memo: Memo, kind: PolicyKind, proxy: Resource, sources: Sources) -> Iterator[Json]:
    """The listeners of a builtin gateway, whose callers are strangers: rules that name callers are about nobody."""
    if not kind.at_gateways:
        return
    for places in gateway_places(memo, proxy):
        items = memo.ask(ITEMS, (incoming_policies(memo, places, kind.type), _COMING_IN))
        rules = [rule for rule in inbound_rules(items) if rule.match is None]
        shown = [_show_inbound(kind, rule, sources) for rule in _merged(rules)]
        for place in places:
            tags = dict(place.tags)
            yield {"inbound": {"name": place.section, "port": place.written.port, "tags": tags}, "rules": shown}


def _merged(rules: Sequence[InboundRule]) -> Iterator[tuple[Any, list[InboundRule]]]:
    """Rules for the same callers, together."""
    groups: dict[str, tuple[Any, list[InboundRule]]] = {}
    for rule in rules:
        groups.setdefault(repr(rule.match), (rule.match, []))[1].append(rule)
    return iter(groups.values())


def _show_inbound(kind: PolicyKind, group: tuple[Any, list[InboundRule]], sources: Sources) -> Json:
    match, rules = group
    origins = dict.fromkeys(origin for rule in rules for origin in rule.merged.origins)
    return {
        "conf": [kind.restore(merge_confs(rule.merged.conf for rule in rules))],
        "match": match,
        "origin": [show_origin(origin, sources) for origin in origins],
    }


def _from_rules(
    memo: Memo, kind: PolicyKind, proxy: Resource, selected: Sequence[Selected], sources: Sources
) -> Iterator[Json]:
    """Of 2.x: confs by the tags of the caller, for kinds that tell callers apart by them."""
    if not kind.passes_over_from:
        return
    for inbound in cast(Dataplane, proxy.spec).networking.inbound:
        items = memo.ask(ITEMS, (_incoming(selected, kind.type, inbound.section), ("from",)))
        rules = [_show_subset(kind, rule, sources) for rule in subset_rules(items)]
        if rules:
            yield {"inbound": {"name": inbound.name, "port": inbound.port, "tags": inbound.tags}, "rules": rules}


def _show_subset(kind: PolicyKind, rule: SubsetRule, sources: Sources) -> Json:
    matchers = [{"key": key, "value": value, "not": False} for key, value in rule.positive]
    matchers += [{"key": key, "value": value, "not": True} for key, value in rule.negative]
    return {
        "matchers": matchers,
        "conf": kind.restore(rule.conf),
        "origin": [show_origin(origin, sources) for origin in rule.origins],
    }
