"""Many confs into one."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from compiler.mesh.merge import RouteRule, merge_by_hostname, merge_confs, merge_items, merge_route_rules
from compiler.mesh.order import Item, items_of, sort_items
from compiler.resources.model import Conf
from tests.mesh.documents import read

TIMEOUTS = """
{type: MeshTimeout, name: first, spec: {to: [{targetRef: {kind: Mesh},
  default: {connectionTimeout: 10s, http: {requestTimeout: 20s}}}]}}
---
{type: MeshTimeout, name: second, spec: {targetRef: {kind: Dataplane, labels: {app: web}},
  to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 2s}}]}}
---
{type: MeshTimeout, name: third, spec: {to: [{targetRef: {kind: Mesh},
  default: {connectionTimeout: 7s, idleTimeout: 30s, http: {maxStreamDuration: 60s}}}]}}
"""


def items(text: str) -> tuple[Item, ...]:
    return sort_items(item for policy in read(text) for item in items_of(policy, "to"))


def routes(**rules_by_name: list[dict[str, Any]]) -> tuple[Item, ...]:
    """Routes to one service, in ascending precedence."""
    target = {"kind": "MeshService", "name": "cart"}
    documents = [
        f"{{type: MeshHTTPRoute, name: {name}, spec: {{to: [{{targetRef: {target}, rules: {rules}}}]}}}}"
        for name, rules in rules_by_name.items()
    ]
    return items("\n---\n".join(documents))


def rule(path: str, **default: object) -> dict[str, Any]:
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "default": default}


def backends(name: str) -> list[dict[str, Any]]:
    return [{"kind": "MeshService", "name": name}]


def paths(rules: Sequence[RouteRule]) -> list[str]:
    return [found.matches[0]["path"]["value"] for found in rules]


def test_three_timeouts_merge_field_by_field() -> None:
    merged = merge_items(items(TIMEOUTS))
    assert merged is not None
    assert merged.conf == {
        "connectionTimeout": "2s",
        "idleTimeout": "30s",
        "http": {"requestTimeout": "20s", "maxStreamDuration": "60s"},
    }
    assert [origin.policy.name for origin in merged.origins] == ["third", "first", "second"]


def test_lists_replace() -> None:
    assert merge_confs([{"retryOn": ["5xx", "reset"]}, {"retryOn": ["4xx"]}]) == {"retryOn": ["4xx"]}


def test_an_empty_list_replaces_too() -> None:
    assert merge_confs([{"retryOn": ["5xx"]}, {"retryOn": []}]) == {"retryOn": []}


def test_append_lists_grow_at_any_depth() -> None:
    confs: list[Conf] = [{"default": {"appendMatch": [1]}}, {"default": {"appendMatch": [2, 3]}}, {"default": {}}]
    assert merge_confs(confs) == {"default": {"appendMatch": [1, 2, 3]}}


def test_a_null_keeps_what_is_there() -> None:
    assert merge_confs([{"a": 1, "b": {"c": 2, "d": None}}, {"a": None, "b": {"c": None}}]) == {"a": 1, "b": {"c": 2}}


def test_an_empty_object_is_kept() -> None:
    assert merge_confs([{"outlierDetection": {"detectors": {"totalFailures": {}}}}]) == {
        "outlierDetection": {"detectors": {"totalFailures": {}}}
    }


def test_an_object_and_a_scalar_replace_each_other() -> None:
    assert merge_confs([{"a": {"b": 1}}, {"a": 2}]) == {"a": 2}
    assert merge_confs([{"a": 2}, {"a": {"b": 1}}]) == {"a": {"b": 1}}


def test_no_items_have_no_conf() -> None:
    assert merge_items(()) is None


def test_an_origin_is_named_once() -> None:
    (item,) = items("{type: MeshTimeout, name: one, spec: {to: [{default: {idleTimeout: 1s}}]}}")
    merged = merge_items([item, item])
    assert merged is not None
    assert len(merged.origins) == 1


# Fields of one shape, as in confs that a schema has accepted: an object stays an object.
any_conf = st.fixed_dictionaries(
    {},
    optional={
        "scalar": st.integers() | st.none(),
        "list": st.lists(st.integers(), max_size=2),
        "appendList": st.lists(st.integers(), max_size=2),
        "object": st.fixed_dictionaries(
            {},
            optional={"scalar": st.booleans() | st.none(), "appendList": st.lists(st.integers(), max_size=2)},
        ),
    },
)


@given(any_conf, any_conf, any_conf)
def test_merging_is_associative(first: Conf, second: Conf, third: Conf) -> None:
    left = merge_confs([merge_confs([first, second]), third])
    right = merge_confs([first, merge_confs([second, third])])
    assert left == right == merge_confs([first, second, third])


@given(st.lists(any_conf, max_size=4))
def test_merging_changes_no_input(given_confs: list[Conf]) -> None:
    before = deepcopy(given_confs)
    merged = merge_confs(given_confs)
    merge_confs([merged, {"object": {"scalar": True}, "appendList": [7]}])
    merged.setdefault("object", {})["scalar"] = "changed"
    assert given_confs == before


# --- Routes -------------------------------------------------------------------------------------------------------


def test_rules_with_equal_matches_become_one() -> None:
    low, high = rule("/v1", backendRefs=backends("old"), filters=[]), rule("/v1", backendRefs=backends("new"))
    (merged,) = merge_route_rules(routes(b=[low], a=[high]))
    assert merged.conf == {"backendRefs": backends("new"), "filters": []}
    assert [origin.policy.name for origin in merged.origins] == ["b", "a"]
    assert merged.backends is not None
    assert merged.backends.policy.name == "a"


def test_a_rule_without_backends_leaves_those_of_another_policy() -> None:
    (merged,) = merge_route_rules(routes(b=[rule("/v1", backendRefs=backends("old"))], a=[rule("/v1", filters=[])]))
    assert merged.conf == {"backendRefs": backends("old"), "filters": []}
    assert merged.backends is not None
    assert merged.backends.policy.name == "b"


def test_rules_of_the_overriding_policy_come_first_and_keep_their_order() -> None:
    merged = merge_route_rules(routes(b=[rule("/1"), rule("/2")], a=[rule("/3"), rule("/4")]))
    assert paths(merged) == ["/3", "/4", "/1", "/2"]


def test_a_merged_rule_stands_where_the_overriding_policy_has_it() -> None:
    merged = merge_route_rules(routes(b=[rule("/1"), rule("/2"), rule("/3")], a=[rule("/4"), rule("/2")]))
    assert paths(merged) == ["/4", "/2", "/1", "/3"]


def test_a_match_of_no_explicit_header_type_is_exact() -> None:
    written = {"matches": [{"headers": [{"name": "x", "value": "y"}]}], "default": {}}
    spelled = {
        "matches": [{"headers": [{"type": "Exact", "name": "x", "value": "y"}], "queryParams": []}],
        "default": {},
    }
    (merged,) = merge_route_rules(routes(b=[written], a=[spelled]))
    assert merged.matches == ({"headers": ({"type": "Exact", "name": "x", "value": "y"},)},)


def test_another_header_type_is_another_match() -> None:
    exact = {"matches": [{"headers": [{"name": "x", "value": "y"}]}], "default": {}}
    prefix = {"matches": [{"headers": [{"type": "Prefix", "name": "x", "value": "y"}]}], "default": {}}
    assert len(merge_route_rules(routes(b=[exact], a=[prefix]))) == 2


def test_a_path_that_is_not_written_stays_out() -> None:
    (merged,) = merge_route_rules(routes(a=[{"matches": [{"method": "GET"}], "default": {}}]))
    assert merged.matches == ({"method": "GET"},)


def test_an_origin_of_a_rule_points_at_the_rule() -> None:
    (first, second) = merge_route_rules(routes(a=[rule("/1"), rule("/2")]))
    assert [found.origins[0].pointer for found in (first, second)] == ["/to/0/rules/0", "/to/0/rules/1"]


def test_the_conf_of_merged_routes_lists_the_rules() -> None:
    merged = merge_items(routes(b=[rule("/1", filters=[1])], a=[rule("/2")]))
    assert merged is not None
    assert [found["default"] for found in merged.conf["rules"]] == [{}, {"filters": [1]}]


def test_a_tcp_rule_has_no_matches_and_the_later_one_holds() -> None:
    (merged,) = merge_route_rules(
        routes(b=[{"default": {"backendRefs": backends("old")}}], a=[{"default": {"backendRefs": backends("new")}}])
    )
    assert merged.matches == ()
    assert merged.conf == {"backendRefs": backends("new")}


def test_routes_with_hostnames_have_a_conf_for_each() -> None:
    merged = merge_by_hostname(
        items("""
{type: MeshHTTPRoute, name: b, spec: {to: [{hostnames: [one.test, two.test], rules: [{matches: [{method: GET}]}]}]}}
---
{type: MeshHTTPRoute, name: a, spec: {to: [{hostnames: [two.test], rules: [{matches: [{method: PUT}]}]}]}}
""")
    )
    assert [(conf.conf["hostnames"], len(conf.conf["rules"])) for conf in merged] == [
        (("one.test",), 1),
        (("two.test",), 2),
    ]


@given(st.lists(st.lists(st.sampled_from(["/1", "/2", "/3", "/4"]), unique=True, max_size=4), min_size=1, max_size=3))
def test_each_match_has_one_rule_and_the_overriding_policy_is_whole_and_first(written: list[list[str]]) -> None:
    rules = {name: [rule(path, by=name) for path in found] for name, found in zip("cba", written, strict=False)}
    merged = merge_route_rules(routes(**rules))
    last = written[-1]
    assert sorted(paths(merged)) == sorted({path for found in written for path in found})
    assert paths(merged)[: len(last)] == last
