"""A Service of Kubernetes has a MeshService and a tag: what is called by its ports is there once."""

import pytest

from compiler.inspecting.chosen import list_services
from compiler.mesh.services import STANDS_FOR, Port
from compiler.pipeline import Compiled, compile_tree
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, resolve_proxy, tree_of

_SERVICE = """
apiVersion: kuma.io/v1alpha1
kind: MeshService
metadata: {name: kv, namespace: demo, labels: {kuma.io/mesh: default}}
spec:
  selector: {dataplaneTags: {app: kv}}
  ports: [{name: http, port: 80, targetPort: 5050, appProtocol: http}]
"""
_PROXIES = """
apiVersion: kuma.io/v1alpha1
kind: Dataplane
metadata: {name: kv-1, namespace: demo}
mesh: default
spec:
  networking:
    address: 10.0.0.1
    inbound: [{port: 5050, tags: {app: kv, kuma.io/service: kv_demo_svc_80, kuma.io/protocol: http}}]
---
apiVersion: kuma.io/v1alpha1
kind: Dataplane
metadata: {name: web-1, namespace: demo}
mesh: default
spec:
  networking:
    address: 10.0.0.2
    inbound: [{port: 5050, tags: {app: web, kuma.io/service: web_demo_svc}}]
    transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}
"""
_SEVERAL = """
type: MeshMultiZoneService
mesh: default
name: all
spec: {selector: {meshService: {matchLabels: {kuma.io/mesh: default}}}, ports: [{port: 80, name: http}]}
"""


def _compile(mode: str, *texts: str) -> Compiled:
    mesh = f"type: Mesh\nname: default\nmeshServices: {{mode: {mode}}}\n"
    files = {f"{number}.yaml": text for number, text in enumerate((mesh, _PROXIES, *texts))}
    compiled = compile_tree(tree_of(files), SCHEMAS)
    assert not compiled.failed, compiled.diagnostics
    return compiled.value


def _called(compiled: Compiled) -> set[tuple[str, str]]:
    """The name and the section of each service that the redirected proxy can call."""
    calls = resolve_proxy(compiled.memo, ResourceKey("Dataplane", "default", "web-1.demo")).outbounds
    return {(one.destination.service.name, one.destination.section) for one in calls if one.destination is not None}


@pytest.mark.parametrize(
    ("mode", "called"),
    [
        ("Exclusive", {("kv.demo", "http"), ("web_demo_svc", "5050")}),
        ("Everywhere", {("kv.demo", "http"), ("web_demo_svc", "5050"), ("kv_demo_svc_80", ""), ("web_demo_svc", "")}),
        ("Disabled", {("kv_demo_svc_80", ""), ("web_demo_svc", "")}),
    ],
)
def test_a_service_is_called_by_its_ports_once(mode: str, called: set[tuple[str, str]]) -> None:
    assert _called(_compile(mode, _SERVICE)) == called


def test_a_tag_without_a_meshservice_is_one() -> None:
    assert ("kv_demo_svc_80", "5050") in _called(_compile("Exclusive"))


def test_of_several_zones_it_counts_once() -> None:
    compiled = _compile("Exclusive", _SERVICE, _SEVERAL)
    several = Port(ResourceKey("MeshMultiZoneService", "default", "all"), "http")
    assert {one.service.name for one in compiled.memo.ask(STANDS_FOR, several)} == {"kv.demo"}


def test_both_are_listed_for_either_can_be_named() -> None:
    names = {key.name for key in list_services(_compile("Everywhere", _SERVICE).memo, "default")}
    assert {"kv.demo", "kv_demo_svc_80"} <= names
