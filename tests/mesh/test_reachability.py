"""Config trimming: what a proxy is configured to call is what it may call, and never less."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from compiler.mesh.permission import admits
from compiler.pipeline import Compiler
from compiler.resources.model import ResourceKey
from tests.trees import SCHEMAS, compile_texts, resolve_proxy

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus" / "auto-reachable"
SERVICES = ("a", "b", "c", "d")


def mesh(mode: str = "Exclusive", *, secured: bool = True, auto: bool = True) -> str:
    mtls = "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}" if secured else ""
    return f"""
type: Mesh
name: default
{mtls}
meshServices: {{mode: {mode}}}
routing: {{autoReachable: {str(auto).lower()}}}
"""


def dataplane(service: str, number: int, tags: str = "", proxying: str = "") -> str:
    return f"""
type: Dataplane
mesh: default
name: {service}-1
labels: {{app: {service}}}
networking:
  address: 10.0.0.{number}
  inbound: [{{port: 80, tags: {{kuma.io/service: {service}, kuma.io/protocol: http{tags}}}}}]
  transparentProxying: {{redirectPortInbound: 15006, redirectPortOutbound: 15001{proxying}}}
"""


def permission(name: str, top: str, *sources: tuple[str, str]) -> str:
    items = "\n".join(f"    - {{targetRef: {source}, default: {{action: {action}}}}}" for source, action in sources)
    return f"""
type: MeshTrafficPermission
mesh: default
name: {name}
spec:
  targetRef: {top}
  from:
{items}
"""


def calls(*documents: str, services: Iterable[str] = SERVICES, compiler: Compiler | None = None) -> set[str]:
    """`a>b` for every service that a proxy of another has an outbound to."""
    compiler = compiler or Compiler(SCHEMAS)
    checked = compile_texts(*documents, compiler=compiler)
    assert checked.value.generation is not None, checked.diagnostics
    found = set()
    for service in services:
        proxy = resolve_proxy(compiler.memo, ResourceKey("Dataplane", "default", f"{service}-1"))
        found |= {f"{service}>{outbound.destination.service.name}" for outbound in proxy.outbounds}
    return {edge for edge in found if edge[0] != edge[-1]}


ALL = {f"{caller}>{callee}" for caller in SERVICES for callee in SERVICES if caller != callee}
TO_D = {"a>d", "b>d", "c>d"}
MESH_REF, A, B, C, D = "{kind: Mesh}", *(f"{{kind: MeshService, name: {name}}}" for name in SERVICES)


@pytest.mark.parametrize(
    ("permissions", "edges"),
    [
        ([permission("p", MESH_REF, (MESH_REF, "Allow"))], ALL),
        ([permission("p", MESH_REF, (MESH_REF, "Deny"))], set()),
        ([], set()),
        ([permission("p", B, (A, "Allow"))], {"a>b"}),
        (
            [
                permission("p", B, (A, "Allow")),
                permission("q", C, (B, "AllowWithShadowDeny")),
                permission("r", D, (MESH_REF, "Allow")),
            ],
            {"a>b", "b>c"} | TO_D,
        ),
        ([permission("p", MESH_REF, (MESH_REF, "Allow")), permission("q", B, (A, "Deny"))], ALL - {"a>b"}),
        (
            [permission("p", MESH_REF, (MESH_REF, "Allow")), permission("q", B, (MESH_REF, "Deny"), (A, "Allow"))],
            ALL - {"c>b", "d>b"},
        ),
        ([permission("p", "{kind: MeshSubset, tags: {kuma.io/zone: east}}", (MESH_REF, "Allow"))], ALL),
        (
            [permission("p", "{kind: MeshServiceSubset, name: a, tags: {kuma.io/zone: east}}", (MESH_REF, "Allow"))],
            {"b>a", "c>a", "d>a"},
        ),
        (
            [
                permission("bbb", "{kind: MeshSubset, tags: {kuma.io/zone: east}}", (MESH_REF, "Deny")),
                permission("aaa", "{kind: MeshSubset, tags: {version: v1}}", (MESH_REF, "Allow")),
            ],
            ALL,
        ),
    ],
)
@pytest.mark.parametrize("mode", ["Exclusive", "Disabled"])
def test_from_permissions_give_kumas_graph(mode: str, permissions: list[str], edges: set[str]) -> None:
    proxies = [dataplane(service, number) for number, service in enumerate(SERVICES, 1)]
    assert calls(mesh(mode), *proxies, *permissions) == edges


def test_rules_make_reachable_whom_they_permit() -> None:
    rules = """
