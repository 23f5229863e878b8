"""What policies say of a builtin gateway, as strangers see it: of one of its listeners, of one route, of all."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.e2e.collectors import answering, attributes, running_collector, wait_for
from tests.e2e.edge import Edge
from tests.e2e.places import Place, free_port
from tests.e2e.traffic import Answer, get

_DEADLINE = 30.0
_WHOLE = "{kind: MeshGateway, name: edge}"
_API = "{kind: MeshGateway, name: edge, tags: {door: api}}"
"""The listener of api.shop.example; *.shop.example is another, on the same port."""


def policy(kind: str, conf: str, target: str = _API, part: str = "to", about: str = "{kind: Mesh}") -> str:
    """`conf` is YAML in one line."""
    spec = f"{{targetRef: {target}, {part}: [{{targetRef: {about}, default: {conf}}}]}}"
    return f"type: {kind}\nmesh: edgy\nname: {part}\nspec: {spec}\n"


def api(edge: Edge, path: str = "/x", **headers: str) -> Answer:
    return get(edge.places["http"], path, host="api.shop.example", **headers)


def web(edge: Edge, path: str = "/v1/x") -> Answer:
    """Below /v1; the service sees the rest."""
    return get(edge.places["http"], path, host="www.shop.example")


def test_a_limit_for_one_listener_holds_for_its_host_alone(edge: Edge) -> None:
    answer = "onRateLimit: {status: 423, headers: {set: [{name: x-limited, value: 'yes'}]}}"
    conf = f"{{local: {{http: {{requestRate: {{num: 3, interval: 1h}}, {answer}}}}}}}"
    edge.applied(limit=policy("MeshRateLimit", conf))
    answers = [api(edge) for _ in range(5)]
    assert [one.status for one in answers] == [200, 200, 200, 423, 423]
    assert [one.headers.get("x-limited") for one in answers[2:4]] == [None, "yes"]
    assert [web(edge).status for _ in range(4)] == [200] * 4


def test_a_fault_at_one_listener_meets_its_host_alone(edge: Edge) -> None:
    edge.applied(fault=policy("MeshFaultInjection", "{http: [{abort: {httpStatus: 418, percentage: 100}}]}"))
    assert [api(edge).status, web(edge).status] == [418, 200]
    assert edge.asked("/x") == 1


def test_the_gateway_tries_again_as_often_as_the_policy_says(edge: Edge) -> None:
    backoff = "backOff: {baseInterval: 10ms, maxInterval: 20ms}"
    edge.applied(retry=policy("MeshRetry", f"{{http: {{numRetries: 2, retryOn: [5xx], {backoff}}}}}"))
    assert api(edge, "/status/500").status == 500
    assert edge.asked("/status/500") == 3
    assert web(edge, "/v1/status/501").status == 501
    assert edge.asked("/status/501") == 1


def test_a_timeout_of_one_listener_ends_its_slow_requests_alone(edge: Edge) -> None:
    edge.applied(timeout=policy("MeshTimeout", "{http: {requestTimeout: 200ms}}"))
    slow = api(edge, "/slow/8")
    assert (slow.status, slow.text) == (504, "upstream request timeout")
    assert web(edge, "/v1/slow/0.6").status == 200


def test_a_timeout_of_one_route_is_that_routes_alone(edge: Edge) -> None:
    gateways = "{kind: Mesh, proxyTypes: [Gateway]}"
    about = "{kind: MeshHTTPRoute, name: web}"
    edge.applied(timeout=policy("MeshTimeout", "{http: {requestTimeout: 200ms}}", gateways, about=about))
    assert web(edge, "/v1/slow/8").status == 504
    assert api(edge, "/slow/0.6").status == 200


def test_an_instance_that_fails_the_gateways_check_gets_no_requests(edge: Edge) -> None:
    """A fault at one of two is what fails; it is no failure that a gateway tries again by itself."""
    target = "{kind: Dataplane, labels: {version: v1}}"
    rules = "rules: [{default: {http: [{abort: {httpStatus: 500, percentage: 100}}]}}]"
    edge.applied(sick=f"type: MeshFaultInjection\nmesh: edgy\nname: v1\nspec: {{targetRef: {target}, {rules}}}\n")
    wait_for(lambda: {api(edge).status for _ in range(10)} == {200, 500}, _DEADLINE)

    often = "interval: 200ms, timeout: 5s, unhealthyThreshold: 1, healthyThreshold: 1, noTrafficInterval: 200ms"
    conf = f"{{{often}, http: {{path: /health, expectedStatuses: [200]}}}}"
    edge.applied(check=policy("MeshHealthCheck", conf, _WHOLE))
    wait_for(lambda: {api(edge).application for _ in range(10)} == {"api-v2"}, _DEADLINE)
    assert "/health" in edge.api[1].paths()
    assert {web(edge).application for _ in range(10)} == {"api-v2"}


def test_requests_with_the_same_header_stick_to_an_instance(edge: Edge) -> None:
    hashing = "{hashPolicies: [{type: Header, header: {name: x-user}}], loadBalancer: {type: RingHash}}"
    edge.applied(balancing=policy("MeshLoadBalancingStrategy", hashing, _WHOLE))

    def stick() -> bool:
        users = [{api(edge, **{"x-user": f"user-{user}"}).application for _ in range(4)} for user in range(20)]
        return all(len(found) == 1 for found in users) and len(set.union(*users)) == 2

    wait_for(stick, _DEADLINE)


def test_a_log_of_one_listener_has_all_requests_for_its_host_those_that_no_route_takes_too(
    edge: Edge, tmp_path: Path
) -> None:
    ours, rest, incoming = (tmp_path / name for name in ("ours", "rest", "incoming"))
    only = "{kind: MeshGateway, name: edge, tags: {door: web}}"
    edge.applied(
        ours=policy("MeshAccessLog", _file(ours), only).replace("name: to", "name: ours"),
        rest=policy("MeshAccessLog", _file(rest), _WHOLE),
        incoming=policy("MeshAccessLog", _file(incoming), _WHOLE, "from"),
    )
    asked = [
        ("www.shop.example", "/v1/a", 200),
        ("www.shop.example", "/b", 404),
        ("new.shop.example", "/c", 404),
        ("api.shop.example", "/d", 200),
        ("elsewhere.example", "/e", 404),
    ]
    for host, path, status in asked:
        assert get(edge.places["http"], path, host=host).status == status
    wait_for(lambda: len(_lines(incoming)) >= len(asked) and len(_lines(ours) + _lines(rest)) >= len(asked), _DEADLINE)
    assert (_lines(incoming), _lines(ours), _lines(rest)) == (sorted(asked), sorted(asked[:3]), sorted(asked[3:]))


def whole(kind: str, conf: str) -> str:
    """Of a kind that has one conf for all of a proxy."""
    return f"type: {kind}\nmesh: edgy\nname: whole\nspec: {{targetRef: {_WHOLE}, default: {conf}}}\n"


def test_beyond_the_limit_of_one_listener_requests_for_its_host_are_refused_at_once(edge: Edge) -> None:
    edge.applied(breaker=policy("MeshCircuitBreaker", "{connectionLimits: {maxRequests: 1}}"))
    with ThreadPoolExecutor() as callers:
        slow = callers.submit(api, edge, "/slow/2")
        wait_for(lambda: edge.asked("/slow/2"), _DEADLINE)
        refused, other = api(edge, "/y"), web(edge)
        assert (refused.status, refused.headers.get("x-envoy-overloaded"), other.status) == (503, "true", 200)
        assert slow.result().status == 200
    assert api(edge).status == 200


def test_requests_that_come_in_are_traced_from_the_gateway_on(edge: Edge) -> None:
    with running_collector() as collector:
        where = f"{{type: OpenTelemetry, openTelemetry: {{endpoint: '127.0.0.1:{collector.port}'}}}}"
        tags = "[{name: door, header: {name: x-door, default: front}}]"
        edge.applied(trace=whole("MeshTrace", f"{{backends: [{where}], tags: {tags}}}"))
        assert [api(edge).status, api(edge, **{"x-door": "back"}).status] == [200, 200]
        doors = {"front", "back"}
        wait_for(lambda: {attributes(span).get("door") for _, span in collector.spans} >= doors, _DEADLINE)
        assert {service for service, _ in collector.spans} == {"edge"}
        traces = {span.trace_id.hex() for _, span in collector.spans}
        seen = [one.headers["traceparent"].split("-")[1] for each in edge.api for one in each.seen if one.path == "/x"]
        assert len(seen) == len(doors)
        assert set(seen) <= traces


def test_the_gateways_metrics_are_scraped_through_it(edge: Edge) -> None:
    gateway, port = edge.envoys[0], free_port()
    with answering(gateway.folder / "metrics.sock", "a_metric 1\n") as asked:
        edge.applied(metric=whole("MeshMetric", f"{{backends: [{{type: Prometheus, prometheus: {{port: {port}}}}}]}}"))
        answer = get(Place(edge.places["http"].host, port), "/metrics?filter=a")
        assert (answer.status, asked) == (200, ["/meshmetric?filter=a"])


def _file(path: Path) -> str:
    members = {"host": "%REQ(:authority)%", "path": "%REQ(x-envoy-original-path?:path)%", "code": "%RESPONSE_CODE%"}
    pairs = ", ".join(f"{{key: {key}, value: '{value}'}}" for key, value in members.items())
    return f"{{backends: [{{type: File, file: {{path: {path}, format: {{type: Json, json: [{pairs}]}}}}}}]}}"


def _lines(path: Path) -> list[tuple[Any, ...]]:
    """What tests asked for, sorted; a line that is being written is not one yet."""
    text = path.read_text() if path.exists() else ""
    found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return sorted((one["host"], one["path"], one["code"]) for one in found if one["host"] != "mark.shop.example")
