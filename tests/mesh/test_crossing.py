"""Listeners of gateways for other meshes: who calls them by what, who does not, and what is said of it."""

import json

import pytest

from compiler.envoy.resources import ResourceType
from compiler.mesh.trust import Trusted
from tests.mesh.crossing import (
    BACKEND,
    BASE,
    BUNDLED,
    IDENTITY,
    INGRESS,
    INNER,
    OTHER,
    REDIRECTED,
    SECOND,
    SECONDS,
    SPIRE,
    TO_EDGE,
    TRUST,
    WEB,
    abroad,
    called,
    compiled,
    edge,
    endpoints,
    findings,
    gateway,
    mesh,
    proxy,
    resolved,
    tagged,
    timeout,
)
from tests.trees import codes, compile_texts

# --- Who calls, and how -------------------------------------------------------------------------------------------


def test_a_redirected_proxy_of_another_mesh_calls_the_listener_by_name_and_by_mutual_tls() -> None:
    found = resolved(compiled(*BASE, WEB))
    (outbound,) = abroad(found)
    destination = outbound.destination
    assert (outbound.port, outbound.transparent) == (8080, True)
    assert (destination.protocol, destination.secured) == ("http", True)
    assert [one.address for one in found.names or () if one.name == "a.internal"] == [outbound.address]
    assert destination.identities == ("spiffe://a/edge",)
    assert destination.server_name.startswith("sni.mgw.a.inner.8080-a-internal-")
    (upstream,) = (one for one in found.upstreams if one.destination == destination)
    assert upstream.tls is not None
    assert upstream.tls.mesh == "b"
    (bundle,) = found.bundles
    assert (bundle.mesh, bundle.trusted) == ("a", (Trusted("a", authority="ca", mesh="a"),))


def test_its_address_is_that_of_the_name_and_mesh_whatever_else_there_is() -> None:
    (first,) = abroad(resolved(compiled(*BASE, WEB)))
    others = mesh("c"), edge("c"), gateway(INNER.replace("a.int", "c.int"), mesh="c"), gateway(OTHER, INNER)
    (again,) = (one for one in abroad(resolved(compiled(*BASE[:3], *others, WEB))) if "a.internal" in one.name)
    assert first.address == again.address == "240.19.194.20"


def test_proxies_of_the_gateways_own_mesh_do_too_and_those_of_one_without_certificates_do_not() -> None:
    found = compiled(*BASE, mesh("c", ""), WEB, proxy("a", "web-1"), proxy("c", "web-1"))
    assert called(found) == ["a/inner/8080:a.internal"]
    assert called(found, mesh="c") == []
    assert resolved(found, mesh="c").names is None
    own = resolved(found, mesh="a")
    theirs = resolved(found)
    (outbound,) = (one for one in own.outbounds if one.destination.service.type == "MeshGateway")
    (abroad_too,) = abroad(theirs)
    assert (outbound.address, outbound.port, outbound.destination) == (
        abroad_too.address,
        abroad_too.port,
        abroad_too.destination,
    )
    assert own.bundles == ()
    assert {one.destination.service.type for one in own.upstreams if one.destination.secured} >= {"MeshGateway"}


def test_a_gateways_listener_asks_everybody_for_a_certificate_of_any_mesh() -> None:
    found = resolved(compiled(*BASE, mesh("c", ""), mesh("d"), WEB), "edge-1", "a")
    (listener,) = found.gateway
    assert listener.tls is not None
    assert (listener.tls.mesh, listener.tls.permissive) == ("a", False)
    trusted = tuple(Trusted(name, authority="ca", mesh=name) for name in ("a", "b", "d"))
    assert [(one.mesh, one.trusted) for one in found.bundles] == [("", trusted)]


def test_a_permissive_mesh_opens_no_listener_for_other_meshes() -> None:
    permissive = mesh("a", BACKEND.replace("builtin", "builtin, mode: PERMISSIVE"))
    (listener,) = resolved(compiled(permissive, *BASE[1:], WEB), "edge-1", "a").gateway
    assert listener.tls is not None
    assert not listener.tls.permissive


def test_without_a_certificate_a_gateway_does_not_listen_for_other_meshes_at_all() -> None:
    plain = "port: 80, protocol: HTTP"
    found = compiled(mesh("a", ""), mesh("b"), edge(), gateway(INNER, plain), WEB)
    assert [one.name for one in resolved(found, "edge-1", "a").gateway] == ["inner:HTTP:80"]
    assert called(found) == []


