"""The rules of what a proxy sends: for every resource that a `to` means, what holds for calls to it."""

from collections.abc import Iterator, Mapping, Sequence

from compiler.inspecting.shown import Json, Sources, gateway_places, show_meta, show_origin
from compiler.memo import Memo
from compiler.mesh.confs import ITEMS
from compiler.mesh.graph import HEAD, KEYS, RESOURCE
from compiler.mesh.layers import counting_items
from compiler.mesh.match import picks
from compiler.mesh.merge import merge_items
from compiler.mesh.order import spec_of
from compiler.mesh.policy import PolicyKind
from compiler.mesh.rules import Destination, ResourceRule, means_route, resource_rules
from compiler.mesh.selection import Policies, Selected, is_of_route
from compiler.mesh.services import OTHER_KEYS, SERVICE_KEYS, SERVICE_RESOURCE, service_ports
from compiler.resources.model import Resource, ResourceKey


def show_outgoing(
    memo: Memo, kind: PolicyKind, proxy: Resource, selected: Sequence[Selected], sources: Sources
) -> Iterator[Json]:
    """Kuma's `toResourceRules`; `listeners` beside one are those of a gateway that it holds for, where not for all."""
    holding = [one for one in selected if one.outbound and one.policy.type == kind.type]
    groups = _by_listener(memo, proxy, holding)
    for policies, listeners in groups.items():
        for rule in _rules(memo, policies, proxy.key.mesh):
            yield _show(rule, listeners if len(groups) > 1 else (), sources)


def _by_listener(memo: Memo, proxy: Resource, holding: Sequence[Selected]) -> Mapping[Policies, list[str]]:
    """What holds at once, with the listeners of a builtin gateway where it does."""
    groups = dict[Policies, list[str]]()
    for places in gateway_places(memo, proxy):
        for place in places:
            policies = tuple(one.policy for one in holding if place.holds(one))
            groups.setdefault(policies, []).append(place.section)
    return groups or {tuple(one.policy for one in holding): []}


def _rules(memo: Memo, policies: Policies, mesh: str) -> Iterator[ResourceRule]:
    heads = [(key, memo.ask(HEAD, key)) for key in policies]
    wide = tuple(key for key, head in heads if head is not None and not is_of_route(head))
    of_routes = dict(_of_routes(memo, policies, wide, mesh))
    for rule in resource_rules(memo.ask(ITEMS, (wide, ("to",))), _destinations(memo, mesh)):
        yield of_routes.pop(rule.resource.key, rule)
    yield from of_routes.values()


def _of_routes(memo: Memo, policies: Policies, wide: Policies, mesh: str) -> Iterator[tuple[ResourceKey, ResourceRule]]:
    """Of policies whose top level names a MeshHTTPRoute, which hold for that route alone."""
    for key in sorted(memo.read(KEYS, ("MeshHTTPRoute", mesh))) if len(wide) < len(policies) else ():
        route = memo.read(RESOURCE, key)
        own = tuple(one for one in policies if one not in wide and route is not None and _names(memo, one, route))
        if route is not None and own:
            items = memo.ask(ITEMS, (tuple(sorted((*wide, *own))), ("to",)))
            meant = [one for one in items if one.target.kind == "Mesh" or means_route(one, route, "")]
            merged = merge_items(counting_items(meant))
            if merged is not None:
                yield key, ResourceRule(route, "", (merged.conf,), merged.origins)


def _names(memo: Memo, key: ResourceKey, route: Resource) -> bool:
    head = memo.ask(HEAD, key)
    return head is not None and picks(spec_of(head.policy).target_ref, head.policy, route)


def _show(rule: ResourceRule, listeners: Sequence[str], sources: Sources) -> Json:
    return {
        "resourceMeta": show_meta(rule.resource),
        "resourceSectionName": rule.section,
        **({"listeners": sorted(listeners)} if listeners else {}),
        "conf": list(rule.confs),
        "origin": [show_origin(origin, sources) for origin in rule.origins],
    }


def _destinations(memo: Memo, mesh: str) -> list[Destination]:
    """Everything that a `to` may mean: the mesh, its routes, its services and each of their ports."""
    of_mesh = memo.read(RESOURCE, ResourceKey("Mesh", "", mesh))
    routes = (memo.read(RESOURCE, key) for key in sorted(memo.read(KEYS, ("MeshHTTPRoute", mesh))))
    keys = (*memo.ask(SERVICE_KEYS, mesh), *memo.ask(OTHER_KEYS, mesh))
    services = (memo.ask(SERVICE_RESOURCE, key) for key in keys)
    found = [Destination(resource) for resource in (of_mesh, *routes) if resource is not None]
    return found + [one for service in services if service is not None for one in _of_service(service)]


def _of_service(service: Resource) -> Iterator[Destination]:
    name = service.key.name
    yield Destination(service, "", name)
    for port in service_ports(service):
        yield Destination(service, port.section, name)
