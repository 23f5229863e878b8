"""Services as zones see them, what zone proxies pass on, and what is told of them."""

from collections.abc import Mapping
from typing import Any

import pytest
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC

from compiler.envoy.resources import ResourceType
from compiler.mesh.sni import server_name
from compiler.pipeline import Compiler, compile_tree
from compiler.snapshot.canonical import parse
from compiler.snapshot.digest import GenerationTree
from tests.certificates import AUTHORITY
from tests.mesh.documents import read_one
from tests.trees import SCHEMAS, tree_of

MESH = """\
type: Mesh
name: default
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
"""
PLAIN = "type: Mesh\nname: default\n"
WEB = """\
type: Dataplane
mesh: default
name: web
labels: {kuma.io/zone: east}
networking:
  address: 10.1.0.1
  inbound: [{port: 80, tags: {kuma.io/service: web}}]
  outbound:
  - {port: 1001, backendRef: {kind: MeshService, name: api, port: 8080}}
  - {port: 1002, tags: {kuma.io/service: api}}
"""
OUTSIDE = """\
type: MeshExternalService
mesh: default
name: pay
spec:
  match: {type: HostnameGenerator, port: 443, protocol: tcp}
  endpoints: [{address: 192.0.2.1, port: 443}]
"""
TO_OUTSIDE = "  - {port: 1003, backendRef: {kind: MeshExternalService, name: pay}}\n"
INGRESS = """\
type: ZoneIngress
name: zi
zone: west
networking: {address: 10.2.0.9, port: 10001, advertisedAddress: 203.0.113.9, advertisedPort: 30001}
"""
BIN = """\
type: ExternalService
mesh: default
name: bin-1
tags: {kuma.io/service: bin, kuma.io/protocol: http}
networking: {address: 'bin.example.com:8443', tls: {enabled: true}}
"""
ALL_OF_BIN = "kri_msvc_default___bin_"
TO_BIN = "  - {port: 1004, tags: {kuma.io/service: bin}}\n"
LEAVING = f"{MESH}routing: {{zoneEgress: true}}\n"
EGRESS = "type: ZoneEgress\nname: ze\nzone: east\nnetworking: {address: 10.1.0.8, port: 10002}\n"
PORT, WHOLE = "kri_msvc_default___api_8080", "kri_msvc_default___api_"
DIRECT, ENTERED = ("10.2.0.2", 8080), ("203.0.113.9", 30001)


def api(name: str, zone: str, address: str, **inbound: Any) -> str:
    more = "".join(f", {key}: {value}" for key, value in inbound.items())
    return (
        f"type: Dataplane\nmesh: default\nname: {name}\nlabels: {{kuma.io/zone: {zone}}}\nnetworking:\n"
        f"  address: {address}\n  inbound: [{{port: 8080, tags: {{kuma.io/service: api}}{more}}}]\n"
    )


EAST, WEST = api("api-east", "east", "10.1.0.2"), api("api-west", "west", "10.2.0.2")


def zone_address(port: int, name: str = "west") -> str:
    head = f"type: MeshZoneAddress\nmesh: default\nname: {name}\nlabels: {{kuma.io/zone: west}}\n"
    return f"{head}spec: {{address: 203.0.113.9, port: {port}}}\n"


_LABEL = "labels: {kuma.io/zone: west}\n"


def compiled(*documents: str, zone: str | None = None) -> Any:
    tree = tree_of({f"{number}.yaml": text for number, text in enumerate(documents)})
    return Compiler(SCHEMAS, zone=zone).compile(tree)


def resources(node: str, kind: ResourceType, *documents: str) -> Mapping[str, Any]:
    checked = compiled(*documents)
    assert checked.value.generation is not None, checked.diagnostics
    snapshot = checked.value.generation.snapshots[node]
    return {name: parse(one.json, kind) for name, one in snapshot.resources.get(kind, {}).items()}


def seen(cluster: str, *documents: str) -> list[tuple[int, str, tuple[str, int], int]]:
    """By priority, zone, place and weight, as the proxy of web has them."""
    assignment = resources("default.web", ResourceType.ENDPOINT, *documents)[cluster]
    return [
        (locality.priority, locality.locality.zone, _place(one), one.load_balancing_weight.value)
        for locality in assignment.endpoints
        for one in locality.lb_endpoints
    ]


