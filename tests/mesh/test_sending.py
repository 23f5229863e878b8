"""A MeshTrace does something where a proxy takes requests or may send some."""

import pytest

from compiler.envoy.resources import ResourceType
from tests.trees import compile_texts

MESH = '{type: Mesh, name: default, meshServices: {mode: %s}, skipCreatingInitialPolicies: ["*"]}'
TRACE = (
    "{type: MeshTrace, mesh: default, name: spans, spec: {targetRef: {kind: Dataplane, labels: {app: queue}}, "
    "default: {backends: [{type: Zipkin, zipkin: {url: 'http://zipkin.example:9411/spans'}}]}}}"
)
WEB = (
    "{type: Dataplane, mesh: default, name: web, networking: "
    "{address: 10.0.0.1, inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/protocol: http}}]}}"
)
DB = (
    "{type: Dataplane, mesh: default, name: db, networking: "
    "{address: 10.0.0.2, inbound: [{port: 80, tags: {kuma.io/service: db}}]}}"
)
ROUTE = (
    "{type: MeshHTTPRoute, mesh: default, name: r, spec: "
    "{to: [{targetRef: {kind: MeshService, name: db}, rules: [{matches: [{}], default: {}}]}]}}"
)
OUTSIDE = (
    "{type: MeshPassthrough, mesh: default, name: out, spec: {default: {passthroughMode: Matched, "
    "appendMatch: [{type: Domain, value: a.example, port: 80, protocol: http}]}}}"
)
REDIRECTED = "transparentProxying: {%s}"


def queue(more: str, protocol: str = "tcp") -> str:
    inbound = f"[{{port: 80, tags: {{kuma.io/service: queue, kuma.io/protocol: {protocol}}}}}]"
    networking = f"{{address: 10.0.0.3, inbound: {inbound}, {more}}}"
    return f"{{type: Dataplane, mesh: default, name: queue, labels: {{app: queue}}, networking: {networking}}}"


def to(service: str) -> str:
    return f"outbound: [{{port: 1001, tags: {{kuma.io/service: {service}}}}}]"


@pytest.mark.parametrize(
    ("proxy", "others", "mode", "idle"),
    [
        (queue(""), [WEB], "Disabled", True),
        (queue("", "grpc"), [], "Disabled", False),
        (queue(to("db")), [WEB, DB], "Disabled", True),
        (queue(to("web")), [WEB, DB], "Disabled", False),
        (queue(to("db")), [DB, ROUTE], "Disabled", False),
        (queue(""), [DB, ROUTE], "Disabled", True),
        (queue(REDIRECTED % ""), [DB], "Disabled", True),
        (queue(REDIRECTED % ""), [DB], "Exclusive", True),
        (queue(REDIRECTED % ""), [DB, WEB], "Disabled", False),
        (queue(REDIRECTED % ""), [DB, WEB], "Exclusive", False),
        (queue(REDIRECTED % "reachableServices: [db]"), [DB, WEB], "Disabled", True),
        (queue(REDIRECTED % "reachableServices: [web]"), [DB, WEB], "Disabled", False),
        (
            queue(REDIRECTED % "reachableBackends: {refs: [{kind: MeshService, name: db}]}"),
            [DB, WEB],
            "Exclusive",
            True,
        ),
        (queue(REDIRECTED % "reachableBackends: {refs: [{kind: MeshService, name: web}]}"), [WEB], "Exclusive", False),
        (queue(REDIRECTED % ""), [DB, OUTSIDE], "Disabled", False),
    ],
)
def test_a_trace_is_idle_where_no_requests_are(proxy: str, others: list[str], mode: str, idle: bool) -> None:
    compiled = compile_texts(MESH % mode, TRACE, proxy, *others)
    assert compiled.value.generation is not None
    listeners = compiled.value.generation.snapshots["default.queue"].resources[ResourceType.LISTENER]
    traced = any("envoy.tracers.zipkin" in str(one.json) for one in listeners.values())
    assert ([one.code.word for one in compiled.diagnostics] == ["no-effect"], traced) == (idle, not idle)
