"""What Envoy is told of a builtin gateway."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from compiler.envoy.resources import ResourceType
from compiler.policies import POLICIES
from tests.mesh.test_gateways import CART, EDGE, HTTP, MESH, STORE, gateway, older, route
from tests.trees import compile_texts

HTTP_NAME = "edge:HTTP:8080"
_PAGE = Path(__file__).parents[2] / "docs" / "gateways.md"
_HOLDING = _PAGE.read_text().partition("## Policies\n")[2].partition("hold for gateways")[0]


def resources(*texts: str, proxy: str = "edge-1") -> dict[ResourceType, dict[str, Any]]:
    compiled = compile_texts(MESH, EDGE, CART, STORE, *texts)
    assert compiled.value.generation is not None, compiled.diagnostics
    (snapshot,) = (one for one in compiled.value.generation.snapshots.values() if one.node.proxy == proxy)
    return {
        kind: {name: json.loads(one.json) for name, one in named.items()} for kind, named in snapshot.resources.items()
    }


def connections(*texts: str) -> Any:
    """The HTTP connection manager of the one HTTP listener."""
    listener = resources(*texts)[ResourceType.LISTENER][HTTP_NAME]
    return listener["filterChains"][0]["filters"][-1]["typedConfig"]


def routes(*texts: str) -> list[Any]:
    configuration = resources(*texts)[ResourceType.ROUTE][f"{HTTP_NAME}:*"]
    return [one for host in configuration["virtualHosts"] for one in host.get("routes", ())]


def policy(kind: str, part: str, conf: str, target: str = "{kind: MeshGateway, name: edge}") -> str:
    head = f"type: {kind}\nmesh: default\nname: p\nspec:\n  targetRef: {target}\n"
    return f"{head}  {part}: [{{targetRef: {{kind: Mesh}}, default: {conf}}}]\n"


def test_what_strangers_send_is_made_plain_before_it_is_matched() -> None:
    found = connections(gateway(HTTP), route("web", "/"))
    assert (found["useRemoteAddress"], found["normalizePath"], found["mergeSlashes"]) == (True, True, True)
    assert found["pathWithEscapedSlashesAction"] == "UNESCAPE_AND_REDIRECT"
    assert found["commonHttpProtocolOptions"]["headersWithUnderscoresAction"] == "REJECT_REQUEST"


def test_a_gateway_is_impatient_until_a_timeout_says_otherwise() -> None:
    plain = connections(gateway(HTTP))
    assert (plain["streamIdleTimeout"], plain["requestHeadersTimeout"]) == ("5s", "0.500s")
    assert plain["commonHttpProtocolOptions"]["idleTimeout"] == "300s"
    conf = "{idleTimeout: 60s, http: {streamIdleTimeout: 7s, requestHeadersTimeout: 1s}}"
    patient = connections(gateway(HTTP), policy("MeshTimeout", "from", conf))
    assert (patient["streamIdleTimeout"], patient["requestHeadersTimeout"]) == ("7s", "1s")
    assert patient["commonHttpProtocolOptions"]["idleTimeout"] == "60s"
    partly = connections(gateway(HTTP), policy("MeshTimeout", "from", "{http: {requestHeadersTimeout: 0s}}"))
    assert (partly["streamIdleTimeout"], partly["requestHeadersTimeout"]) == ("5s", "0s")
    assert partly["commonHttpProtocolOptions"]["idleTimeout"] == "300s"


def test_a_stranger_has_the_time_of_from_to_send_a_request() -> None:
    assert "requestTimeout" not in connections(gateway(HTTP), policy("MeshTimeout", "from", "{idleTimeout: 60s}"))
    patient = connections(gateway(HTTP), policy("MeshTimeout", "from", "{http: {requestTimeout: 3s}}"))
    assert patient["requestTimeout"] == "3s"


def test_what_from_is_silent_of_leaves_the_idleness_of_to() -> None:
    listeners = gateway("port: 9, protocol: TCP")
    going_on = policy("MeshTimeout", "to", "{idleTimeout: 10s}")

    def idle(*texts: str) -> str:
        extension = resources(listeners, *texts)[ResourceType.EXTENSION]["edge:TCP:9:*.tcp"]
        return str(extension["typedConfig"]["idleTimeout"])

    silent = policy("MeshTimeout", "from", "{http: {requestTimeout: 3s}}").replace("name: p", "name: q")
    assert idle(going_on, silent) == "10s"
    assert idle(going_on, silent.replace("{http: {requestTimeout: 3s}}", "{idleTimeout: 3s}")) == "3s"


def test_a_request_that_is_sent_on_has_the_timeouts_of_to() -> None:
    (plain,) = routes(gateway(HTTP), route("web", "/"))
    assert (plain["route"]["idleTimeout"], "timeout" in plain["route"]) == ("5s", False)
    conf = "{http: {requestTimeout: 3s, streamIdleTimeout: 9s}}"
    (patient,) = routes(gateway(HTTP), route("web", "/"), policy("MeshTimeout", "to", conf))
    assert (patient["route"]["timeout"], patient["route"]["idleTimeout"]) == ("3s", "9s")


def test_limits_and_faults_of_to_are_for_gateways_and_not_for_sidecars() -> None:
    limit = policy("MeshRateLimit", "to", "{local: {http: {requestRate: {num: 1, interval: 1s}}}}", "{kind: Mesh}")
    fault = policy("MeshFaultInjection", "to", "{http: [{abort: {httpStatus: 503, percentage: 1}}]}", "{kind: Mesh}")
    texts = gateway(HTTP), route("web", "/"), limit, fault
    (found,) = routes(*texts)
    assert sorted(found["typedPerFilterConfig"]) == ["envoy.filters.http.fault", "envoy.filters.http.local_ratelimit"]
    sidecar = resources(*texts, proxy="cart")[ResourceType.ROUTE]
    assert "typedPerFilterConfig" not in json.dumps(sidecar)


@pytest.mark.parametrize("kind", re.findall(r"Mesh[A-Z]\w+", _HOLDING))
def test_what_is_said_to_hold_for_gateways_can_be_for_one(kind: str) -> None:
    (found,) = (one.kind for one in POLICIES if one.kind.type == kind)
    assert "MeshGateway" in found.targets.top


def test_connections_are_counted_before_they_are_read() -> None:
    listener = resources(gateway(f"{HTTP}, resources: {{connectionLimit: 7}}"))[ResourceType.LISTENER][HTTP_NAME]
    first = listener["filterChains"][0]["filters"][0]
    assert first["name"] == "envoy.filters.network.connection_limit"
    assert first["typedConfig"]["maxConnections"] == "7"


def test_a_limit_of_connections_is_for_those_that_are_read_too() -> None:
    limit = policy("MeshRateLimit", "to", "{local: {tcp: {connectionRate: {num: 1, interval: 1s}}}}")
    listeners = resources(gateway(HTTP, "port: 9, protocol: TCP"), limit)[ResourceType.LISTENER]
    names = {name: [one["name"] for one in found["filterChains"][0]["filters"]] for name, found in listeners.items()}
    assert names["edge:TCP:9"][0] == "envoy.filters.network.local_ratelimit"
    limited = ["envoy.filters.network.local_ratelimit", "envoy.filters.network.http_connection_manager"]
    assert names[HTTP_NAME] == limited


def test_a_log_for_one_host_marks_its_routes() -> None:
    listeners = f"{HTTP}, hostname: a.example, tags: {{door: a}}", f"{HTTP}, hostname: b.example"
    conf = "{backends: [{type: File, file: {path: /dev/stdout}}]}"
    log = policy("MeshAccessLog", "to", conf, "{kind: MeshGateway, name: edge, tags: {door: a}}")
    marked, plain = routes(gateway(*listeners), route("web", "/"), log)
    assert "metadata" in marked
    assert "metadata" not in plain
    (entry,) = connections(gateway(*listeners), route("web", "/"), log)["accessLog"]
    assert "filter" in entry


def test_a_log_for_one_host_marks_the_host_for_what_no_route_takes() -> None:
    listeners = gateway(f"{HTTP}, hostname: '*.example', tags: {{door: a}}", f"{HTTP}, hostname: b.example")
    conf = "{backends: [{type: File, file: {path: /dev/stdout}}]}"
    log = policy("MeshAccessLog", "to", conf, "{kind: MeshGateway, name: edge, tags: {door: a}}")
    only = route("web", "/", hostnames="c.example")
    hosts = resources(listeners, only, log)[ResourceType.ROUTE][f"{HTTP_NAME}:*"]["virtualHosts"]
    assert {one["name"]: "metadata" in one for one in hosts} == {
        "*.example": True,
        "b.example": False,
        "c.example": True,
    }
    both = gateway(
        f"{HTTP}, hostname: '*.example', tags: {{door: a}}", f"{HTTP}, hostname: b.example, tags: {{door: a}}"
    )
    (found,) = resources(both, log)[ResourceType.ROUTE].values()
    assert "metadata" not in json.dumps(found)


def test_what_leads_nowhere_is_refused() -> None:
    found = resources(gateway("port: 9, protocol: TCP"))
    assert found[ResourceType.EXTENSION]["edge:TCP:9:*.tcp"]["typedConfig"]["cluster"] in found[ResourceType.CLUSTER]
    (failing,) = routes(gateway(HTTP), route("web", "/", service="nobody"))
    assert failing["directResponse"]["status"] == 500


def test_a_route_of_kumas_older_kind_says_the_same_in_other_words() -> None:
    text = older("old").replace(
        "matches: [{path: {match: PREFIX, value: /old}}]",
        "matches: [{path: {match: PREFIX, value: /old/}, method: GET, headers: [{match: PREFIX, name: a, value: b}], "
        "queryParameters: [{match: REGEX, name: q, value: 'x.*'}]}], filters: [{rewrite: {replacePrefixMatch: /new}}, "
        "{requestHeader: {set: [{name: s, value: t}]}}, "
        "{mirror: {percentage: 5, backend: {destination: {kuma.io/service: cart}}}}]",
    )
    exact, below = routes(gateway(HTTP), text)
    assert (exact["match"]["path"], below["match"]["prefix"]) == ("/old", "/old/")
    assert below["route"]["prefixRewrite"] == "/new/"
    assert below["match"]["queryParameters"][0]["stringMatch"]["safeRegex"]["regex"] == "x.*"
    assert [one["name"] for one in below["match"]["headers"]] == [":method", "a"]
    assert below["requestHeadersToAdd"][0]["header"] == {"key": "s", "value": "t"}
    assert below["route"]["requestMirrorPolicies"][0]["runtimeFraction"]["defaultValue"]["numerator"] == 5
