"""What a person asks of one proxy: its rules and the policies behind them, in the JSON of Kuma's read API.

The shape is that of `_rules` (kuma-core §9.2), so that tools that read it go on working; `position` beside an origin is
ours: the file, line and column where it was written, null for an initial policy, which no file holds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from compiler.envoy.resources import ResourceType
from compiler.memo import Memo
from compiler.mesh.confs import ITEMS
from compiler.mesh.graph import KEYS, RESOURCE, read_proxy
from compiler.mesh.merge import merge_confs
from compiler.mesh.order import Origin, Side
from compiler.mesh.policy import Inbounds, PolicyKind
from compiler.mesh.rules import Destination, InboundRule, ResourceRule, inbound_rules, resource_rules
from compiler.mesh.selection import KINDS, Selected, all_selected
from compiler.mesh.services import SERVICE_KEYS, SERVICE_RESOURCE
from compiler.mesh.shape import REPLICA
from compiler.mesh.subsets import SubsetRule, subset_rules
from compiler.resources.model import Dataplane, MeshService, Resource, ResourceKey
from compiler.resources.resource_set import Source
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.take import causes_of

Json = dict[str, Any]
Sources = Mapping[ResourceKey, Source]

_COMING_IN: Final[tuple[Side, ...]] = ("rules", "from")


def find_proxy(memo: Memo, mesh: str, name: str) -> ResourceKey | None:
    """The key of the Dataplane, or DataplaneSet with registration, of that name."""
    keys = (ResourceKey(kind, mesh, name) for kind in ("Dataplane", "DataplaneSet"))
    return next((key for key in keys if read_proxy(memo, key) is not None), None)


def show_config(snapshot: Snapshot) -> Json:
    """Every Envoy resource of a proxy, by type URL and name (Kuma's `_config`); secrets are names only."""
    return {
        "xds": {
            kind.type_url: {name: json.loads(resource.json) for name, resource in held.items()}
            for kind, held in snapshot.resources.items()
        },
        "secrets": [secret.name for secret in snapshot.secrets],
    }


def show_rules(memo: Memo, key: ResourceKey, sources: Sources) -> Json:
    """Every conf that holds for a proxy, merged, with where each came from; KeyError for what is no proxy."""
    proxy = _proxy(memo, key)
    selected = _selected(memo, key)
    shown = (_show_kind(memo, kind, proxy, selected, sources) for kind in memo.read(KINDS, None))
    return {"resource": _meta(proxy), "httpMatches": [], "rules": [one for one in shown if one is not None]}


def show_policies(memo: Memo, key: ResourceKey, sources: Sources) -> Json:
    """Every policy that selects a proxy, for which of its inbounds, and whether for its outgoing calls."""
    proxy = _proxy(memo, key)
    policies = [
        {
            "type": one.policy.type,
            "mesh": one.policy.mesh,
            "name": one.policy.name,
            "kri": cast(Resource, memo.read(RESOURCE, one.policy)).kri(),
            "inbounds": sorted(one.sections),
            "outbound": one.outbound,
            "position": _position(one.policy, "", sources),
        }
        for one in _selected(memo, key)
    ]
    return {"resource": _meta(proxy), "policies": policies}


def locate_resource(memo: Memo, key: ResourceKey, type_url: str, name: str, sources: Sources) -> tuple[str, ...]:
    """Where an Envoy resource of a proxy comes from: the policies that shaped it, then its Dataplane."""
    kind = next(kind for kind in ResourceType if kind.type_url == type_url)
    causes = [_position(origin.policy, origin.pointer, sources) for origin in causes_of(memo, key, kind, name)]
    places = [*causes, _position(key, "", sources)]
    return tuple(dict.fromkeys(place for place in places if place is not None))


def _selected(memo: Memo, key: ResourceKey) -> tuple[Selected, ...]:
    replica = memo.ask(REPLICA, key)
    return all_selected(memo, replica.shape) if replica is not None else ()


def _outgoing(selected: Sequence[Selected], kind: str) -> tuple[ResourceKey, ...]:
    """The policies of a kind whose `to` holds."""
    return tuple(one.policy for one in selected if one.outbound and one.policy.type == kind)


def _incoming(selected: Sequence[Selected], kind: str, section: str) -> tuple[ResourceKey, ...]:
    """The policies of a kind whose `rules` and `from` hold for an inbound."""
    return tuple(one.policy for one in selected if section in one.sections and one.policy.type == kind)


def _proxy(memo: Memo, key: ResourceKey) -> Resource:
    proxy = read_proxy(memo, key)
    if proxy is None:
        raise KeyError(key)
    return proxy


def _show_kind(
    memo: Memo, kind: PolicyKind, proxy: Resource, selected: Sequence[Selected], sources: Sources
) -> Json | None:
    going_out = memo.ask(ITEMS, (_outgoing(selected, kind.type), ("to",)))
    to_resources = [
        _show_resource(rule, sources) for rule in resource_rules(going_out, _destinations(memo, proxy.key.mesh))
    ]
    inbounds = [one for one in _inbounds(memo, kind, proxy, selected, sources) if one["rules"]]
    subsets = list(_from_rules(memo, kind, proxy, selected, sources))
    if not (to_resources or inbounds or subsets):
        return None
    return {
        "type": kind.type,
        "warnings": [],
        "fromRules": subsets,
        "inboundRules": inbounds,
        "toResourceRules": to_resources,
    }


def _inbounds(
    memo: Memo, kind: PolicyKind, proxy: Resource, selected: Sequence[Selected], sources: Sources
) -> Iterator[Json]:
    sides: tuple[Side, ...] = ("rules",) if kind.inbounds is Inbounds.PERMISSION else _COMING_IN
    for inbound in cast(Dataplane, proxy.spec).networking.inbound if kind.inbounds is not Inbounds.NONE else ():
        items = memo.ask(ITEMS, (_incoming(selected, kind.type, inbound.section), sides))
        yield {
            "inbound": {"name": inbound.name, "port": inbound.port, "tags": inbound.tags or None},
            "rules": [_show_inbound(rule, sources) for rule in _merged(inbound_rules(items))],
        }


def _merged(rules: Sequence[InboundRule]) -> Iterator[tuple[Any, list[InboundRule]]]:
    """Rules for the same callers, together."""
    groups: dict[str, tuple[Any, list[InboundRule]]] = {}
    for rule in rules:
        groups.setdefault(repr(rule.match), (rule.match, []))[1].append(rule)
    return iter(groups.values())


def _show_inbound(group: tuple[Any, list[InboundRule]], sources: Sources) -> Json:
    match, rules = group
    origins = dict.fromkeys(origin for rule in rules for origin in rule.merged.origins)
    return {
        "conf": [merge_confs(rule.merged.conf for rule in rules)],
        "match": match,
        "origin": [_show_origin(origin, sources) for origin in origins],
    }


def _from_rules(
    memo: Memo, kind: PolicyKind, proxy: Resource, selected: Sequence[Selected], sources: Sources
) -> Iterator[Json]:
    """Of 2.x: confs by the tags of the caller, for kinds that tell callers apart by them."""
    if kind.inbounds is not Inbounds.PERMISSION:
        return
    for inbound in cast(Dataplane, proxy.spec).networking.inbound:
        items = memo.ask(ITEMS, (_incoming(selected, kind.type, inbound.section), ("from",)))
        rules = [_show_subset(rule, sources) for rule in subset_rules(items)]
        if rules:
            yield {"inbound": {"name": inbound.name, "port": inbound.port, "tags": inbound.tags}, "rules": rules}


def _show_subset(rule: SubsetRule, sources: Sources) -> Json:
    matchers = [{"key": key, "value": value, "not": False} for key, value in rule.positive]
    matchers += [{"key": key, "value": value, "not": True} for key, value in rule.negative]
    return {
        "matchers": matchers,
        "conf": rule.conf,
        "origin": [_show_origin(origin, sources) for origin in rule.origins],
    }


def _show_resource(rule: ResourceRule, sources: Sources) -> Json:
    return {
        "resourceMeta": _meta(rule.resource),
        "resourceSectionName": rule.section,
        "conf": list(rule.confs),
        "origin": [_show_origin(origin, sources) for origin in rule.origins],
    }


def _destinations(memo: Memo, mesh: str) -> list[Destination]:
    """Everything that a `to` may mean: the mesh, its routes, its services and each of their ports."""
    of_mesh = memo.read(RESOURCE, ResourceKey("Mesh", "", mesh))
    routes = (memo.read(RESOURCE, key) for key in sorted(memo.read(KEYS, ("MeshHTTPRoute", mesh))))
    services = (memo.ask(SERVICE_RESOURCE, key) for key in memo.ask(SERVICE_KEYS, mesh))
    found = [Destination(resource) for resource in (of_mesh, *routes) if resource is not None]
    return found + [one for service in services if service is not None for one in _of_service(service)]


def _of_service(service: Resource) -> Iterator[Destination]:
    name = service.key.name
    yield Destination(service, "", name)
    for port in cast(MeshService, service.spec).ports:
        yield Destination(service, port.section, name)


def _show_origin(origin: Origin, sources: Sources) -> Json:
    policy = origin.policy
    labels: Mapping[str, str] = {}
    return {
        "resourceMeta": {"type": policy.type, "mesh": policy.mesh, "name": policy.name, "labels": labels},
        "ruleIndex": _index(origin.pointer),
        "position": _position(policy, origin.pointer, sources),
    }


def _index(pointer: str) -> int:
    """`/to/1` is item 1."""
    numbers = [part for part in pointer.split("/") if part.isdigit()]
    return int(numbers[0]) if numbers else 0


def _position(key: ResourceKey, pointer: str, sources: Sources) -> str | None:
    source = sources.get(key)
    return str(source.position(pointer)) if source is not None else None


def _meta(resource: Resource) -> Json:
    key = resource.key
    return {"type": key.type, "mesh": key.mesh, "name": key.name, "labels": dict(resource.labels)}