def _place(endpoint: Any) -> tuple[str, int]:
    address = endpoint.endpoint.address.socket_address
    return address.address, address.port_value


def names(node: str, *documents: str) -> list[str]:
    """What callers may ask a zone proxy for."""
    (listener,) = resources(node, ResourceType.LISTENER, *documents).values()
    return sorted(name for chain in listener.filter_chains for name in chain.filter_chain_match.server_names)


def told(*documents: str) -> list[tuple[str, str]]:
    return [(one.code.word, one.path) for one in compiled(*documents).diagnostics]


def test_without_an_ingress_a_zone_is_called_where_its_proxies_are() -> None:
    assert seen(PORT, MESH, WEB, EAST, WEST) == [(0, "east", ("10.1.0.2", 8080), 1), (0, "west", DIRECT, 1)]


def test_a_zone_with_an_ingress_is_called_there_after_the_callers_own() -> None:
    assert seen(PORT, MESH, WEB, EAST, WEST, INGRESS) == [
        (0, "east", ("10.1.0.2", 8080), 1),
        (1, "west", ENTERED, 1),
    ]


def test_the_first_priority_is_never_empty() -> None:
    assert seen(PORT, MESH, WEB, WEST, INGRESS) == [(0, "west", ENTERED, 1)]


def test_an_ingress_is_worth_the_instances_behind_it_where_a_whole_service_is_called() -> None:
    several = api("api-west-2", "west", "10.2.0.3")
    assert seen(WHOLE, MESH, WEB, EAST, WEST, several, INGRESS) == [
        (0, "east", ("10.1.0.2", 8080), 1),
        (0, "west", ENTERED, 2),
    ]


def test_a_zone_without_a_healthy_proxy_of_the_service_is_not_entered() -> None:
    resting = api("api-west", "west", "10.2.0.2", state="NotReady")
    assert seen(PORT, MESH, WEB, EAST, resting, INGRESS) == [(0, "east", ("10.1.0.2", 8080), 1)]


def test_a_zone_address_stands_in_for_the_ingresses_of_its_zone_and_each_counts() -> None:
    places = [place for _, _, place, _ in seen(PORT, MESH, WEB, WEST, INGRESS, zone_address(1), zone_address(2, "b"))]
    assert places == [("203.0.113.9", 1), ("203.0.113.9", 2)]


def test_nobody_enters_a_zone_without_tls() -> None:
    assert seen(PORT, PLAIN, WEB, EAST, WEST, INGRESS) == [(0, "east", ("10.1.0.2", 8080), 1)]
    assert ("zone-proxy-unused", "") in told(PLAIN, WEB, WEST, INGRESS)


def test_an_ingress_passes_on_what_stands_in_its_zone_and_nothing_else() -> None:
    tree = (MESH, WEB, EAST, WEST, INGRESS)
    assert names(".zi", *tree) == ["sni.msvc.default.api.8080", "sni.service.default.api"]
    assignments = resources(".zi", ResourceType.ENDPOINT, *tree)
    assert {_place(one) for each in assignments.values() for zone in each.endpoints for one in zone.lb_endpoints} == {
        DIRECT
    }


def test_an_ingress_of_a_zone_where_nothing_stands_does_not_listen() -> None:
    assert resources(".zi", ResourceType.LISTENER, MESH, WEB, INGRESS) == {}


def test_a_part_of_a_service_that_somebody_calls_is_passed_on_under_a_name_of_its_own() -> None:
    caller = WEB.replace("tags: {kuma.io/service: api}", "tags: {kuma.io/service: api, version: v1}")
    first = WEST.replace("kuma.io/service: api", "kuma.io/service: api, version: v1")
    asked = names(".zi", MESH, caller, first, INGRESS)
    (cluster,) = (
        one
        for one in resources("default.web", ResourceType.CLUSTER, MESH, caller, first, INGRESS).values()
        if one.name.startswith(f"{WHOLE}-")
    )
    assert cluster.transport_socket.typed_config.value.count(asked[-1].encode()) == 1
    assert asked[-1].startswith("sni.service.default.api.")


