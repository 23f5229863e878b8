"""What is found wrong between resources, with its place."""

import pytest

from compiler.diagnostics import Severity
from tests.trees import codes, compile_texts

MESH = "{type: Mesh, name: default}"
BACKEND = """
type: Dataplane
mesh: default
name: backend-1
labels: {app: backend}
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: backend, kuma.io/protocol: http}}]
"""
WEB = """
type: Dataplane
mesh: default
name: web-1
labels: {app: web}
networking:
  address: 10.0.0.2
  inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound: [{port: 10001, tags: {kuma.io/service: %s}}]
"""


def timeout(to: str, top: str = "{kind: Mesh}") -> str:
    return f"""
type: MeshTimeout
mesh: default
name: slow
spec:
  targetRef: {top}
  to:
    - targetRef: {to}
      default: {{http: {{requestTimeout: 1s}}}}
"""


def test_a_mesh_in_order_has_no_findings() -> None:
    checked = compile_texts(MESH, BACKEND, WEB % "backend", timeout("{kind: MeshService, name: backend}"))
    assert codes(checked) == []


@pytest.mark.parametrize(
    "target",
    [
        "{kind: MeshService, name: bakend}",
        "{kind: MeshService, labels: {app: bakend}}",
        "{kind: MeshService, name: backend, sectionName: nope}",
        "{kind: MeshHTTPRoute, name: nope}",
    ],
)
def test_a_target_that_does_not_exist_is_a_warning_at_the_target(target: str) -> None:
    checked = compile_texts(MESH, BACKEND, timeout(target))
    (finding,) = checked.diagnostics
    assert (finding.code.word, finding.level) == ("dangling-ref", Severity.WARNING)
    assert (finding.position.file, finding.position.line, finding.path) == ("002.yaml", 8, "/spec/to/0/targetRef")


def test_an_outbound_to_a_service_that_nobody_offers_is_found() -> None:
    checked = compile_texts(MESH, BACKEND, WEB % "bakend")
    assert codes(checked) == ["dangling-ref"]
    assert checked.diagnostics[0].path == "/networking/outbound/0/tags"


def test_a_policy_that_selects_no_proxy_is_a_warning() -> None:
    top = "{kind: Dataplane, labels: {app: bakend}}"
    checked = compile_texts(MESH, BACKEND, timeout("{kind: Mesh}", top))
    assert codes(checked) == ["selects-nothing"]
    assert checked.value.generation is not None


def test_a_backend_that_appears_later_mends_the_finding() -> None:
    from compiler.pipeline import Compiler
    from tests.trees import SCHEMAS

    compiler = Compiler(SCHEMAS)
    policy = timeout("{kind: MeshService, name: backend}")
    assert codes(compile_texts(MESH, WEB % "web", policy, compiler=compiler)) == ["dangling-ref"]
    assert codes(compile_texts(MESH, WEB % "web", policy, BACKEND, compiler=compiler)) == []


def test_a_mesh_admits_only_dataplanes_that_meet_its_constraints() -> None:
    mesh = """
type: Mesh
name: default
constraints:
  dataplaneProxy:
    requirements: [{tags: {kuma.io/zone: "*"}}]
    restrictions: [{tags: {kuma.io/protocol: http}}]
"""
    checked = compile_texts(mesh, BACKEND)
    assert codes(checked) == ["constraint-violated", "constraint-violated"]
    assert checked.value.generation is None


def test_a_host_name_is_refused_where_envoy_needs_an_address() -> None:
    checked = compile_texts(MESH, BACKEND.replace("10.0.0.1", "backend.internal"))
    assert "host-address" in codes(checked)


def test_two_services_with_one_virtual_address_are_named() -> None:
    """`svc-808` and `svc-5174` hash to 241.139.103.150."""
    first = BACKEND.replace("kuma.io/service: backend", "kuma.io/service: svc-808")
    second = WEB.replace("kuma.io/service: web", "kuma.io/service: svc-5174") % "svc-808"
    checked = compile_texts(MESH, first, second)
    assert codes(checked) == ["address-clash"]
    assert "svc-5174" in checked.diagnostics[0].message
    assert "svc-808" in checked.diagnostics[0].message


def test_an_outbound_on_an_inbounds_address_is_refused() -> None:
    clash = (WEB % "backend").replace("{port: 10001,", "{address: 10.0.0.2, port: 80,")
    assert "port-conflict" in codes(compile_texts(MESH, BACKEND, clash))


def test_an_address_in_another_spelling_is_the_same_address() -> None:
    web = (WEB % "backend").replace("address: 10.0.0.2", "address: 'fd00::2'")
    clash = web.replace("{port: 10001,", "{address: 'FD00:0::2', port: 80,")
    assert codes(compile_texts(MESH, BACKEND, clash)) == ["port-conflict"]


