"""Edges are what the compiled snapshots let through, and nothing that only the documents say."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.envoy.packing import pack
from compiler.envoy.resources import ResourceType
from compiler.pipeline import Compiler
from compiler.review.access.edge import PASSTHROUGH, AccessDiff, Change, Edge
from compiler.review.access.known import Known
from compiler.review.access.reaching import diff_edges, find_edges, widest
from compiler.review.versions import Versions
from compiler.snapshot.canonical import render
from compiler.snapshot.snapshot import Snapshot
from tests.review.access.test_rbac import ANY, method, path, rbac
from tests.review.meshes import PERMISSIVE, PLAIN, SHOP, STRICT, allow, edges_of, pairs, proxy, snapshots_of, version_of
from tests.trees import SCHEMAS

WEB_TO_API = Edge("shop/web", "shop/api", 8080, "http")


def changed(snapshots: Mapping[str, Snapshot], node: str, kind: ResourceType, name: str, message: Message):
    """The same snapshots but for one resource of one proxy."""
    snapshot = snapshots[node]
    held = {**snapshot.resources.get(kind, {}), name: render(kind, name, message)}
    return {**snapshots, node: replace(snapshot, resources={**snapshot.resources, kind: held})}


def test_a_permitted_caller_has_an_edge_and_no_other_has() -> None:
    assert edges_of(STRICT, *SHOP, allow("p", "api", "web")) == {WEB_TO_API}


def test_without_permissions_nobody_is_admitted_where_tls_is_strict() -> None:
    assert edges_of(STRICT, *SHOP) == frozenset()


def test_plaintext_meshes_admit_anyone_without_identity() -> None:
    found = edges_of(PLAIN, *SHOP, allow("p", "api", "web"))
    assert found == {replace(WEB_TO_API, caller=f"shop/{name}", identity=False) for name in ("web", "guest")}


def test_a_permissive_port_is_open_in_plaintext_to_whoever_has_a_way_there() -> None:
    """Past its own proxy, where that one is refused for the certificate that it shows."""
    found = edges_of(PERMISSIVE, *SHOP, allow("p", "api", "web"))
    anyone = replace(WEB_TO_API, identity=False)
    assert found == {anyone, replace(anyone, caller="shop/guest", proxied=False)}
    assert {edge.warning for edge in found} == {"in plaintext, by anyone", "only past its proxy, in plaintext"}


def test_what_a_proxy_may_do_is_not_lost_in_what_lies_open_past_it() -> None:
    some, every = replace(WEB_TO_API, methods=("GET",)), replace(WEB_TO_API, identity=False, proxied=False)
    assert set(widest({some, every})) == {some, every}
    assert set(widest({WEB_TO_API, every})) == {replace(every, proxied=True)}
    assert set(widest({WEB_TO_API, replace(every, methods=("GET",))})) == {
        WEB_TO_API,
        replace(every, methods=("GET",), proxied=True),
    }


def test_a_denial_cuts_what_another_permission_allows() -> None:
    permissions = allow("p", "api", "web", "guest"), allow("a", "api", "guest", action="Deny")
    assert pairs(edges_of(STRICT, *SHOP, *permissions)) == {("web", "api")}


def test_who_is_admitted_but_has_no_way_there_has_no_edge() -> None:
    alone = proxy("batch", "10.0.0.9")
    assert pairs(edges_of(STRICT, *SHOP, alone, allow("p", "api", "web", "batch"))) == {("web", "api")}


def test_connections_are_judged_by_the_permissions_in_their_chain() -> None:
    shop = [text.replace("protocol: http", "protocol: tcp") for text in SHOP]
    assert edges_of(STRICT, *shop, allow("p", "api", "guest")) == {Edge("shop/guest", "shop/api", 8080, "tcp")}


def test_replicas_that_differ_are_joined() -> None:
    """Of a caller one proxy calls; of a service one version admits."""
    files = (
        proxy("web-1", "10.0.0.1", "web"),
        proxy("web-2", "10.0.0.2", "web", outbound="api"),
        proxy("api-1", "10.0.0.3", "api", more=", version: v1"),
        proxy("api-2", "10.0.0.4", "api", more=", version: v2"),
        allow("p", "api", "web").replace("MeshService, name: api", "MeshServiceSubset, name: api, tags: {version: v2}"),
    )
    assert edges_of(STRICT, *files) == {WEB_TO_API}


ROUTE = """\
type: MeshHTTPRoute
mesh: shop
name: routes
spec:
  targetRef: {kind: Mesh}
  to:
    - targetRef: {kind: MeshService, name: api}
      rules:
        - matches: [{path: {type: PathPrefix, value: /}}]
          default: {%s}
