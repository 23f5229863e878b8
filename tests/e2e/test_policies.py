"""What policies say becomes visible in traffic."""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.conftest import Record
from tests.e2e.shop import EVERYTHING, Shop, permissions, retries, to_api, weights
from tests.e2e.traffic import calling, get

SAMPLE = 500


def test_a_route_shift_moves_a_fifth_of_the_requests_of_one_open_connection(shop: Shop, record: Record) -> None:
    """Of 500, a share of 20 % is outside of 13 % to 27 % once in ten thousand runs."""
    shop.applied(routes=weights(100, 0))
    with calling(shop.places["client_api"]) as caller:
        assert {caller.get().application for _ in range(50)} == {"api-v1"}
        commit = shop.commit(routes=weights(80, 20))
        effect = caller.until(lambda answer: answer.application == "api-v2").at - commit.moved
        shop.accepted()
        answers = [caller.get() for _ in range(SAMPLE)]

    assert {answer.status for answer in answers} == {200}
    share = sum(answer.application == "api-v2" for answer in answers) / SAMPLE
    record("route shift, commit to the first request, ms", effect * 1000)
    record("share of the second version, %", share * 100)
    assert 0.13 < share < 0.27
    assert effect < 1.0


def test_a_request_timeout_ends_a_slow_request(shop: Shop) -> None:
    with calling(shop.places["client_api"]) as caller:
        assert caller.get("/slow/0.5").status == 200
        shop.applied(timeout=to_api("MeshTimeout", "timeout", "default: {http: {requestTimeout: 200ms}}"))

        began = time.monotonic()
        answer = caller.get("/slow/5")
        assert (answer.status, answer.text) == (504, "upstream request timeout")
        assert 0.15 < time.monotonic() - began < 4
        assert caller.get("/slow/0.01").status == 200


def test_a_timeout_for_one_caller_holds_for_that_caller_only(shop: Shop) -> None:
    policy = """\
type: MeshTimeout
mesh: shop
name: impatient
spec:
  targetRef: {kind: Dataplane, labels: {app: api}}
  rules:
    - matches: [{spiffeID: {type: Exact, value: spiffe://shop/client}}]
      default: {http: {requestTimeout: 200ms}}
"""
    shop.applied(timeout=policy, permissions=permissions("client", "guest"))

    assert get(shop.places["client_api"], "/slow/0.6").status == 504
    assert get(shop.places["guest_api"], "/slow/0.6").status == 200
    forged = {"x-forwarded-client-cert": "URI=spiffe://shop/client"}
    assert get(shop.places["guest_api"], "/slow/0.6", **forged).status == 200


def test_a_failing_request_is_tried_as_often_as_the_policy_says(shop: Shop) -> None:
    shop.applied(retries=retries(3, "5xx"))
    assert get(shop.places["client_api"], "/status/500").status == 500
    assert _attempts(shop, "/status/500") == 4

    shop.applied(retries=retries(0, "5xx"))
    assert get(shop.places["client_api"], "/status/502").status == 502
    assert _attempts(shop, "/status/502") == 1


def test_a_circuit_breaker_turns_away_what_is_too_much(shop: Shop) -> None:
    limits = "default: {connectionLimits: {maxConnections: 1, maxPendingRequests: 1, maxRequests: 1}}"
    shop.applied(breaker=to_api("MeshCircuitBreaker", "breaker", limits), routes=weights(100, 0))

    def ask_slowly(_: int) -> tuple[int, bool]:
        answer = get(shop.places["client_api"], "/slow/0.5")
        return answer.status, "overflow" in answer.text

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(ask_slowly, range(8)))
    assert set(outcomes) == {(200, False), (503, True)}
    assert 1 <= outcomes.count((200, False)) <= 3
    assert get(shop.places["client_api"]).status == 200


def test_headers_are_set_added_and_removed(shop: Shop) -> None:
    filters = (
        "[{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: new}], "
        "add: [{name: x-added, value: two}], remove: [x-removed]}}, "
        "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-answer, value: seen}]}}]"
    )
    shop.applied(routes=_route(filters))

    answer = get(shop.places["client_api"], **{"x-set": "old", "x-added": "one", "x-removed": "here"})
    arrived = answer.body["headers"]
    assert (arrived["x-set"], arrived["x-added"], arrived.get("x-removed")) == ("new", "one,two", None)
    assert answer.headers["x-answer"] == "seen"


def test_a_redirect_is_the_proxys_own_answer(shop: Shop) -> None:
    redirect = "{hostname: elsewhere.test, statusCode: 301}"
    shop.applied(routes=_route(f"[{{type: RequestRedirect, requestRedirect: {redirect}}}]"))

    answer = get(shop.places["client_api"], "/a/b?c=d", host="shop.test")
    assert (answer.status, answer.headers["location"]) == (301, "http://elsewhere.test/a/b?c=d")
    assert shop.api[0].seen == shop.api[1].seen == []


def test_a_rewritten_prefix_keeps_the_slash_of_what_is_below_it(shop: Shop) -> None:
    match = "matches: [{path: {type: PathPrefix, value: /old}}]"
    for prefix, expected in (("/new", ("/new", "/new/x", "/new/x?y=z")), ("/", ("/", "/x", "/x?y=z"))):
        rewrite = f"{{type: ReplacePrefixMatch, replacePrefixMatch: {prefix}}}"
        shop.applied(routes=_route(f"[{{type: URLRewrite, urlRewrite: {{path: {rewrite}}}}}]", match))
        with calling(shop.places["client_api"]) as caller:
            arrived = tuple(caller.get(path).body["path"] for path in ("/old", "/old/x", "/old/x?y=z"))
            assert arrived == expected
            assert caller.get("/older/x").body["path"] == "/older/x"


def test_a_mirror_sees_every_request_and_its_answer_is_dropped(shop: Shop) -> None:
    to = "backendRefs: [{kind: MeshServiceSubset, name: api, tags: {version: v1}}]"
    mirror = "backendRef: {kind: MeshServiceSubset, name: api, tags: {version: v2}}"
    filters = f"[{{type: RequestMirror, requestMirror: {{percentage: 100, {mirror}}}}}]"
    shop.applied(routes=_route(filters, backends=to))

    with calling(shop.places["client_api"]) as caller:
        assert {caller.get(f"/mirrored/{number}").application for number in range(20)} == {"api-v1"}
    wanted = {f"/mirrored/{number}" for number in range(20)}
    deadline = time.monotonic() + 5
    while wanted - set(shop.api[1].paths()):
        assert time.monotonic() < deadline, shop.api[1].paths()
        time.sleep(0.01)


def test_an_unmirrored_version_sees_nothing(shop: Shop) -> None:
    """What the test before relies on."""
    shop.applied(routes=weights(100, 0))
    assert [get(shop.places["client_api"]).application for _ in range(20)] == ["api-v1"] * 20
    assert shop.api[1].seen == []


def _route(filters: str, match: str = EVERYTHING, backends: str = "") -> str:
    conf = ", ".join(part for part in (f"filters: {filters}", backends) if part)
    return to_api("MeshHTTPRoute", "changed", f"rules: [{{{match}, default: {{{conf}}}}}]")


def _attempts(shop: Shop, path: str) -> int:
    return sum(application.paths().count(path) for application in shop.api)
