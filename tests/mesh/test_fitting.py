"""A health check that fits no destination is told of; one that fits any, or is meant to be off, is not."""

import pytest

from compiler.pipeline import Compiler
from tests.trees import SCHEMAS, compile_texts

MESH = '{type: Mesh, name: default, skipCreatingInitialPolicies: ["*"]}'


def proxy(name: str, number: int, protocol: str) -> str:
    tags = f"{{kuma.io/service: {name}, kuma.io/protocol: {protocol}}}"
    inbound = f"[{{port: 80, tags: {tags}}}]"
    networking = f"{{address: 10.0.0.{number}, inbound: {inbound}}}"
    return f"{{type: Dataplane, mesh: default, name: {name}, networking: {networking}}}"


def health_check(name: str, target: str, conf: str, more: str = "") -> str:
    item = f"{{targetRef: {target}, default: {conf}}}"
    return f"{{type: MeshHealthCheck, mesh: default, name: {name}, {more} spec: {{to: [{item}]}}}}"


WEB, API, DB, RPC = proxy("web", 1, "http"), proxy("api", 2, "http2"), proxy("db", 3, "tcp"), proxy("rpc", 4, "grpc")
ALL, TO_API = "{kind: Mesh}", "{kind: MeshService, name: api}"


def told(*texts: str, compiler: Compiler | None = None) -> list[str]:
    found = compile_texts(MESH, *texts, compiler=compiler).diagnostics
    return [f"{one.path} {one.hint}" for one in found if one.code.word == "unfit-protocol"]


def test_a_check_by_tcp_where_everything_speaks_http_asks_nobody() -> None:
    assert told(WEB, API, health_check("open", ALL, "{tcp: {}}")) == ["/spec/to/0/default add http"]


def test_one_destination_that_a_check_fits_is_enough() -> None:
    assert told(WEB, API, DB, health_check("open", ALL, "{tcp: {}}")) == []


def test_an_item_is_held_to_what_it_is_about() -> None:
    assert told(WEB, API, DB, health_check("open", TO_API, "{tcp: {}}")) == ["/spec/to/0/default add http"]


def test_every_protocol_that_nothing_fits_is_named() -> None:
    checked = health_check("open", ALL, "{tcp: {}}")
    assert told(WEB, RPC, checked) == ["/spec/to/0/default add grpc and http"]


@pytest.mark.parametrize("conf", ["{tcp: {disabled: true}}", "{tcp: {}, http: {disabled: true}}"])
def test_what_switches_checks_off_is_meant(conf: str) -> None:
    assert told(WEB, API, health_check("off", ALL, conf)) == []


def test_what_another_policy_makes_whole_does_something() -> None:
    often, ready = health_check("often", ALL, "{interval: 3s, tcp: {}}"), health_check("ready", TO_API, "{http: {}}")
    assert told(WEB, API, often, ready) == []


def test_a_policy_that_is_only_watched_is_left_alone() -> None:
    assert told(WEB, API, health_check("open", ALL, "{tcp: {}}", "labels: {kuma.io/effect: shadow},")) == []


def test_a_mesh_without_destinations_is_no_reason_to_complain() -> None:
    assert told(health_check("open", ALL, "{tcp: {}}")) == []


def test_the_first_destination_that_fits_takes_the_warning_back_and_the_last_one_brings_it() -> None:
    compiler, policy = Compiler(SCHEMAS), health_check("open", ALL, "{tcp: {}}")
    assert told(policy, WEB, API, compiler=compiler) != []
    assert told(policy, WEB, API, DB, compiler=compiler) == []
    assert told(policy, WEB, API, proxy("db", 3, "http"), compiler=compiler) != []


def about(kind: str, target: str, conf: str) -> str:
    return f"{{type: {kind}, mesh: default, name: it, spec: {{to: [{{targetRef: {target}, default: {conf}}}]}}}}"


TO_DB, RETRIES, REQUESTS = "{kind: MeshService, name: db}", "{http: {numRetries: 3}}", "{http: {requestTimeout: 3s}}"


