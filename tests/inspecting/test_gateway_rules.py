"""The rules of a MeshGateway, which may have no proxy yet."""

from typing import Any

import pytest

from compiler.inspecting.rules import show_gateway_rules, show_rules
from compiler.resources.model import ResourceKey
from tests.mesh.test_gateways import HTTP, MESH, gateway, timeout
from tests.trees import compile_texts


def test_a_gateway_without_proxies_shows_what_they_would_have() -> None:
    other = timeout("{kind: MeshGateway, name: other}", 9, name="other")
    compiled = compile_texts(MESH, gateway(HTTP), timeout("{kind: MeshGateway, name: edge}", 3), other).value
    key = ResourceKey("MeshGateway", "default", "edge")
    shown = show_gateway_rules(compiled.memo, key, compiled.resources.sources)
    assert shown["resource"]["name"] == "edge"
    (found,) = (one for one in shown["rules"] if one["type"] == "MeshTimeout")
    (rule,) = found["toResourceRules"]
    assert rule["conf"][0]["http"] == {"requestTimeout": "3s"}
    assert [one["resourceMeta"]["name"] for one in rule["origin"]] == ["slow"]


def test_what_is_no_gateway_has_none() -> None:
    compiled = compile_texts(MESH, gateway(HTTP)).value
    with pytest.raises(LookupError):
        show_gateway_rules(compiled.memo, ResourceKey("MeshGateway", "default", "nobody"), compiled.resources.sources)


ROUTES = """
type: MeshHTTPRoute
mesh: default
name: web
spec:
  targetRef: {kind: MeshGateway, name: edge}
  to:
  - targetRef: {kind: Mesh}
    hostnames: [a.shop.example]
    rules:
    - matches: [{path: {type: PathPrefix, value: /v1}}]
      default: {backendRefs: [{kind: MeshService, name: api}]}
  - targetRef: {kind: Mesh}
    rules:
    - matches: [{path: {type: Exact, value: /old}}]
      default: {filters: [{type: RequestRedirect, requestRedirect: {hostname: b.shop.example}}]}
---
type: MeshHTTPRoute
mesh: default
name: elsewhere
spec:
  targetRef: {kind: MeshGateway, name: other}
  to:
  - targetRef: {kind: Mesh}
    rules: [{matches: [{path: {type: PathPrefix, value: /}}], default: {backendRefs: [{kind: MeshService, name: api}]}}]
---
type: MeshTimeout
mesh: default
name: of-the-route
spec:
  targetRef: {kind: Mesh, proxyTypes: [Gateway]}
  to: [{targetRef: {kind: MeshHTTPRoute, name: web}, default: {http: {requestTimeout: 2s}}}]
"""
EDGE = """
type: Dataplane
mesh: default
name: edge-1
networking: {address: 10.0.0.9, gateway: {type: BUILTIN, tags: {kuma.io/service: edge}}}
"""
API = """
type: Dataplane
mesh: default
name: api
networking: {address: 10.0.0.8, inbound: [{port: 80, tags: {kuma.io/service: api, kuma.io/protocol: http}}]}
"""


@pytest.mark.parametrize("of", ["proxy", "gateway"])
def test_routes_of_a_gateway_are_shown_with_their_hosts_and_where_each_was_written(of: str) -> None:
    compiled = compile_texts(MESH, gateway(HTTP), EDGE, API, ROUTES).value
    if of == "proxy":
        key = ResourceKey("Dataplane", "default", "edge-1")
        shown = show_rules(compiled.memo, key, compiled.resources.sources)
    else:
        key = ResourceKey("MeshGateway", "default", "edge")
        shown = show_gateway_rules(compiled.memo, key, compiled.resources.sources)
    kinds = {one["type"]: one for one in shown["rules"]}
    (rule,) = kinds["MeshHTTPRoute"]["toResourceRules"]
    assert (rule["resourceMeta"]["type"], rule["resourceMeta"]["name"]) == ("Mesh", "default")
    written = [(conf.get("hostnames"), conf["rules"][0]["matches"][0]["path"]["value"]) for conf in rule["conf"]]
    assert written == [(("a.shop.example",), "/v1"), (None, "/old")]
    origins = [(one["resourceMeta"]["name"], one["ruleIndex"], one["position"]) for one in rule["origin"]]
    assert origins == [("web", 0, "004.yaml:8:5"), ("web", 1, "004.yaml:13:5")]
    (timeout_of_route,) = kinds["MeshTimeout"]["toResourceRules"]
    assert timeout_of_route["resourceMeta"]["type"] == "MeshHTTPRoute"
    assert timeout_of_route["conf"] == [{"http": {"requestTimeout": "2s"}}]