type: MeshTrafficPermission
mesh: default
name: b
spec:
  targetRef: {kind: Dataplane, labels: {app: b}}
  rules:
    - default:
        deny: [{spiffeID: {type: Exact, value: spiffe://default/c}}]
        allow: [{spiffeID: {type: Prefix, value: spiffe://default/}}]
"""
    proxies = [dataplane(service, number) for number, service in enumerate(SERVICES, 1)]
    assert calls(mesh(), *proxies, rules) == {"a>b", "d>b"}


def test_a_permission_for_a_dataplane_makes_it_reachable_though_kumas_graph_forgets_it() -> None:
    proxies = [dataplane(service, number) for number, service in enumerate(SERVICES, 1)]
    permitted = permission("p", "{kind: Dataplane, labels: {app: b}}", (A, "Allow"))
    assert calls(mesh(), *proxies, permitted) == {"a>b"}


def test_without_mutual_tls_nothing_is_trimmed() -> None:
    proxies = [dataplane(service, number) for number, service in enumerate(SERVICES, 1)]
    assert calls(mesh(secured=False), *proxies) == ALL


def test_without_the_switch_nothing_is_trimmed() -> None:
    proxies = [dataplane(service, number) for number, service in enumerate(SERVICES, 1)]
    assert calls(mesh(auto=False), *proxies) == ALL


def test_reachable_services_stand_in_for_the_graph() -> None:
    first = dataplane("a", 1, proxying=", reachableServices: [c]")
    others = [dataplane(service, number) for number, service in enumerate(SERVICES[1:], 2)]
    assert calls(mesh("Disabled"), first, *others) == {"a>c"}


def test_reachable_services_without_backends_leave_no_mesh_services() -> None:
    first = dataplane("a", 1, proxying=", reachableServices: [c]")
    others = [dataplane(service, number) for number, service in enumerate(SERVICES[1:], 2)]
    assert {edge for edge in calls(mesh("Exclusive", auto=False), first, *others) if edge[0] == "a"} == set()


def test_reachable_backends_stand_in_for_the_graph() -> None:
    first = dataplane("a", 1, proxying=", reachableBackends: {refs: [{kind: MeshService, name: c}]}")
    others = [dataplane(service, number) for number, service in enumerate(SERVICES[1:], 2)]
    assert calls(mesh(), first, *others) == {"a>c"}


def test_empty_reachable_backends_leave_nothing() -> None:
    first = dataplane("a", 1, proxying=", reachableBackends: {refs: []}")
    others = [dataplane(service, number) for number, service in enumerate(SERVICES[1:], 2)]
    edges = calls(mesh(auto=False), first, *others)
    assert {edge for edge in edges if edge[0] == "a"} == set()
    assert {edge for edge in edges if edge[0] == "b"} == {"b>a", "b>c", "b>d"}


def test_a_permission_that_is_withdrawn_or_moved_moves_the_edge() -> None:
    compiler = Compiler(SCHEMAS)
    documents = [mesh(), *(dataplane(service, number) for number, service in enumerate(SERVICES, 1))]
    assert calls(*documents, permission("p", B, (A, "Allow")), compiler=compiler) == {"a>b"}
    assert calls(*documents, permission("p", C, (D, "Allow")), compiler=compiler) == {"d>c"}
    assert calls(*documents, compiler=compiler) == set()
    assert calls(*documents, permission("p", B, (A, "Allow")), compiler=compiler) == {"a>b"}


def test_a_permission_concerns_its_callers_only() -> None:
    compiler = Compiler(SCHEMAS)
    documents = [mesh(), *(dataplane(service, number) for number, service in enumerate(SERVICES, 1))]
    compile_texts(*documents, compiler=compiler)
    before = compiler.memo.computed["proxy"]
    compile_texts(*documents, permission("p", B, (A, "Allow")), compiler=compiler)
    assert compiler.memo.computed["proxy"] - before == 2


def test_whoever_is_admitted_by_the_filter_is_never_trimmed() -> None:
    """Over every pair: an edge that the compiled permission admits is there."""
    permissions = [
        permission(
            "p", "{kind: MeshSubset, tags: {version: v1}}", ("{kind: MeshSubset, tags: {version: v2}}", "Allow")
        ),
        permission("q", "{kind: Dataplane, labels: {app: d}}", (MESH_REF, "Allow"), (C, "Deny")),
    ]
    proxies = [
        dataplane(service, number, f", version: v{1 + number % 2}") for number, service in enumerate(SERVICES, 1)
    ]
    compiler = Compiler(SCHEMAS)
    edges = calls(mesh(), *proxies, *permissions, compiler=compiler)
    resolved = {
        service: resolve_proxy(compiler.memo, ResourceKey("Dataplane", "default", f"{service}-1"))
        for service in SERVICES
    }
    permitted = {
        f"{caller}>{callee}"
        for caller in SERVICES
        for callee in SERVICES
        if caller != callee and admits(resolved[callee].inbounds[0].permission, resolved[caller].identities)
    }
    assert permitted
    assert permitted <= edges


def _cases() -> list[str]:
    return sorted(path.parent.name for path in CORPUS.glob("*/expected.json"))


@pytest.mark.skipif(not CORPUS.exists(), reason="the acceptance corpus is not here")
@pytest.mark.parametrize("case", _cases())
def test_the_corpus_agrees(case: str) -> None:
    expected = json.loads((CORPUS / case / "expected.json").read_text())
    texts = [path.read_text() for path in sorted((CORPUS / case / "input").glob("*.yaml"))]
    switched = [text.replace("mtls:\n", "routing: {autoReachable: true}\nmtls:\n", 1) for text in texts]
    compiler = Compiler(SCHEMAS)
    checked = compile_texts(*switched, compiler=compiler)
    assert checked.value.generation is not None, checked.diagnostics
    query = cast("Mapping[str, Any]", expected["query"])
    for service, name in query["dataplanes"].items():
        proxy = resolve_proxy(compiler.memo, ResourceKey("Dataplane", "default", name))
        reached = {outbound.destination.service.name for outbound in proxy.outbounds}
        assert set(expected["expect"]["must"].get(service, ())) <= reached
        assert not set(expected["expect"]["must_not"].get(service, ())) & reached


def test_a_client_without_inbounds_reaches_what_its_workload_may_call() -> None:
    client = """
type: Dataplane
mesh: default
name: client-1
labels: {kuma.io/workload: client}
networking:
  address: 10.0.0.9
  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}
"""
    rules = """
type: MeshTrafficPermission
mesh: default
name: b
spec:
  targetRef: {kind: Dataplane, labels: {app: b}}
  rules: [{default: {allow: [{spiffeID: {type: Exact, value: spiffe://default/client}}]}}]
"""
    proxies = [dataplane(service, number) for number, service in enumerate(SERVICES, 1)]
    assert calls(mesh(), *proxies, client, rules, services=["client"]) == {"client>b"}


def test_a_service_that_no_dataplane_offers_has_no_legacy_address_though_it_may_be_called() -> None:
    written = """
type: MeshService
mesh: default
name: w
spec: {selector: {dataplaneTags: {kuma.io/service: b}}, ports: [{port: 80, appProtocol: http}]}
"""
    proxies = [dataplane(service, number) for number, service in enumerate(SERVICES, 1)]
    everyone = permission("p", MESH_REF, (MESH_REF, "Allow"))
    assert calls(mesh("Disabled"), *proxies, written, everyone) == ALL
    assert calls(mesh("Exclusive"), *proxies, written, everyone) == ALL | {f"{service}>w" for service in SERVICES}


def test_admissions_of_services_that_are_gone_are_forgotten() -> None:
    compiler = Compiler(SCHEMAS)
    sizes = set()
    for number in range(1, 6):
        calls(mesh(), dataplane("a", 1), dataplane(f"s{number}", 2), services=["a"], compiler=compiler)
        sizes.add(compiler.memo.size)
    assert len(sizes) == 1
