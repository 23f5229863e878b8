"""Which confs hold for a destination, a route and an inbound."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.mesh.merge import merge_confs
from compiler.mesh.order import Item, Side, items_of, sort_items
from compiler.mesh.rules import (
    Destination,
    InboundRule,
    Level,
    catch_all,
    effective_rules,
    inbound_rules,
    mesh_conf,
    outbound_conf,
    outbound_routes,
    proxy_conf,
    refers,
    resource_rules,
    route_conf,
)
from compiler.resources.model import Resource, TargetRef
from compiler.resources.values import decode
from tests.mesh.documents import read, resource

Match = dict[str, Any]
EAST = {"kuma.io/zone": "east", "kuma.io/origin": "zone"}


def service(name: str, *ports: Mapping[str, Any], **labels: str) -> Resource:
    return resource({"type": "MeshService", "name": name, "labels": labels, "spec": {"ports": ports}})


HTTP, ADMIN = {"port": 80, "name": "http"}, {"port": 9000, "name": "admin"}
ORDERS = service("orders", HTTP, ADMIN, team="shop", **EAST)
PAYMENTS = service("payments", HTTP, **EAST)
MESH = resource({"type": "Mesh", "name": "default"})
DESTINATIONS = [
    *(Destination(MESH),),
    *(Destination(ORDERS, section) for section in ("", "http", "admin")),
    *(Destination(PAYMENTS, section) for section in ("", "http")),
]


def items(text: str, side: Side = "to") -> tuple[Item, ...]:
    return sort_items(item for policy in read(text) for item in items_of(policy, side))


def policy(**labels: str) -> Resource:
    return resource({"type": "MeshTimeout", "name": "p", "labels": labels, "spec": {"to": []}})


def level(
    target: Mapping[str, Any], destination: Resource = ORDERS, section: str = "http", **more: Any
) -> Level | None:
    ours = more.pop("policy", policy())
    return refers(decode(TargetRef, target), ours, destination, section, **more)


# --- References ---------------------------------------------------------------------------------------------------


def test_the_mesh_is_every_destination() -> None:
    assert level({"kind": "Mesh"}) is Level.MESH


def test_another_kind_is_another_resource() -> None:
    assert level({"kind": "MeshExternalService", "name": "orders"}) is None


def test_a_display_name_means_the_resource() -> None:
    assert level({"kind": "MeshService", "name": "orders"}) is Level.RESOURCE
    assert level({"kind": "MeshService", "labels": {"kuma.io/display-name": "orders"}}) is Level.RESOURCE
    assert level({"kind": "MeshService", "name": "payments"}) is None


def test_labels_mean_every_resource_that_carries_them() -> None:
    assert level({"kind": "MeshService", "labels": {"team": "shop"}}) is Level.RESOURCE
    assert level({"kind": "MeshService", "labels": {"team": "shop"}}, PAYMENTS) is None


def test_a_reference_without_name_and_labels_means_nothing() -> None:
    assert level({"kind": "MeshService"}) is None
    assert level({"kind": "MeshService", "labels": {}}) is None


def test_a_section_means_the_port_of_that_name() -> None:
    target = {"kind": "MeshService", "name": "orders", "sectionName": "http"}
    assert level(target) is Level.SECTION
    assert level(target, section="admin") is None


def test_a_number_means_only_a_port_without_name() -> None:
    unnamed = service("orders", {"port": 80})
    assert level({"kind": "MeshService", "name": "orders", "sectionName": "80"}, unnamed, "80") is Level.SECTION
    assert level({"kind": "MeshService", "name": "orders", "sectionName": "80"}) is None


def test_a_name_is_one_of_the_policys_zone_and_namespace() -> None:
    target = {"kind": "MeshService", "name": "cart"}
    cart = service("cart", HTTP, **EAST, **{"k8s.kuma.io/namespace": "shop"})
    ours = {**EAST, "k8s.kuma.io/namespace": "shop"}
    assert level(target, cart, policy=policy(**ours)) is Level.RESOURCE
    assert level(target, cart, policy=policy(**{**ours, "kuma.io/zone": "west"})) is None
    assert level(target, cart, policy=policy(**{**ours, "k8s.kuma.io/namespace": "other"})) is None
    other = policy(**{**ours, "k8s.kuma.io/namespace": "other"})
    assert level({**target, "namespace": "shop"}, cart, policy=other) is Level.RESOURCE


def test_the_labels_of_a_producer_stay_in_its_namespace() -> None:
    producer = policy(**{"kuma.io/policy-role": "producer", "k8s.kuma.io/namespace": "shop"})
    ours = service("cart", HTTP, **{"k8s.kuma.io/namespace": "shop"})
    theirs = service("cart", HTTP, **{"k8s.kuma.io/namespace": "bank"})
    teamed = service("cart", HTTP, team="a", **{"k8s.kuma.io/namespace": "bank"})
    target: Match = {"kind": "MeshService", "labels": {"kuma.io/display-name": "cart"}}
    assert level(target, ours, policy=producer) is Level.RESOURCE
    assert level(target, theirs, policy=producer) is None
    assert level({"kind": "MeshService", "labels": {"team": "a"}}, teamed, policy=producer) is Level.RESOURCE
    named = {**target, "labels": {**target["labels"], "k8s.kuma.io/namespace": "bank"}}
    assert level(named, theirs, policy=producer) is Level.RESOURCE


def test_a_name_may_be_a_service_tag() -> None:
    cart = service("cart-v2", HTTP)
    assert level({"kind": "MeshService", "name": "cart"}, cart, service="cart") is Level.RESOURCE
    assert level({"kind": "MeshService", "name": "cart"}, cart, service="other") is None
    assert level({"kind": "MeshService", "name": "cart", "sectionName": "http"}, cart, service="cart") is Level.SECTION
    assert level({"kind": "MeshService", "name": "cart", "sectionName": "admin"}, cart, service="cart") is None


def test_a_kubernetes_service_tag_means_one_port() -> None:
    cart = service("cart", HTTP, ADMIN, **{"k8s.kuma.io/namespace": "shop"})
    assert level({"kind": "MeshService", "name": "cart_shop_svc_80"}, cart) is Level.SECTION
    assert level({"kind": "MeshService", "name": "cart_shop_svc_80"}, cart, "admin") is None
    assert level({"kind": "MeshService", "name": "cart_shop_svc_81"}, cart) is None
    assert level({"kind": "MeshService", "name": "cart_bank_svc_80"}, cart) is None
    assert level({"kind": "MeshService", "name": "cart_shop_svc"}, cart) is Level.RESOURCE
    assert level({"kind": "MeshService", "name": "cart_shop_svc_80", "sectionName": "http"}, cart) is None


# --- Outbound -----------------------------------------------------------------------------------------------------

THREE = """
{type: MeshTimeout, name: base, spec: {to: [{targetRef: {kind: Mesh},
  default: {connectionTimeout: 5s, idleTimeout: 1h}}]}}
