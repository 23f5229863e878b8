"""Which of two confs overrides the other."""

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from compiler.mesh.order import Item, Origin, items_of, sort_items, sort_policies
from compiler.resources.model import Resource, ResourceKey
from tests.mesh.documents import resource

TOPS: list[dict[str, Any]] = [
    {"kind": "Mesh"},
    {"kind": "Dataplane", "labels": {"app": "web"}},
    {"kind": "Dataplane", "name": "web-1"},
    {"kind": "Dataplane", "name": "web-1", "sectionName": "http"},
    {"kind": "MeshSubset", "tags": {"team": "shop"}},
    {"kind": "MeshGateway", "name": "edge"},
    {"kind": "MeshGateway", "name": "edge", "tags": {"port": "http"}},
    {"kind": "MeshService", "name": "web"},
    {"kind": "MeshServiceSubset", "name": "web", "tags": {"version": "v1"}},
    {"kind": "MeshHTTPRoute", "name": "canary"},
]
DESTINATIONS: list[dict[str, Any]] = [
    {"kind": "Mesh"},
    {"kind": "MeshService", "name": "cart"},
    {"kind": "MeshService", "name": "cart", "sectionName": "http"},
    {"kind": "MeshExternalService", "name": "api"},
    {"kind": "MeshMultiZoneService", "name": "cart"},
    {"kind": "MeshHTTPRoute", "name": "canary"},
]


def policy(
    name: str = "p",
    top: dict[str, Any] | None = None,
    to: list[Any] | None = None,
    labels: dict[str, str] | None = None,
    **spec: object,
) -> Resource:
    body = {"targetRef": top or {"kind": "Mesh"}, "to": to if to is not None else [{"default": {}}], **spec}
    return resource({"type": "MeshTimeout", "name": name, "labels": labels or {}, "spec": body})


def order(*policies: Resource) -> list[str]:
    return [item.policy.key.name for item in sort_items(item for found in policies for item in items_of(found, "to"))]


def assert_ascending(policies: list[Resource]) -> None:
    """Names run against the expected order, so that only what is tested can produce it."""
    expected = [found.key.name for found in policies]
    assert order(*policies) == expected
    assert order(*reversed(policies)) == expected


def test_a_more_specific_top_level_overrides() -> None:
    assert_ascending([policy(f"p{index:02}", top) for index, top in enumerate(TOPS)])


def test_a_policy_of_a_zone_overrides_one_without_origin_which_overrides_a_global_one() -> None:
    origins = [{"kuma.io/origin": "global"}, {}, {"kuma.io/origin": "zone"}]
    assert_ascending([policy(f"p{index}", labels=labels) for index, labels in enumerate(origins)])


def test_a_role_nearer_to_the_workload_overrides() -> None:
    roles = ["system", "producer", "consumer", "workload-owner"]
    assert_ascending([policy(f"p{index}", labels={"kuma.io/policy-role": role}) for index, role in enumerate(roles)])


def test_a_missing_role_counts_as_system() -> None:
    assert order(policy("a"), policy("b", labels={"kuma.io/policy-role": "system"})) == ["b", "a"]


def test_a_more_specific_destination_overrides() -> None:
    assert_ascending([policy(f"p{index}", to=[{"targetRef": ref}]) for index, ref in enumerate(DESTINATIONS)])


def test_origin_weighs_more_than_the_destination() -> None:
    service = policy("global", to=[{"targetRef": DESTINATIONS[1]}], labels={"kuma.io/origin": "global"})
    assert order(policy("zone", labels={"kuma.io/origin": "zone"}), service) == ["global", "zone"]


def test_the_destination_weighs_more_than_the_name() -> None:
    assert order(policy("a"), policy("b", to=[{"targetRef": DESTINATIONS[1]}])) == ["a", "b"]


def test_the_source_in_from_does_not_weigh() -> None:
    wide = resource({"type": "MeshTimeout", "name": "a", "spec": {"from": [{"targetRef": DESTINATIONS[0]}]}})
    narrow = resource({"type": "MeshTimeout", "name": "b", "spec": {"from": [{"targetRef": DESTINATIONS[1]}]}})
    ordered = sort_items([*items_of(wide, "from"), *items_of(narrow, "from")])
    assert [item.policy.key.name for item in ordered] == ["b", "a"]


def test_the_smaller_display_name_overrides() -> None:
    shown = {"kuma.io/display-name": "aaa"}
    assert order(policy("z", labels=shown), policy("bbb")) == ["bbb", "z"]


def test_a_later_item_of_one_policy_overrides() -> None:
    found = policy(to=[{"default": {"n": 0}}, {"default": {"n": 1}}])
    assert [item.index for item in sort_items(reversed(items_of(found, "to")))] == [0, 1]


def test_policies_without_items_sort_by_the_same_attributes() -> None:
    found = sort_policies([policy("a"), policy("b"), policy("c", TOPS[1]), policy("d", {"kind": "Dataplane"})])
    assert [one.key.name for one in found] == ["b", "a", "d", "c"]


def test_an_origin_names_the_place_in_the_spec() -> None:
    found = policy("slow", to=[{"default": {}}, {"default": {}}], labels={"kuma.io/zone": "east"})
    key = ResourceKey("MeshTimeout", "default", "slow")
    assert items_of(found, "to")[1].origin == Origin("kri_mt_default_east__slow_", key, "/to/1")


def test_a_policy_with_one_conf_has_one_item() -> None:
    found = policy(to=[], default={"n": 1})
    assert [(item.conf, item.origin.pointer) for item in items_of(found, "default")] == [({"n": 1}, "/default")]
    assert items_of(policy(), "default") == ()


items = st.builds(
    lambda name, top, to, origin, role: items_of(
        policy(name, top, [{"targetRef": ref} for ref in to], {"kuma.io/origin": origin, "kuma.io/policy-role": role}),
        "to",
    ),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(TOPS),
    st.lists(st.sampled_from(DESTINATIONS), min_size=1, max_size=3),
    st.sampled_from(["global", "", "zone"]),
    st.sampled_from(["", "system", "producer", "consumer", "workload-owner"]),
)


def unique(groups: list[tuple[Item, ...]]) -> list[Item]:
    """One policy of a name, as in a mesh."""
    return [item for group in {group[0].policy.key: group for group in groups}.values() for item in group]


@given(st.lists(items, max_size=5), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_reading(groups: list[tuple[Item, ...]], random: Random) -> None:
    given_items = unique(groups)
    shuffled = random.sample(given_items, len(given_items))
    assert sort_items(shuffled) == sort_items(given_items)


@given(st.lists(items, max_size=5), st.sets(st.integers(0, 20)))
def test_a_slice_of_a_sorted_sequence_is_sorted(groups: list[tuple[Item, ...]], kept: set[int]) -> None:
    part = [item for index, item in enumerate(sort_items(unique(groups))) if index in kept]
    assert sort_items(part) == tuple(part)