def test_metrics_are_not_asked_for_where_connections_are_redirected_to() -> None:
    redirected = BACKEND.replace("networking:", "networking:\n  transparentProxying: {}")
    metrics = """
type: MeshMetric
mesh: default
name: all
spec:
  default: {backends: [{type: Prometheus, prometheus: {port: %d}}]}
"""
    assert codes(compile_texts(MESH, redirected, metrics % 15006)) == ["port-conflict"]
    assert codes(compile_texts(MESH, redirected, metrics % 15007)) == []


@pytest.mark.parametrize(("address", "advertised"), [("web.internal", "10.0.0.9"), ("10.0.0.9", "web.internal")])
def test_both_where_a_proxy_listens_and_where_it_is_advertised_are_ip_addresses(address: str, advertised: str) -> None:
    fields = f"address: {address}\n  advertisedAddress: {advertised}"
    assert codes(compile_texts(MESH, BACKEND.replace("address: 10.0.0.1", fields))) == ["host-address"]


@pytest.mark.parametrize("other", ["{port: 80, address: 10.0.0.9}", "{port: 81, name: '80'}"])
def test_two_inbounds_of_one_section_are_refused(other: str) -> None:
    """They would be one listener, and the first would be lost."""
    backend = BACKEND.replace("inbound: [{port: 80,", f"inbound: [{other}, {{port: 80,")
    checked = compile_texts(MESH, backend)
    assert codes(checked) == ["duplicate-name"]
    assert checked.diagnostics[0].path == "/networking/inbound/1"


def test_two_services_with_one_identifier_are_refused() -> None:
    """They would be one cluster, and calls to the one would reach the other."""
    written = """
type: MeshService
mesh: default
name: %s
labels: {kuma.io/display-name: orders}
spec: {selector: {dataplaneLabels: {matchLabels: {app: %s}}}, ports: [{port: 80}]}
"""
    checked = compile_texts(MESH, BACKEND, WEB % "backend", written % ("one", "backend"), written % ("two", "web"))
    assert codes(checked) == ["duplicate-name"]
    assert "'one' and 'two'" in checked.diagnostics[0].message


def test_what_is_wrong_in_a_template_is_said_once() -> None:
    replicas = """
type: DataplaneSet
mesh: default
name: web
spec:
  template: {networking: {outbound: [{port: 9, tags: {kuma.io/service: nobody}}]}}
  instances: [{name: a, address: 10.0.0.5}, {name: b, address: 10.0.0.6}]
"""
    assert codes(compile_texts(MESH, replicas)) == ["dangling-ref"]


def test_a_new_proxy_does_not_have_every_policy_looked_at_again() -> None:
    from compiler.pipeline import Compiler
    from tests.trees import SCHEMAS

    compiler = Compiler(SCHEMAS)
    first = [BACKEND.replace("backend-1", f"backend-{n}").replace("10.0.0.1", f"10.0.1.{n}") for n in range(1, 10)]
    policies = [timeout("{kind: Mesh}").replace("name: slow", f"name: slow-{number}") for number in range(5)]
    compile_texts(MESH, *policies, *first, compiler=compiler)
    before = compiler.memo.computed["findings"]
    compile_texts(MESH, *policies, *first, WEB % "backend", compiler=compiler)
    assert compiler.memo.computed["findings"] - before == 1 + 1  # the new proxy, and the Mesh that has one service more


SERVICE = """
type: MeshService
mesh: default
name: %s
labels: {team: shop}
spec:
  selector: {dataplaneLabels: {matchLabels: {app: backend}}}
  ports: [{port: 80, name: http}, {port: 81, targetPort: 80}]
"""


def test_a_port_that_a_service_lacks_is_not_taken_for_a_service_that_is_not_there() -> None:
    reference = "{kind: MeshService, name: orders, port: 8081}"
    caller = WEB.replace("tags: {kuma.io/service: %s}", f"backendRef: {reference}")
    redirected = "networking:\n  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001, "
    listing = (
        WEB.split("networking", maxsplit=1)[0]
        + redirected
        + f"reachableBackends: {{refs: [{reference}]}}}}\n  address: 10.0.0.2"
    )
    route = f"""
type: MeshHTTPRoute
mesh: default
name: r
spec:
  to:
  - targetRef: {{kind: MeshService, name: backend}}
    rules: [{{matches: [{{path: {{type: Exact, value: /}}}}], default: {{backendRefs: [{reference}]}}}}]
"""
    mesh = "{type: Mesh, name: default, meshServices: {mode: Exclusive}}"
    for text in (caller, listing, route, timeout("{kind: MeshService, name: orders, sectionName: '8081'}")):
        (finding,) = compile_texts(mesh, BACKEND, SERVICE % "orders", text).diagnostics
        assert (finding.code.word, finding.level) == ("dangling-ref", Severity.WARNING)
        assert finding.message == "MeshService 'orders' has no port 8081"
        assert finding.hint == "it has 80 (http), 81"


def test_of_several_services_by_labels_that_lack_a_port_one_is_named() -> None:
    reference = "{kind: MeshService, labels: {team: shop}, port: 8081}"
    caller = WEB.replace("tags: {kuma.io/service: %s}", f"backendRef: {reference}")
    (finding,) = compile_texts(MESH, BACKEND, SERVICE % "orders", SERVICE % "bills", caller).diagnostics
    assert finding.message == "MeshService 'bills' and 1 more have no port 8081"