def test_what_is_said_of_calls_to_the_outside_is_shown_with_the_service() -> None:
    outside = """
type: MeshExternalService
mesh: default
name: pay
spec: {match: {type: HostnameGenerator, port: 443, protocol: http}, endpoints: [{address: 192.0.2.1, port: 443}]}
"""
    about = "{kind: MeshExternalService, name: pay}"
    policy = timeout("{kind: MeshGateway, name: edge}", 3).replace("targetRef: {kind: Mesh}", f"targetRef: {about}")
    compiled = compile_texts(MESH, gateway(HTTP), EDGE, outside, policy).value
    key = ResourceKey("Dataplane", "default", "edge-1")
    shown = show_rules(compiled.memo, key, compiled.resources.sources)
    (found,) = (one for one in shown["rules"] if one["type"] == "MeshTimeout")
    (rule,) = found["toResourceRules"]
    assert (rule["resourceMeta"]["type"], rule["resourceMeta"]["name"]) == ("MeshExternalService", "pay")


LISTENERS = (
    f"{HTTP}, hostname: a.example, tags: {{door: a}}",
    f"{HTTP}, hostname: b.example",
    "port: 9, protocol: TCP, tags: {door: raw}",
)


def coming_in(name: str, seconds: int, tags: str = "") -> str:
    narrowed = f", tags: {{{tags}}}" if tags else ""
    target = f"{{kind: MeshGateway, name: edge{narrowed}}}"
    head = f"type: MeshTimeout\nmesh: default\nname: {name}\nspec:\n  targetRef: {target}\n"
    return f"{head}  from: [{{targetRef: {{kind: Mesh}}, default: {{idleTimeout: {seconds}s}}}}]\n"


@pytest.mark.parametrize("of", ["proxy", "gateway"])
def test_what_is_said_of_callers_is_shown_by_listener(of: str) -> None:
    """A policy for one host of an HTTP port holds at none of the port's: they share what comes in."""
    breaker = """
type: MeshCircuitBreaker
mesh: default
name: limits
spec: {rules: [{default: {connectionLimits: {maxRequests: 1}}}]}
"""
    policies = coming_in("all", 3), coming_in("raw", 4, "door: raw"), coming_in("a", 5, "door: a"), breaker
    kinds = shown_kinds(of, MESH, gateway(*LISTENERS), EDGE, *policies)
    shown = kinds["MeshTimeout"]["inboundRules"]
    assert [one["inbound"]["name"] for one in shown] == ["9:*", "8080:a.example", "8080:b.example"]
    assert [one["rules"][0]["conf"] for one in shown] == [[{"idleTimeout": f"{number}s"}] for number in (4, 3, 3)]
    assert [one["resourceMeta"]["name"] for one in shown[0]["rules"][0]["origin"]] == ["all", "raw"]
    assert shown[0]["inbound"]["tags"]["door"] == "raw"
    assert kinds["MeshCircuitBreaker"]["inboundRules"] == []


def test_what_is_said_for_some_listeners_alone_is_shown_with_them() -> None:
    wide = timeout("{kind: MeshGateway, name: edge}", 3)
    narrow = timeout("{kind: MeshGateway, name: edge, tags: {door: raw}}", 4, name="raw")
    shown = shown_kinds("proxy", MESH, gateway(*LISTENERS), EDGE, wide, narrow)["MeshTimeout"]["toResourceRules"]
    assert [(one["listeners"], one["conf"][0]["connectionTimeout"]) for one in shown] == [
        (["9:*"], "4s"),
        (["8080:a.example", "8080:b.example"], "3s"),
    ]


def test_what_is_said_of_a_route_by_a_top_level_is_shown_with_that_route() -> None:
    wide = timeout("{kind: Mesh}", 3)
    narrow = timeout("{kind: MeshHTTPRoute, name: web}", 4, name="of-route").replace("connectionTimeout: 4s, ", "")
    shown = shown_kinds("proxy", MESH, gateway(HTTP), EDGE, API, ROUTES.partition("---")[0], wide, narrow)
    found = {one["resourceMeta"]["type"]: one["conf"][0]["http"] for one in shown["MeshTimeout"]["toResourceRules"]}
    assert found == {"Mesh": {"requestTimeout": "3s"}, "MeshHTTPRoute": {"requestTimeout": "4s"}}


def shown_kinds(of: str, *texts: str) -> dict[str, Any]:
    compiled = compile_texts(*texts).value
    sources = compiled.resources.sources
    if of == "proxy":
        shown = show_rules(compiled.memo, ResourceKey("Dataplane", "default", "edge-1"), sources)
    else:
        shown = show_gateway_rules(compiled.memo, ResourceKey("MeshGateway", "default", "edge"), sources)
    return {one["type"]: one for one in shown["rules"]}
