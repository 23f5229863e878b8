"""Services: who serves them, under which ports, and what a reference to one means."""

from compiler.mesh.members import ENDPOINTS, IDENTITIES
from compiler.mesh.services import SERVICE_RESOURCE, Port, service_key
from compiler.pipeline import Compiled
from compiler.resources.model import MeshService, ResourceKey
from tests.trees import codes, compile_texts, resolve_proxy

MESH = """
type: Mesh
name: default
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
"""


def dataplane(name: str, number: int, inbound: str, rest: str = "") -> str:
    return f"""
type: Dataplane
mesh: default
name: {name}-{number}
labels: {{kuma.io/workload: {name}}}
networking: {{address: 10.0.0.{number}, inbound: [{inbound}]{rest}}}
"""


def kubernetes(kind: str, name: str, spec: str) -> str:
    return f"""
apiVersion: kuma.io/v1alpha1
kind: {kind}
metadata: {{name: {name}, namespace: demo, labels: {{kuma.io/mesh: default}}}}
spec: {spec}
"""


def addresses(compiled: Compiled, service: str, section: str) -> list[str]:
    endpoints = compiled.memo.ask(ENDPOINTS, Port(service_key("default", service), section))
    return [endpoint.address for endpoint in endpoints]


def destinations(compiled: Compiled, dataplane: str) -> list[str]:
    proxy = resolve_proxy(compiled.memo, ResourceKey("Dataplane", "default", dataplane))
    assert proxy is not None
    return [outbound.destination.name for outbound in proxy.outbounds]


def test_others_are_sent_to_the_advertised_address_whatever_an_inbound_binds_to() -> None:
    behind = dataplane("a", 1, "{port: 80, address: 10.2.2.2}", ", advertisedAddress: 203.0.113.1")
    assert addresses(compile_texts(MESH, behind).value, "a", "80") == ["203.0.113.1"]


def test_a_port_that_two_dataplanes_call_differently_is_one_port() -> None:
    """The first by name decides; two ports of one number would be two listeners on one virtual address."""
    proxying = ", transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}"
    first = dataplane("a", 1, "{port: 80, name: http, protocol: http}", proxying)
    checked = compile_texts(MESH + "meshServices: {mode: Exclusive}", first, dataplane("a", 2, "{port: 80}"))
    assert codes(checked) == []
    service = checked.value.memo.ask(SERVICE_RESOURCE, service_key("default", "a"))
    assert service is not None
    assert isinstance(service.spec, MeshService)
    assert [(port.section, port.app_protocol) for port in service.spec.ports] == [("http", "http")]
    assert addresses(checked.value, "a", "http") == ["10.0.0.1", "10.0.0.2"]


def test_a_dataplane_of_the_services_namespace_is_found_by_its_display_name() -> None:
    backend = kubernetes("Dataplane", "b-1", "{networking: {address: 10.0.0.1, inbound: [{port: 80}]}}")
    by_name = "{selector: {dataplaneRef: {name: %s}}, ports: [{port: 80}]}"
    short, long = (kubernetes("MeshService", *one) for one in (("s0", by_name % "b-1"), ("s1", by_name % "b-1.demo")))
    compiled = compile_texts(MESH, backend, short, long).value
    assert addresses(compiled, "s0.demo", "80") == addresses(compiled, "s1.demo", "80") == ["10.0.0.1"]


def test_a_shared_set_is_among_the_proxies_that_a_label_of_everyone_selects() -> None:
    shared = """
type: DataplaneSet
mesh: default
name: pool
labels: {kuma.io/workload: pool}
spec: {template: {networking: {inbound: [{port: 80}]}}, registration: {cidrs: [10.7.0.0/16]}}
"""
    everyone = """
type: MeshService
mesh: default
name: all
spec: {selector: {dataplaneLabels: {matchLabels: {kuma.io/env: universal}}}, ports: [{port: 80}]}
"""
    compiled = compile_texts(MESH, shared, everyone, dataplane("a", 1, "{port: 80}")).value
    identities = compiled.memo.ask(IDENTITIES, Port(service_key("default", "all"), "80"))
    assert identities == ("spiffe://default/a", "spiffe://default/pool")


def test_a_service_tag_means_the_same_in_every_namespace() -> None:
    tagged = "{port: 8080, tags: {kuma.io/service: backend_demo_svc_8080}}"
    backend = kubernetes("Dataplane", "b-1", f"{{networking: {{address: 10.0.0.1, inbound: [{tagged}]}}}}")
    reference = "{port: 9, backendRef: {kind: MeshService, name: backend_demo_svc_8080, port: 8080}}"
    client = kubernetes("Dataplane", "c-1", f"{{networking: {{address: 10.0.0.2, outbound: [{reference}]}}}}")
    checked = compile_texts(MESH, backend, client)
    assert codes(checked) == []
    assert destinations(checked.value, "c-1.demo") == ["kri_msvc_default___backend_demo_svc_8080_8080"]


def test_a_written_service_of_no_namespace_is_not_meant_by_one_of_a_namespace() -> None:
    """Only what nobody wrote is a tag."""
    written = """
type: MeshService
mesh: default
name: backend
spec: {selector: {dataplaneTags: {kuma.io/service: backend}}, ports: [{port: 80}]}
"""
    reference = "{port: 9, backendRef: {kind: MeshService, name: backend, port: 80}}"
    client = kubernetes("Dataplane", "c-1", f"{{networking: {{address: 10.0.0.2, outbound: [{reference}]}}}}")
    assert codes(compile_texts(MESH, written, client)) == ["empty-service", "dangling-ref"]


def test_a_proxy_of_the_port_that_stands_for_none_offers_no_service() -> None:
    """Kubernetes pods without a Service have such an inbound; they call others, and permissions name them."""
    proxying = ", transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}"
    batch = dataplane("b", 2, "{port: 49151, tags: {kuma.io/service: batch_demo_svc}}", proxying)
    permission = """
type: MeshTrafficPermission
mesh: default
name: p
spec:
  targetRef: {kind: MeshService, name: a}
  from: [{targetRef: {kind: MeshService, name: batch_demo_svc}, default: {action: Allow}}]
"""
    web = dataplane("a", 1, "{port: 80, tags: {kuma.io/service: a}}", proxying)
    checked = compile_texts(MESH, web, batch, permission)
    assert codes(checked) == []
    assert destinations(checked.value, "a-1") == destinations(checked.value, "b-2") == ["kri_msvc_default___a_"]
