"""The rules of a MeshGateway, which may have no proxy yet."""

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
