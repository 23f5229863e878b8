"""Kuma's own examples of matching, sorting and merging, where the acceptance corpus is at hand."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from compiler.mesh.match import select
from compiler.mesh.merge import Merged
from compiler.mesh.order import Item, Side, items_of, sort_items, sort_policies
from compiler.mesh.rules import Destination, inbound_rules, outbound_conf, outbound_routes, resource_rules, route_conf
from compiler.mesh.subsets import SubsetRule, subset_rules
from compiler.resources import model
from compiler.resources.model import Dataplane, MeshService, Resource, TargetRef
from tests.corpus import CORPUS, cases, expected, runner, texts
from tests.mesh.documents import read

FAMILIES = (
    "core-inbound-rules",
    "core-matched-dataplane-kind",
    "core-matched-from",
    "core-matched-policies",
    "core-sort",
    "core-subset-rules",
    "core-to-resource-rules",
    "inspect-outbound-policies",
    "inspect-route-policies",
    "inspect-routes",
)
SHORT_NAMES = {
    **model.SHORT_NAMES,
    "MeshAccessLog": "mal",
    "MeshFaultInjection": "mfi",
    "MeshHealthCheck": "mhc",
    "MeshLoadBalancingStrategy": "mlbs",
    "MeshRateLimit": "mrl",
    "MeshTCPRoute": "mtcpr",
}
Query = Mapping[str, Any]
Answer = Any


@pytest.mark.skipif(not CORPUS.exists(), reason="the acceptance corpus is not beside the repository")
@pytest.mark.parametrize("case", list(cases(*FAMILIES)))
def test_a_case_of_the_corpus_has_the_expected_meaning(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "SHORT_NAMES", SHORT_NAMES)
    wanted = expected(case)
    query = wanted["query"]
    resources = [resource for text in texts(case).values() for resource in read(text)]
    answer = ANSWERS[query["kind"]](resources, query)
    assert runner().CMP[query["kind"]](wanted["expect"], answer) == []


def policies(resources: Sequence[Resource], query: Query) -> list[Resource]:
    """The policies that a query is about."""
    kind = query.get("policyType")
    prefix = "matched-for-rules-" if "matched-for-rules-" in query.get("policies", "") else ""
    known = {"Mesh", "Dataplane", "MeshService"}
    return [
        found
        for found in resources
        if (found.key.type == kind if kind else found.key.type not in known) and found.key.name.startswith(prefix)
    ]


def items_as_given(resources: Sequence[Resource], query: Query, side: Side) -> tuple[Item, ...]:
    """Cases about tag subsets hand over policies that something else has sorted."""
    return tuple(item for policy in policies(resources, query) for item in items_of(policy, side))


def sorted_items(resources: Sequence[Resource], query: Query, side: Side) -> tuple[Item, ...]:
    return sort_items(item for policy in policies(resources, query) for item in items_of(policy, side))


def routes_among(resources: Sequence[Resource]) -> Callable[[TargetRef, str], Sequence[Resource]]:
    return lambda target, mesh: [found for found in resources if found.key.type == target.kind]


def proxy_of(resources: Sequence[Resource], query: Query) -> Resource:
    name = query.get("dataplane") or query["name"]
    (proxy,) = [one for one in resources if one.key.type == "Dataplane" and one.key.name == name]
    return proxy


def origin(item_origin: Any) -> dict[str, Any]:
    pointer = item_origin.pointer.split("/")
    return {"name": item_origin.policy.name, "ruleIndex": int(pointer[2])}


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def matched_policies(resources: Sequence[Resource], query: Query) -> Answer:
    proxy, routes = proxy_of(resources, query), routes_among(resources)
    selected = [policy for policy in policies(resources, query) if select(policy, proxy, routes) is not None]
    return [{"type": policy.key.type, "name": policy.key.name} for policy in sort_policies(selected)]


def rules_order(resources: Sequence[Resource], query: Query) -> Answer:
    return [{"name": item.policy.key.name, "ruleIndex": item.index} for item in sorted_items(resources, query, "to")]


def rules_inbound(resources: Sequence[Resource], query: Query) -> Answer:
    return [
        {"conf": plain(rule.merged.conf), "match": rule.match, "origins": [origin(o) for o in rule.merged.origins]}
        for rule in inbound_rules(sorted_items(resources, query, "rules"))
    ]


def subset(rule: SubsetRule) -> Answer:
    tags = [{"key": key, "value": value, "not": False} for key, value in rule.positive]
    tags += [{"key": key, "value": value, "not": True} for key, value in rule.negative]
    return {"subset": tags, "conf": plain(rule.conf)}


def rules_from(resources: Sequence[Resource], query: Query) -> Answer:
    return {"rules": [subset(rule) for rule in subset_rules(items_as_given(resources, query, "from"))]}


def rules_to(resources: Sequence[Resource], query: Query) -> Answer:
    """A TCP route's conf is its only rule."""
    rules = [subset(rule) for rule in subset_rules(items_as_given(resources, query, "to"))]
    return {"rules": [{**rule, "conf": rule["conf"].get("rules", [rule["conf"]])[0]} for rule in rules]}