def test_a_gateway_with_a_mesh_identity_is_believed_by_its_domain() -> None:
    found = resolved(compiled(mesh("a", ""), *BASE[1:], IDENTITY % BUNDLED, WEB))
    (outbound,) = abroad(found)
    assert outbound.destination.identities == ("spiffe://a.example/a",)
    assert found.bundles[0].trusted == (Trusted("a.example", authority="identity/main", mesh="a"),)


PEM = '"-----BEGIN CERTIFICATE-----\\nMA==\\n-----END CERTIFICATE-----"'


def test_an_agents_gateway_shows_the_agents_certificate_and_asks_by_what_the_server_knows() -> None:
    found = compile_texts(mesh("a", ""), *BASE[1:], IDENTITY % SPIRE, TRUST % ("a", "a.example", PEM), WEB)
    (bundle,) = resolved(found, "edge-1", "a").bundles
    assert [one.domain for one in bundle.trusted] == ["a.example", "b"]
    assert called(found) == ["a/inner/8080:a.internal"]
    generation = found.value.generation
    assert generation is not None
    listener = generation.snapshots["a.edge-1"].resources[ResourceType.LISTENER]["inner:HTTP:8080"].json.decode()
    context = json.loads(listener)["filterChains"][0]["transportSocket"]["typedConfig"]
    common = context["commonTlsContext"]
    (certificate,) = common["tlsCertificateSdsSecretConfigs"]
    assert certificate["name"] == "spiffe://a.example/a"
    assert "apiConfigSource" in certificate["sdsConfig"]
    trust = common["combinedValidationContext"]["validationContextSdsSecretConfig"]
    assert (trust["name"], "ads" in trust["sdsConfig"]) == ("system_trust_bundles", True)


# --- Which of them a proxy reaches --------------------------------------------------------------------------------


def reaching(lists: str) -> str:
    return proxy("b", "web-1", REDIRECTED % f", {lists}")


BOTH = ["a/inner/8080:a.internal", "a/second/8081:other.internal"]


@pytest.mark.parametrize(
    ("lists", "reached"),
    [
        ("reachableServices: []", []),
        ("reachableServices: [second]", BOTH[1:]),
        ("reachableServices: [edge, second]", BOTH),
        ("reachableBackends: {refs: []}", BOTH),
        ("reachableBackends: {refs: []}, reachableServices: [edge]", BOTH[:1]),
    ],
)
def test_reachable_services_name_gateways_of_other_meshes_and_reachable_backends_do_not(
    lists: str, reached: list[str]
) -> None:
    found = compiled(*BASE, SECOND, SECONDS, reaching(lists))
    assert called(found) == reached
    assert codes(found) == []


def test_permissions_trim_no_calls_to_other_meshes() -> None:
    trimming = mesh("b", f"{BACKEND}\nrouting: {{autoReachable: true}}")
    found = resolved(compiled(mesh("a"), trimming, edge(), gateway(INNER), WEB))
    assert [one.destination.service.name for one in found.outbounds] == ["inner"]


def test_where_services_are_called_by_ports_reachable_services_still_choose_among_gateways() -> None:
    exclusive = mesh("b", f"{BACKEND}\nmeshServices: {{mode: Exclusive}}")
    lists = reaching("reachableBackends: {refs: []}, reachableServices: []")
    found = compiled(mesh("a"), exclusive, edge(), gateway(INNER), lists)
    assert (called(found), codes(found)) == ([], [])
    assert codes(compiled(exclusive, lists)) == ["no-effect"]


@pytest.mark.parametrize("mode", ["Disabled", "Everywhere", "ReachableBackends", "Exclusive"])
def test_what_a_mesh_calls_its_own_services_by_says_nothing_of_others(mode: str) -> None:
    found = compiled(mesh("a"), mesh("b", f"{BACKEND}\nmeshServices: {{mode: {mode}}}"), edge(), gateway(INNER), WEB)
    assert called(found) == ["a/inner/8080:a.internal"]


def test_an_outbound_with_a_backend_ref_is_all_that_a_redirected_proxy_calls() -> None:
    own = "{port: 90, backendRef: {kind: MeshExternalService, name: outside, port: 443}}"
    outside = (
        "type: MeshExternalService\nmesh: b\nname: outside\n"
        "spec: {match: {type: HostnameGenerator, port: 443}, endpoints: [{address: a.com, port: 443}]}\n"
    )
    found = compiled(*BASE, outside, proxy("b", "web-1", f"{REDIRECTED % ''}, outbound: [{own}]"))
    assert called(found) == []


