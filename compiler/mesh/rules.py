"""Which confs hold for one destination, one route or one inbound of a proxy (kuma-core §4.8).

All functions take items that are already sorted (`sort_items`) and already selected for the proxy or the inbound.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from compiler.mesh.layers import counting_items
from compiler.mesh.match import has_labels, picks
from compiler.mesh.merge import Merged, RouteRule, merge_by_hostname, merge_confs, merge_items, merge_route_rules
from compiler.mesh.order import Item, Origin
from compiler.mesh.subsets import Tags
from compiler.resources.model import DISPLAY_NAME, NAMESPACE, Conf, MeshService, Resource, TargetRef


class Level(IntEnum):
    """What of a destination a reference means, from the least specific."""

    MESH = 1
    RESOURCE = 2
    SECTION = 3


@dataclass(frozen=True, slots=True)
class Destination:
    """One port of a service, or with an empty section the whole; `service` is its kuma.io/service tag."""

    resource: Resource
    section: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class ResourceRule:
    """The confs that hold for calls to a resource, or to one section of it; several only for routes with hostnames."""

    resource: Resource
    section: str
    confs: tuple[Conf, ...]
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class InboundRule:
    """A conf for the callers that `match` names; None is everyone.

    Beside what somebody may write, a match of a converted policy has `tags` that its callers carry.
    """

    match: Conf | None
    merged: Merged


SERVICE_TAG: Final = re.compile(r"([^_]+)_([^_]+)_svc(?:_([0-9]+))?")
"""`<service>_<namespace>_svc_<port>`, the tag of a service on Kubernetes; without a port, of pods without a service."""


# --- Outbound -----------------------------------------------------------------------------------------------------


def refers(
    target: TargetRef, policy: Resource, destination: Resource, section: str = "", service: str = ""
) -> Level | None:
    """How a `to` reference written in `policy` means this section of a destination; None when it does not."""
    if target.kind == "Mesh":
        return Level.MESH
    if target.kind != destination.key.type:
        return None
    named = _section_of(target, policy, destination)
    if named is None:
        return _by_service(target, section, service)
    if not named:
        return Level.RESOURCE
    return Level.SECTION if named == section else None


def meant_names(target: TargetRef) -> frozenset[str] | None:
    """Names of which every destination that a `to` reference means has one; None where any name will do.

    A necessary condition, for an index: `refers` decides.
    """
    if target.kind == "Mesh" or target.labels or not target.name:
        return None
    parsed = SERVICE_TAG.fullmatch(target.name)
    return frozenset({target.name} if parsed is None else {target.name, parsed[1]})


def outbound_conf(items: Sequence[Item], destination: Resource, section: str = "", service: str = "") -> Merged | None:
    """What holds for calls to one port of a destination.

    Kuma looks for a rule of the section, then of the resource, then of the mesh; as each contains the confs of the ones
    after it, the answer is the merge of all items that mean the destination in any way.
    """
    return merge_items(outbound_items(items, destination, section, service))


def outbound_items(
    items: Sequence[Item], destination: Resource, section: str = "", service: str = ""
) -> tuple[Item, ...]:
    """Those that mean it, and count."""
    found = [item for item in items if refers(item.target, item.policy, destination, section, service) is not None]
    return tuple(counting_items(found))


def outbound_routes(
    items: Sequence[Item], destination: Resource, section: str = "", service: str = ""
) -> tuple[RouteRule, ...] | None:
    """The rules of the routes to a destination, None when no route is about it; a route may have no rules at all."""
    relevant = outbound_items(items, destination, section, service)
    return merge_route_rules(relevant) if relevant else None


def mesh_conf(items: Sequence[Item]) -> Merged | None:
    """What holds for calls to destinations that nothing names, such as what is passed through."""
    return merge_items(counting_items([item for item in items if item.target.kind == "Mesh"]))


def route_conf(  # the destination is named as in outbound_conf
    items: Sequence[Item],
    routes: Sequence[Resource],
    rule_section: str,
    destination: Resource,
    section: str = "",
    service: str = "",
) -> Merged | None:
    """What holds for one rule of a route: mesh-wide confs and the route's own, else what holds for its destination.

    The confs of the destination are not inherited once one names the route. `routes` are all that a merged rule came
    from: Kuma names such a rule after one of them and forgets the confs of the others.
    """
    own = [item for item in items if any(means_route(item, route, rule_section) for route in routes)]
    if not own:
        return outbound_conf(items, destination, section, service)
    kept = set(own)
    return merge_items(counting_items([item for item in items if item in kept or item.target.kind == "Mesh"]))


def resource_rules(items: Sequence[Item], destinations: Iterable[Destination]) -> tuple[ResourceRule, ...]:
    """A rule for every resource and section that an item means (Kuma's `toResourceRules`), by type and name.

    `destinations` are the mesh itself and every service with each of its sections, whole ones included, and routes.
    """
    ordered = sorted(destinations, key=lambda found: (found.resource.key, found.section))
    return tuple(rule for destination in ordered for rule in _resource_rule(items, destination))


def proxy_conf(items: Sequence[Item]) -> Merged | None:
    """What holds for the whole proxy: all `default`s that count."""
    return merge_items(counting_items(items))


def _resource_rule(items: Sequence[Item], destination: Destination) -> Iterator[ResourceRule]:
    resource, section, service = destination.resource, destination.section, destination.service
    meant = outbound_items(items, resource, section, service)
    own = Level.SECTION if section else Level.MESH if resource.key.type == "Mesh" else Level.RESOURCE
    if all(refers(item.target, item.policy, resource, section, service) is not own for item in meant):
        return
    merged = merge_by_hostname(meant)
    origins = tuple(dict.fromkeys(origin for conf in merged for origin in conf.origins))
    yield ResourceRule(resource, section, tuple(conf.conf for conf in merged), origins)


def _section_of(target: TargetRef, policy: Resource, destination: Resource) -> str | None:
    """The section that a reference means in a destination, empty for all of it; None when it means another resource."""
    if picks(target, policy, destination):
        return target.section_name
    parsed = SERVICE_TAG.fullmatch(target.name) if target.kind == "MeshService" and not target.section_name else None
    if parsed is None:
        return None
    name, namespace, port = parsed.groups()
    if not has_labels(destination, {DISPLAY_NAME: name, NAMESPACE: namespace}):
        return None
    return "" if port is None else _section_by_port(destination, int(port))


def _section_by_port(destination: Resource, number: int) -> str | None:
    spec = destination.spec
    ports = spec.ports if isinstance(spec, MeshService) else ()
    return next((port.section for port in ports if port.port == number), None)


def _by_service(target: TargetRef, section: str, service: str) -> Level | None:
    """A name that is no resource's is a kuma.io/service tag, as in Kuma 2."""
    if target.kind != "MeshService" or not service or target.name != service:
        return None
    if not target.section_name:
        return Level.RESOURCE
    return Level.SECTION if target.section_name == section else None


def means_route(item: Item, route: Resource, rule_section: str) -> bool:
    """Whether an item names this rule of a route, or all of the route."""
    target = item.target
    if target.kind != route.key.type or not picks(target, item.policy, route):
        return False
    return target.section_name in ("", rule_section)


# --- Inbound ------------------------------------------------------------------------------------------------------


def inbound_rules(items: Sequence[Item]) -> tuple[InboundRule, ...]:
    """A rule for every match of every item, more specific kinds of match first and everyone last.

    Among equals the item that overrides comes later. An item of `from` is about everyone.
    """
    rules = [InboundRule(match, Merged(item.conf, (item.origin,))) for item in items for match in _matches(item)]
    return tuple(sorted(rules, key=lambda rule: _order_of_kinds(_client_of(rule.match))))


def catch_all(rules: Iterable[InboundRule]) -> Merged | None:
    """What holds for callers that no other rule is about."""
    return _merge_rules([rule for rule in rules if rule.match is None])


def effective_rules(rules: Sequence[InboundRule]) -> tuple[InboundRule, ...]:
    """One rule for each class of callers; the first that contains a caller has all rules about that caller, merged.

    The more specific of them override. Where two matches overlap and neither contains the other, the callers in both
    are a class of their own; not so where they overlap by tags, of which the match that asks for most decides.
    """
    written = sorted(((_client_of(rule.match), rule) for rule in rules), key=lambda entry: entry[0].specificity)
    classes = sorted(_classes({client for client, _ in written}))
    classes.sort(key=lambda client: client.specificity, reverse=True)
    merged = ((client, _merge_rules([rule for outer, rule in written if outer.contains(client)])) for client in classes)
    return tuple(InboundRule(client.match, conf) for client, conf in merged if conf is not None)


@dataclass(frozen=True, slots=True, order=True)
class _Client:
    """A set of callers: `spiffe` is the id or its beginning, empty for any; so is `sni`. They carry all `tags`."""

    spiffe: str = ""
    exact: bool = False
    sni: str = ""
    tags: Tags = ()

    @property
    def match(self) -> Conf | None:
        parts: dict[str, Conf] = {}
        if self.spiffe:
            parts["spiffeID"] = {"type": "Exact" if self.exact else "Prefix", "value": self.spiffe}
        if self.sni:
            parts["sni"] = {"type": "Exact", "value": self.sni}
        if self.tags:
            parts["tags"] = dict(self.tags)
        return parts or None

    @property
    def specificity(self) -> tuple[int, bool, int, bool]:
        """Of two sets of which one contains the other, the contained one has more. A whole id counts as a tag."""
        length = 0 if self.exact else len(self.spiffe)
        return self.exact + len(self.tags), bool(self.spiffe), length, bool(self.sni)

    def contains(self, other: "_Client") -> bool:
        if (self.sni and self.sni != other.sni) or (self.tags and not set(self.tags) <= set(other.tags)):
            return False
        if self.exact:
            return other.exact and other.spiffe == self.spiffe
        return other.spiffe.startswith(self.spiffe)


def _matches(item: Item) -> tuple[Conf | None, ...]:
    """A match without conditions is no condition."""
    written = item.item.matches if item.item is not None else ()
    return tuple(match or None for match in written) or (None,)


def _order_of_kinds(client: _Client) -> tuple[bool, ...]:
    return not client.spiffe, not client.exact, not client.sni, not client.tags


def _client_of(match: Conf | None) -> _Client:
    spiffe, sni, tags = ((match or {}).get(name) or {} for name in ("spiffeID", "sni", "tags"))
    exact = spiffe.get("type") == "Exact"
    return _Client(spiffe.get("value", ""), exact, sni.get("value", ""), tuple(sorted(tags.items())))


def _classes(clients: set[_Client]) -> set[_Client]:
    """With overlaps: only a set by server name and one by SPIFFE id can overlap without one containing the other."""
    overlaps = {
        replace(other, sni=one.sni)
        for one in clients
        if one.sni
        for other in clients
        if not other.sni and replace(one, sni="").contains(other)
    }
    return clients | overlaps


def _merge_rules(rules: Sequence[InboundRule]) -> Merged | None:
    if not rules:
        return None
    origins = dict.fromkeys(origin for rule in rules for origin in rule.merged.origins)
    return Merged(merge_confs(rule.merged.conf for rule in rules), tuple(origins))
