"""The kinds of targets that a policy takes."""

import pytest

from compiler.resources.model import ResourceKey
from compiler.resources.target_ref import TargetMatrix, check_target_kinds
from tests.resources.build import check, findings, policy

MATRIX = TargetMatrix(
    top=frozenset({"Mesh", "Dataplane", "MeshGateway"}),
    to=frozenset({"MeshService"}),
    from_=frozenset({"Mesh"}),
    to_under={"MeshGateway": frozenset({"Mesh"})},
    system_only=frozenset({"MeshGateway"}),
)
ITEM = "[{targetRef: {kind: %s}, default: {idleTimeout: 1h}}]"


def refused(spec: str, matrix: TargetMatrix = MATRIX) -> list[str]:
    resources = check(policy("MeshTimeout", spec)).value
    found = list(check_target_kinds(resources.resources[ResourceKey("MeshTimeout", "default", "p")], matrix))
    assert {str(each.code) for each in found} <= {"unsupported-target"}
    return [each.pointer for each in found]


def test_a_kind_outside_of_the_table_is_refused_where_it_stands() -> None:
    assert refused(f"targetRef: {{kind: MeshSubset}}\nto: {ITEM % 'Mesh'}") == [
        "/targetRef/kind",
        "/to/0/targetRef/kind",
    ]
    assert refused(f"from: {ITEM % 'MeshSubset'}") == ["/from/0/targetRef/kind"]


def test_a_kind_of_the_table_is_not() -> None:
    assert refused(f"to: {ITEM % 'MeshService, name: a'}\nfrom: {ITEM % 'Mesh'}") == []


def test_the_top_level_kind_may_narrow_the_destinations() -> None:
    top = "targetRef: {kind: MeshGateway, name: g}\n"
    assert refused(f"{top}to: {ITEM % 'Mesh'}") == []
    assert refused(f"{top}to: {ITEM % 'MeshService, name: a'}") == ["/to/0/targetRef/kind"]


def test_rules_are_refused_where_the_policy_has_none() -> None:
    rules = "rules: [{default: {idleTimeout: 1h}}]"
    assert refused(rules) == ["/rules"]
    assert refused(rules, TargetMatrix(top=frozenset({"Mesh"}), rules=True)) == []


def test_some_kinds_are_the_system_namespaces_own() -> None:
    text = """
apiVersion: kuma.io/v1alpha1
kind: MeshTimeout
metadata: {name: t, namespace: %s}
spec: {targetRef: {kind: MeshGateway, name: g}, from: [{targetRef: {kind: Mesh}, default: {idleTimeout: 1h}}]}
"""
    for namespace, expected in (("shop", ["/targetRef/kind"]), ("kuma-system", [])):
        resources = check(text % namespace).value
        [key] = resources.resources
        found = check_target_kinds(resources.resources[key], MATRIX)
        assert [each.pointer for each in found] == expected


@pytest.mark.parametrize(("value", "refused"), [("v1", False), ("*", True), ("a/b", True)])
def test_a_subset_asks_for_what_a_proxy_can_carry(value: str, refused: bool) -> None:
    found = findings(
        policy("MeshTimeout", f"targetRef: {{kind: MeshSubset, tags: {{version: '{value}'}}}}\nto: {ITEM % 'Mesh'}")
    )
    assert (("bad-value", "/spec/targetRef/tags/version") in found) is refused


def test_no_type_of_proxies_is_every_type() -> None:
    assert findings(policy("MeshTimeout", f"targetRef: {{kind: Mesh, proxyTypes: []}}\nto: {ITEM % 'Mesh'}")) == []