def test_calls_to_the_outside_go_by_the_egress_of_their_zone_if_there_is_one() -> None:
    web = WEB + TO_OUTSIDE
    with_egress = resources("default.web", ResourceType.CLUSTER, MESH, web, EAST, OUTSIDE, EGRESS)
    without = resources("default.web", ResourceType.CLUSTER, MESH, web, EAST, OUTSIDE, EGRESS.replace("east", "west"))
    name = "kri_extsvc_default___pay_443"
    assert [_place(one) for one in without[name].load_assignment.endpoints[0].lb_endpoints] == [("192.0.2.1", 443)]
    assert not with_egress[name].HasField("load_assignment")
    assert b"spiffe://default/zone-egress" in with_egress[name].transport_socket.typed_config.value
    assert seen(name, MESH, web, EAST, OUTSIDE, EGRESS) == [(0, "east", ("10.1.0.8", 10002), 1)]


def test_without_tls_calls_to_the_outside_are_direct() -> None:
    clusters = resources("default.web", ResourceType.CLUSTER, PLAIN, WEB + TO_OUTSIDE, EAST, OUTSIDE, EGRESS)
    assert clusters["kri_extsvc_default___pay_443"].HasField("load_assignment")


def test_with_zone_egress_other_zones_are_called_through_it_as_well() -> None:
    mesh = f"{MESH}routing: {{zoneEgress: true}}\n"
    assert seen(PORT, mesh, WEB, EAST, WEST, INGRESS, EGRESS) == [
        (1, "_egress", ("10.1.0.8", 10002), 1),
        (0, "east", ("10.1.0.2", 8080), 1),
    ]
    assert names(".ze", mesh, WEB, EAST, WEST, INGRESS, EGRESS) == [
        "sni.msvc.default.api.8080",
        "sni.service.default.api",
    ]
    passed = resources(".ze", ResourceType.ENDPOINT, mesh, WEB, EAST, WEST, INGRESS, EGRESS)[PORT]
    assert [_place(one) for zone in passed.endpoints for one in zone.lb_endpoints] == [ENTERED]


def test_a_policy_that_spreads_calls_says_which_zones_are_entered() -> None:
    policy = (
        "type: MeshLoadBalancingStrategy\nmesh: default\nname: near\nspec:\n  targetRef: {kind: Mesh}\n  to:\n"
        "  - targetRef: {kind: Mesh}\n    default: {localityAwareness: {crossZone: {failover: [%s]}}}\n"
    )
    to_west = policy % "{to: {type: Only, zones: [west]}}"
    elsewhere = policy % "{to: {type: AnyExcept, zones: [west]}}"
    assert seen(PORT, MESH, WEB, EAST, WEST, INGRESS, to_west)[1] == (1, "west", ENTERED, 1)
    assert seen(PORT, MESH, WEB, EAST, WEST, INGRESS, elsewhere) == [(0, "east", ("10.1.0.2", 8080), 1)]


@pytest.mark.parametrize("zone", ["east", "west"])
def test_the_proxies_of_one_zone_are_as_in_the_compile_of_everything(zone: str) -> None:
    tree = (MESH, WEB + TO_OUTSIDE, EAST, WEST, INGRESS, EGRESS, OUTSIDE)
    whole, part = compiled(*tree).value, compiled(*tree, zone=zone).value
    assert {node for node, one in whole.generation.snapshots.items() if one.node.zone == zone} == set(
        part.generation.snapshots
    )
    assert all(whole.generation.snapshots[node] == one for node, one in part.generation.snapshots.items())
    assert part.files.zone_digests == {
        name: digest for name, digest in whole.files.zone_digests.items() if name.endswith(f"/{zone}")
    }
    assert GenerationTree.build(part.generation.snapshots.values()).digest == part.generation.digest


def test_a_proxy_that_moves_to_another_zone_is_no_longer_compiled() -> None:
    compiler = Compiler(SCHEMAS, zone="east")
    before, after = (tree_of({"mesh.yaml": MESH, "web.yaml": WEB.replace("east", zone)}) for zone in ("east", "west"))
    found = [compiler.compile(tree).value.generation for tree in (before, after, before)]
    assert [sorted(one.snapshots) if one is not None else None for one in found] == [
        ["default.web"],
        [],
        ["default.web"],
    ]


def allows(name: str, service: str) -> str:
    return (
        f"type: MeshTrafficPermission\nmesh: default\nname: {name}\nspec:\n"
        f"  targetRef: {{kind: MeshService, name: {service}}}\n"
        "  from: [{targetRef: {kind: MeshService, name: web}, default: {action: Allow}}]\n"
    )


