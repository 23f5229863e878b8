"""The chain of documents behind a field, and the default where there is none."""

from collections.abc import Mapping

import pytest

from compiler.resources.model import ResourceKey
from compiler.review.explaining.addresses import find_fields, guess_field
from compiler.review.explaining.answers import tell_explained
from compiler.review.explaining.defaults import Owner
from compiler.review.explaining.explain import Explained, explain
from compiler.review.explaining.trial import Trial
from tests.trees import tree_of

MESH = """
type: Mesh
name: default
skipCreatingInitialPolicies: [MeshRetry, MeshCircuitBreaker]
"""
PROXIES = """
type: Dataplane
mesh: default
name: web
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound:
  - {port: 10001, backendRef: {kind: MeshService, name: backend, port: 8080}}
---
type: Dataplane
mesh: default
name: backend
networking:
  address: 10.0.0.2
  inbound: [{port: 8080, tags: {kuma.io/service: backend, kuma.io/protocol: http}}]
"""
EVERYWHERE = """
# For all calls.
type: MeshTimeout
mesh: default
name: everywhere
spec:
  to:
  - targetRef: {kind: Mesh}
    default:
      connectionTimeout: 5s
      http: {requestTimeout: 10s}
"""
SERVICE = """
type: MeshTimeout
mesh: default
name: service
spec:
  to:
  - targetRef: {kind: MeshService, name: backend}
    default:
      http:
        # As the route says, too.
        requestTimeout: 7s
"""
ROUTE = """
type: MeshHTTPRoute
mesh: default
name: api
spec:
  to:
  - targetRef: {kind: MeshService, name: backend}
    rules:
    - matches: [{path: {type: PathPrefix, value: /api}}]
      default: {backendRefs: [{kind: MeshService, name: backend, port: 8080}]}
---
type: MeshTimeout
mesh: default
name: of-route
spec:
  to:
  - targetRef: {kind: MeshHTTPRoute, name: api}
    default: {http: {requestTimeout: 7s}}
"""
FILES = {
    "mesh.yaml": MESH,
    "proxies.yaml": PROXIES,
    "everywhere.yaml": EVERYWHERE,
    "service.yaml": SERVICE,
    "route.yaml": ROUTE,
}
WEB = ResourceKey("Dataplane", "default", "web")


def ask(field: str, files: Mapping[str, str] = FILES, proxy: ResourceKey = WEB) -> Explained:
    trial, tree = Trial(), tree_of(files)
    assert trial.read(tree) == ()
    snapshot = trial.snapshot(tree, proxy)
    assert snapshot is not None
    (found,) = find_fields(snapshot, field)
    return explain(trial, tree, proxy, found)


def without(*names: str) -> dict[str, str]:
    return {name: text for name, text in FILES.items() if name not in names}


def chain(found: Explained) -> list[tuple[str, str, object]]:
    """Places, what is written there, and the value that the field has by it."""
    return [
        (f"{step.place.file}:{step.place.line}", step.place.resource.name, step.value.value) for step in found.chain
    ]


API = "routes/backend/virtualHosts/0/routes/0/route/timeout"


def test_a_chain_of_three_policies_has_its_winner_last_even_where_two_say_the_same() -> None:
    found = ask(API)
    assert chain(found) == [
        ("everywhere.yaml:11", "everywhere", "10s"),
        ("service.yaml:11", "service", "7s"),
        ("route.yaml:18", "of-route", "7s"),
    ]
    assert [step.written for step in found.chain] == ["10s", "7s", "7s"]
    assert [step.without.value for step in found.chain] == ["15s", "10s", "7s"]
    assert found.chain[-1].place.pointer == "/spec/to/0/default/http/requestTimeout"
    assert found.chain[-1].place.column == 38


def test_below_the_chain_stands_the_default_of_an_initial_policy() -> None:
    default = ask(API).default
    assert default is not None
    assert (default.owner, default.state.value) == (Owner.KUMA, "15s")
    assert default.source == "the initial policy MeshTimeout mesh-timeout-all-default: http.requestTimeout 15s"


def test_the_documents_that_make_the_route_are_named_apart_from_those_that_set_its_fields() -> None:
    assert [place.resource.name for place in ask(API).grounds] == ["api", "web"]


def test_a_value_that_says_what_the_default_says_is_still_the_document_s() -> None:
    found = ask("clusters/backend/connectTimeout")
    assert chain(found) == [("everywhere.yaml:10", "everywhere", "5s")]
    assert found.default is not None
    assert found.default.owner is Owner.KUMA