def test_what_is_said_of_requests_is_nothing_to_connections() -> None:
    assert told(DB, about("MeshRetry", TO_DB, RETRIES)) == ["/spec/to/0/default add tcp"]
    assert told(DB, about("MeshTimeout", TO_DB, REQUESTS)) == [
        "/spec/to/0/default set connectionTimeout or idleTimeout"
    ]
    assert told(DB, about("MeshTimeout", TO_DB, "{idleTimeout: 3s, http: {requestTimeout: 3s}}")) == []
    assert told(WEB, DB, about("MeshRetry", ALL, RETRIES), about("MeshTimeout", ALL, REQUESTS)) == []


ROUTE = f"{{type: MeshHTTPRoute, mesh: default, name: r, spec: {{to: [{{targetRef: {TO_DB}, rules: []}}]}}}}"
EDGE = (
    "{type: Dataplane, mesh: default, name: edge, networking: "
    "{address: 10.0.0.9, gateway: {type: BUILTIN, tags: {kuma.io/service: edge}}}}"
)


@pytest.mark.parametrize("how", [ROUTE, EDGE], ids=["by a route", "by a gateway"])
def test_what_may_be_called_by_requests_is_left_alone(how: str) -> None:
    assert told(DB, how, about("MeshRetry", TO_DB, RETRIES)) == []


@pytest.mark.parametrize(
    ("service", "retry", "hints"),
    [
        ("web", "{grpc: {numRetries: 1}}", ["add http"]),
        ("rpc", "{http: {numRetries: 1}}", ["add grpc"]),
        ("db", "{http: {numRetries: 1}}", []),
        ("rpc", "{grpc: {numRetries: 1}}", []),
    ],
)
def test_retries_of_a_rule_are_for_what_its_service_speaks(service: str, retry: str, hints: list[str]) -> None:
    rule = f"{{matches: [{{}}], default: {{retry: {retry}}}}}"
    item = f"{{targetRef: {{kind: MeshService, name: {service}}}, rules: [{rule}]}}"
    route = f"{{type: MeshHTTPRoute, mesh: default, name: r, spec: {{to: [{item}]}}}}"
    assert told(WEB, RPC, DB, route) == [f"/spec/to/0/rules/0/default/retry {hint}" for hint in hints]


HASHES = "{loadBalancer: {type: Maglev}, hashPolicies: [{type: Header, header: {name: x-user}}, {type: SourceIP}]}"
HASHED = ["/spec/to/0/default/hashPolicies/0 take it out"]
OUTSIDE = (
    "{type: MeshPassthrough, mesh: default, name: out, spec: {default: {passthroughMode: Matched, "
    "appendMatch: [{type: Domain, value: a.example, port: 80, protocol: http}]}}}"
)


@pytest.mark.parametrize(
    ("texts", "target", "hints"),
    [
        ([DB, WEB], TO_DB, HASHED),
        ([DB, WEB], ALL, []),
        ([DB], ALL, HASHED),
        ([DB, OUTSIDE], ALL, []),
        ([DB, OUTSIDE], TO_DB, HASHED),
        ([DB, ROUTE], TO_DB, []),
        ([DB, EDGE], TO_DB, []),
        ([RPC], "{kind: MeshService, name: rpc}", []),
    ],
)
def test_hashes_of_requests_are_nothing_to_connections(texts: list[str], target: str, hints: list[str]) -> None:
    assert told(*texts, about("MeshLoadBalancingStrategy", target, HASHES)) == hints


def tcp_route(target: str, more: str = "", name: str = "split") -> str:
    item = f"{{targetRef: {{kind: MeshService, name: {target}}}, rules: []}}"
    return f"{{type: MeshTCPRoute, mesh: default, name: {name}, spec: {{{more} to: [{item}]}}}}"


def http_route(target: str, more: str = "") -> str:
    return tcp_route(target, more).replace("MeshTCPRoute", "MeshHTTPRoute")


def idle(*texts: str, compiler: Compiler | None = None) -> list[str]:
    found = compile_texts(MESH, *texts, compiler=compiler).diagnostics
    return [f"{one.path} {one.message}" for one in found if one.code.word == "no-effect" and "hash" in one.path]


FROM_API = "targetRef: {kind: Dataplane, labels: {app: api}},"
LABELLED = API.replace("name: api,", "name: api, labels: {app: api},", 1)
TO_WEB = "{kind: MeshService, name: web}"
BY_ROUTE = "all calls that it is about are connections, by MeshTCPRoute 'split': a connection has no header"
TURNED = [f"/spec/to/0/default/hashPolicies/0 {BY_ROUTE}"]