def test_a_service_without_ports_is_not_taken_for_one_that_is_not_there() -> None:
    bare = SERVICE.partition("  ports:")[0] % "orders"
    reference = "{kind: MeshService, name: orders}"
    route = f"""
type: MeshTCPRoute
mesh: default
name: r
spec:
  to:
  - targetRef: {{kind: MeshService, name: backend}}
    rules: [{{default: {{backendRefs: [{reference}]}}}}]
"""
    (finding,) = [
        one for one in compile_texts(MESH, BACKEND, bare, route).diagnostics if one.code.word == "dangling-ref"
    ]
    assert finding.message == "MeshService 'orders' has no ports"
    (absent,) = compile_texts(MESH, BACKEND, route).diagnostics
    assert absent.message == "mesh 'default' has no MeshService 'orders'"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("backend", "mesh 'default' has no service 'backend' with region=eu, version=v1"),
        ("bakend", "mesh 'default' has no MeshServiceSubset 'bakend'"),
    ],
)
def test_where_only_the_tags_of_a_reference_match_nobody_they_are_named(name: str, message: str) -> None:
    tags = "{version: v1, region: eu}"
    route = f"""
type: MeshTCPRoute
mesh: default
name: r
spec:
  to:
  - targetRef: {{kind: MeshService, name: backend}}
    rules: [{{default: {{backendRefs: [{{kind: MeshServiceSubset, name: {name}, tags: {tags}}}]}}}}]
"""
    (finding,) = compile_texts(MESH, BACKEND, route).diagnostics
    assert (finding.code.word, finding.message) == ("dangling-ref", message)


LISTING = """
type: Dataplane
mesh: default
name: web-1
networking:
  address: 10.0.0.2
  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001, %s}
  outbound: [{port: 1000, %s}]
"""
BY_NAME, BY_TAG = "backendRef: {kind: MeshService, name: orders, port: 80}", "tags: {kuma.io/service: backend}"
BACKENDS, SERVICES = "reachableBackends: {refs: [{kind: MeshService, name: orders}]}", "reachableServices: [backend]"


@pytest.mark.parametrize(
    ("mode", "listed", "outbound", "idle"),
    [
        ("Everywhere", BACKENDS, BY_NAME, ["reachableBackends"]),
        ("Everywhere", f"{SERVICES}, {BACKENDS}", BY_NAME, ["reachableServices", "reachableBackends"]),
        ("Disabled", BACKENDS, BY_NAME, ["reachableBackends"]),
        ("Everywhere", BACKENDS, BY_TAG, []),
        ("Everywhere", f"{SERVICES}, {BACKENDS}", BY_TAG, []),
        ("Exclusive", f"{SERVICES}, {BACKENDS}", BY_TAG, ["reachableServices"]),
        ("Exclusive", SERVICES, BY_TAG, []),
    ],
)
def test_a_list_of_what_is_reachable_that_chooses_among_nothing_is_told(
    mode: str, listed: str, outbound: str, idle: list[str]
) -> None:
    mesh = f"{{type: Mesh, name: default, meshServices: {{mode: {mode}}}}}"
    found = compile_texts(mesh, BACKEND, SERVICE % "orders", LISTING % (listed, outbound)).diagnostics
    told = [(one.code.word, one.path) for one in found]
    assert sorted(told) == sorted(("no-effect", f"/networking/transparentProxying/{name}") for name in idle)


@pytest.mark.parametrize("mode", ["Disabled", "Everywhere", "ReachableBackends", "Exclusive"])
def test_mesh_services_that_are_listed_where_tags_alone_count_trim_nothing(mode: str) -> None:
    mesh = f"{{type: Mesh, name: default, meshServices: {{mode: {mode}}}}}"
    outside = """
type: MeshExternalService
mesh: default
name: outside
spec: {match: {type: HostnameGenerator, port: 443, protocol: tcp}, endpoints: [{address: example.org, port: 443}]}
"""

    def listing(references: str) -> str:
        return f"""
type: Dataplane
mesh: default
name: web-1
networking:
  address: 10.0.0.2
  transparentProxying:
    redirectPortInbound: 15006
    redirectPortOutbound: 15001
    reachableBackends: {{refs: [{references}]}}
"""

    beyond = "{kind: MeshExternalService, name: outside}"
    texts = (mesh, BACKEND, SERVICE % "orders", outside)
    listed = compile_texts(*texts, listing(f"{beyond}, {{kind: MeshService, name: orders}}"))
    assert codes(listed) == (["no-effect"] if mode == "Disabled" else [])
    if listed.diagnostics:
        assert listed.diagnostics[0].path == "/networking/transparentProxying/reachableBackends"
        assert "mode of mesh 'default' is Disabled" in listed.diagnostics[0].message
    assert codes(compile_texts(*texts, listing(beyond))) == []