---
{type: MeshTimeout, name: orders, spec: {to: [{targetRef: {kind: MeshService, labels: {kuma.io/display-name: orders}},
  default: {connectionTimeout: 2s}}]}}
---
{type: MeshTimeout, name: adm, spec: {to: [{targetRef: {kind: MeshService, labels: {kuma.io/display-name: orders},
  sectionName: admin}, default: {idleTimeout: 10m}}]}}
"""


@pytest.mark.parametrize(
    ("destination", "section", "conf", "policies"),
    [
        (ORDERS, "http", {"connectionTimeout": "2s", "idleTimeout": "1h"}, ["base", "orders"]),
        (ORDERS, "admin", {"connectionTimeout": "2s", "idleTimeout": "10m"}, ["base", "orders", "adm"]),
        (PAYMENTS, "http", {"connectionTimeout": "5s", "idleTimeout": "1h"}, ["base"]),
    ],
)
def test_a_port_has_the_confs_of_its_section_its_service_and_the_mesh(
    destination: Resource, section: str, conf: Match, policies: list[str]
) -> None:
    merged = outbound_conf(items(THREE), destination, section)
    assert merged is not None
    assert merged.conf == conf
    assert [origin.policy.name for origin in merged.origins] == policies


def test_nothing_holds_where_no_item_is_about_the_destination() -> None:
    only = items("{type: MeshTimeout, name: p, spec: {to: [{targetRef: {kind: MeshService, name: orders}}]}}")
    assert outbound_conf(only, PAYMENTS, "http") is None
    assert mesh_conf(only) is None


def test_what_nothing_names_has_the_confs_of_the_mesh() -> None:
    merged = mesh_conf(items(THREE))
    assert merged is not None
    assert merged.conf == {"connectionTimeout": "5s", "idleTimeout": "1h"}


def test_a_rule_exists_for_every_resource_and_section_that_is_named() -> None:
    rules = resource_rules(items(THREE), DESTINATIONS)
    assert [(rule.resource.kri(rule.section), rule.confs) for rule in rules] == [
        ("kri_m____default_", ({"connectionTimeout": "5s", "idleTimeout": "1h"},)),
        ("kri_msvc_default_east__orders_", ({"connectionTimeout": "2s", "idleTimeout": "1h"},)),
        ("kri_msvc_default_east__orders_admin", ({"connectionTimeout": "2s", "idleTimeout": "10m"},)),
    ]
    assert [origin.pointer for origin in rules[2].origins] == ["/to/0", "/to/0", "/to/0"]


def test_a_zones_mesh_wide_conf_overrides_a_global_one_of_the_service() -> None:
    merged = outbound_conf(
        items("""
{type: MeshTimeout, name: a, labels: {kuma.io/origin: global}, spec: {to: [
  {targetRef: {kind: MeshService, labels: {team: shop}}, default: {idleTimeout: 1s}}]}}