def test_without_a_document_the_initial_policy_is_the_source() -> None:
    found = ask("clusters/self_inbound_dp_80/connectTimeout")
    assert found.chain == ()
    assert found.default is not None
    assert found.default.source.endswith("mesh-timeout-all-default: connectionTimeout 10s")


def test_without_an_initial_policy_the_kind_s_own_default_is_the_source() -> None:
    files = without("everywhere.yaml", "service.yaml", "route.yaml") | {"mesh.yaml": "type: Mesh\nname: default\n"}
    files["mesh.yaml"] += 'skipCreatingInitialPolicies: ["*"]\n'
    found = ask("clusters/backend/connectTimeout", files)
    assert found.default is not None
    assert found.default.source == "what MeshTimeout sets where no policy says anything"


def test_an_absent_field_is_told_with_envoy_s_default() -> None:
    found = ask("listeners/backend/filterChains/0/filters/0/typedConfig/drain_timeout")
    assert (found.state.present, found.chain) == (False, ())
    assert found.default is not None
    assert (found.default.owner, found.default.words) == (Owner.ENVOY, "5s")
    assert "(absent), Envoy's default: 5s (envoy." in tell_explained(found)


def test_what_no_document_and_no_policy_sets_is_ours() -> None:
    found = ask("listeners/backend/trafficDirection")
    assert found.default is not None
    assert (found.chain, found.default.owner) == ((), Owner.MESHWRIGHT)


def test_a_field_of_a_dataplane_s_is_found_in_a_file_of_several_documents() -> None:
    found = ask("listeners/backend/address/socketAddress/portValue")
    assert chain(found) == [("proxies.yaml:9", "web", 10001)]
    assert found.default is None


def test_an_endpoint_s_address_is_the_other_dataplane_s() -> None:
    address = "endpoints/0/lbEndpoints/0/endpoint/address/socketAddress/address"
    assert chain(ask(f"endpoints/backend_8080/{address}")) == [("proxies.yaml:15", "backend", "10.0.0.2")]


def test_a_mesh_service_s_port_is_found_in_its_document() -> None:
    service = """
type: MeshService
mesh: default
name: database
spec:
  selector: {dataplaneTags: {kuma.io/service: backend}}
  ports:
  - {port: 5432, targetPort: 8080, appProtocol: tcp}
"""
    proxies = PROXIES.replace("name: backend, port: 8080}}", "name: database, port: 5432}}")
    files = {"mesh.yaml": MESH, "proxies.yaml": proxies, "service.yaml": service}
    address = "endpoints/0/lbEndpoints/0/endpoint/address/socketAddress/portValue"
    found = ask(f"endpoints/database_5432/{address}", files)
    assert {place for place, _, _ in chain(found)} == {"proxies.yaml:16", "service.yaml:8"}


def test_the_mesh_itself_can_set_a_field() -> None:
    mesh = MESH + "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin, mode: STRICT}]}\n"
    files = {"mesh.yaml": mesh, "proxies.yaml": PROXIES}
    found = ask("listeners/self_inbound_dp_80/filterChains", files)
    assert ("mesh.yaml:5", "default") in [(place, name) for place, name, _ in chain(found)]


SECURED = MESH + "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}\n"
PARAMETERS = "clusters/backend/transportSocket/typedConfig/commonTlsContext/tlsParams"
SUITE = "ECDHE-RSA-AES256-GCM-SHA384"


def speaking(conf: str) -> dict[str, str]:
    """A mesh with mutual TLS, as this conf wants it."""
    policy = f"type: MeshTLS\nmesh: default\nname: modern\nspec:\n  rules:\n  - default: {conf}\n"
    return {"mesh.yaml": SECURED, "proxies.yaml": PROXIES, "tls.yaml": policy}


