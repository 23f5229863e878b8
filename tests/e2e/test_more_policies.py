"""Limits, faults, checks, splits and ways of speaking become visible in traffic."""

import time
from collections import Counter
from contextlib import ExitStack, closing

import pytest

from tests.e2e.collectors import wait_for
from tests.e2e.shop import Shop, permissions, to_api, weights
from tests.e2e.traffic import Line, ask, ask_plainly, calling, get, is_tls_refusal

pytestmark = pytest.mark.parametrize(
    "open_for_all", [pytest.param("1.40", marks=pytest.mark.xdist_group("shop-1.40"))], indirect=True
)
_CLIENT = "matches: [{spiffeID: {type: Exact, value: spiffe://shop/client}}], "


def inbound(kind: str, target: str, default: str, matches: str = "") -> str:
    """A policy for what others call; `default` is YAML in one line."""
    rule = f"rules: [{{{matches}default: {default}}}]"
    return f"type: {kind}\nmesh: shop\nname: inbound\nspec: {{targetRef: {target}, {rule}}}\n"


def legacy_limit(name: str, source: str, requests: int) -> str:
    """A limit of the api's callers that have the tags of the source."""
    ends = f"sources: [{{match: {{{source}}}}}]\ndestinations: [{{match: {{kuma.io/service: api}}}}]\n"
    conf = f"{{http: {{requests: {requests}, interval: 60s}}}}"
    return f"type: RateLimit\nmesh: shop\nname: {name}\n{ends}conf: {conf}\n"


def labelled(app: str) -> str:
    return f"{{kind: Dataplane, labels: {{app: {app}}}}}"


def test_requests_beyond_a_limit_are_refused_with_what_the_policy_says(shop: Shop) -> None:
    answer = "onRateLimit: {status: 423, headers: {set: [{name: x-limited, value: 'yes'}]}}"
    limit = f"{{local: {{http: {{requestRate: {{num: 3, interval: 60s}}, {answer}}}}}}}"
    shop.applied(limit=inbound("MeshRateLimit", labelled("api"), limit), routes=weights(100, 0))
    with calling(shop.places["client_api"]) as caller:
        answers = [caller.get() for _ in range(5)]
    assert [one.status for one in answers] == [200, 200, 200, 423, 423]
    assert [one.headers.get("x-limited") for one in answers[2:4]] == [None, "yes"]


def test_a_limit_of_one_caller_is_nobody_elses(shop: Shop) -> None:
    limit = "{local: {http: {requestRate: {num: 1, interval: 60s}}}}"
    shop.applied(
        limit=inbound("MeshRateLimit", labelled("api"), limit, _CLIENT),
        routes=weights(100, 0),
        permissions=permissions("client", "guest"),
    )
    assert [get(shop.places["client_api"]).status for _ in range(3)] == [200, 429, 429]
    forged = {"x-forwarded-client-cert": "URI=spiffe://shop/client"}
    assert [get(shop.places["guest_api"], **forged).status for _ in range(3)] == [200, 200, 200]


def test_of_legacy_limits_the_one_that_asks_for_most_of_a_caller_decides(shop: Shop) -> None:
    """Callers of one service are told apart by another tag, which their certificates show."""
    proxies = shop.base["proxies.yaml"]
    for name, version in (("client", "v1"), ("guest", "v2")):
        tags = f"{{kuma.io/service: {name}, kuma.io/protocol: http}}"
        assert tags in proxies
        proxies = proxies.replace(tags, f"{{kuma.io/service: client, kuma.io/protocol: http, version: {version}}}")
    shop.applied(proxies=proxies)
    shop.applied(
        some=legacy_limit("some", "kuma.io/service: client, version: v1", 1),
        others=legacy_limit("others", "kuma.io/service: '*'", 2),
        routes=weights(100, 0),
    )
    assert [get(shop.places["client_api"]).status for _ in range(3)] == [200, 429, 429]
    forged = {"x-kuma-tags": "&version=v1&"}
    assert [get(shop.places["guest_api"], **forged).status for _ in range(3)] == [200, 200, 429]


def test_connections_beyond_a_limit_are_closed(shop: Shop) -> None:
    limit = "{local: {tcp: {connectionRate: {num: 2, interval: 60s}}}}"
    shop.applied(limit=inbound("MeshRateLimit", labelled("store"), limit))
    with ExitStack() as stack:
        # One after the other: a connection that is refused fails all that its caller's Envoy has not finished to open.
        said = [stack.enter_context(closing(Line(shop.places["client_store"]))).ask("hello") for _ in range(4)]
    assert said == ["store: hello", "store: hello", "", ""]


def test_a_fault_meets_the_caller_that_it_is_for(shop: Shop) -> None:
    fault = "{http: [{abort: {httpStatus: 418, percentage: 100}}]}"
    shop.applied(
        fault=inbound("MeshFaultInjection", labelled("api"), fault, _CLIENT), permissions=permissions("client", "guest")
    )
    assert get(shop.places["client_api"]).status == 418
    assert get(shop.places["guest_api"]).status == 200
    assert len(shop.api[0].seen) + len(shop.api[1].seen) == 1


