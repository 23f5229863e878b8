"""The engine in Python, rule by rule; that Envoy says the same is told by test_on_envoy.py."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import yaml
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, QueryParameterMatcher, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.json_format import ParseDict

from compiler.review.promises.routing.answer import Answer, Ask, CannotTell, Outcome
from compiler.review.promises.routing.engine import PythonEngine
from compiler.review.promises.routing.held import Fleet, ServiceName, read_service_name
from compiler.review.promises.routing.match import (
    Request,
    find_host,
    matches_header,
    matches_path,
    matches_regex,
    matches_route,
    normalise_path,
)
from tests.review.route_meshes import PODS, ask, conf, documents, fleet_of, route, with_tls


def answers(fleet: Fleet, one: Ask) -> tuple[Outcome, ...]:
    found = PythonEngine(fleet).answer([one])[0]
    assert not isinstance(found, CannotTell), found
    return found


def answer(fleet: Fleet, one: Ask) -> Answer:
    """Of the likeliest instance: the two of the backend differ by their version alone."""
    return answers(fleet, one)[0].answer


def rule(path: str = "/", kind: str = "PathPrefix", **default: Any) -> dict[str, Any]:
    return {"matches": [{"path": {"type": kind, "value": path}}], "default": default}


V1 = {"kind": "MeshServiceSubset", "name": "backend", "tags": {"version": "v1"}}
V2 = {"kind": "MeshServiceSubset", "name": "backend", "tags": {"version": "v2"}}
NOBODY = {"kind": "MeshService", "name": "nobody"}


# --- Matching -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domains", "authority", "expected"),
    [
        ([["*"], ["a.b"]], "a.b", 1),
        ([["*.b"], ["a.b"]], "A.B", 1),
        ([["*.b"], ["*.a.b"]], "x.a.b", 1),
        ([["a.*"], ["*.b"]], "a.b", 1),
        ([["a.*"], ["a.b.*"]], "a.b.c", 1),
        ([["*.b"]], ".b", None),
        ([["a.b"]], "a.b:80", None),
        ([["a.b", "a.b:80"]], "a.b:80", 0),
    ],
)
def test_the_most_exact_domain_has_the_host(domains: list[list[str]], authority: str, expected: int | None) -> None:
    hosts = [VirtualHost(name=str(index), domains=one) for index, one in enumerate(domains)]
    found = find_host(RouteConfiguration(virtual_hosts=hosts), authority)
    assert (found.name if found is not None else None) == (str(expected) if expected is not None else None)


@pytest.mark.parametrize(
    ("match", "path", "expected"),
    [
        ({"prefix": "/a"}, "/ab", True),
        ({"pathSeparatedPrefix": "/a"}, "/ab", False),
        ({"pathSeparatedPrefix": "/a"}, "/a/b", True),
        ({"path": "/A", "caseSensitive": False}, "/a", True),
        ({"path": "/A"}, "/a", False),
        ({"safeRegex": {"regex": "/a"}}, "/ab", False),
        ({"safeRegex": {"regex": "/.*$"}}, "/ab", True),
    ],
)
def test_a_path_is_matched_as_its_kind_says(match: Mapping[str, Any], path: str, expected: bool) -> None:
    assert matches_path(ParseDict(match, RouteMatch()), path) is expected


@pytest.mark.parametrize(
    ("matcher", "value", "expected"),
    [
        ({"stringMatch": {"exact": "a"}}, "a", True),
        ({"stringMatch": {"exact": "a"}}, None, False),
        ({"stringMatch": {"exact": "a"}, "invertMatch": True}, "b", True),
        ({"stringMatch": {"exact": "a"}, "invertMatch": True}, "a", False),
        ({"stringMatch": {"exact": "a"}, "invertMatch": True}, None, False),
        ({"stringMatch": {"suffix": "A", "ignoreCase": True}}, "ba", True),
        ({"stringMatch": {"contains": "b"}}, "abc", True),
        ({"presentMatch": True}, "", True),
        ({"presentMatch": False}, None, True),
        ({"presentMatch": False}, "a", False),
        ({"rangeMatch": {"start": "1", "end": "3"}}, "2", True),
        ({"rangeMatch": {"start": "1", "end": "3"}}, "3", False),
        ({"rangeMatch": {"start": "1", "end": "3"}}, "x", False),
        ({"stringMatch": {"safeRegex": {"regex": ""}}, "treatMissingHeaderAsEmpty": True}, None, True),
    ],
)
def test_a_header_is_matched_as_its_kind_says(matcher: Mapping[str, Any], value: str | None, expected: bool) -> None:
    assert matches_header(ParseDict({"name": "x", **matcher}, HeaderMatcher()), value) is expected


def test_a_parameter_that_stands_twice_counts_by_its_first_value() -> None:
    match = RouteMatch(prefix="/")
    match.query_parameters.append(ParseDict({"name": "q", "stringMatch": {"exact": "1"}}, QueryParameterMatcher()))
    assert matches_route(match, Request("GET", "/?q=1&q=2", ""))
    assert not matches_route(match, Request("GET", "/?q=2&q=1", ""))
    assert not matches_route(match, Request("GET", "/", ""))


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|b)*", "(.*,)?x", "(?=a)", "(a)\\1", "[[:alpha:]]", "a" * 2000, "("])
def test_an_expression_that_python_reads_otherwise_is_not_guessed_at(pattern: str) -> None:
    if pattern == "(.*,)?x":
        assert matches_regex(pattern, "a,x")
        return
    with pytest.raises(CannotTell):
        matches_regex(pattern, "aaaa")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/../b", "/b"),
        ("/a/./b/", "/a/b/"),
        ("/a/..", "/"),
        ("/%61", "/a"),
        ("/%2F", "/%2F"),
        ("/a/b/..?x=/../y", "/a/?x=/../y"),
    ],
)
def test_dot_segments_go_before_routes_are_looked_at(path: str, expected: str) -> None:
    assert normalise_path(path) == expected


def test_what_no_rule_here_knows_is_said_so() -> None:
    with pytest.raises(CannotTell, match="connect_matcher"):
        matches_path(ParseDict({"connectMatcher": {}}, RouteMatch()), "/")
    with pytest.raises(CannotTell, match="grpc"):
        matches_route(ParseDict({"prefix": "/", "grpc": {}}, RouteMatch()), Request("GET", "/", ""))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kri_msvc_shop___backend_8080", ServiceName("shop", "backend", "8080")),
        ("kri_msvc_shop_east_ns_backend_http:10.0.0.1:80", ServiceName("shop", "backend", "http")),
        ("kri_msvc_shop___a_b_svc_80_", ServiceName("shop", "a_b_svc_80", "")),
        ("self_inbound_dp_http", None),
    ],
)
def test_a_cluster_is_called_after_its_service(name: str, expected: ServiceName | None) -> None:
    assert read_service_name(name) == expected


# --- Routes -------------------------------------------------------------------------------------------------------


def test_the_first_route_that_matches_has_the_request() -> None:
    fleet = fleet_of(documents(route("r", [rule("/a", backendRefs=[V2]), rule(backendRefs=[V1])])))
    assert dict(answer(fleet, ask(path="/a/b")).tags)["version"] == "v2"
    assert dict(answer(fleet, ask(path="/ab")).tags)["version"] == "v1"


def test_weights_are_shares_and_a_lost_backend_answers_500_for_its_own() -> None:
    backends = [V1 | {"weight": 6}, V2 | {"weight": 2}, NOBODY | {"weight": 2}]
    found = answers(fleet_of(documents(route("r", [rule(backendRefs=backends)]))), ask())
    assert [(one.share, one.answer.status, dict(one.answer.tags).get("version")) for one in found] == [
        (Fraction(3, 5), 200, "v1"),
        (Fraction(1, 5), 500, None),
        (Fraction(1, 5), 200, "v2"),
    ]
    assert sum(one.share for one in found) == 1


def test_what_no_rule_takes_goes_where_it_would_go_without_any() -> None:
    fleet = fleet_of(documents(route("r", [rule("/a", "Exact", backendRefs=[NOBODY])])))
    assert [answer(fleet, ask(path=path)).status for path in ("/a", "/elsewhere")] == [500, 200]


def test_paths_and_hosts_are_rewritten_before_the_service_sees_them() -> None:
    rewrite = {"hostname": "other.example", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}}
    fleet = fleet_of(documents(route("r", [rule("/a", filters=[{"type": "URLRewrite", "urlRewrite": rewrite}])])))
    for path, expected in (("/a", "/v2"), ("/a/b?x=1", "/v2/b?x=1"), ("/a/", "/v2/")):
        found = answer(fleet, ask(path=path))
        assert (found.path, found.authority) == (expected, "other.example")


def test_headers_are_changed_on_the_way_and_on_the_way_back() -> None:
    change = {"set": [{"name": "x-a", "value": "new"}], "add": [{"name": "x-b", "value": "2"}], "remove": ["x-c"]}
    filters = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": change},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": change},
    ]
    fleet = fleet_of(documents(route("r", [rule(filters=filters)])))
    given = {"x-a": "old", "x-b": "1", "x-c": "gone"}
    found = answer(fleet, ask(headers=given, answer_headers=tuple(given.items())))
    expected = (("x-a", "new"), ("x-b", "1"), ("x-b", "2"))
    assert (found.request_headers, found.response_headers) == (expected, expected)


def test_a_redirect_is_answered_by_the_callers_own_proxy() -> None:
    redirect = {"scheme": "https", "hostname": "other.example", "port": 8443, "statusCode": 301}
    filters = [{"type": "RequestRedirect", "requestRedirect": redirect}]
    found = answer(fleet_of(documents(route("r", [rule(filters=filters)]))), ask(path="/a?b=1"))
    assert (found.status, found.location, found.node) == (301, "https://other.example:8443/a?b=1", "")


def test_a_timeout_is_that_of_the_route_and_0_is_none() -> None:
    def timeout(text: str) -> float | None:
        policy = conf("MeshTimeout", "t", {"http": {"requestTimeout": text}})
        return answer(fleet_of(documents(policy)), ask()).timeout

    assert (timeout("250ms"), timeout("0s")) == (0.25, 0.0)
    assert answer(fleet_of(documents()), ask()).timeout == 15.0


@pytest.mark.parametrize(
    ("words", "method", "expected"),
    [(["5xx"], "GET", 3), (["503"], "GET", 3), (["502"], "GET", 0), (["Reset"], "GET", 0), ([], "GET", 3)],
)
def test_only_what_answers_503_is_retried_as_the_policy_says(words: list[str], method: str, expected: int) -> None:
    policy = conf("MeshRetry", "r", {"http": {"numRetries": 3, "retryOn": words}})
    found = answer(fleet_of(documents(policy)), ask(method=method, counts_retries=True))
    assert found.retries == expected


def test_retries_of_one_method_leave_the_others_alone() -> None:
    policy = conf("MeshRetry", "r", {"http": {"numRetries": 3, "retryOn": ["5xx", "HttpMethodGet"]}})
    fleet = fleet_of(documents(policy))
    assert answer(fleet, ask(counts_retries=True)).retries == 3
    assert answer(fleet, ask(method="POST", counts_retries=True)).retries == 0


# --- The service's proxy ------------------------------------------------------------------------------------------


def test_who_is_not_permitted_is_denied_by_the_services_proxy() -> None:
    fleet = fleet_of(documents())
    found = answer(fleet, ask(caller="batch"))
    assert (found.status, found.denied, found.node, found.path) == (403, True, "shop.backend-1", "")
    assert answer(fleet, ask()).identities[0] == "spiffe://shop/frontend"


def test_a_tcp_call_is_permitted_or_denied_as_a_whole() -> None:
    fleet = fleet_of(documents())
    assert (answer(fleet, ask("db")).node, answer(fleet, ask("db")).status) == ("shop.db", None)
    assert answer(fleet, ask("db", caller="batch")).denied


def test_instances_that_treat_a_call_differently_are_told_apart() -> None:
    """Replicas that are alike are one; of two that permit different callers each has its share."""
    found = answers(fleet_of(documents()), ask("mixed"))
    assert sorted((one.answer.denied, one.share) for one in found) == [(False, Fraction(1, 2)), (True, Fraction(1, 2))]


CROSSING = """
type: Mesh
name: inner
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
---
type: Dataplane
mesh: inner
name: edge
networking: {address: 10.9.0.1, gateway: {type: BUILTIN, tags: {kuma.io/service: edge}}}
---
type: MeshGateway
mesh: inner
name: door
selectors: [{match: {kuma.io/service: edge}}]
conf: {listeners: [{port: 8080, protocol: HTTP, hostname: a.internal, crossMesh: true}]}
"""


def test_a_caller_of_another_mesh_is_believed_in_its_own_by_what_each_cluster_names() -> None:
    found = documents(*yaml.safe_load_all(CROSSING))
    frontend = next(one for one in found if one.get("name") == "frontend")
    tags = {"kuma.io/service": "edge", "kuma.io/mesh": "inner"}
    frontend["networking"]["outbound"].append({"port": 1009, "tags": tags})
    fleet = fleet_of(found)
    assert any(secret.name == "system_trust_bundle_inner" for secret in fleet["shop.frontend"].snapshot.secrets)
    assert answer(fleet, ask()).status == 200


def test_without_mutual_tls_nobody_is_known_and_nobody_denied() -> None:
    found = answer(fleet_of(with_tls(None, documents())), ask(caller="batch"))
    assert (found.status, found.denied, found.identities) == (200, False, ())


def test_a_proxy_of_another_authority_is_not_believed() -> None:
    fleet = fleet_of(documents())
    backend = fleet.snapshots["shop.backend-1"]
    secrets = tuple(one._replace(uris=("spiffe://shop/impostor",) if one.uris else ()) for one in backend.secrets)
    impostor = Fleet({**fleet.snapshots, "shop.backend-1": replace(backend, secrets=secrets)})
    found = {one.answer.status: one.answer.why for one in answers(impostor, ask())}
    assert found[503] == "the caller does not accept the identity of shop.backend-1"


def test_proxies_that_register_themselves_are_stood_for_by_their_template() -> None:
    found = answer(fleet_of(documents(*yaml.safe_load_all(PODS))), ask("pods", caller="caller"))
    assert (found.node, found.denied) == ("shop.pods/_shared", True)


def test_a_service_without_instances_answers_503() -> None:
    one = Ask("shop.caller", "kri_msvc_shop___empty_80", authority="empty")
    assert answer(fleet_of(documents(*yaml.safe_load_all(PODS))), one).status == 503