# --- Outbounds that are written -----------------------------------------------------------------------------------


def test_an_outbound_with_the_tag_of_a_mesh_leads_to_the_gateway_there() -> None:
    found = resolved(compiled(*BASE, proxy("b", "web-1", TO_EDGE)))
    (outbound,) = abroad(found)
    assert (outbound.address, outbound.port, outbound.transparent) == ("127.0.0.1", 9090, False)
    assert found.names is None


@pytest.mark.parametrize(
    ("tags", "port", "meant", "word"),
    [
        (", door: other", 9090, "8081:other.internal", None),
        ("", 8081, "8081:other.internal", None),
        ("", 9090, "8080:a.internal", "no-effect"),
        (", door: none", 9090, None, "dangling-ref"),
    ],
)
def test_of_several_listeners_the_tags_choose_and_then_the_port(
    tags: str, port: int, meant: str | None, word: str | None
) -> None:
    outbound = tagged(f"kuma.io/service: edge, kuma.io/mesh: a{tags}", port)
    found = compiled(*BASE[:3], gateway(INNER, OTHER), proxy("b", "web-1", outbound))
    assert [one.rpartition("/")[2] for one in called(found)] == ([meant] if meant else [])
    assert codes(found) == ([word] if word else [])


def test_the_tag_of_the_own_mesh_leads_nowhere_else() -> None:
    found = resolved(compiled(*BASE, proxy("a", "web-1", TO_EDGE)), mesh="a")
    assert [one.destination.service for one in found.outbounds] == []


# --- Policies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top", ["{kind: Mesh}", "{kind: MeshSubset, tags: {kuma.io/service: web}}"])
def test_what_the_callers_mesh_says_of_all_calls_holds_and_what_the_gateways_says_does_not(top: str) -> None:
    found = resolved(compiled(*BASE, WEB, timeout("b", 7, top), timeout("a", 9)))
    (outbound,) = abroad(found)
    (applied,) = (one for one in outbound.confs if one.policy == "MeshTimeout")
    assert [one.policy.mesh for one in applied.origins] == ["b"]
    assert applied.conf.connection_timeout == 7 * 10**9
    (upstream,) = (one for one in found.upstreams if one.destination.mesh == "a")
    assert applied in upstream.confs


def test_a_kind_that_the_gateways_mesh_alone_has_policies_of_says_nothing_of_the_call() -> None:
    retry = (
        "type: MeshRetry\nmesh: a\nname: r\nspec: {to: [{targetRef: {kind: Mesh}, default: {http: {numRetries: 3}}}]}\n"
    )
    (outbound,) = abroad(resolved(compiled(*BASE, WEB, retry)))
    assert [one.policy for one in outbound.confs if one.policy == "MeshRetry"] == []


# --- Zones --------------------------------------------------------------------------------------------------------

EAST = WEB.replace("labels: {}", "labels: {kuma.io/zone: east}")


def test_a_gateway_of_another_zone_is_called_by_the_ingress_there_which_knows_its_name() -> None:
    found = compiled(mesh("a"), mesh("b"), edge(zone="west"), gateway(INNER), EAST, INGRESS)
    generation = found.value.generation
    assert generation is not None
    there = endpoints(generation.snapshots["b.web-1"])
    assert "192.0.2.1" in there
    assert "10.0.0.1" not in there
    (outbound,) = abroad(resolved(found))
    doors = "".join(
        one.json.decode() for one in generation.snapshots[".west"].resources[ResourceType.LISTENER].values()
    )
    assert f'"{outbound.destination.server_name}"' in doors
    assert "10.0.0.1" in endpoints(generation.snapshots[".west"])


def test_a_gateway_of_another_zone_without_an_ingress_is_called_where_it_is() -> None:
    found = compiled(mesh("a"), mesh("b"), edge(zone="west"), gateway(INNER), EAST)
    generation = found.value.generation
    assert generation is not None
    assert "10.0.0.1" in endpoints(generation.snapshots["b.web-1"])


# --- What is wrong ------------------------------------------------------------------------------------------------