def test_an_external_service_of_2_is_called_by_the_egress_where_the_mesh_wants_it() -> None:
    cluster = ALL_OF_BIN
    assert seen(cluster, LEAVING, WEB + TO_BIN, BIN, EGRESS) == [(0, "east", ("10.1.0.8", 10002), 1)]
    assert "sni.service.default.bin" in names(".ze", LEAVING, WEB + TO_BIN, BIN, EGRESS)
    called = resources(".ze", ResourceType.CLUSTER, LEAVING, WEB + TO_BIN, BIN, EGRESS)[cluster]
    (endpoint,) = called.load_assignment.endpoints[0].lb_endpoints
    assert _place(endpoint) == ("bin.example.com", 8443)


@pytest.mark.parametrize(
    "documents",
    [(MESH, EGRESS), (LEAVING,), (LEAVING, EGRESS.replace("zone: east", "zone: west"))],
    ids=["the mesh does not ask for it", "no egress", "another zone's egress"],
)
def test_else_an_external_service_of_2_is_called_directly(documents: tuple[str, ...]) -> None:
    clusters = resources("default.web", ResourceType.CLUSTER, WEB + TO_BIN, BIN, *documents)
    (endpoint,) = clusters[ALL_OF_BIN].load_assignment.endpoints[0].lb_endpoints
    assert _place(endpoint) == ("bin.example.com", 8443)


@pytest.mark.parametrize(("permission", "policies"), [("", 0), (allows("a", "bin"), 1), (allows("a", "api"), 0)])
def test_whoever_calls_an_external_service_of_2_by_an_egress_needs_a_permission(permission: str, policies: int) -> None:
    documents = [LEAVING, WEB + TO_BIN, BIN, EGRESS, *([permission] if permission else [])]
    found = resources(".ze", ResourceType.EXTENSION, *documents)
    rbac = RBAC()
    assert found["kri_msvc_default___bin_.rbac"].typed_config.Unpack(rbac)
    assert len(rbac.rules.policies) == policies
    assert "selects-nothing" not in [code for code, _ in told(*documents)] or not policies


def of_zone(zone: str) -> str:
    """An ExternalService that only this zone can call."""
    return (
        BIN.replace("bin-1", zone)
        .replace("bin.example.com", f"{zone}.example.com")
        .replace("http}", f"http, kuma.io/zone: {zone}}}")
        .replace(", tls: {enabled: true}", "")
    )


def test_an_egress_calls_the_external_services_of_its_zone_rather_than_those_of_another() -> None:
    both = [of_zone("east"), of_zone("west")]
    for documents, hosts in ((both, ["east.example.com"]), (both[1:], ["west.example.com"])):
        cluster = resources(".ze", ResourceType.CLUSTER, LEAVING, WEB + TO_BIN, EGRESS, *documents)[ALL_OF_BIN]
        assert [_place(one)[0] for one in cluster.load_assignment.endpoints[0].lb_endpoints] == hosts


FAR_EGRESS = EGRESS.replace("name: ze", "name: ze-west").replace("east", "west").replace("10.1", "10.2")
BIN_NAME = "sni.service.default.bin"


def leading_to(node: str, *documents: str) -> list[tuple[str, int]]:
    """Where a zone proxy passes calls of the ExternalService on to."""
    assignment = resources(node, ResourceType.ENDPOINT, *documents)[ALL_OF_BIN]
    return [_place(one) for zone in assignment.endpoints for one in zone.lb_endpoints]


def test_what_only_another_zone_can_call_is_called_by_the_egress_of_that_zone() -> None:
    documents = (LEAVING, WEB + TO_BIN, of_zone("west"), EGRESS, FAR_EGRESS, INGRESS)
    assert seen(ALL_OF_BIN, *documents) == [(0, "east", ("10.1.0.8", 10002), 1)]
    assert leading_to(".ze", *documents) == [ENTERED]
    assert BIN_NAME in names(".zi", *documents)
    assert leading_to(".zi", *documents) == [("10.2.0.8", 10002)]
    (called,) = (
        one for name, one in resources(".ze-west", ResourceType.CLUSTER, *documents).items() if name == ALL_OF_BIN
    )
    assert _place(called.load_assignment.endpoints[0].lb_endpoints[0]) == ("west.example.com", 8443)