---
{type: MeshTimeout, name: b, labels: {kuma.io/origin: zone}, spec: {to: [
  {targetRef: {kind: Mesh}, default: {idleTimeout: 2s}}]}}
"""),
        ORDERS,
        "http",
    )
    assert merged is not None
    assert merged.conf == {"idleTimeout": "2s"}


ROUTES = """
{type: MeshHTTPRoute, name: split, spec: {to: [{targetRef: {kind: MeshService, name: orders},
  rules: [{matches: [{path: {type: PathPrefix, value: /v1}}], default: {filters: []}}]}]}}
---
{type: MeshHTTPRoute, name: other, spec: {to: [{targetRef: {kind: MeshService, name: orders},
  rules: [{matches: [{path: {type: PathPrefix, value: /v1}}], default: {filters: []}}]}]}}
"""
SPLIT, OTHER = read(ROUTES)


def test_routes_of_a_service_merge_by_their_matches() -> None:
    (rule,) = outbound_routes(items(ROUTES), ORDERS, "http") or ()
    assert [origin.policy.name for origin in rule.origins] == ["split", "other"]
    assert outbound_routes(items(ROUTES), PAYMENTS, "http") is None


ON_ROUTES = """
{type: MeshTimeout, name: p, spec: {to: [
  {targetRef: {kind: Mesh}, default: {idleTimeout: 1h}},
  {targetRef: {kind: MeshService, name: orders}, default: {connectionTimeout: 2s}},
  {targetRef: {kind: MeshHTTPRoute, name: split}, default: {http: {requestTimeout: 3s}}}]}}
"""


def test_a_route_has_its_own_confs_and_those_of_the_mesh_but_not_those_of_its_service() -> None:
    merged = route_conf(items(ON_ROUTES), [SPLIT], "rule_0", ORDERS, "http")
    assert merged is not None
    assert merged.conf == {"idleTimeout": "1h", "http": {"requestTimeout": "3s"}}
    assert [origin.pointer for origin in merged.origins] == ["/to/0", "/to/2"]


def test_a_route_that_nothing_names_has_the_confs_of_its_service() -> None:
    merged = route_conf(items(ON_ROUTES), [OTHER], "rule_0", ORDERS, "http")
    assert merged is not None
    assert merged.conf == {"idleTimeout": "1h", "connectionTimeout": "2s"}


def test_a_rule_of_two_routes_has_the_confs_of_both() -> None:
    both = items(
        ON_ROUTES
        + """
---
{type: MeshTimeout, name: q, spec: {to: [{targetRef: {kind: MeshHTTPRoute, name: other}, default: {idleTimeout: 9s}}]}}
"""
    )
    merged = route_conf(both, [SPLIT, OTHER], "rule_0", ORDERS, "http")
    assert merged is not None
    assert merged.conf == {"idleTimeout": "9s", "http": {"requestTimeout": "3s"}}


def test_a_reference_to_a_section_of_a_route_means_that_rule_alone() -> None:
    one = items("""
{type: MeshTimeout, name: p, spec: {to: [
  {targetRef: {kind: MeshHTTPRoute, name: split, sectionName: rule_0}, default: {idleTimeout: 1s}}]}}
