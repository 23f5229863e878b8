"""An agent beside the proxy and a service that counts decide what passes (MeshOPA, MeshGlobalRateLimit)."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.e2e.collectors import wait_for
from tests.e2e.deciders import AGENT, SERVICE, Decider, allow, beyond, counted, deny, running, within
from tests.e2e.places import free_port
from tests.e2e.shop import Shop, permissions, weights
from tests.e2e.traffic import PATIENCE, calling, get

pytestmark = pytest.mark.parametrize(
    "open_for_all", [pytest.param("1.40", marks=pytest.mark.xdist_group("shop-1.40"))], indirect=True
)
ALLOWING = "package shop\ndefault allow := true\n"


def authorization(port: int, asking: str = "", rego: str = ALLOWING) -> str:
    config = f"plugins: {{envoy_ext_authz_grpc: {{addr: '127.0.0.1:{port}'}}}}"
    modules = f"appendPolicies: [{{rego: {{inlineString: {json.dumps(rego)}}}}}]"
    conf = f"agentConfig: {{inlineString: {json.dumps(config)}}}, authConfig: {{{asking}}}, {modules}"
    target = "targetRef: {kind: Dataplane, labels: {app: api}}"
    return f"type: MeshOPA\nmesh: shop\nname: api\nspec: {{{target}, default: {{{conf}}}}}\n"


def limits(service: str, http_limit: str) -> str:
    conf = f"http: {http_limit}, backend: {{rateLimitService: {{{service}}}}}"
    target = "targetRef: {kind: Dataplane, labels: {app: api}}"
    spec = f"{target}, from: [{{targetRef: {{kind: Mesh}}, default: {{{conf}}}}}]"
    return f"type: MeshGlobalRateLimit\nmesh: shop\nname: api\nspec: {{{spec}}}\n"


def url(decider: Decider) -> str:
    return f'url: "http://{decider.address}", timeout: 2s'


def inbound(kind: str, default: str) -> str:
    target = "targetRef: {kind: Dataplane, labels: {app: api}}"
    return f"type: {kind}\nmesh: shop\nname: inbound\nspec: {{{target}, rules: [{{default: {default}}}]}}\n"


def test_the_agent_decides_and_sees_who_calls(shop: Shop) -> None:
    with running(AGENT, lambda _: allow(**{"x-judged": "yes"})) as agent:
        _ask(shop, agent, opa=authorization(agent.port, "timeout: 2s"))
        answer = get(shop.places["client_api"], "/fine")
        assert (answer.status, answer.body["headers"]["x-judged"]) == (200, "yes")
        (asked,) = agent.asked
        assert asked.attributes.request.http.path == "/fine"
        assert asked.attributes.source.principal == "spiffe://shop/client"

        agent.says = lambda _: deny(401, "not today")
        answer = get(shop.places["client_api"])
        assert (answer.status, answer.text) == (401, "not today")


def test_what_becomes_of_a_request_without_an_answer_is_the_policys(shop: Shop) -> None:
    port = free_port()
    for asking, status in (("", 403), ("statusOnError: 503", 503), ("statusOnError: 503, onAgentFailure: Allow", 200)):
        shop.applied(opa=authorization(port, asking))
        _settle(shop, status)


def test_the_agent_sees_as_much_of_a_body_as_the_policy_says(shop: Shop) -> None:
    with running(AGENT, lambda _: allow()) as agent:
        _ask(shop, agent, opa=authorization(agent.port, "timeout: 2s, requestBody: {maxSize: 8}"))
        seen = wait_for(lambda: _post(shop, b"0123456789") == 200 and _seen(agent).body and _seen(agent))
        assert seen.body == "01234567"
        assert seen.headers["x-envoy-auth-partial-body"] == "true"

        shop.applied(opa=authorization(agent.port, "timeout: 2s, requestBody: {maxSize: 64, sendRawBody: true}"))
        seen = wait_for(lambda: _post(shop, b"\xff\x00") == 200 and _seen(agent).raw_body and _seen(agent))
        assert (seen.raw_body, seen.body) == (b"\xff\x00", "")


def test_permissions_come_before_the_agent_and_faults_after_it(shop: Shop) -> None:
    fault = inbound("MeshFaultInjection", "{http: [{abort: {httpStatus: 418, percentage: 100}}]}")
    with running(AGENT, lambda _: deny(401)) as agent:
        _ask(shop, agent, opa=authorization(agent.port, "timeout: 2s"), fault=fault)
        assert get(shop.places["guest_api"]).status == 403
        assert agent.asked == []
        assert get(shop.places["client_api"]).status == 401
        agent.says = lambda _: allow()
        assert get(shop.places["client_api"]).status == 418
        assert len(agent.asked) == 2


def test_a_new_module_reaches_the_agent_and_no_connection_is_lost(shop: Shop) -> None:
    with running(AGENT, lambda _: allow()) as agent:
        _ask(shop, agent, opa=authorization(agent.port, "timeout: 2s"))
        envoy = shop.envoys["api-v1"]
        first, tag = _document(envoy.folder / "opa.sock")
        assert [one["name"] for one in first["modules"]] == ["policy-0.rego", "decision.rego"]
        assert first["modules"][0]["rego"] == ALLOWING
        assert first["config"]["plugins"]["envoy_ext_authz_grpc"]["path"] == "implicitkmesh/allow"
        assert _document(envoy.folder / "opa.sock", tag) == ({}, tag)
        before = {name: one["active_state"]["version_info"] for name, one in envoy.listeners().items()}

        with calling(shop.places["client_api"]) as caller:
            assert caller.get().status == 200
            shop.applied(opa=authorization(agent.port, "timeout: 2s", "package shop\nallow := false\n"))
            assert caller.get().status == 200
        second, _ = _document(envoy.folder / "opa.sock", tag)
        assert second["modules"][0]["rego"] == "package shop\nallow := false\n"
        assert {name: one["active_state"]["version_info"] for name, one in envoy.listeners().items()} == before


def test_a_service_that_counts_refuses_what_is_too_much(shop: Shop) -> None:
    answer = "onRateLimit: {status: 423, headers: {set: [{name: x-limited, value: 'a, b'}]}}"
    by_header = "[{kind: OnHeader, name: x-tenant, limits: [{value: acme, requestRate: {num: 1, interval: 1m}}]}]"
    conf = f"{{requestRate: {{num: 9, interval: 1h}}, ratelimitOnRequest: {by_header}, {answer}}}"
    with running(SERVICE, within) as service:
        _ask(shop, service, limit=limits(url(service), conf))
        assert get(shop.places["client_api"]).status == 200
        assert get(shop.places["client_api"], **{"x-tenant": "acme"}).status == 200
        by_service = {"kuma.io/service": "api", "inbound": str(shop.places["api1"].port)}
        plain, tenant = service.asked
        assert counted(plain) == ("shop", [by_service])
        assert counted(tenant) == ("shop", [by_service, {**by_service, "x-tenant": "acme"}])

        service.says = beyond
        refused = get(shop.places["client_api"])
        assert (refused.status, refused.headers["x-limited"]) == (423, "a, b")


def test_a_service_may_be_asked_by_tls(shop: Shop) -> None:
    certificate = trustme.CA().issue_cert("limits.example")
    with running(SERVICE, within, certificate=certificate) as service:
        encrypted = f'url: "https://{service.address}"'
        _ask(shop, service, limit=limits(encrypted, "{requestRate: {num: 9, interval: 1h}}"))
        assert get(shop.places["client_api"]).status == 200
        service.says = beyond
        assert get(shop.places["client_api"]).status == 429


def test_a_request_that_its_proxy_refuses_is_not_counted(shop: Shop) -> None:
    local = inbound("MeshRateLimit", "{local: {http: {requestRate: {num: 1, interval: 60s}}}}")
    with running(SERVICE, within) as service:
        _ask(shop, service, limit=limits(url(service), "{requestRate: {num: 9, interval: 1h}}"))
        shop.applied(local=local)
        assert [get(shop.places["client_api"]).status for _ in range(3)] == [200, 429, 429]
        assert len(service.asked) == 1


def test_where_the_service_is_silent_the_policy_decides(shop: Shop) -> None:
    silent = f'url: "http://127.0.0.1:{free_port()}"'
    conf = "{requestRate: {num: 9, interval: 1h}}"
    shop.applied(limit=limits(silent, conf), permissions=permissions("client"))
    assert get(shop.places["client_api"]).status == 200
    shop.applied(limit=limits(f"{silent}, limitOnServiceFail: true", conf))
    _settle(shop, 429)


def _ask(shop: Shop, decider: Decider, **files: str) -> None:
    """As soon as requests of the client, all to one version, are judged by it; what it was asked is forgotten.

    A listener that changed leaves open connections of proxies as they were, until they have drained.
    """
    shop.applied(routes=weights(100, 0), **files)
    wait_for(lambda: get(shop.places["client_api"]).status and decider.asked)
    decider.asked.clear()


def _settle(shop: Shop, status: int) -> None:
    """Both versions answer so on whatever connection."""
    wait_for(lambda: all(get(shop.places["client_api"]).status == status for _ in range(4)))


def _seen(agent: Decider) -> Any:
    return agent.asked[-1].attributes.request.http


def _post(shop: Shop, body: bytes) -> int:
    place = shop.places["client_api"]
    connection = http.client.HTTPConnection(place.host, place.port, timeout=PATIENCE)
    try:
        connection.request("POST", "/", body)
        return connection.getresponse().status
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


def _document(path: Path, tag: str = "") -> tuple[dict[str, Any], str]:
    """With its tag; nothing where the tag is that of the document."""
    connection = _Connection(path)
    try:
        connection.request("GET", "/opa", headers={"if-none-match": tag} if tag else {})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == (200 if text else 304)
        return json.loads(text) if text else {}, str(answer.getheader("etag"))
    finally:
        connection.close()