def test_without_an_ingress_one_egress_calls_the_other() -> None:
    assert leading_to(".ze", LEAVING, WEB + TO_BIN, of_zone("west"), EGRESS, FAR_EGRESS) == [("10.2.0.8", 10002)]


def test_a_zone_out_of_service_calls_nothing_for_others() -> None:
    off = "{type: Zone, name: west, enabled: false}"
    documents = (LEAVING, WEB + TO_BIN, of_zone("west"), EGRESS, FAR_EGRESS, INGRESS, off)
    cluster = resources(".ze", ResourceType.CLUSTER, *documents)[ALL_OF_BIN]
    assert _place(cluster.load_assignment.endpoints[0].lb_endpoints[0]) == ("west.example.com", 8443)


@pytest.mark.parametrize("documents", [(MESH,), (MESH, INGRESS), (LEAVING, INGRESS, EGRESS)])
def test_a_zone_out_of_service_is_called_by_its_own_proxies_alone(documents: tuple[str, ...]) -> None:
    off = "{type: Zone, name: west, enabled: false}"
    web = WEB.replace("east", "west").replace("10.1.0.1", "10.2.0.1")
    assert seen(PORT, *documents, WEB, EAST, WEST, off) == [(0, "east", ("10.1.0.2", 8080), 1)]
    assert (0, "west", DIRECT, 1) in seen(PORT, *documents, web, EAST, WEST, off)


def test_an_egress_opens_what_a_gateway_alone_names_by_tags() -> None:
    route = (
        "type: MeshGatewayRoute\nmesh: default\nname: r\nselectors: [{match: {kuma.io/service: edge}}]\nconf:\n"
        "  tcp: {rules: [{backends: [{weight: 1, destination: {kuma.io/service: bin, version: v1}}]}]}\n"
    )
    tagged = BIN.replace("kuma.io/protocol: http", "version: v1")
    assert len(names(".ze", LEAVING, WEB, tagged, EGRESS, route)) == 1 + len(names(".ze", LEAVING, WEB, tagged, EGRESS))


@pytest.mark.parametrize(
    "edit",
    [
        {"i.yaml": INGRESS},
        {"i.yaml": INGRESS, "e.yaml": EGRESS},
        {"i.yaml": INGRESS.replace("30001", "30002")},
        {"mesh.yaml": f"{MESH}routing: {{zoneEgress: true}}\n", "e.yaml": EGRESS, "i.yaml": INGRESS},
        {"w.yaml": WEST.replace("8080", "9090"), "i.yaml": INGRESS},
        {"w.yaml": api("api-west", "west", "10.2.0.2", state="NotReady"), "i.yaml": INGRESS},
        {"a.yaml": zone_address(7)},
        {"o.yaml": OUTSIDE.replace("192.0.2.1", "192.0.2.2"), "e.yaml": EGRESS},
        {"mesh.yaml": PLAIN, "i.yaml": INGRESS},
        {"mesh.yaml": LEAVING, "e.yaml": EGRESS, "b.yaml": BIN, "p.yaml": allows("p", "bin")},
        {"mesh.yaml": LEAVING, "e.yaml": EGRESS, "b.yaml": BIN.replace("8443", "8444")},
        {"e.yaml": EGRESS, "b.yaml": BIN},
        {"mesh.yaml": LEAVING, "e.yaml": EGRESS, "f.yaml": FAR_EGRESS, "b.yaml": of_zone("west"), "i.yaml": INGRESS},
        {"z.yaml": "{type: Zone, name: west, enabled: false}"},
    ],
)
def test_an_edit_gives_what_a_compile_from_nothing_gives(edit: Mapping[str, str]) -> None:
    base = {
        "mesh.yaml": MESH,
        "web.yaml": WEB + TO_OUTSIDE + TO_BIN,
        "e2.yaml": EAST,
        "w.yaml": WEST,
        "o.yaml": OUTSIDE,
        "b.yaml": BIN,
    }
    compiler = Compiler(SCHEMAS)
    for files in (base, {**base, **edit}, base):
        warm, cold = compiler.compile(tree_of(files)), compile_tree(tree_of(files), SCHEMAS)
        assert warm.diagnostics == cold.diagnostics
        assert warm.value.generation == cold.value.generation