"""
OTHER, API = ("{kind: MeshService, name: %s}" % name for name in ("other", "api"))  # noqa: UP031  # full of braces


@pytest.mark.parametrize(
    ("conf", "called"),
    [
        ("backendRefs: [{kind: MeshService, name: other}]", {"other"}),
        (
            "backendRefs: [{kind: MeshService, name: other, weight: 1}, {kind: MeshService, name: api}]",
            {"other", "api"},
        ),
        ("backendRefs: [{kind: MeshService, name: other, weight: 0}, {kind: MeshService, name: api}]", {"api"}),
        ("filters: [{type: RequestRedirect, requestRedirect: {hostname: a.b}}]", set()),
        (
            f"filters: [{{type: RequestMirror, requestMirror: {{backendRef: {OTHER}}}}}], backendRefs: [{API}]",
            {"other", "api"},
        ),
    ],
)
def test_routes_decide_where_calls_go(conf: str, called: set[str]) -> None:
    found = edges_of(PLAIN, *SHOP[:1], *SHOP[2:], proxy("other", "10.0.0.8"), ROUTE % conf)
    assert pairs(found) == {("web", name) for name in called}


TRANSPARENT = """\
type: Dataplane
mesh: shop
name: web
networking:
  address: 10.0.0.1
  inbound:
    - {port: 8080, tags: {kuma.io/service: web, kuma.io/protocol: http}}
  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001%s}