""")
    assert route_conf(one, [SPLIT], "rule_0", ORDERS, "http") is not None
    assert route_conf(one, [SPLIT], "rule_1", ORDERS, "http") is None


def test_whole_proxy_confs_merge() -> None:
    merged = proxy_conf(
        items(
            """
{type: MeshTimeout, name: b, spec: {default: {a: 1, b: 1}}}
---
{type: MeshTimeout, name: a, spec: {default: {a: 2}}}
""",
            "default",
        )
    )
    assert merged is not None
    assert merged.conf == {"a": 2, "b": 1}
    assert proxy_conf(()) is None


# --- Inbound ------------------------------------------------------------------------------------------------------


def exact(value: str) -> Match:
    return {"spiffeID": {"type": "Exact", "value": f"spiffe://{value}"}}


def prefix(value: str) -> Match:
    return {"spiffeID": {"type": "Prefix", "value": f"spiffe://{value}"}}


def sni(value: str) -> Match:
    return {"sni": {"type": "Exact", "value": value}}


def rules(*written: tuple[list[Match], Match]) -> tuple[Item, ...]:
    """The rules of one policy, the later overriding."""
    body = [{"matches": matches, "default": conf} for matches, conf in written]
    return items_of(resource({"type": "MeshTimeout", "name": "p", "spec": {"rules": body}}), "rules")


def matches(found: Sequence[InboundRule]) -> list[Any]:
    return [rule.match for rule in found]


def test_more_specific_rules_come_first() -> None:
    a, any_b, c = exact("a"), prefix("b"), sni("c")
    written: list[tuple[list[Match], Match]] = [
        ([], {}),
        ([c], {}),
        ([any_b], {}),
        ([a], {}),
        ([{**any_b, **c}], {}),
        ([{**a, **c}], {}),
    ]
    found = inbound_rules(rules(*written))
    assert matches(found) == [{**a, **c}, a, {**any_b, **c}, any_b, c, None]


def test_every_match_of_a_rule_is_a_rule() -> None:
    found = inbound_rules(rules(([exact("a"), exact("b")], {"n": 1})))
    assert [(rule.match, rule.merged.conf) for rule in found] == [(exact("a"), {"n": 1}), (exact("b"), {"n": 1})]
    assert {origin.pointer for rule in found for origin in rule.merged.origins} == {"/rules/0"}


def test_a_match_without_conditions_is_everyone() -> None:
    assert matches(inbound_rules(rules(([{}], {})))) == [None]


def test_an_item_of_from_is_about_everyone() -> None:
    found = items_of(
        resource(
            {"type": "MeshTimeout", "name": "p", "spec": {"from": [{"default": {"n": 1}}, {"default": {"m": 2}}]}}
        ),
        "from",
    )
    merged = catch_all(inbound_rules(found))
    assert merged is not None
    assert merged.conf == {"n": 1, "m": 2}
    assert [origin.pointer for origin in merged.origins] == ["/from/0", "/from/1"]


def test_everyone_has_only_the_rules_without_match() -> None:
    found = inbound_rules(rules(([], {"n": 1}), ([exact("a")], {"n": 2})))
    merged = catch_all(found)
    assert merged is not None
    assert merged.conf == {"n": 1}
    assert catch_all(found[:1]) is None


def test_a_more_specific_rule_overrides_the_one_that_contains_it() -> None:
    found = effective_rules(
        inbound_rules(rules(([exact("ns/a")], {"n": 1}), ([prefix("ns/")], {"n": 2, "m": 2}), ([], {"n": 3, "k": 3})))
    )
    assert [(rule.match, rule.merged.conf) for rule in found] == [
        (exact("ns/a"), {"n": 1, "m": 2, "k": 3}),
        (prefix("ns/"), {"n": 2, "m": 2, "k": 3}),
        (None, {"n": 3, "k": 3}),
    ]


def test_equal_matches_are_one_class() -> None:
    found = effective_rules(inbound_rules(rules(([exact("a")], {"n": 1, "m": 1}), ([exact("a")], {"n": 2}))))
    assert [(rule.match, rule.merged.conf) for rule in found] == [(exact("a"), {"n": 2, "m": 1})]


def test_callers_in_two_overlapping_rules_are_a_class_of_their_own() -> None:
    found = effective_rules(inbound_rules(rules(([prefix("a/")], {"n": 1}), ([sni("x")], {"m": 2}))))
    assert [(rule.match, rule.merged.conf) for rule in found] == [
        ({**prefix("a/"), **sni("x")}, {"n": 1, "m": 2}),
        (prefix("a/"), {"n": 1}),
        (sni("x"), {"m": 2}),
    ]


def test_callers_who_cannot_be_in_both_rules_are_no_class() -> None:
    found = effective_rules(inbound_rules(rules(([{**prefix("a/"), **sni("x")}], {}), ([exact("d")], {}))))
    assert matches(found) == [exact("d"), {**prefix("a/"), **sni("x")}]


def test_an_id_is_not_what_begins_with_it() -> None:
    found = effective_rules(inbound_rules(rules(([exact("a")], {"n": 1}), ([prefix("a")], {"m": 2}))))
    assert [rule.merged.conf for rule in found] == [{"n": 1, "m": 2}, {"m": 2}]


def tags(**carried: str) -> Match:
    """As matches of converted policies have them."""
    return {"tags": carried}


def test_of_matches_by_tags_the_one_that_asks_for_most_decides() -> None:
    both, one, other = {**exact("web"), **tags(v="1")}, exact("web"), tags(v="1", w="2")
    written = rules(([], {"n": 0, "m": 0}), ([one], {"n": 1}), ([other], {"n": 2}), ([both], {"n": 3}))
    found = effective_rules(inbound_rules(written))
    assert [(rule.match, rule.merged.conf["n"]) for rule in found] == [(both, 3), (other, 2), (one, 1), (None, 0)]
    assert all(rule.merged.conf["m"] == 0 for rule in found)


def test_a_match_by_tags_is_not_everyone() -> None:
    written = inbound_rules(rules(([tags(v="1")], {"n": 1}), ([], {"n": 0})))
    assert matches(written) == [tags(v="1"), None]
    everyone = catch_all(written)
    assert everyone is not None
    assert everyone.conf == {"n": 0}


def test_no_rules_have_no_classes() -> None:
    assert effective_rules(()) == ()


spiffe: st.SearchStrategy[Match] = st.one_of(
    st.just({}),
    st.builds(exact, st.sampled_from(["a", "a/b", "d"])),
    st.builds(prefix, st.sampled_from(["a", "a/b"])),
)
names: st.SearchStrategy[Match] = st.one_of(st.just({}), st.builds(sni, st.sampled_from(["x", "y"])))
one_match = st.builds(lambda one, other: {**one, **other}, spiffe, names)
any_conf = st.dictionaries(st.sampled_from("klmn"), st.integers(0, 3))
callers = st.tuples(st.sampled_from(["spiffe://" + name for name in ("a", "a/b", "a/bb", "d")]), st.sampled_from("xyz"))


def admits(match: Mapping[str, Any] | None, caller: tuple[str, str]) -> bool:
    """A direct reading of what a match says."""
    spiffe_id, server_name = caller
    wanted = (match or {}).get("spiffeID")
    if wanted is not None:
        same = spiffe_id == wanted["value"]
        if not (same if wanted["type"] == "Exact" else spiffe_id.startswith(wanted["value"])):
            return False
    named = (match or {}).get("sni")
    return named is None or bool(named["value"] == server_name)


@given(st.lists(st.tuples(st.lists(one_match, max_size=2), any_conf), max_size=5), callers)
def test_the_first_class_that_admits_a_caller_has_every_rule_about_it(
    written: list[tuple[list[Match], Match]], caller: tuple[str, str]
) -> None:
    found = inbound_rules(rules(*written))
    about = [rule for rule in found if admits(rule.match, caller)]
    first = next((rule for rule in effective_rules(found) if admits(rule.match, caller)), None)
    assert (first is None) == (not about)
    if first is not None:
        assert set(first.merged.origins) == {origin for rule in about for origin in rule.merged.origins}
        assert first.merged.conf.keys() == {key for rule in about for key in rule.merged.conf}


@given(st.lists(st.tuples(st.just([exact("a")]), any_conf), min_size=1, max_size=4))
def test_among_equal_matches_the_overriding_item_decides(written: list[tuple[list[Match], Match]]) -> None:
    (only,) = effective_rules(inbound_rules(rules(*written)))
    assert only.merged.conf == merge_confs(conf for _, conf in written)
