"""What single documents mean as newer policies, and what they cannot say."""

import json
from collections.abc import Mapping, Sequence
from textwrap import dedent
from typing import Any

import pytest
import yaml

from compiler.resources.envelope import normalise, read_envelope
from compiler.resources.later import LEGACY_TYPES
from compiler.resources.legacy.conversion import Surroundings
from compiler.resources.legacy.convert import convert, write_documents
from tests.schematic import contents
from tests.trees import compile_texts

MESH = Surroundings(
    logging={"defaultBackend": "f", "backends": [
        {"name": "f", "type": "file", "format": "%START_TIME%", "conf": {"path": "/tmp/log"}},
        {"name": "t", "type": "tcp", "conf": {"address": "10.0.0.1:9000"}}]},
    tracing={"backends": [{"name": "d", "type": "datadog", "sampling": 12.5, "conf": {"address": "dd", "port": 8126}}]},
    protocols={"backend": "http", "redis": "tcp"},
)  # fmt: skip


def _convert(text: str, known: Surroundings = MESH) -> tuple[Sequence[Mapping[str, Any]], Sequence[tuple[str, str]]]:
    value = yaml.safe_load(dedent(text))
    kind = value.get("kind") or value["type"]
    envelope = read_envelope(kind, normalise(kind, value))
    conversion = convert(envelope, envelope.content(normalise(kind, value)), known)
    return [one.value for one in write_documents(envelope, conversion)], [
        (found.code.word, found.pointer) for found in conversion.findings
    ]


def _legacy(kind: str, conf: str, source: str = "web", destination: str = "backend") -> str:
    return f"""
type: {kind}
mesh: shop
name: one
sources: [{{match: {{kuma.io/service: {source}}}}}]
destinations: [{{match: {{kuma.io/service: {destination}, }}}}]
conf: {conf}
"""


def _default(kind: str, conf: str) -> Mapping[str, Any]:
    ([document], found) = _convert(_legacy(kind, conf))
    assert found == []
    default: Mapping[str, Any] = document["spec"]["to"][0]["default"]
    return default


def test_sources_are_proxies_and_destinations_services() -> None:
    [document], _ = _convert(_legacy("Timeout", "{connectTimeout: 1s}"))
    assert document["spec"]["targetRef"] == {"kind": "MeshSubset", "tags": {"kuma.io/service": "web"}}
    assert document["spec"]["to"][0]["targetRef"] == {"kind": "MeshService", "name": "backend"}


@pytest.mark.parametrize("kind", sorted(LEGACY_TYPES - {"TrafficLog", "TrafficTrace"}))
def test_what_a_schema_shows_compiles(kind: str) -> None:
    example = contents(f"{kind}.json")["definitions"]["universal"]["examples"][0]
    checked = compile_texts("type: Mesh\nname: default\n", json.dumps(example))
    wrong = {(found.code.word, found.path) for found in checked.diagnostics if found.level == "error"}
    assert {code for code, _ in wrong} <= {"dangling-ref"}, wrong


def test_each_source_is_a_policy_and_the_first_keeps_the_name() -> None:
    text = """
    type: Timeout
    mesh: shop
    name: one
    sources: [{match: {kuma.io/service: web}}, {match: {kuma.io/service: api}}, {match: {kuma.io/service: web}}]
    destinations: [{match: {kuma.io/service: backend}}]
    conf: {connectTimeout: 1s}
    """
    documents, _ = _convert(text)
    assert [document["name"] for document in documents] == ["one", "one-2"]


def test_a_timeout_that_is_absent_was_off() -> None:
    assert _default("Timeout", "{connectTimeout: 1s, tcp: {idleTimeout: 2s}}") == {
        "connectionTimeout": "1s",
        "idleTimeout": "2s",
        "http": {"requestTimeout": "0s", "streamIdleTimeout": "0s", "maxStreamDuration": "0s"},
    }


def test_two_idle_timeouts_are_one_and_that_is_said() -> None:
    _, found = _convert(_legacy("Timeout", "{tcp: {idleTimeout: 2s}, http: {idleTimeout: 3s}}"))
    assert found == [("legacy-difference", "/conf/tcp/idleTimeout")]


def test_a_timeout_of_grpc_that_differs_from_that_of_http_is_told_of() -> None:
    conf = (
        "{http: {streamIdleTimeout: 2s, maxStreamDuration: 1m}, grpc: {streamIdleTimeout: 3s, maxStreamDuration: 60s}}"
    )
    _, found = _convert(_legacy("Timeout", conf))
    assert found == [("legacy-difference", "/conf/grpc/streamIdleTimeout")]


