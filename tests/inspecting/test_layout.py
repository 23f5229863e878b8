"""Where a proxy listens, what it calls, and by which names."""

from typing import Any

import pytest

from compiler.inspecting.layout import show_layout
from compiler.pipeline import Compiler
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, compile_texts

MESH = """
type: Mesh
name: default
skipCreatingInitialPolicies: ['*']
meshServices: {mode: Exclusive}
"""
WEB = """
type: Dataplane
mesh: default
name: web
labels: {kuma.io/workload: web, kuma.io/zone: east}
networking:
  address: 10.0.0.7
  inbound: [{port: 8080, name: main, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound: [{port: 10001, backendRef: {kind: MeshService, name: orders, port: 80}}]
"""
REDIRECTED = """
type: Dataplane
mesh: default
name: shop
labels: {kuma.io/workload: shop}
networking:
  address: 10.0.0.8
  inbound: [{port: 8080, tags: {kuma.io/service: shop}}]
  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}
"""
SERVICES = """
type: MeshService
mesh: default
name: orders
spec: {selector: {dataplaneTags: {kuma.io/service: web}}, ports: [{port: 80, targetPort: 8080, appProtocol: http}]}
---
type: MeshExternalService
mesh: default
name: github
spec: {match: {port: 443, protocol: tcp}, endpoints: [{address: 192.0.2.1, port: 443}]}
---
type: HostnameGenerator
name: ours
spec: {selector: {meshService: {matchLabels: {}}}, template: '{{ .DisplayName }}.svc.mesh.local'}
---
type: HostnameGenerator
name: theirs
spec: {selector: {meshExternalService: {matchLabels: {}}}, template: '{{ .DisplayName }}.ext.mesh.local'}
"""
INGRESS = """
type: ZoneIngress
name: door
zone: east
networking: {address: 10.0.0.9, advertisedAddress: 203.0.113.1, port: 10001, advertisedPort: 10001}
"""


def layout(name: str, *texts: str, kind: str = "Dataplane", mesh: str = "default") -> dict[str, Any]:
    compiler = Compiler(SCHEMAS)
    checked = compile_texts(MESH, WEB, REDIRECTED, SERVICES, *texts, compiler=compiler)
    assert checked.value.generation is not None, checked.diagnostics
    return show_layout(compiler.memo, ResourceKey(kind, mesh, name))


def test_an_inbound_has_the_proxys_own_address_though_replicas_share_their_shape() -> None:
    (inbound,) = layout("web")["inbounds"]
    assert inbound == {
        "kri": "kri_dp_default_east__web_main",
        "port": 8080,
        "protocol": "http",
        "address": "10.0.0.7",
        "proxyResourceName": "self_inbound_dp_main",
    }


def test_a_proxy_without_redirection_calls_what_it_names_where_it_says() -> None:
    (outbound,) = layout("web")["outbounds"]
    assert (outbound["kri"], outbound["port"]) == ("kri_msvc_default___orders_80", 80)
    assert outbound["addresses"] == ["127.0.0.1:10001"]
    assert outbound["hostnames"] == []


def test_a_redirected_proxy_calls_all_by_their_hostnames() -> None:
    outbounds = {one["kri"]: one for one in layout("shop")["outbounds"]}
    assert outbounds["kri_msvc_default___orders_80"]["hostnames"] == ["orders.svc.mesh.local"]
    external = outbounds["kri_extsvc_default___github_443"]
    assert (external["port"], external["hostnames"]) == (443, ["github.ext.mesh.local"])
    assert external["addresses"][0].startswith("242.")


def test_who_a_proxy_is_stands_beside() -> None:
    identity = """
type: MeshIdentity
mesh: default
name: everyone
spec:
  selector: {dataplane: {matchLabels: {}}}
  provider: {type: Bundled, bundled: {insecureAllowSelfSigned: true, autogenerate: {enabled: true}}}
"""
    assert layout("web", identity)["spiffeId"] == "spiffe://default.east.mesh.local/workload/web"
    assert "spiffeId" not in layout("web")


def test_a_zone_proxy_has_listeners_alone() -> None:
    shown = layout("door", INGRESS, kind="ZoneIngress", mesh="")
    assert (shown["inbounds"], shown["outbounds"]) == ([], [])
    assert [(one["port"], one["protocol"], one["address"]) for one in shown["listeners"]] == [
        (10001, "tls", "10.0.0.9")
    ]


def test_what_is_no_proxy_is_not_found() -> None:
    with pytest.raises(KeyError):
        layout("orders", kind="MeshService")
