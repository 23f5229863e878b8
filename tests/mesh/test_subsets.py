"""Confs by client tags."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.mesh.match import select, source_tags
from compiler.mesh.merge import merge_confs
from compiler.mesh.order import Item, items_of, sort_items
from compiler.mesh.subsets import decisions, first_containing, may_overlap, subset_rules
from compiler.resources.model import Resource
from tests.mesh.documents import resource

SERVICE = "kuma.io/service"
Tags = dict[str, str]
MESH = {"kind": "Mesh"}


def service(name: str) -> dict[str, Any]:
    return {"kind": "MeshService", "name": name}


def tags(**found: str) -> dict[str, Any]:
    return {"kind": "MeshSubset", "tags": found}


def permission(name: str, top: dict[str, Any], *sources: tuple[dict[str, Any], str]) -> Resource:
    items = [{"targetRef": source, "default": {"action": action}} for source, action in sources]
    return resource({"type": "MeshTrafficPermission", "name": name, "spec": {"targetRef": top, "from": items}})


def items(*sources: tuple[dict[str, Any], object]) -> tuple[Item, ...]:
    written = [{"targetRef": source, "default": conf} for source, conf in sources]
    return items_of(resource({"type": "MeshTrafficPermission", "name": "p", "spec": {"from": written}}), "from")


def test_a_service_is_told_from_everyone_else() -> None:
    rules = subset_rules(items((MESH, {"action": "Deny"}), (service("a"), {"action": "Allow"})))
    assert [(rule.positive, rule.negative, rule.conf) for rule in rules] == [
        (((SERVICE, "a"),), (), {"action": "Allow"}),
        ((), ((SERVICE, "a"),), {"action": "Deny"}),
    ]
    assert [origin.pointer for origin in rules[0].origins] == ["/from/0", "/from/1"]


def test_no_rule_is_about_a_client_that_no_item_is_about() -> None:
    rules = subset_rules(items((service("a"), {})))
    assert first_containing(rules, {SERVICE: "b"}) is None
    assert first_containing(rules, {}) is None


def test_no_items_have_no_rules() -> None:
    assert subset_rules(()) == ()
    assert decisions(()) == ()


def test_a_client_without_the_key_is_in_a_negated_rule() -> None:
    rules = subset_rules(items((MESH, {"n": 1}), (tags(version="v1"), {"n": 2})))
    found = first_containing(rules, {SERVICE: "a"})
    assert found is not None
    assert found.conf == {"n": 1}


def test_rules_of_disjoint_sources_do_not_multiply() -> None:
    rules = subset_rules(items(*((service(f"s{index}"), {"n": index}) for index in range(200))))
    assert len(rules) == 200


def test_more_items_come_before_more_tags() -> None:
    """By the number of positive tags the client would get the conf of `k` alone, without that of `i`."""
    given_items = items((tags(a="1"), {"i": 1}), (tags(a="2", d="1", e="1", g="1"), {"j": 1}), (tags(d="1"), {"k": 1}))
    found = first_containing(subset_rules(given_items), {"a": "1", "d": "1", "e": "1", "g": "1"})
    assert found is not None
    assert found.conf == {"i": 1, "k": 1}


def test_decisions_end_at_the_item_about_everyone() -> None:
    rules = decisions(items((service("a"), {"action": "Deny"}), (MESH, {"action": "Allow"})))
    assert [(rule.positive, rule.conf) for rule in rules] == [((), {"action": "Allow"})]


def test_decisions_stay_few_where_rules_multiply() -> None:
    given_items = items(*((tags(**{f"k{index}": "v"}), {"action": "Allow"}) for index in range(100)))
    assert len(decisions(given_items)) == 100


words = st.sampled_from(["1", "2"])
subsets = st.dictionaries(st.sampled_from("abc"), words, max_size=3)
clients = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2", "3"]), max_size=3)
written = st.lists(st.tuples(subsets, st.dictionaries(st.sampled_from("xy"), st.integers(0, 3))), max_size=6)


def about(client: Tags, item: Item) -> bool:
    return source_tags(item.target).items() <= client.items()


@given(written, clients)
def test_the_first_rule_that_contains_a_client_is_the_merge_of_all_items_about_it(
    sources: list[tuple[Tags, Any]], client: Tags
) -> None:
    given_items = items(*((tags(**subset), conf) for subset, conf in sources))
    relevant = [item for item in given_items if about(client, item)]
    found = first_containing(subset_rules(given_items), client)
    assert (found.conf if found is not None else None) == (
        merge_confs(item.conf for item in relevant) if relevant else None
    )
    assert found is None or found.origins == tuple(item.origin for item in relevant)


@given(st.lists(st.tuples(subsets, st.sampled_from(["Allow", "Deny"])), max_size=6), clients)
def test_decisions_say_the_same_as_rules_where_a_later_conf_replaces_an_earlier_one(
    sources: list[tuple[Tags, Any]], client: Tags
) -> None:
    given_items = items(*((tags(**subset), {"action": action}) for subset, action in sources))
    one = first_containing(subset_rules(given_items), client)
    other = first_containing(decisions(given_items), client)
    assert (one and one.conf) == (other and other.conf)


@given(written, clients)
def test_rules_that_contain_one_client_may_overlap(sources: list[tuple[Tags, Any]], client: Tags) -> None:
    rules = subset_rules(items(*((tags(**subset), conf) for subset, conf in sources)))
    containing = [rule for rule in rules if rule.contains(client)]
    assert all(may_overlap(one, other) for one in containing for other in containing)


@given(written)
def test_rules_without_a_common_client_do_not_overlap(sources: list[tuple[Tags, Any]]) -> None:
    rules = subset_rules(items(*((tags(**subset), conf) for subset, conf in sources)))
    everyone = [
        {key: value for key, value in zip("abc", values, strict=True) if value}
        for values in ((a, b, c) for a in "123" for b in "123" for c in "123")
    ]
    for one in rules:
        for other in rules:
            together = any(one.contains(client) and other.contains(client) for client in everyone)
            assert may_overlap(one, other) == together


# Who may call whom, of services a, b, c, d (kuma-core §6.3).
ALLOW_ALL = permission("m", MESH, (MESH, "Allow"))
EVERY = {(source, called) for source in "abcd" for called in "abcd"}
REACHABILITY: dict[str, tuple[list[Resource], set[tuple[str, str]]]] = {
    "everyone allows everyone": ([ALLOW_ALL], EVERY),
    "everyone denies everyone": ([permission("m", MESH, (MESH, "Deny"))], set()),
    "no permission": ([], set()),
    "b allows a": ([permission("m", service("b"), (service("a"), "Allow"))], {("a", "b")}),
    "a chain, and d open to all": (
        [
            permission("b", service("b"), (service("a"), "Allow")),
            permission("c", service("c"), (service("b"), "AllowWithShadowDeny")),
            permission("d", service("d"), (MESH, "Allow")),
        ],
        {("a", "b"), ("b", "c")} | {(source, "d") for source in "abcd"},
    ),
    "all but a to b": ([ALLOW_ALL, permission("b", service("b"), (service("a"), "Deny"))], EVERY - {("a", "b")}),
    "b open to a alone": (
        [ALLOW_ALL, permission("b", service("b"), (MESH, "Deny"), (service("a"), "Allow"))],
        EVERY - {("b", "b"), ("c", "b"), ("d", "b")},
    ),
    "a tag that is on everyone": ([permission("m", tags(zone="east"), (MESH, "Allow"))], EVERY),
    "a tagged part of a service": (
        [permission("m", {"kind": "MeshServiceSubset", "name": "a", "tags": {"zone": "east"}}, (MESH, "Allow"))],
        {(source, "a") for source in "abcd"},
    ),
    "the smaller name wins": (
        [
            permission("bbb", tags(zone="east"), (MESH, "Deny")),
            permission("aaa", tags(version="v1"), (MESH, "Allow")),
        ],
        EVERY,
    ),
}


@pytest.mark.parametrize("case", REACHABILITY)
def test_permissions_say_who_may_call_whom(case: str) -> None:
    policies, expected = REACHABILITY[case]
    assert {(source, called) for source in "abcd" for called in "abcd" if allowed(policies, source, called)} == expected


def allowed(policies: list[Resource], source: str, called: str) -> bool:
    proxy = resource({"type": "Dataplane", "name": called, "networking": {"inbound": [inbound(called)]}})
    selected = [policy for policy in policies if select(policy, proxy) is not None]
    ordered = sort_items(item for policy in selected for item in items_of(policy, "from"))
    verdicts = {
        rule.conf["action"] if rule is not None else "Deny"
        for rules in (subset_rules(ordered), decisions(ordered))
        for rule in [first_containing(rules, inbound(source)["tags"])]
    }
    assert len(verdicts) == 1
    return verdicts <= {"Allow", "AllowWithShadowDeny"}


def inbound(name: str) -> dict[str, Any]:
    return {"port": 80, "tags": {SERVICE: name, "zone": "east", "version": "v1"}}
