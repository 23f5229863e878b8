"""Which proxies a policy selects, and which resources a reference inside a policy means (kuma-core §4.3 to §4.5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from compiler.mesh.order import spec_of
from compiler.resources.model import (
    DISPLAY_NAME,
    EFFECT,
    NAMESPACE,
    ORIGIN,
    ROLE,
    SERVICE,
    ZONE,
    Dataplane,
    MeshGateway,
    Resource,
    TargetRef,
)
from compiler.resources.specs.gateways import GatewayListener

Routes = Callable[[TargetRef, str], Sequence[Resource]]
Pair = tuple[str, str]

BUILTIN_GATEWAY: Final[Pair] = ("gateway", "BUILTIN")
"""What proxies that take requests by a MeshGateway carry besides their labels and tags."""
_NAMESPACED_ROLES: Final = frozenset({"consumer", "workload-owner"})


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a proxy a policy is about: `sections` its inbounds, `outbound` whether the policy's `to` holds for it.

    A policy that is narrowed to one inbound says nothing of what the proxy sends. Of a builtin gateway, the sections
    are listeners that a policy is narrowed to, none where it holds for all of them.
    """

    sections: frozenset[str]
    outbound: bool


def select(
    policy: Resource, proxy: Resource, routes: Routes | None = None, gateway: Resource | None = None
) -> Selection | None:
    """None when the policy says nothing about the proxy.

    `routes` finds the MeshHTTPRoutes of a mesh for a policy whose top level names one; it may return too many. Unlike
    Kuma, a proxy without inbounds is selected by kinds Mesh and Dataplane, so that `to` holds for a client-only proxy.
    `gateway` is the MeshGateway by which the proxy takes requests, if it does.
    """
    if policy.key.mesh != proxy.key.mesh or policy.labels.get(EFFECT) == "shadow" or not _may_reach(policy, proxy):
        return None
    target = spec_of(policy).target_ref
    if target.kind != "MeshHTTPRoute":
        return _select(target, policy, proxy, gateway)
    found = routes(target, policy.key.mesh) if routes is not None else ()
    chosen = [
        _select(spec_of(route).target_ref, route, proxy, gateway) for route in found if picks(target, policy, route)
    ]
    return _union([selection for selection in chosen if selection is not None])


def picks(target: TargetRef, policy: Resource, resource: Resource) -> bool:
    """Whether a reference by labels or by name, written in this policy, means this resource; its kind is not looked at.

    A name is one of the policy's own zone and, unless the reference says otherwise, namespace. Labels reach further,
    but those of a producer policy stay in its namespace when they ask for a display name: it selects proxies of the
    whole mesh only because it is about services of its own.
    """
    if target.labels:
        return has_labels(resource, target.labels) and not (
            _is_pinned(target, policy) and _is_foreign(resource, policy)
        )
    return bool(target.name) and target.name == resource.name and _is_local(target, policy, resource)


def has_labels(resource: Resource, labels: Mapping[str, str]) -> bool:
    """The display name counts as a label even where none is written."""
    carried = resource.labels
    return all((resource.name if key == DISPLAY_NAME else carried.get(key)) == value for key, value in labels.items())


def selector_pairs(policy: Resource) -> tuple[Pair, ...] | None:
    """Pairs that every selected proxy carries among its `proxy_pairs`; None when any proxy may be selected.

    A necessary condition, for an index: `select` decides.
    """
    target = spec_of(policy).target_ref
    match target.kind:
        case "Dataplane" if target.labels:
            pairs = {f"label:{key}": value for key, value in target.labels.items()}
        case "Dataplane" if target.name:
            pairs = {f"label:{DISPLAY_NAME}": target.name}
        case "MeshSubset" | "MeshService" | "MeshServiceSubset":
            pairs = {f"tag:{key}": value for key, value in source_tags(target).items()}
        case "MeshGateway":
            pairs = dict([BUILTIN_GATEWAY])
        case _:
            pairs = {}
    if policy.labels.get(ROLE) in _NAMESPACED_ROLES and policy.namespace:
        pairs[f"label:{NAMESPACE}"] = policy.namespace
    return tuple(sorted(pairs.items())) or None


def proxy_pairs(proxy: Resource) -> frozenset[Pair]:
    """Everything of a proxy that `selector_pairs` can ask for."""
    labels = {**proxy.labels, DISPLAY_NAME: proxy.name}
    tags = (pair for tags in _dataplane(proxy).tag_sets for pair in tags.items())
    builtin = [BUILTIN_GATEWAY] if is_builtin_gateway(proxy) else []
    return frozenset(
        [(f"label:{key}", value) for key, value in labels.items()]
        + [(f"tag:{key}", value) for key, value in tags]
        + builtin
    )


def is_builtin_gateway(proxy: Resource) -> bool:
    """Whether its listeners are those of a MeshGateway."""
    gateway = _dataplane(proxy).networking.gateway
    return gateway is not None and gateway.type == "BUILTIN"