def test_status_codes_and_methods_are_conditions_and_other_protocols_are_not_tried_again() -> None:
    conf = "{http: {numRetries: 2, retryOn: [all_5xx], retriableStatusCodes: [409], retriableMethods: [GET]}}"
    assert _default("Retry", conf) == {
        "http": {"numRetries": 2, "retryOn": ["5xx", "409", "HttpMethodGet"]},
        "grpc": {"numRetries": 0},
    }


def test_detectors_have_other_names() -> None:
    conf = "{interval: 1s, detectors: {totalErrors: {}, standardDeviation: {factor: 1.9}}, thresholds: {maxRetries: 2}}"
    assert _default("CircuitBreaker", conf) == {
        "connectionLimits": {"maxRetries": 2},
        "outlierDetection": {
            "interval": "1s",
            "detectors": {"totalFailures": {}, "successRate": {"standardDeviationFactor": "1.9"}},
        },
    }


def test_bytes_of_a_health_check_are_the_text_that_they_are() -> None:
    conf = "{interval: 1s, timeout: 1s, unhealthyThreshold: 1, healthyThreshold: 1, tcp: {send: Zm9v, receive: [YmFy]}}"
    default = _default("HealthCheck", conf)
    assert default["tcp"] == {"send": "foo", "receive": ["bar"]}
    assert (default["http"], default["grpc"]) == ({"disabled": True}, {"disabled": True})


def test_bytes_that_are_no_text_are_refused() -> None:
    conf = "{interval: 1s, timeout: 1s, unhealthyThreshold: 1, healthyThreshold: 1, tcp: {send: /w==}}"
    assert _convert(_legacy("HealthCheck", conf))[1] == [("not-supported-yet", "/conf/tcp/send")]


def test_a_piece_of_an_answer_is_not_empty() -> None:
    conf = "{interval: 1s, timeout: 1s, unhealthyThreshold: 1, healthyThreshold: 1, tcp: {receive: [YmFy, '']}}"
    assert _convert(_legacy("HealthCheck", conf))[1] == [("not-supported-yet", "/conf/tcp/receive/1")]


def test_who_is_not_named_by_a_permission_is_refused_by_it() -> None:
    text = """
    type: TrafficPermission
    mesh: shop
    name: one
    sources: [{match: {kuma.io/service: web}}]
    destinations: [{match: {kuma.io/service: backend, version: v1}}]
    """
    ([document], found) = _convert(text)
    assert found == []
    assert document["spec"] == {
        "targetRef": {"kind": "MeshSubset", "tags": {"kuma.io/service": "backend", "version": "v1"}},
        "from": [
            {"targetRef": {"kind": "Mesh"}, "default": {"action": "Deny"}},
            {
                "targetRef": {"kind": "MeshSubset", "tags": {"kuma.io/service": "web"}},
                "default": {"action": "Allow"},
            },
        ],
    }


def test_callers_of_a_limit_are_told_by_their_certificates() -> None:
    conf = "{http: {requests: 5, interval: 10s, onRateLimit: {status: 423, headers: [{key: X-A, value: b}]}}}"
    [document], found = _convert(_legacy("RateLimit", conf))
    assert found == []
    [rule] = document["spec"]["rules"]
    assert rule["matches"] == [{"spiffeID": {"type": "Exact", "value": "spiffe://shop/web"}}]
    assert rule["default"]["local"]["http"] == {
        "requestRate": {"num": 5, "interval": "10s"},
        "onRateLimit": {"status": 423, "headers": {"add": [{"name": "x-a", "value": "b"}]}},
    }


def test_callers_of_a_limit_are_told_by_other_tags_in_a_way_that_nobody_can_write() -> None:
    conf = "{http: {requests: 5, interval: 10s}}"
    [document], found = _convert(_legacy("RateLimit", conf, source="web, version: v1"))
    assert found == []
    [rule] = document["spec"]["rules"]
    web = {"type": "Exact", "value": "spiffe://shop/web"}
    assert rule["matches"] == [{"spiffeID": web, "tags": {"version": "v1"}}]
    checked = compile_texts("{type: Mesh, name: shop}", json.dumps(document))
    assert [(one.code.word, one.path) for one in checked.diagnostics if one.level == "error"] == [
        ("unknown-field", "/spec/rules/0/matches/0/tags")
    ]


def test_any_value_of_a_callers_tag_cannot_be_asked_for() -> None:
    _, found = _convert(_legacy("RateLimit", "{http: {requests: 5, interval: 10s}}", source="web, version: '*'"))
    assert ("not-supported-yet", "/sources/0/match/version") in found