@pytest.mark.parametrize(
    ("texts", "target", "messages"),
    [
        ([WEB, tcp_route("web")], TO_WEB, TURNED),
        ([WEB, DB, tcp_route("web")], ALL, TURNED),
        ([WEB, API, tcp_route("web")], ALL, []),
        ([WEB, API, tcp_route("web")], TO_API, []),
        ([WEB, LABELLED, tcp_route("web", FROM_API)], TO_WEB, []),
        ([WEB, tcp_route("web"), http_route("web")], TO_WEB, []),
        ([DB, tcp_route("db")], TO_DB, TURNED),
        ([WEB, EDGE, tcp_route("web")], TO_WEB, []),
    ],
    ids=[
        "one service",
        "beside one of TCP",
        "beside one of HTTP",
        "another service",
        "for some callers",
        "an HTTP route decides",
        "of TCP anyway",
        "by a gateway",
    ],
)
def test_hashes_of_requests_are_nothing_to_calls_that_a_route_makes_connections_of(
    texts: list[str], target: str, messages: list[str]
) -> None:
    policy = about("MeshLoadBalancingStrategy", target, HASHES)
    assert idle(*texts, policy) == messages
    assert told(*texts, policy) == []


def test_only_callers_whom_the_policy_is_for_count() -> None:
    policy = about("MeshLoadBalancingStrategy", TO_WEB, HASHES).replace("spec: {", f"spec: {{{FROM_API} ")
    assert idle(WEB, LABELLED, tcp_route("web", FROM_API), policy) == TURNED


def test_a_route_for_connections_brings_the_warning_and_one_for_requests_takes_it_back() -> None:
    compiler, policy = Compiler(SCHEMAS), about("MeshLoadBalancingStrategy", TO_WEB, HASHES)
    assert idle(WEB, policy, compiler=compiler) == []
    assert idle(WEB, policy, tcp_route("web"), compiler=compiler) == TURNED
    assert idle(WEB, policy, tcp_route("web"), http_route("web"), compiler=compiler) == []
    assert idle(WEB, policy, tcp_route("web"), compiler=compiler) == TURNED


OF_REQUESTS = [("MeshRetry", RETRIES, "add tcp"), ("MeshTimeout", "{http: {requestTimeout: 1s}}", "set ")]


@pytest.mark.parametrize(("kind", "conf", "hint"), OF_REQUESTS)
@pytest.mark.parametrize(
    ("texts", "target", "is_told"),
    [
        ([WEB, tcp_route("web")], TO_WEB, True),
        ([DB, tcp_route("db")], TO_DB, True),
        ([WEB, tcp_route("web")], ALL, False),
        ([WEB], TO_WEB, False),
        ([WEB, API, tcp_route("web")], TO_API, False),
        ([WEB, LABELLED, tcp_route("web", FROM_API)], TO_WEB, False),
        ([WEB, tcp_route("web"), http_route("web")], TO_WEB, False),
        ([WEB, EDGE, tcp_route("web")], TO_WEB, False),
    ],
    ids=[
        "one service",
        "of TCP anyway",
        "all services",
        "no route",
        "another service",
        "for some callers",
        "an HTTP route decides",
        "by a gateway",
    ],
)
def test_what_is_said_of_requests_alone_is_nothing_to_calls_that_a_route_makes_connections_of(
    kind: str, conf: str, hint: str, texts: list[str], target: str, *, is_told: bool
) -> None:
    found = compile_texts(MESH, *texts, about(kind, target, conf)).diagnostics
    said = [(one.path, one.message) for one in found if one.code.word == "no-effect" and hint in (one.hint or "")]
    message = "all calls that it is about are connections, by MeshTCPRoute 'split', of which it says nothing"
    assert said == ([("/spec/to/0/default", message)] if is_told else [])


@pytest.mark.parametrize(
    ("kind", "conf"),
    [("MeshRetry", "{tcp: {maxConnectAttempt: 2}}"), ("MeshTimeout", "{connectionTimeout: 1s, http: {}}")],
)
def test_what_is_said_of_connections_holds_for_them(kind: str, conf: str) -> None:
    found = compile_texts(MESH, WEB, tcp_route("web"), about(kind, TO_WEB, conf)).diagnostics
    assert [one for one in found if "says nothing" in one.message] == []
