"""What is wrong with a policy among the others: whom it selects, what it is about, what it refers to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.checks.again import Again
from compiler.mesh.checks.conflicts import check_conflicts
from compiler.mesh.checks.deciding import check_concessions
from compiler.mesh.checks.fitting import check_fitting, check_inline, check_spoken
from compiler.mesh.checks.gateways import check_coming_in
from compiler.mesh.checks.idle import Selected, check_idle
from compiler.mesh.checks.needs import check_needs
from compiler.mesh.checks.offers import check_offered
from compiler.mesh.checks.parts import check_parts
from compiler.mesh.checks.passed_over import check_passed_over
from compiler.mesh.checks.plaintext import check_optional
from compiler.mesh.checks.references import check_reference, check_target, dangling
from compiler.mesh.checks.replaced import check_replaced
from compiler.mesh.gateways.choosing import GATEWAY
from compiler.mesh.graph import (
    CARRIERS,
    EXAMPLES,
    KEYS,
    RESOURCE,
    index_pair,
    mesh_spec,
    proxy_keys,
    read_proxy,
)
from compiler.mesh.kinds import KINDS
from compiler.mesh.match import Selection, is_builtin_gateway, select, selector_pairs
from compiler.mesh.policy import PolicyKind
from compiler.mesh.referring import REFERRED, read_reference
from compiler.mesh.services import TAGGED_EXTERNAL
from compiler.mesh.shape import shape_of
from compiler.mesh.zones.gates import EGRESS, stand_in
from compiler.mesh.zones.proxies import tagged_proxy
from compiler.resources.findings import Finding, join
from compiler.resources.model import (
    EFFECT,
    Policy,
    Resource,
    ResourceKey,
    TargetRef,
)
from compiler.resources.target_ref import check_target_kinds

SELECTS_NOTHING: Final = Code(
    "selects-nothing",
    Severity.WARNING,
    "a policy that no proxy is selected by",
    "No Dataplane of the mesh carries the labels or tags that the policy asks for, so it changes nothing.",
)


def check_policy(memo: Memo, resource: Resource, spec: Policy) -> Iterator[Finding]:
    kind = next((kind for kind in memo.read(KINDS, None) if kind.type == resource.key.type), None)
    if kind is None:
        return
    yield from check_target_kinds(resource, kind.targets)
    yield from kind.check(spec)
    yield from check_coming_in(kind, spec)
    if resource.labels.get(EFFECT) != "shadow":
        idle = tuple(check_idle(memo, kind, spec, _selected(memo, resource)))
        yield from idle or check_passed_over(
            memo, kind, resource, _selected(memo, resource), lambda: _selects_outside(memo, resource)
        )
        yield from check_replaced(memo, kind, resource, _selected(memo, resource))
        yield from check_fitting(memo, kind, resource)
        yield from check_spoken(memo, kind, resource)
        yield from check_inline(memo, kind, resource)
        yield from check_parts(memo, kind, resource, _selected(memo, resource))
        yield from check_concessions(memo, kind, resource, _selected(memo, resource))
        yield from check_needs(memo, kind, resource, _selected(memo, resource))
        yield from check_offered(memo, kind, resource, _selected(memo, resource))
        if kind.shape_tls is not None:
            yield from check_optional(memo, kind, resource, _selected(memo, resource))
    yield from _check_references(memo, resource.key.mesh, kind, spec)
    mine = Again(key for key in _proxies(memo, resource) if _selects(memo, resource, key))
    yield from check_conflicts(memo, resource, lambda other: _selects_any(memo, other, mine))
    by_http = resource.key.type == "MeshHTTPRoute"
    for index, item in enumerate(spec.to):
        yield from check_target(memo, resource, item.target_ref, f"/to/{index}/targetRef")
        for place, rule in enumerate(item.rules or ()):
            conf, pointer = rule.get("default") or {}, f"/to/{index}/rules/{place}/default"
            yield from _check_rule(memo, resource, conf, pointer, http=by_http and item.target_ref.kind != "Mesh")


def _check_references(memo: Memo, mesh: str, kind: PolicyKind, spec: Policy) -> Iterator[Finding]:
    for pointer, written in kind.references(spec):
        wanted = read_reference(mesh, written)
        found = memo.ask(REFERRED, wanted)
        if found is None and (wanted.name or wanted.labels):
            yield dangling(wanted.kind, wanted.name, dict(wanted.labels), pointer, mesh)
        elif found is not None and (refusal := kind.refuses(found, written)):
            yield replace(refusal, pointer=pointer)


def _check_rule(
    memo: Memo, policy: Resource, conf: Mapping[str, Any], pointer: str, *, http: bool
) -> Iterator[Finding]:
    for index, reference in enumerate(conf.get("backendRefs") or ()):
        yield from check_reference(memo, policy, reference, join(pointer, "backendRefs", index), http=http)
    for index, one in enumerate(conf.get("filters") or ()):
        mirror = (one.get("requestMirror") or {}).get("backendRef")
        if mirror:
            place = join(pointer, "filters", index, "requestMirror", "backendRef")
            yield from check_reference(memo, policy, mirror, place, http=http)


def check_selection(memo: Memo, policy: Resource) -> Iterator[Finding]:
    if policy.labels.get(EFFECT) == "shadow" or any(_selects(memo, policy, key) for key in _proxies(memo, policy)):
        return
    if not _selects_outside(memo, policy):
        message = "no proxy of the mesh is selected by this policy"
        yield Finding("/targetRef", SELECTS_NOTHING, message, "compare the labels or tags with those of the Dataplanes")


def _selects_outside(memo: Memo, policy: Resource) -> bool:
    """Whether it says who may call an ExternalService by an egress, which stands in for a proxy of it."""
    mesh = policy.key.mesh
    if not mesh_spec(memo, mesh).routing.zone_egress:
        return False
    tagged = (memo.read(RESOURCE, key) for key in sorted(memo.read(KEYS, (TAGGED_EXTERNAL, mesh))))
    return any(select(policy, tagged_proxy(one)) is not None for one in tagged if one is not None)


def _proxies(memo: Memo, policy: Resource) -> Iterator[ResourceKey]:
    """A few first: most policies select one of those, and then a new proxy does not have them looked at again."""
    mesh = policy.key.mesh
    pair = index_pair(selector_pairs(policy))
    if pair is not None:
        yield from sorted(memo.read(CARRIERS, (mesh, pair)))
        return
    yield from memo.read(EXAMPLES, mesh)
    yield from sorted(proxy_keys(memo, mesh))
    yield from sorted(memo.read(KEYS, (EGRESS, "")))


def _selected(memo: Memo, policy: Resource) -> Iterator[Selected]:
    for key in _proxies(memo, policy):
        proxy, found = read_proxy(memo, key), _selection(memo, policy, key)
        if proxy is not None and found is not None:
            yield proxy, found


def _selects(memo: Memo, policy: Resource, key: ResourceKey) -> bool:
    return _selection(memo, policy, key) is not None


def _selects_any(memo: Memo, policy: Resource, keys: Iterable[ResourceKey]) -> bool:
    """Only those that carry what it asks for are looked at."""
    pair = index_pair(selector_pairs(policy))
    if pair is None:
        return any(_selects(memo, policy, key) for key in keys)
    carriers = memo.read(CARRIERS, (policy.key.mesh, pair))
    return any(key in carriers and _selects(memo, policy, key) for key in keys)


def _selection(memo: Memo, policy: Resource, key: ResourceKey) -> Selection | None:
    proxy = read_proxy(memo, key)
    if proxy is None:
        return None
    proxy = proxy if proxy.key.mesh else stand_in(proxy, policy.key.mesh)

    def routes(target: TargetRef, mesh: str) -> list[Resource]:
        keys = sorted(memo.read(KEYS, (target.kind, mesh)))
        return [route for one in keys if (route := memo.read(RESOURCE, one)) is not None]

    gateway = memo.ask(GATEWAY, shape_of(proxy)) if is_builtin_gateway(proxy) else None
    return select(policy, proxy, routes, gateway)