LISTENER = "/conf/listeners/0"
EXCLUSIVE = mesh("b", f"{BACKEND}\nmeshServices: {{mode: Exclusive}}")
NAMING = (
    "type: VirtualOutbound\nmesh: b\nname: v\nselectors: [{match: {kuma.io/service: '*'}}]\n"
    "conf: {host: '{{.s}}.example', port: '99', parameters: [{name: s, tagKey: kuma.io/service}]}\n"
)
SAME_ADDRESS = proxy("b", "s281-1", "outbound: []")
"""Of a service whose virtual address is that of `h18399.internal` of mesh `a`, which was found by trying."""
PLAIN = ("cross-mesh-plaintext", f"{LISTENER}/crossMesh")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((*BASE, WEB), []),
        ((mesh("a", ""), *BASE[1:], WEB), [PLAIN]),
        ((mesh("a"), mesh("b", ""), *BASE[2:], WEB), [PLAIN]),
        ((mesh("a"), *BASE[2:]), []),
        ((mesh("a", ""), *BASE[1:], IDENTITY % SPIRE, WEB), [PLAIN]),
        ((*BASE[:2], *BASE[3:], WEB), [("no-effect", "/selectors")]),
        (
            (mesh("a"), mesh("b", ""), *BASE[2:], proxy("b", "web-1", TO_EDGE)),
            [PLAIN, ("cross-mesh-plaintext", "/networking/outbound/0/tags")],
        ),
        (
            (*BASE, proxy("b", "web-1", tagged("kuma.io/service: edge, kuma.io/mesh: c"))),
            [("dangling-ref", "/networking/outbound/0/tags")],
        ),
        (
            (*BASE, mesh("c"), edge("c"), gateway(INNER, mesh="c"), WEB),
            [("hostname-collision", f"{LISTENER}/hostname")],
        ),
        ((*BASE, edge("b"), gateway(INNER, mesh="b")), [("hostname-collision", f"{LISTENER}/hostname")]),
        (
            (*BASE, SECOND, gateway(INNER, name="second", service="second"), WEB),
            [("hostname-collision", f"{LISTENER}/hostname")],
        ),
        (
            (*BASE, SECOND, gateway(INNER.replace("8080", "9"), name="second", service="second"), WEB),
            [],
        ),
        (
            (*BASE[:3], gateway(INNER.replace("a.internal", "web.mesh")), WEB),
            [("hostname-collision", "")],
        ),
        ((mesh("a"), EXCLUSIVE, edge(), gateway(INNER.replace("a.internal", "web.mesh")), WEB), []),
        (
            (*BASE[:3], gateway(INNER.replace("a.internal", "web.example")), WEB, NAMING),
            [("hostname-collision", "")],
        ),
        ((*BASE[:3], gateway(INNER.replace("a.internal", "h18399.internal")), SAME_ADDRESS), [("address-clash", "")]),
    ],
)
def test_what_keeps_a_mesh_from_calling_a_gateway_is_told_where_it_is(
    texts: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    assert findings(*texts) == expected


def test_a_proxy_that_no_identity_of_its_mesh_selects_is_told_that_it_calls_nobody() -> None:
    selecting = (IDENTITY % BUNDLED).replace("mesh: a", "mesh: b").replace("matchLabels: {}", "matchLabels: {app: x}")
    texts = (mesh("a"), mesh("b", ""), edge(), gateway(INNER), selecting)
    found = compiled(*texts, proxy("b", "api-1", labels="app: x"), WEB.replace("10.1.0.1", "10.1.0.2"))
    assert (called(found), called(found, "api-1")) == ([], ["a/inner/8080:a.internal"])
    (told,) = found.diagnostics
    assert (told.code.word, told.path) == ("cross-mesh-plaintext", "/networking/transparentProxying")
    assert told.subject is not None
    assert told.subject.name == "web-1"


def test_hashes_of_requests_may_be_for_a_gateway_of_another_mesh() -> None:
    database = proxy("b", "db-1", address="10.1.0.2").replace("protocol: http", "protocol: tcp")
    hashes = "{loadBalancer: {type: Maglev}, hashPolicies: [{type: Header, header: {name: x-user}}]}"
    item = f"{{targetRef: {{kind: Mesh}}, default: {hashes}}}"
    policy = f"type: MeshLoadBalancingStrategy\nmesh: b\nname: it\nspec: {{to: [{item}]}}\n"
    assert codes(compiled(*BASE, database, policy)) == []
    assert codes(compiled(mesh("b"), database, policy)) == ["unfit-protocol"]
