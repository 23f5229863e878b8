"""What Kuma refuses of legacy policies is refused at the field that it names."""

from textwrap import dedent

import pytest

from tests.resources.build import findings

PAIR = "sources: [{match: {kuma.io/service: web}}]\ndestinations: [{match: {kuma.io/service: backend}}]\n"
ALL = "selectors: [{match: {kuma.io/service: '*'}}]\n"


def _legacy(kind: str, text: str) -> str:
    return f"type: {kind}\nmesh: default\nname: one\n{dedent(text).strip()}\n"


SELECTORS = """
Timeout  | destinations: [{match: {kuma.io/service: a}}]                            | missing-field | /sources
RateLimit | sources: [{match: {kuma.io/service: a}}]                                | missing-field | /destinations
HealthCheck | sources: [{match: {region: eu}}]                                      | missing-field | /sources/0/match
TrafficLog | destinations: [{match: {kuma.io/service: a, region: eu}}]   | bad-value | /destinations/0/match/region
TrafficPermission | sources: [{match: {}}]                                          | bad-value | /sources/0/match
FaultInjection | destinations: [{match: {kuma.io/service: a}}]           | missing-field | /destinations/0/match
ProxyTemplate | selectors: [{match: {region: eu}}]                                  | missing-field | /selectors/0/match
TrafficTrace | conf: {backend: b}                                                   | missing-field | /selectors
"""
CONFS = """
Timeout | {connectTimeout: 0s}                                           | bad-value | /conf/connectTimeout
CircuitBreaker | {detectors: {}, thresholds: {}}                         | missing-field | /conf
CircuitBreaker | {detectors: {}, thresholds: {maxRetries: 1}}            | missing-field | /conf/detectors
Retry | {http: {backOff: {}}}                                     | missing-field | /conf/http/backOff/baseInterval
Retry | {grpc: {backOff: {baseInterval: 2s, maxInterval: 1s}}} | bad-value | /conf/grpc/backOff/maxInterval
Retry | {http: {retryOn: [reset, retriable_status_codes]}}               | missing-field | /conf/http/retryOn/1
Retry | {grpc: {retryOn: [internal, unavailable, internal]}}             | duplicate-name | /conf/grpc/retryOn
Retry | {http: {retriableMethods: [NONE]}}                               | bad-value | /conf/http/retriableMethods/0
HealthCheck | {interval: 1s, timeout: 1s}                                | missing-field | /conf/healthyThreshold
FaultInjection | {delay: {percentage: 1}}                                | missing-field | /conf/delay/value
RateLimit | {http: {requests: 1, interval: 10ms}}                        | bad-value | /conf/http/interval
RateLimit | {http: {requests: 1}}                                        | missing-field | /conf/http/interval
TrafficRoute | {loadBalancer: {random: {}}}                              | missing-field | /conf
TrafficRoute | {destination: {version: v1}}                              | missing-field | /conf/destination
TrafficRoute | {split: [{weight: 0, destination: {kuma.io/service: a}}]} | bad-value | /conf/split
"""


def _rows(table: str) -> list[tuple[str, ...]]:
    return [tuple(cell.strip() for cell in row.split(" | ")) for row in table.strip().splitlines()]


@pytest.mark.parametrize(("kind", "text", "code", "path"), _rows(SELECTORS))
def test_selectors_that_kuma_refuses_are_refused_at_their_field(kind: str, text: str, code: str, path: str) -> None:
    assert (code, path) in findings(_legacy(kind, text))


@pytest.mark.parametrize(("kind", "conf", "code", "path"), _rows(CONFS))
def test_what_kuma_refuses_is_refused_at_its_field(kind: str, conf: str, code: str, path: str) -> None:
    assert (code, path) in findings(_legacy(kind, f"{PAIR}conf: {conf}"))


def test_calls_go_to_one_place_or_to_shares() -> None:
    here = "{kuma.io/service: a}"
    conf = f"conf: {{split: [{{weight: 1, destination: {here}}}], destination: {here}}}"
    assert ("exclusive-fields", "/conf") in findings(_legacy("TrafficRoute", f"{PAIR}{conf}"))


def test_only_a_prefix_that_matched_can_be_rewritten() -> None:
    conf = """conf:
  destination: {kuma.io/service: a}
  http:
  - match: {path: {exact: /a}}
    modify: {path: {rewritePrefix: /b}}
    destination: {kuma.io/service: a}
"""
    found = findings(_legacy("TrafficRoute", PAIR + conf))
    assert found == [("bad-value", "/conf/http/0/modify/path/rewritePrefix")]


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ("{operation: add, match: {name: x}, value: 'name: x'}", "exclusive-fields", "match/name"),
        ("{operation: add, value: '{'}", "bad-value", "value"),
        ("{operation: remove, value: 'name: x'}", "exclusive-fields", "value"),
        ("{operation: addFirst, value: 'name: x'}", "bad-value", "operation"),
    ],
)
def test_a_change_of_a_cluster_is_one_that_can_be_made(change: str, code: str, path: str) -> None:
    text = f"{ALL}conf: {{modifications: [{{cluster: {change}}}]}}"
    assert (code, f"/conf/modifications/0/cluster/{path}") in findings(_legacy("ProxyTemplate", text))


@pytest.mark.parametrize(
    ("conf", "code", "path"),
    [
        ("{host: a.mesh, port: '{{.p}}a', parameters: [PARAMETER]}", "bad-value", "/conf/port"),
        ("{host: '{{.q}}.mesh', port: '80', parameters: [PARAMETER]}", "bad-value", "/conf/host"),
        ("{host: '{{.p | upper}}.mesh', port: '80', parameters: [PARAMETER]}", "bad-value", "/conf/host"),
        ("{host: a, port: '80', parameters: [PARAMETER, PARAMETER]}", "duplicate-name", "/conf/parameters/0/name"),
        ("{host: a, port: '80', parameters: [{name: q, tagKey: version}]}", "missing-field", "/conf/parameters"),
        ("{host: a, port: '80'}", "missing-field", "/conf/parameters"),
    ],
)
def test_templates_come_to_a_name_and_a_port(conf: str, code: str, path: str) -> None:
    conf = conf.replace("PARAMETER", "{name: p, tagKey: kuma.io/service}")
    assert (code, path) in findings(_legacy("VirtualOutbound", f"{ALL}conf: {conf}"))


def test_a_document_that_kuma_refuses_defines_nothing() -> None:
    assert {code for code, _ in findings(_legacy("Timeout", PAIR))} == {"missing-field"}


def test_snake_case_is_read_and_words_of_the_user_stay_as_they_are() -> None:
    text = """
    sources: [{match: {kuma.io/service: web, my_tag: a_b}}]
    destinations: [{match: {kuma.io/service: backend}}]
    conf: {connect_timeout: 1s, http: {request_timeout: 2s}}
    """
    assert findings(_legacy("Timeout", text)) == []