def test_a_fault_keeps_its_share_and_its_bandwidth_its_unit() -> None:
    conf = "{responseBandwidth: {percentage: 12.5, limit: 5 mbps}}"
    [document], _ = _convert(_legacy("FaultInjection", conf, source="'*'", destination="a, kuma.io/protocol: http"))
    [rule] = document["spec"]["rules"]
    assert rule == {"default": {"http": [{"responseBandwidth": {"percentage": "12.5", "limit": "5Mbps"}}]}}


@pytest.mark.parametrize(
    ("conf", "written"),
    [
        ("{}", {"type": "File", "file": {"path": "/tmp/log", "format": {"type": "Plain", "plain": "%START_TIME%"}}}),
        ("{backend: t}", {"type": "Tcp", "tcp": {"address": "10.0.0.1:9000"}}),
    ],
)
def test_a_log_holds_the_backend_of_its_mesh(conf: str, written: Mapping[str, Any]) -> None:
    assert _default("TrafficLog", conf) == {"backends": [written]}


def test_traces_hold_the_share_of_their_backend() -> None:
    text = """
    {type: TrafficTrace, mesh: shop, name: one, selectors: [{match: {kuma.io/service: '*'}}], conf: {backend: d}}
    """
    [document], _ = _convert(text)
    assert document["spec"]["default"] == {
        "backends": [{"type": "Datadog", "datadog": {"url": "http://dd:8126"}}],
        "sampling": {"overall": "12.5"},
    }


def test_without_its_mesh_a_backend_is_referred_to() -> None:
    [document], found = _convert(_legacy("TrafficLog", "{backend: f}"), Surroundings())
    [backend] = document["spec"]["to"][0]["default"]["backends"]
    assert (backend, found) == ({"type": "Mesh", "mesh": {"kind": "Mesh", "name": "shop", "backend": "f"}}, [])


def test_a_split_of_a_service_of_http_is_of_requests_and_one_of_tcp_of_connections() -> None:
    split = (
        "{split: [{weight: 9, destination: {kuma.io/service: redis}}, {weight: 0, destination: {kuma.io/service: x}}]}"
    )
    [http], _ = _convert(_legacy("TrafficRoute", split))
    [tcp], _ = _convert(_legacy("TrafficRoute", split.replace("redis", "web"), destination="redis"))
    assert (http["type"], tcp["type"]) == ("MeshHTTPRoute", "MeshTCPRoute")
    [rule] = http["spec"]["to"][0]["rules"]
    assert rule["default"] == {"backendRefs": [{"kind": "MeshService", "name": "redis", "weight": 9}]}


def test_of_an_unknown_service_connections_are_split_and_that_is_said() -> None:
    conf = "{destination: {kuma.io/service: b, version: v1}}"
    [document], found = _convert(_legacy("TrafficRoute", conf), Surroundings())
    assert (document["type"], found) == ("MeshTCPRoute", [("legacy-difference", "/conf")])


def test_a_route_to_where_calls_go_anyway_changes_nothing() -> None:
    documents, found = _convert(_legacy("TrafficRoute", "{destination: {kuma.io/service: '*'}}", destination="'*'"))
    assert (documents, found) == ([], [("no-effect", "/conf")])


def test_requests_are_matched_and_changed() -> None:
    conf = """
  http:
  - match: {method: {exact: get}, headers: {X-Lane: {prefix: v}}}
    modify:
      host: {value: shop.example}
      responseHeaders: {add: [{name: X-A, value: b, append: true}], remove: [{name: X-C}]}
    destination: {kuma.io/service: offers}
  destination: {kuma.io/service: backend}
"""
    ([document], found) = _convert(_legacy("TrafficRoute", conf))
    assert found == []
    [rule] = document["spec"]["to"][0]["rules"]
    assert rule == {
        "matches": [{"method": "GET", "headers": [{"type": "Prefix", "name": "x-lane", "value": "v"}]}],
        "default": {
            "backendRefs": [{"kind": "MeshService", "name": "offers"}],
            "filters": [
                {"type": "URLRewrite", "urlRewrite": {"hostname": "shop.example"}},
                {
                    "type": "ResponseHeaderModifier",
                    "responseHeaderModifier": {"add": [{"name": "x-a", "value": "b"}], "remove": ["x-c"]},
                },
            ],
        },
    }