def listener_section(listener: GatewayListener) -> str:
    """What tells the listeners of a MeshGateway apart."""
    return f"{listener.port}:{listener.host}"


def listener_tags(listener: GatewayListener, gateway: Resource, proxy: Resource) -> Mapping[str, str]:
    """By which routes and policies choose a listener: those of its proxy and of its MeshGateway are among them."""
    written = _dataplane(proxy).networking.gateway
    own = written.tags if written is not None else {}
    return {**own, **cast("MeshGateway", gateway.spec).tags, **listener.tags}


def source_tags(target: TargetRef) -> Mapping[str, str]:
    """The tags by which the kinds of Kuma 2 choose inbounds, or clients in `from`; none means all of them."""
    match target.kind:
        case "MeshSubset":
            return target.tags
        case "MeshService":
            return {SERVICE: target.name}
        case "MeshServiceSubset":
            return {**target.tags, SERVICE: target.name}
        case _:
            return {}


def _may_reach(policy: Resource, proxy: Resource) -> bool:
    """A zone's policy stays in its zone, and a namespace's in its namespace; a producer's goes to every client."""
    role = policy.labels.get(ROLE)
    if role == "producer":
        return True
    if role in _NAMESPACED_ROLES and policy.namespace != proxy.namespace:
        return False
    if policy.labels.get(ORIGIN) != "zone" or not policy.zone or proxy.labels.get(ORIGIN) != "zone":
        return True
    return policy.zone == proxy.zone


def _select(target: TargetRef, policy: Resource, proxy: Resource, gateway: Resource | None) -> Selection | None:
    match target.kind:
        case "Mesh":
            return _everything(proxy) if _is_of_type(target, proxy) else None
        case "Dataplane":
            return _select_dataplane(target, policy, proxy)
        case "MeshSubset" | "MeshService" | "MeshServiceSubset":
            return _select_by_tags(source_tags(target), proxy) if _is_of_type(target, proxy) else None
        case "MeshGateway":
            return _select_listeners(target, gateway, proxy) if gateway is not None else None
        case _:
            return None


def _select_listeners(target: TargetRef, gateway: Resource, proxy: Resource) -> Selection | None:
    """Without tags all of them."""
    if target.name not in (gateway.name, gateway.key.name):
        return None
    if not target.tags:
        return Selection(frozenset(), outbound=True)
    listeners = cast("MeshGateway", gateway.spec).conf.listeners
    chosen = (one for one in listeners if target.tags.items() <= listener_tags(one, gateway, proxy).items())
    sections = frozenset(listener_section(one) for one in chosen)
    return Selection(sections, outbound=True) if sections else None


def _select_dataplane(target: TargetRef, policy: Resource, proxy: Resource) -> Selection | None:
    if (target.labels or target.name) and not picks(target, policy, proxy):
        return None
    everything = _everything(proxy)
    if not target.section_name:
        return everything
    narrowed = everything.sections & {target.section_name}
    return Selection(narrowed, outbound=False) if narrowed else None


def _select_by_tags(wanted: Mapping[str, str], proxy: Resource) -> Selection | None:
    networking = _dataplane(proxy).networking
    if networking.gateway is not None:
        return _everything(proxy) if wanted.items() <= networking.gateway.tags.items() else None
    sections = frozenset(inbound.section for inbound in networking.inbound if wanted.items() <= inbound.tags.items())
    return Selection(sections, outbound=True) if sections else None


def _everything(proxy: Resource) -> Selection:
    networking = _dataplane(proxy).networking
    sections = [inbound.section for inbound in networking.inbound]
    if networking.listeners:
        sections += [listener.section for listener in networking.listeners]
    return Selection(frozenset(sections), outbound=True)


def _is_of_type(target: TargetRef, proxy: Resource) -> bool:
    kind = "Sidecar" if _dataplane(proxy).networking.gateway is None else "Gateway"
    return not target.proxy_types or kind in target.proxy_types


def _is_pinned(target: TargetRef, policy: Resource) -> bool:
    labels = target.labels or {}
    return policy.labels.get(ROLE) == "producer" and DISPLAY_NAME in labels and NAMESPACE not in labels


def _is_foreign(resource: Resource, policy: Resource) -> bool:
    return bool(policy.namespace) and resource.namespace != policy.namespace


def _is_local(target: TargetRef, policy: Resource, resource: Resource) -> bool:
    """A policy that says neither its zone nor its origin was written for all zones."""
    if resource.namespace != (target.namespace or policy.namespace):
        return False
    return policy.zone == resource.zone or not (ZONE in policy.labels or ORIGIN in policy.labels)


def _union(selections: Sequence[Selection]) -> Selection | None:
    if not selections:
        return None
    return Selection(
        frozenset().union(*(selection.sections for selection in selections)),
        any(selection.outbound for selection in selections),
    )


def _dataplane(proxy: Resource) -> Dataplane:
    return cast("Dataplane", proxy.spec)