@pytest.mark.parametrize(
    ("conf", "field", "value", "pointer"),
    [
        ("{tlsVersion: {min: TLS13}}", "tlsMinimumProtocolVersion", "TLSv1_3", "tlsVersion/min"),
        ("{tlsVersion: {min: TLS13}}", "tlsMaximumProtocolVersion", "TLSv1_3", "tlsVersion/min"),
        ("{tlsVersion: {max: TLS12}}", "tlsMaximumProtocolVersion", "TLSv1_2", "tlsVersion/max"),
        (f"{{tlsCiphers: [{SUITE}]}}", "cipherSuites", [SUITE], "tlsCiphers"),
        (f"{{tlsCiphers: [{SUITE}]}}", "cipherSuites/0", SUITE, "tlsCiphers"),
        (f"{{tlsCiphers: [{SUITE}, ECDHE-RSA-AES128-GCM-SHA256]}}", "cipherSuites/0", SUITE, "tlsCiphers"),
    ],
)
def test_what_a_policy_says_of_tls_is_its_own_even_where_nothing_else_is_said_of_it(
    conf: str, field: str, value: object, pointer: str
) -> None:
    found = ask(f"{PARAMETERS}/{field}", speaking(conf))
    (step,) = found.chain
    assert (step.place.resource.name, step.value.value) == ("modern", value)
    assert step.place.pointer == f"/spec/rules/0/default/{pointer}"
    assert [place.resource.name for place in found.grounds] == ["web"]


def test_a_chain_of_a_permissive_port_is_matched_as_the_policy_wants_that_makes_it_permissive() -> None:
    found = ask("listeners/self_inbound_dp_80/filterChains/0/filterChainMatch", speaking("{mode: Permissive}"))
    assert chain(found) == [("tls.yaml:6", "modern", {"transportProtocol": "raw_buffer"})]
    assert found.chain[-1].place.pointer == "/spec/rules/0/default/mode"


def test_a_chain_of_a_port_that_the_mesh_makes_permissive_is_matched_as_the_mesh_wants() -> None:
    files = {
        **without("everywhere.yaml"),
        "mesh.yaml": SECURED.replace("type: builtin", "type: builtin, mode: PERMISSIVE"),
    }
    found = ask("listeners/self_inbound_dp_80/filterChains/0/filterChainMatch", files)
    assert [(step.place.resource.type, step.place.pointer) for step in found.chain] == [
        ("Mesh", "/mtls/backends/0/mode")
    ]
    inspecting = ask("listeners/self_inbound_dp_80/listenerFilters", files)
    assert [step.place.pointer for step in inspecting.chain] == ["/mtls/backends/0/mode"]


def test_the_word_by_which_something_is_there_is_told_rather_than_all_around_it() -> None:
    field = "listeners/self_inbound_dp_80/filterChains/1/filterChainMatch"
    found = ask(field, speaking("{mode: Permissive, tlsVersion: {min: TLS12}}"))
    assert not found.chain
    assert found.grounds[0].pointer == "/spec/rules/0/default/mode"


def test_a_variant_that_leaves_a_reference_dangling_stops_nothing() -> None:
    files = FILES | {"settings.yaml": "", "meshwright.yaml": "schemaVersion: 1\nseverity: {dangling-ref: error}\n"}
    assert [name for _, name, _ in chain(ask(API, files))] == ["everywhere", "service", "of-route"]


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("connectTimeout", ["kri_msvc_default___backend_8080", "self_inbound_dp_80"]),
        ("connect_timeout", ["kri_msvc_default___backend_8080", "self_inbound_dp_80"]),
        ("backend.connectTimeout", ["kri_msvc_default___backend_8080"]),
        ("backend_8080.connectTimeout", ["kri_msvc_default___backend_8080"]),
        ("clusters/self_inbound_dp_80/connectTimeout", ["self_inbound_dp_80"]),
        ("clusters/connectTimeout", ["kri_msvc_default___backend_8080", "self_inbound_dp_80"]),
        ("conectTimeout", []),
        ("clusters/backend/noSuchField", []),
        ("routes/backend/virtualHosts/²/routes", []),
        ("routes/backend/virtualHosts/٠/routes", []),
        (f"routes/backend/virtualHosts/{'9' * 5000}", []),
    ],
)
def test_a_field_is_named_by_as_much_of_its_path_as_is_needed(typed: str, names: list[str]) -> None:
    trial, tree = Trial(), tree_of(FILES)
    snapshot = trial.snapshot(tree, WEB)
    assert snapshot is not None
    assert [field.name for field in find_fields(snapshot, typed)] == names


def test_a_word_that_nothing_is_called_gets_a_question() -> None:
    trial, tree = Trial(), tree_of(FILES)
    snapshot = trial.snapshot(tree, WEB)
    assert snapshot is not None
    assert guess_field(snapshot, "backend.conectTimeout") == "did you mean connectTimeout?"
    assert guess_field(snapshot, "clustrs/backend/connectTimeout") == "did you mean clusters?"
    assert guess_field(snapshot, "routes/backend/virtualHosts/²") is None