@pytest.mark.parametrize(
    ("modify", "rewrite"),
    [
        (
            "{path: {regex: {pattern: a(.), substitution: '\\1'}}}",
            {"path": {"type": "ReplaceRegexMatch", "replaceRegexMatch": {"pattern": "a(.)", "substitution": "\\1"}}},
        ),
        (
            "{host: {fromPath: {pattern: a, substitution: b}}}",
            {"hostnameFromPath": {"pattern": "a", "substitution": "b"}},
        ),
    ],
)
def test_paths_and_hosts_are_rewritten_by_regular_expressions(modify: str, rewrite: object) -> None:
    conf = f"""
  http: [{{match: {{method: {{exact: GET}}}}, modify: {modify}, destination: {{kuma.io/service: a}}}}]
  destination: {{kuma.io/service: backend}}
"""
    ([document], found) = _convert(_legacy("TrafficRoute", conf))
    assert found == []
    [rule] = document["spec"]["to"][0]["rules"]
    assert rule["default"]["filters"] == [{"type": "URLRewrite", "urlRewrite": rewrite}]


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("match: {path: {regex: '('}}", "/conf/http/0/match/path/regex"),
        ("match: {headers: {x-a: {regex: '(?!a)'}}}", "/conf/http/0/match/headers/x-a/regex"),
        ("modify: {path: {regex: {pattern: '(', substitution: b}}}", "/conf/http/0/modify/path/regex/pattern"),
        (
            "modify: {host: {fromPath: {pattern: a, substitution: '\\1'}}}",
            "/conf/http/0/modify/host/fromPath/substitution",
        ),
    ],
)
def test_what_is_wrong_with_a_regular_expression_is_told_where_it_stands(entry: str, path: str) -> None:
    every = "" if entry.startswith("match") else "match: {method: {exact: GET}}, "
    conf = f"""
  http: [{{{every}{entry}, destination: {{kuma.io/service: a}}}}]
  destination: {{kuma.io/service: backend}}
"""
    checked = compile_texts("type: Mesh\nname: shop\n", _legacy("TrafficRoute", conf))
    wrong = [(found.code.word, found.path) for found in checked.diagnostics if found.level == "error"]
    assert wrong == [("bad-value", path)]


def test_a_ring_keeps_its_size_and_its_hash() -> None:
    ring = "{hashFunction: MURMUR_HASH_2, minRingSize: '64'}"
    conf = f"{{loadBalancer: {{ringHash: {ring}}}, destination: {{kuma.io/service: '*'}}}}"
    [document], _ = _convert(_legacy("TrafficRoute", conf))
    assert document["type"] == "MeshLoadBalancingStrategy"
    assert document["spec"]["to"][0]["default"] == {
        "loadBalancer": {"type": "RingHash", "ringHash": {"hashFunction": "MurmurHash2", "minRingSize": 64}}
    }


def test_names_of_services_are_generated_and_names_of_single_proxies_are_refused() -> None:
    text = """
    type: VirtualOutbound
    mesh: shop
    name: one
    selectors: [{match: {kuma.io/service: '*'}}]
    conf:
      host: '%s'
      port: '80'
      parameters: [{name: s, tagKey: kuma.io/service}, {name: i, tagKey: kuma.io/instance}]
    """
    [document], found = _convert(text % "{{.s}}.mesh")
    assert document["spec"] == {
        "selector": {"meshService": {"matchLabels": {"kuma.io/mesh": "shop"}}},
        "template": "{{ .DisplayName }}.mesh",
    }
    assert found == [("legacy-difference", "/conf/port")]
    assert ("not-supported-yet", "/conf/host") in _convert(text % "{{.i}}.{{.s}}.mesh")[1]


def test_operations_of_a_template_have_other_names_and_its_resources_are_added() -> None:
    text = """
    type: ProxyTemplate
    mesh: shop
    name: one
    selectors: [{match: {kuma.io/service: a}}]
    conf:
      imports: [default-proxy]
      resources: [{name: r, version: v, resource: "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster"}]
      modifications: [{httpFilter: {operation: addBefore, match: {name: r}, value: 'name: a'}}]
    """
    ([document], found) = _convert(text)
    assert found == []
    first, second = document["spec"]["default"]["appendModifications"]
    assert first["cluster"]["operation"] == "Add"
    assert second == {"httpFilter": {"operation": "AddBefore", "match": {"name": "r"}, "value": "name: a"}}


def test_on_kubernetes_it_stands_in_the_system_namespace() -> None:
    text = """
    apiVersion: kuma.io/v1alpha1
    kind: Timeout
    mesh: shop
    metadata: {name: one, labels: {team: a}}
    spec:
      sources: [{match: {kuma.io/service: '*'}}]
      destinations: [{match: {kuma.io/service: backend_shop_svc_80}}]
      conf: {connectTimeout: 1s}
    """
    [document], _ = _convert(text)
    labels = {"team": "a", "kuma.io/mesh": "shop"}
    assert document["metadata"] == {"name": "one", "namespace": "kuma-system", "labels": labels}


def test_any_value_of_a_tag_cannot_be_asked_for() -> None:
    text = _legacy("Timeout", "{connectTimeout: 1s}", source="web, version: '*'")
    assert _convert(text)[1] == [("not-supported-yet", "/sources/0/match/version")]
