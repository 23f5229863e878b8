"""Which services a redirected proxy has virtual addresses of, by the mesh's mode and by what the proxy lists."""

import pytest

from compiler.pipeline import Compiler
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, compile_texts, resolve_proxy

SERVICES = """
type: Dataplane
mesh: default
name: orders-1
labels: {app: orders}
networking: {address: 10.0.0.2, inbound: [{port: 80, tags: {kuma.io/service: orders-tag}}]}
---
type: MeshService
mesh: default
name: orders
labels: {app: orders}
spec: {selector: {dataplaneLabels: {matchLabels: {app: orders}}}, ports: [{port: 80}]}
---
type: MeshMultiZoneService
mesh: default
name: everywhere
spec: {selector: {meshService: {matchLabels: {app: orders}}}, ports: [{port: 80}]}
---
type: MeshExternalService
mesh: default
name: outside
spec: {match: {type: HostnameGenerator, port: 443, protocol: tcp}, endpoints: [{address: example.org, port: 443}]}
"""
BY_TAG = {"orders-tag"}
NAMED = "[{kind: MeshService, name: orders}, {kind: MeshExternalService, name: outside}]"


def called(mode: str, proxying: str = "") -> set[str]:
    mesh = f"{{type: Mesh, name: default, meshServices: {{mode: {mode}}}, skipCreatingInitialPolicies: ['*']}}"
    caller = f"""
type: Dataplane
mesh: default
name: web-1
networking:
  address: 10.0.0.1
  transparentProxying: {{redirectPortInbound: 15006, redirectPortOutbound: 15001{proxying}}}
"""
    compiler = Compiler(SCHEMAS)
    assert compile_texts(mesh, SERVICES, caller, compiler=compiler).value.generation is not None
    proxy = resolve_proxy(compiler.memo, ResourceKey("Dataplane", "default", "web-1"))
    return {f"{outbound.destination.service.name}" for outbound in proxy.outbounds}


@pytest.mark.parametrize(
    ("mode", "reached"),
    [
        ("Disabled", BY_TAG | {"everywhere", "outside"}),
        ("Everywhere", BY_TAG | {"orders", "everywhere", "outside"}),
        ("ReachableBackends", BY_TAG),
        ("Exclusive", BY_TAG | {"orders", "everywhere", "outside"}),
    ],
)
def test_a_proxy_that_lists_nothing_has_what_its_mode_gives_to_everyone(mode: str, reached: set[str]) -> None:
    """In mode Exclusive what is offered by a tag is a MeshService, too."""
    assert called(mode) == reached


@pytest.mark.parametrize(
    ("mode", "reached"),
    [
        ("Disabled", BY_TAG | {"outside"}),
        ("Everywhere", BY_TAG | {"orders", "outside"}),
        ("ReachableBackends", BY_TAG | {"orders", "outside"}),
        ("Exclusive", {"orders", "outside"}),
    ],
)
def test_reachable_backends_choose_among_resources_and_leave_tags_alone(mode: str, reached: set[str]) -> None:
    assert called(mode, f", reachableBackends: {{refs: {NAMED}}}") == reached


@pytest.mark.parametrize("mode", ["Disabled", "Everywhere", "ReachableBackends"])
def test_reachable_services_choose_among_tags_and_with_backends_both_are_chosen(mode: str) -> None:
    assert called(mode, ", reachableServices: []") == set()
    listed = f", reachableServices: [orders-tag], reachableBackends: {{refs: {NAMED}}}"
    assert called(mode, listed) >= {"orders-tag", "outside"}
    assert called(mode, ", reachableServices: [], reachableBackends: {refs: []}") == set()