def test_a_delay_holds_requests_back(shop: Shop) -> None:
    fault = "{http: [{delay: {value: 300ms, percentage: 100}}]}"
    shop.applied(fault=inbound("MeshFaultInjection", labelled("api"), fault))
    shop.drained()  # a connection of before that is cut at its end would take the held request with it
    began = time.monotonic()
    assert get(shop.places["client_api"]).status == 200
    assert 0.3 <= time.monotonic() - began < 3


def test_an_endpoint_that_fails_its_check_gets_no_calls(shop: Shop) -> None:
    """A fault at one of two endpoints is what fails; without the check it would meet half of the calls."""
    fault = "{http: [{abort: {httpStatus: 503, percentage: 100}}]}"
    sick = inbound("MeshFaultInjection", "{kind: MeshSubset, tags: {version: v1}, proxyTypes: [Sidecar]}", fault)
    shop.applied(fault=sick)
    assert {get(shop.places["client_api"]).status for _ in range(10)} == {200, 503}

    often = "interval: 100ms, timeout: 1s, unhealthyThreshold: 1, healthyThreshold: 1, noTrafficInterval: 100ms"
    check = f"default: {{{often}, http: {{path: /health, expectedStatuses: [200]}}}}"
    shop.applied(check=to_api("MeshHealthCheck", "check", check))
    wait_for(lambda: {get(shop.places["client_api"]).status for _ in range(10)} == {200})
    assert {get(shop.places["client_api"]).application for _ in range(10)} == {"api-v2"}
    assert "/health" in shop.api[1].paths()


def test_an_endpoint_that_left_gets_no_calls_though_its_check_succeeds(shop: Shop) -> None:
    """Envoy by itself goes on calling who was taken out for as long as the checks are answered."""
    often = "interval: 100ms, timeout: 1s, unhealthyThreshold: 1, healthyThreshold: 1, noTrafficInterval: 100ms"
    shop.applied(check=to_api("MeshHealthCheck", "check", f"default: {{{often}, http: {{path: /}}}}"))
    assert {get(shop.places["client_api"]).application for _ in range(10)} == {"api-v1", "api-v2"}

    leaving = "tags: {kuma.io/service: api, kuma.io/protocol: http, version: v1}"
    assert leaving in shop.base["proxies.yaml"]
    shop.applied(proxies=shop.base["proxies.yaml"].replace(leaving, f"state: NotReady\n      {leaving}"))
    assert {get(shop.places["client_api"]).application for _ in range(10)} == {"api-v2"}


def test_connections_are_split_by_weight(shop: Shop) -> None:
    """Of 100, a share of 25 % is outside of 8 % to 46 % once in ten thousand runs."""
    backends = "[{kind: MeshService, name: store, weight: 3}, {kind: MeshService, name: api, weight: 1}]"
    to = f"to: [{{targetRef: {{kind: MeshService, name: store}}, rules: [{{default: {{backendRefs: {backends}}}}}]}}]"
    shop.applied(split=f"type: MeshTCPRoute\nmesh: shop\nname: split\nspec: {{targetRef: {{kind: Mesh}}, {to}}}\n")
    said = Counter(ask_plainly(shop.places["client_store"]).partition(" ")[0] for _ in range(100))
    assert said.keys() == {"store:", "HTTP/1.1"}
    assert 8 <= said["HTTP/1.1"] <= 46


def test_requests_with_the_same_header_stick_to_an_endpoint(shop: Shop) -> None:
    hashing = "hashPolicies: [{type: Header, header: {name: x-user}}], loadBalancer: {type: RingHash}"
    shop.applied(balancing=to_api("MeshLoadBalancingStrategy", "sticky", f"default: {{{hashing}}}"))
    with calling(shop.places["client_api"]) as caller:
        users = {user: {caller.get(**{"x-user": f"user-{user}"}).application for _ in range(5)} for user in range(30)}
    assert all(len(found) == 1 for found in users.values())
    assert {name for found in users.values() for name in found} == {"api-v1", "api-v2"}


def test_only_where_a_policy_permits_it_plaintext_is_taken(shop: Shop) -> None:
    assert is_tls_refusal(ask_plainly(shop.places["api1"]))
    shop.applied(tls=inbound("MeshTLS", labelled("api"), "{mode: Permissive}"))
    assert ask_plainly(shop.places["api1"]).startswith("HTTP/1.1 200")
    assert get(shop.places["client_api"]).status == 200
    assert ask(shop.places["client_store"], "hello") == "store: hello"
    shop.applied(tls=inbound("MeshTLS", labelled("api"), "{mode: Strict}"))
    assert is_tls_refusal(ask_plainly(shop.places["api1"]))