"""


def test_redirected_calls_go_to_virtual_addresses_and_the_rest_passes_through() -> None:
    found = edges_of(STRICT, TRANSPARENT % "", SHOP[2], allow("p", "api", "web"))
    assert found == {WEB_TO_API, Edge("shop/web", PASSTHROUGH, 0, "tcp", identity=False)}
    closed = STRICT + "networking: {outbound: {passthrough: false}}\n"
    assert edges_of(closed, TRANSPARENT % "", SHOP[2], allow("p", "api", "web")) == {WEB_TO_API}


def test_what_is_trimmed_has_no_edge() -> None:
    files = TRANSPARENT % ", reachableServices: [other]", SHOP[2], allow("p", "api", "web")
    assert pairs(edges_of(STRICT, *files)) == {("web", PASSTHROUGH)}


@pytest.mark.parametrize("mesh", [PLAIN, STRICT])
def test_proxies_that_register_themselves_are_told_by_their_identity_or_name(mesh: str) -> None:
    fleet = (
        "type: DataplaneSet\nmesh: shop\nname: api\nlabels: {kuma.io/workload: api}\nspec:\n  template:\n"
        "    networking:\n      inbound:\n      - {port: 8080, name: main, protocol: http}\n"
        "      - {port: 9090, name: admin, protocol: http}\n"
        "  registration: {cidrs: [10.1.0.0/16]}\n"
    )
    caller = (
        "type: Dataplane\nmesh: shop\nname: web\nlabels: {kuma.io/workload: web}\nnetworking:\n  address: 10.0.0.1\n"
        "  inbound: [{port: 8080, protocol: http}]\n"
        "  outbound: [{port: 10001, backendRef: {kind: MeshService, name: api, port: 8080}}]\n"
    )
    permission = (
        "type: MeshTrafficPermission\nmesh: shop\nname: p\nspec:\n  rules:\n"
        "  - default: {allow: [{spiffeID: {type: Exact, value: spiffe://shop/web}}]}\n"
    )
    assert edges_of(mesh, fleet, caller, permission) == {replace(WEB_TO_API, identity=mesh is STRICT)}


def test_a_proxy_that_is_advertised_elsewhere_is_found_by_its_identity() -> None:
    hidden = SHOP[2].replace("address: 10.0.0.3", "address: 10.0.0.3\n  advertisedAddress: 192.0.2.7")
    assert edges_of(STRICT, SHOP[0], hidden, allow("p", "api", "web")) == {WEB_TO_API}


def test_permissions_by_method_and_path_narrow_the_edge() -> None:
    snapshots = snapshots_of(STRICT, SHOP[0], SHOP[2], allow("p", "api", "web"))
    name = "self_inbound_dp_8080.rbac"
    some = {"andRules": {"rules": [method("GET"), path(prefix="/public/")]}}
    message = TypedExtensionConfig(name=name, typed_config=pack(rbac((some, ANY), (method("HEAD"), ANY))))
    found = find_edges(changed(snapshots, "shop.api-1", ResourceType.EXTENSION, name, message))
    assert found == {
        replace(WEB_TO_API, methods=("GET",), paths=("/public/*",)),
        replace(WEB_TO_API, methods=("HEAD",)),
    }
    assert sorted(edge.terms for edge in found) == [":8080 http, GET, /public/*", ":8080 http, HEAD"]


def test_a_slot_that_is_never_filled_denies() -> None:
    snapshots = snapshots_of(STRICT, SHOP[0], SHOP[2], allow("p", "api", "web"))
    snapshot = snapshots["shop.api-1"]
    empty = {kind: held for kind, held in snapshot.resources.items() if kind is not ResourceType.EXTENSION}
    assert find_edges({**snapshots, "shop.api-1": replace(snapshot, resources=empty)}) == frozenset()


def test_a_cluster_that_expects_somebody_else_reaches_nobody() -> None:
    snapshots = snapshots_of(STRICT, SHOP[0], SHOP[2], allow("p", "api", "web"))
    name = next(name for name in snapshots["shop.web"].resources[ResourceType.CLUSTER] if name.startswith("kri_"))
    rendered = snapshots["shop.web"].resources[ResourceType.CLUSTER][name]
    other = rendered.body.replace(b"spiffe://shop/api", b"spiffe://shop/apx")
    assert other != rendered.body
    cluster = Cluster.FromString(_value(other))
    assert find_edges(changed(snapshots, "shop.web", ResourceType.CLUSTER, name, cluster)) == frozenset()


def test_a_cluster_of_no_proxy_is_outside() -> None:
    snapshots = snapshots_of(PLAIN, SHOP[0], SHOP[2])
    name = next(name for name in snapshots["shop.web"].resources[ResourceType.CLUSTER] if name.startswith("kri_"))
    cluster = Cluster(name=name, type=Cluster.DiscoveryType.STRICT_DNS)
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address, endpoint.address.socket_address.port_value = "example.com", 443
    found = find_edges(changed(snapshots, "shop.web", ResourceType.CLUSTER, name, cluster))
    assert found == {Edge("shop/web", f"external/{name}", 443, "http", identity=False)}


def _value(body: bytes) -> bytes:
    from google.protobuf.any_pb2 import Any as Packed

    return Packed.FromString(body).value


PAST = replace(WEB_TO_API, identity=False, proxied=False)
SOME = replace(WEB_TO_API, methods=("GET",))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (WEB_TO_API, SOME, "only GET now"),
        (SOME, WEB_TO_API, "also every request"),
        (SOME, replace(WEB_TO_API, paths=("/a*",)), "/a* instead of GET"),
        (WEB_TO_API, replace(WEB_TO_API, identity=False), "also without a certificate"),
        (replace(WEB_TO_API, identity=False), WEB_TO_API, "only with a certificate now"),
        (replace(PAST, proxied=True), PAST, "its proxy is refused now"),
        (PAST, replace(PAST, proxied=True), "its proxy gets in too"),
        (WEB_TO_API, replace(WEB_TO_API, protocol="tcp"), "tcp instead of http"),
    ],
)
def test_a_pair_that_can_still_call_is_neither_opened_nor_closed(before: Edge, after: Edge, says: str) -> None:
    diff = diff_edges(frozenset({before}), frozenset({after}))
    assert diff == AccessDiff(changed=(Change((before,), (after,)),))
    assert diff.changed[0].says == says


def test_tls_that_gets_optional_or_goes_closes_nothing() -> None:
    files = *SHOP, allow("p", "api", "web")
    strict, permissive, plain = (edges_of(mesh, *files) for mesh in (STRICT, PERMISSIVE, PLAIN))
    for head in (permissive, plain):
        diff = diff_edges(strict, head)
        assert [edge.caller for edge in diff.added] == ["shop/guest"]
        assert [change.says for change in diff.changed] == ["also without a certificate"]
        assert diff.removed == ()
    assert [change.edge.caller for change in diff_edges(permissive, plain).changed] == ["shop/guest"]


@given(st.lists(st.sampled_from([WEB_TO_API, PAST, SOME, replace(SOME, caller="shop/x")]), max_size=4), st.data())
def test_every_edge_is_counted_once(some: list[Edge], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.sampled_from([WEB_TO_API, PAST, SOME, replace(PAST, port=1)]), max_size=4))
    before, after = (frozenset(widest(set(edges))) if edges else frozenset() for edges in (some, others))
    diff = diff_edges(before, after)
    assert len(after) == len(diff.added) + diff.kept + sum(len(change.after) for change in diff.changed)
    assert not {(one.caller, one.port) for one in diff.added} & {(one.caller, one.port) for one in diff.removed}
    back = diff_edges(after, before)
    assert (back.added, len(back.changed)) == (diff.removed, len(diff.changed))


def test_a_narrower_edge_is_covered_by_the_wider_one() -> None:
    narrow, other = replace(WEB_TO_API, methods=("GET",)), replace(WEB_TO_API, caller="shop/x")
    assert diff_edges(frozenset({WEB_TO_API, other}), frozenset({narrow, other})).kept == 1
    assert WEB_TO_API.covers(narrow)
    assert not narrow.covers(WEB_TO_API)
    assert not diff_edges(frozenset({other}), frozenset({other}))


def test_what_was_read_of_one_version_serves_the_next() -> None:
    known, versions = Known(), Versions(Compiler(SCHEMAS))
    files = STRICT, *SHOP, allow("p", "api", "web")
    before = version_of(*files, versions=versions)
    after = version_of(*files[:-1], allow("p", "api", "web", "guest"), versions=versions)
    assert find_edges(before.snapshots, known) == find_edges(before.snapshots)
    assert find_edges(after.snapshots, known) == find_edges(after.snapshots)
    assert find_edges(after.snapshots, known) != find_edges(before.snapshots, known)


NAMES = ("web", "guest", "api", "db")
MESH_OF_FOUR = tuple(
    proxy(name, f"10.0.0.{at}", outbound=" ".join(NAMES), protocol="tcp" if name == "db" else "http")
    for at, name in enumerate(NAMES, 1)
)
rules = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans())


@settings(max_examples=25, deadline=None)
@given(st.lists(rules, max_size=5), st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)))
def test_one_more_allowed_caller_never_takes_an_edge_away(
    written: list[tuple[str, str, bool]], more: tuple[str, str]
) -> None:
    """Beside denials too, with a permission that nothing else decides over."""
    versions = Versions(Compiler(SCHEMAS))
    permissions = [
        allow(f"p{at}", to, who, action="Allow" if good else "Deny") for at, (to, who, good) in enumerate(written)
    ]
    before = find_edges(version_of(STRICT, *MESH_OF_FOUR, *permissions, versions=versions).snapshots)
    after = find_edges(version_of(STRICT, *MESH_OF_FOUR, *permissions, allow("z", *more), versions=versions).snapshots)
    assert all(any(edge.covers(old) for edge in after) for old in before)