@pytest.mark.parametrize(
    ("documents", "found"),
    [
        (
            (MESH, WEB, EAST, zone_address(1).replace("labels: {kuma.io/zone: west}\n", "")),
            ("zone-proxy-unused", "/spec"),
        ),
        (
            (MESH, WEB, EAST, zone_address(1).replace("203.0.113.9", "west.example.com")),
            ("host-address", "/spec/address"),
        ),
        ((MESH, WEB, EAST, INGRESS.replace("10.2.0.9", "zi.example.com")), ("host-address", "/networking/address")),
        (
            (MESH, WEB, EAST, INGRESS.replace("203.0.113.9", "zi.example.com")),
            ("host-address", "/networking/advertisedAddress"),
        ),
        (
            (MESH, WEB, EAST, INGRESS.replace(", advertisedAddress: 203.0.113.9, advertisedPort: 30001", "")),
            ("zone-proxy-unused", "/networking"),
        ),
        ((PLAIN, WEB, EAST, zone_address(1)), ("zone-proxy-unused", "/spec")),
        ((PLAIN, WEB, EAST, EGRESS), ("zone-proxy-unused", "")),
        ((f"{MESH}routing: {{zoneEgress: true}}\n", WEB, EAST), ("zone-proxy-unused", "/routing/zoneEgress")),
        (
            (
                MESH,
                WEB,
                EAST.replace("networking:\n", "networking:\n  listeners: [{type: ZoneIngress, port: 10001}]\n"),
            ),
            ("zone-proxy-unused", "/networking/listeners"),
        ),
    ],
)
def test_what_keeps_a_zone_proxy_from_being_used_is_told(documents: tuple[str, ...], found: tuple[str, str]) -> None:
    assert told(*documents).count(found) == 1


def test_names_on_the_wire_are_read_and_never_mistaken() -> None:
    def name(key: str, section: str = "http", **labels: str) -> str:
        text = "".join(f"  {label}: {value}\n" for label, value in labels.items())
        written = f"type: MeshService\nmesh: default\nname: {key}\nlabels:\n  a: b\n{text}spec: {{}}\n"
        return server_name(read_one(written), section, ())

    zone, namespace = {"kuma.io/zone": "east"}, {"k8s.kuma.io/namespace": "shop"}
    assert name("orders", **zone) == "sni.msvc.default.east.orders.http"
    assert name("orders", **zone, **namespace) == "sni.msvc.default.east.shop.orders.http"
    assert name("orders") == "sni.msvc.default.orders.http"
    assert name("orders", section="80") == "sni.msvc.default.orders.80"
    odd = [name("a_b"), name("a-b"), name("a.b"), name("A-b"), name("b", **namespace), name("b" * 80), name("b" * 81)]
    assert len(set(odd)) == len(odd)
    assert all(len(label) <= 63 for one in odd for label in one.split("."))
    long = name("a", section="s" * 63, **{"kuma.io/zone": "z" * 63, "k8s.kuma.io/namespace": "n" * 63})
    assert len(long) <= 253


def test_an_egress_of_several_meshes_with_trust_domains_is_told_of() -> None:
    other = MESH.replace("name: default", "name: other")
    trust = (
        "type: MeshTrust\nmesh: %s\nname: t\nspec:\n  trustDomain: a.example\n"
        '  caBundles: [{type: Pem, pem: {value: "' + AUTHORITY.replace("\n", "\\n") + '"}}]\n'
    )
    assert told(MESH, WEB, EAST, EGRESS, trust % "default").count(("zone-proxy-unused", "")) == 0
    both = told(MESH, WEB, EAST, EGRESS, trust % "default", other, trust % "other")
    assert both.count(("zone-proxy-unused", "")) == 1


def test_an_egress_of_2_has_what_policies_for_the_whole_mesh_send_to() -> None:
    trace = """\
type: MeshTrace
mesh: default
name: all
spec: {default: {backends: [{type: Zipkin, zipkin: {url: "http://zipkin:9411/spans"}}]}}
"""
    clusters = resources(".ze", ResourceType.CLUSTER, LEAVING, WEB + TO_BIN, BIN, EGRESS, trace)
    assert "system_meshtrace_zipkin_zipkin-9411" in clusters