def from_rules(resources: Sequence[Resource], query: Query) -> Answer:
    proxy = proxy_of(resources, query)
    assert isinstance(proxy.spec, Dataplane)
    answer: dict[str, dict[str, Any]] = {"from": {}, "inboundRules": {}}
    sections: tuple[Any, ...] = (*proxy.spec.networking.inbound, *proxy.spec.networking.listeners)
    for inbound in sections:
        place = f"{proxy.spec.networking.address}:{inbound.port}"
        selections = [(policy, select(policy, proxy)) for policy in policies(resources, query)]
        chosen = [policy for policy, found in selections if found is not None and inbound.section in found.sections]
        answer["from"][place] = rules_from(sort_policies(chosen), query)
        answer["inboundRules"][place] = rules_inbound(chosen, query)
    return answer


def destinations(resources: Sequence[Resource]) -> Iterator[Destination]:
    for found in resources:
        yield Destination(found)
        if isinstance(found.spec, MeshService):
            yield from (Destination(found, port.section) for port in found.spec.ports)


def rules_to_resource(resources: Sequence[Resource], query: Query) -> Answer:
    return [
        {
            "resource": {"type": rule.resource.key.type, "name": rule.resource.name},
            "section": rule.section,
            "conf": plain(rule.confs),
            "origins": [origin(o) for o in rule.origins],
        }
        for rule in resource_rules(sorted_items(resources, query, "to"), destinations(resources))
    ]


def selected_items(resources: Sequence[Resource], query: Query) -> dict[str, tuple[Item, ...]]:
    """What a proxy's policies say of its outgoing traffic, by type."""
    proxy, routes = proxy_of(resources, query), routes_among(resources)
    found: dict[str, list[Item]] = {}
    for policy in policies(resources, query):
        selection = select(policy, proxy, routes)
        if selection is not None and selection.outbound:
            found.setdefault(policy.key.type, []).extend(items_of(policy, "to"))
    return {kind: sort_items(items) for kind, items in found.items()}


def the(resources: Sequence[Resource], named: Query) -> Resource:
    (found,) = [one for one in resources if one.key.type == named["type"] and one.name == named["name"]]
    return found


def confs(found: Mapping[str, Merged | None]) -> Answer:
    return {
        "policies": [
            {
                "kind": kind,
                "conf": plain(merged.conf),
                "origins": [{"name": one.policy.name} for one in merged.origins],
            }
            for kind, merged in found.items()
            if merged is not None and kind != "MeshHTTPRoute"
        ]
    }


def outbound_policies(resources: Sequence[Resource], query: Query) -> Answer:
    destination, section = the(resources, query["outbound"]), query["outbound"]["section"]
    items = selected_items(resources, query)
    return confs({kind: outbound_conf(found, destination, section) for kind, found in items.items()})


def route_policies(resources: Sequence[Resource], query: Query) -> Answer:
    destination, section = the(resources, query["outbound"]), query["outbound"]["section"]
    routes, items = [the(resources, query["route"])], selected_items(resources, query)
    return confs({kind: route_conf(found, routes, "", destination, section) for kind, found in items.items()})


def routes_of(resources: Sequence[Resource], query: Query) -> Answer:
    destination, section = the(resources, query["outbound"]), query["outbound"]["section"]
    rules = outbound_routes(selected_items(resources, query).get("MeshHTTPRoute", ()), destination, section)
    if rules is None:
        return {"routes": []}
    origins = {one.policy.name: {"name": one.policy.name} for rule in rules for one in rule.origins}
    answered = [{"matches": plain(rule.matches), "conf": with_weights(plain(rule.conf))} for rule in rules]
    return {"routes": [{"kind": "MeshHTTPRoute", "rules": answered, "origins": list(origins.values())}]}


def with_weights(conf: dict[str, Any]) -> dict[str, Any]:
    """The schema's default, which merging leaves to the policy."""
    return {**conf, "backendRefs": [{"weight": 1, **reference} for reference in conf.get("backendRefs", ())]}


ANSWERS: dict[str, Callable[[Sequence[Resource], Query], Answer]] = {
    "matched-policies": matched_policies,
    "rules.order": rules_order,
    "rules.inbound": rules_inbound,
    "rules.from": rules_from,
    "rules.to": rules_to,
    "dataplane.from-rules": from_rules,
    "rules.to-resource": rules_to_resource,
    "dataplane.outbound.policies": outbound_policies,
    "dataplane.route.policies": route_policies,
    "dataplane.outbound.routes": routes_of,
}
