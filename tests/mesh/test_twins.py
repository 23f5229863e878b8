"""A Service of Kubernetes has a MeshService and a tag: what is called by its ports is there once."""

import pytest

from compiler.inspecting.chosen import list_services
from compiler.mesh.resolve import PROXY
from compiler.mesh.services import STANDS_FOR, Port
from compiler.mesh.shape import workload
from compiler.pipeline import Compiled, Compiler, compile_tree
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


def _shop(*names: str) -> str:
    """A trimmed mesh in which each service may call the one before it, and no other."""
    inbound = "inbound: [{port: 80, tags: {kuma.io/service: NAME, kuma.io/protocol: http}}]"
    redirected = "transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}"
    spec = f"networking: {{address: 10.0.0.1, {inbound}, {redirected}}}\n"
    texts = ["type: Mesh\nname: default\nmeshServices: {mode: Exclusive}\nrouting: {autoReachable: true}\n" + _TLS]
    for caller, name in zip(("nobody", *names), names, strict=False):
        allowed = f"rules: [{{default: {{allow: [{{spiffeID: {{type: Exact, value: spiffe://default/{caller}}}}}]}}}}]"
        target = f"targetRef: {{kind: Dataplane, labels: {{app: {name}}}}}"
        head = f"mesh: default\nname: {name}\n"
        texts.append(f"type: Dataplane\n{head}labels: {{app: {name}}}\n{spec.replace('NAME', name)}")
        texts.append(f"type: MeshTrafficPermission\n{head}spec: {{{target}, {allowed}}}\n")
    return "---\n".join(texts)


_TLS = "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}\n"


def test_a_new_service_concerns_the_proxies_that_may_call_it_and_no_others() -> None:
    """Not even to look whether it does: with ten thousand proxies that alone takes longer than all the rest."""
    compiler = Compiler(SCHEMAS)
    compiler.compile(tree_of({"shop.yaml": _shop("a", "b", "c", "d")}))
    more = compiler.read(tree_of({"shop.yaml": _shop("a", "b", "c", "d", "e")})).value[0]
    compiler.tabulate(more, more.resources)
    stale = {shape.resource.key.name or workload(shape.resource) for shape in compiler.memo.stale(PROXY)}
    assert stale <= {"d"}, stale
