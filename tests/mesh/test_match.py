"""Which proxies a policy selects."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.mesh.match import Selection, proxy_pairs, select, selector_pairs
from compiler.resources.model import Resource
from tests.mesh.documents import resource

PLAIN = {"kuma.io/service": "web"}


def proxy(*inbounds: Mapping[str, Any], gateway: Any = None, **labels: str) -> Resource:
    networking: dict[str, Any] = {"address": "10.0.0.1", "inbound": list(inbounds)}
    if gateway is not None:
        networking["gateway"] = {"tags": gateway}
    written = {"type": "Dataplane", "name": "web-1", "networking": networking}
    return resource({**written, "labels": {f"kuma.io/{k}" if k in KUMA else k: v for k, v in labels.items()}})


KUMA = {"origin", "zone"}
HTTP = {"port": 8080, "name": "http", "tags": {**PLAIN, "version": "v1"}}
ADMIN = {"port": 9000, "tags": {"kuma.io/service": "web-admin", "version": "v1"}}


def policy(target: Any = None, **labels: str) -> Resource:
    spec = {} if target is None else {"targetRef": target}
    return resource({"type": "MeshTimeout", "name": "p", "spec": {**spec, "to": []}, "labels": labels})


def sections(target: Mapping[str, Any] | None, one: Resource | None = None) -> set[str] | None:
    found = select(policy(target), one if one is not None else proxy(HTTP, ADMIN))
    return None if found is None else set(found.sections)


def test_a_policy_without_target_selects_every_inbound() -> None:
    assert select(policy(), proxy(HTTP, ADMIN)) == Selection(frozenset({"http", "9000"}), outbound=True)


def test_a_policy_of_another_mesh_selects_nothing() -> None:
    other = resource({"type": "MeshTimeout", "mesh": "other", "name": "p", "spec": {"to": []}})
    assert select(other, proxy(HTTP)) is None


def test_a_shadow_policy_selects_nothing() -> None:
    assert select(policy(**{"kuma.io/effect": "shadow"}), proxy(HTTP)) is None


@pytest.mark.parametrize("target", [None, {"kind": "Mesh"}, {"kind": "Dataplane"}, {"kind": "Dataplane", "labels": {}}])
def test_a_client_without_inbounds_is_selected_for_what_it_sends(target: Mapping[str, Any] | None) -> None:
    assert select(policy(target), proxy()) == Selection(frozenset(), outbound=True)


def test_a_client_without_inbounds_has_no_tags_to_be_selected_by() -> None:
    assert sections({"kind": "MeshSubset", "tags": {}}, proxy()) is None


@pytest.mark.parametrize("kind", ["Mesh", "MeshSubset"])
def test_proxy_types_tell_sidecars_from_gateways(kind: str) -> None:
    edge = proxy(gateway={"kuma.io/service": "edge"})
    sidecars, gateways = {"kind": kind, "proxyTypes": ["Sidecar"]}, {"kind": kind, "proxyTypes": ["Gateway"]}
    assert sections(sidecars) == {"http", "9000"}
    assert sections(gateways) is None
    assert sections(sidecars, edge) is None
    assert sections(gateways, edge) == set()
    assert sections({"kind": kind, "proxyTypes": []}, edge) == set()


def test_all_labels_must_be_there() -> None:
    one = proxy(HTTP, app="web", team="shop")
    assert sections({"kind": "Dataplane", "labels": {"app": "web", "team": "shop"}}, one) == {"http"}
    assert sections({"kind": "Dataplane", "labels": {"app": "web", "team": "other"}}, one) is None
    assert sections({"kind": "Dataplane", "labels": {"absent": ""}}, one) is None


def test_the_display_name_is_a_label() -> None:
    assert sections({"kind": "Dataplane", "labels": {"kuma.io/display-name": "web-1"}}) == {"http", "9000"}
    bare = proxy(HTTP)
    unlabelled = Resource(bare.key, {}, bare.spec)
    assert sections({"kind": "Dataplane", "labels": {"kuma.io/display-name": "web-1"}}, unlabelled) == {"http"}


def test_a_section_narrows_to_one_inbound() -> None:
    target = {"kind": "Dataplane", "sectionName": "http"}
    assert select(policy(target), proxy(HTTP, ADMIN)) == Selection(frozenset({"http"}), outbound=False)


def test_a_number_is_the_section_of_an_inbound_without_name() -> None:
    assert sections({"kind": "Dataplane", "sectionName": "9000"}) == {"9000"}
    assert sections({"kind": "Dataplane", "sectionName": "8080"}) is None


def test_a_name_selects_the_dataplane_of_the_policys_own_zone_and_namespace() -> None:
    target = {"kind": "Dataplane", "name": "web-1"}
    east = {"kuma.io/zone": "east", "k8s.kuma.io/namespace": "shop"}
    one = resource({"type": "Dataplane", "name": "web-1", "labels": east, "networking": {"inbound": [HTTP]}})
    assert select(policy(target, **east), one) is not None
    assert select(policy(target, **{**east, "kuma.io/zone": "west"}), one) is None
    assert select(policy(target, **{**east, "k8s.kuma.io/namespace": "other"}), one) is None
    elsewhere = {**east, "k8s.kuma.io/namespace": "kuma-system"}
    assert select(policy({**target, "namespace": "shop"}, **elsewhere), one) is not None
    assert select(policy({**target, "name": "web-2"}, **east), one) is None


def test_a_global_policy_knows_no_name_of_a_zone_but_one_for_all_zones_does() -> None:
    target, one = {"kind": "Dataplane", "name": "web-1"}, proxy(HTTP, zone="east")
    assert select(policy(target, **{"kuma.io/origin": "global"}), one) is None
    assert select(policy(target), one) is not None


def test_tags_select_the_inbounds_that_carry_them() -> None:
    assert sections({"kind": "MeshSubset", "tags": {"version": "v1"}}) == {"http", "9000"}
    assert sections({"kind": "MeshService", "name": "web"}) == {"http"}
    assert sections({"kind": "MeshServiceSubset", "name": "web-admin", "tags": {"version": "v1"}}) == {"9000"}
    assert sections({"kind": "MeshServiceSubset", "name": "web-admin", "tags": {"version": "v2"}}) is None


def test_tags_of_two_inbounds_do_not_add_up() -> None:
    two = proxy({"port": 1, "tags": {"a": "1"}}, {"port": 2, "tags": {"b": "2"}})
    assert sections({"kind": "MeshSubset", "tags": {"a": "1", "b": "2"}}, two) is None


def test_an_ignored_inbound_is_still_selected() -> None:
    assert sections({"kind": "MeshService", "name": "web"}, proxy({**HTTP, "state": "Ignored"})) == {"http"}


def test_a_gateway_is_selected_by_its_own_tags() -> None:
    edge = proxy(gateway={"kuma.io/service": "edge"})
    assert select(policy({"kind": "MeshService", "name": "edge"}), edge) == Selection(frozenset(), outbound=True)
    assert sections({"kind": "MeshService", "name": "web"}, edge) is None


def test_a_policy_of_a_zone_stays_in_its_zone() -> None:
    ours = policy(**{"kuma.io/origin": "zone", "kuma.io/zone": "east"})
    assert select(ours, proxy(HTTP, origin="zone", zone="east")) is not None
    assert select(ours, proxy(HTTP, origin="zone", zone="west")) is None
    assert select(ours, proxy(HTTP, zone="west")) is not None
    assert select(ours, proxy(HTTP, origin="global", zone="west")) is not None


def test_a_policy_of_some_zone_that_it_does_not_name_goes_to_every_zone() -> None:
    ours = policy(**{"kuma.io/origin": "zone"})
    assert select(ours, proxy(HTTP, origin="zone", zone="west")) is not None


def test_a_producer_policy_goes_to_clients_in_every_zone_and_namespace() -> None:
    labels = {"kuma.io/origin": "zone", "kuma.io/zone": "east", "k8s.kuma.io/namespace": "shop"}
    ours = policy(**labels, **{"kuma.io/policy-role": "producer"})
    assert select(ours, proxy(HTTP, origin="zone", zone="west", **{"k8s.kuma.io/namespace": "other"})) is not None


@pytest.mark.parametrize("role", ["consumer", "workload-owner"])
def test_a_policy_of_a_namespace_stays_in_it(role: str) -> None:
    ours = policy(**{"kuma.io/policy-role": role, "k8s.kuma.io/namespace": "shop"})
    assert select(ours, proxy(HTTP, **{"k8s.kuma.io/namespace": "shop"})) is not None
    assert select(ours, proxy(HTTP, **{"k8s.kuma.io/namespace": "other"})) is None


def route(name: str, target: Mapping[str, Any]) -> Resource:
    return resource({"type": "MeshHTTPRoute", "name": name, "spec": {"targetRef": target, "to": []}})


def test_a_policy_on_a_route_selects_what_the_route_selects() -> None:
    routes = [
        route("canary", {"kind": "MeshService", "name": "web"}),
        route("other", {"kind": "Mesh"}),
    ]
    by_name = policy({"kind": "MeshHTTPRoute", "name": "canary"})
    assert select(by_name, proxy(HTTP, ADMIN), lambda target, mesh: routes) == Selection(frozenset({"http"}), True)
    assert select(by_name, proxy(ADMIN), lambda target, mesh: routes) is None
    assert select(by_name, proxy(HTTP)) is None


def test_a_policy_on_a_route_that_is_not_there_selects_nothing() -> None:
    assert select(policy({"kind": "MeshHTTPRoute", "name": "gone"}), proxy(HTTP), lambda target, mesh: ()) is None


def test_a_builtin_gateway_is_not_selected() -> None:
    assert sections({"kind": "MeshGateway", "name": "edge"}) is None


def test_only_a_role_of_a_namespace_asks_for_it() -> None:
    namespace = {"k8s.kuma.io/namespace": "shop"}
    assert selector_pairs(policy(**namespace)) is None
    ours = policy(**namespace, **{"kuma.io/policy-role": "consumer"})
    assert selector_pairs(ours) == (("label:k8s.kuma.io/namespace", "shop"),)


def test_pairs_say_whether_they_are_tags_or_labels() -> None:
    assert selector_pairs(policy({"kind": "Dataplane", "labels": {"app": "web"}})) == (("label:app", "web"),)
    assert selector_pairs(policy({"kind": "MeshServiceSubset", "name": "web", "tags": {"version": "v1"}})) == (
        ("tag:kuma.io/service", "web"),
        ("tag:version", "v1"),
    )
    assert selector_pairs(policy()) is None
    assert selector_pairs(policy({"kind": "MeshHTTPRoute", "name": "r"})) is None


words = st.sampled_from(["a", "b"])
pairs = st.dictionaries(words, words, max_size=2)
targets = st.one_of(
    st.just({"kind": "Mesh"}),
    st.builds(lambda labels: {"kind": "Dataplane", "labels": labels}, pairs),
    st.builds(lambda name: {"kind": "Dataplane", "name": name}, st.sampled_from(["web-1", "web-2"])),
    st.builds(lambda tags: {"kind": "MeshSubset", "tags": tags}, pairs),
    st.builds(lambda name: {"kind": "MeshService", "name": name}, words),
    st.builds(lambda name, tags: {"kind": "MeshServiceSubset", "name": name, "tags": tags}, words, pairs),
)
roles = st.sampled_from(
    [{}, {"k8s.kuma.io/namespace": "a"}, {"kuma.io/policy-role": "consumer", "k8s.kuma.io/namespace": "a"}]
)
inbound = st.builds(lambda tags, service: {"port": 80, "tags": {**tags, "kuma.io/service": service}}, pairs, words)
proxies = st.builds(
    lambda inbounds, labels, namespace, gateway: proxy(
        *inbounds, gateway=gateway, **labels, **{"k8s.kuma.io/namespace": namespace}
    ),
    st.lists(inbound, max_size=2),
    pairs,
    words,
    st.none() | pairs,
)


@given(targets, roles, proxies)
def test_a_selected_proxy_carries_every_pair_of_the_selector(
    target: Mapping[str, Any], role: dict[str, str], one: Resource
) -> None:
    ours = policy(target, **role)
    if select(ours, one) is not None:
        assert set(selector_pairs(ours) or ()) <= proxy_pairs(one)
