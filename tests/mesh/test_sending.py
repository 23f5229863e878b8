"""A policy about requests does something where a proxy takes some; a MeshTrace, where it may send some too."""

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


EDGE = "{type: Dataplane, mesh: default, name: edge, networking: %s}"
BUILTIN = "{address: 10.0.0.4, gateway: {type: BUILTIN, tags: {kuma.io/service: edge}}}"
HELD_BACK = (
    "{type: MeshFaultInjection, mesh: default, name: slow, spec: {targetRef: {kind: MeshGateway, name: edge}, "
    "to: [{targetRef: {kind: Mesh}, default: {http: [{delay: {value: 1s, percentage: 1}}]}}]}}"
)
LIMITED = (
    "{type: MeshRateLimit, mesh: default, name: few, spec: {targetRef: {kind: MeshGateway, name: edge}, "
    "to: [{targetRef: {kind: Mesh}, default: {local: {%s}}}]}}"
)
REQUESTS = LIMITED % "http: {requestRate: {num: 1, interval: 1s}}"
CONNECTIONS = LIMITED % "tcp: {connectionRate: {num: 1, interval: 1s}}"
TRACED = TRACE.replace("{kind: Dataplane, labels: {app: queue}}", "{kind: MeshGateway, name: edge}")


def edge(*protocols: str) -> str:
    listeners = ", ".join(f"{{port: {8000 + index}, protocol: {one}}}" for index, one in enumerate(protocols))
    selected = "selectors: [{match: {kuma.io/service: edge}}]"
    return f"{{type: MeshGateway, mesh: default, name: edge, {selected}, conf: {{listeners: [{listeners}]}}}}"


@pytest.mark.parametrize("policy", [TRACED, HELD_BACK, REQUESTS, CONNECTIONS], ids=lambda one: one[7:24])
@pytest.mark.parametrize(("protocols", "idle"), [(("TCP",), True), (("TCP", "HTTP"), False), (("HTTP",), False)])
def test_at_a_builtin_gateway_its_listeners_take_requests(policy: str, protocols: tuple[str, ...], idle: bool) -> None:
    """Its routes are left out, of which there is another warning."""
    compiled = compile_texts(MESH % "Disabled", EDGE % BUILTIN, edge(*protocols), policy)
    assert compiled.value.generation is not None
    told = [one.path for one in compiled.diagnostics if "requests" in one.message and one.subject.type != "MeshGateway"]
    assert told == (["/spec"] if idle and policy != CONNECTIONS else [])
