"""Zone listeners, builtin gateways and what stands beside the networking of a Dataplane."""

import pytest

from compiler.resources.checks.addresses import find_conflicts
from tests.resources.build import dataplane, mistakes

INBOUND = "inbound: [{port: 80, name: http}]"


def _listeners(*listeners: str, more: str = "") -> str:
    return dataplane(f"address: 10.0.0.1\nlisteners: [{', '.join(listeners)}]\n{more}")


RIGHT = [
    _listeners(
        "{type: ZoneIngress, port: 1, name: zi}", "{type: ZoneEgress, port: 2, address: 10.0.0.2}", more=INBOUND
    ),
    _listeners("{type: ZoneIngress, port: 80, address: 10.0.0.2}", more=INBOUND),
    dataplane("address: 10.0.0.1\ngateway: {type: BUILTIN, tags: {kuma.io/service: edge}}"),
    dataplane("address: 10.0.0.1\ntransparentProxying: {directAccessServices: ['*']}"),
    dataplane(f"address: 10.0.0.1\n{INBOUND}")
    + "probes: {port: 9000, endpoints: [{inboundPort: 80, inboundPath: /a, path: /80/a}]}\n"
    + "metrics: {type: prometheus, conf: {port: 1234}}",
    dataplane(f"address: 10.0.0.1\n{INBOUND}")
    + "metrics: {type: prometheus, conf: {skipMTLS: true, tls: {mode: disabled}}}",
    dataplane("address: 10.0.0.1\ninbound: [{port: 80, tags: {}}]"),
    dataplane("address: 10.0.0.1\ninbound: [{port: 80, protocol: kafka}]"),
    *(
        dataplane(f"address: 10.0.0.1\ninbound: [{{port: 80, tags: {{kuma.io/service: a, kuma.io/protocol: {each}}}}}]")
        for each in ("kafka", "mysql", "tls")
    ),
]


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_one_has_nothing_wrong(text: str) -> None:
    assert mistakes(text) == []


REDIRECTED = "address: 10.0.0.1\ntransparentProxying: {redirectPortInbound: 15010}\n"
GATEWAY = "address: 10.0.0.1\ngateway: {type: BUILTIN, tags: {kuma.io/service: edge}}\n"
WRONG = [
    (dataplane(REDIRECTED + "admin: {port: 15010}"), ("port-conflict", "/networking/admin/port")),
    (dataplane(REDIRECTED + "admin: {port: 15001}"), ("port-conflict", "/networking/admin/port")),
    (
        dataplane(REDIRECTED + "listeners: [{type: ZoneEgress, port: 1}, {type: ZoneIngress, port: 15010}]"),
        ("port-conflict", "/networking/listeners/1/port"),
    ),
    (
        dataplane("address: 10.0.0.1\ninbound: [{port: 80}, {port: 81, name: a}, {port: 82, name: a}]"),
        ("duplicate-name", "/networking/inbound/2/name"),
    ),
    (
        _listeners("{type: ZoneIngress, port: 1, name: a}", "{type: ZoneEgress, port: 2, name: a}"),
        ("duplicate-name", "/networking/listeners/1/name"),
    ),
    (
        _listeners("{type: ZoneIngress, port: 1, name: http}", more=INBOUND),
        ("duplicate-name", "/networking/listeners/0/name"),
    ),
    (
        _listeners("{type: ZoneIngress, port: 1, name: a}", "{type: ZoneIngress, port: 1, name: b}"),
        ("port-conflict", "/networking/listeners/1/port"),
    ),
    (
        _listeners("{type: ZoneIngress, port: 80, name: a}", more=INBOUND),
        ("port-conflict", "/networking/listeners/0/port"),
    ),
    (
        _listeners("{type: ZoneIngress, port: 80, address: 127.0.0.1}", more="admin: {port: 80}"),
        ("port-conflict", "/networking/admin/port"),
    ),
    (_listeners("{type: ZoneIngress, port: 80, address: ':::'}"), ("bad-value", "/networking/listeners/0/address")),
    (_listeners("{type: Both, port: 80}"), ("bad-value", "/networking/listeners/0/type")),
    (dataplane(GATEWAY + INBOUND), ("exclusive-fields", "/networking/inbound")),
    (
        dataplane(GATEWAY + "listeners: [{type: ZoneEgress, port: 1}]"),
        ("exclusive-fields", "/networking/listeners"),
    ),
    (dataplane(GATEWAY) + "probes: {port: 0}", ("exclusive-fields", "/probes")),
    (
        dataplane(f"address: 10.0.0.1\n{INBOUND}")
        + "probes: {port: 9000, endpoints: [{inboundPort: 80, inboundPath: a, path: /80/a}]}",
        ("bad-value", "/probes/endpoints/0/inboundPath"),
    ),
    (
        dataplane(f"address: 10.0.0.1\n{INBOUND}")
        + "metrics: {type: prometheus, conf: {skipMTLS: true, tls: {mode: providedTLS}}}",
        ("exclusive-fields", "/metrics/conf"),
    ),
    (
        dataplane(GATEWAY + "outbound: [{port: 1, tags: {kuma.io/service: a}}]"),
        ("exclusive-fields", "/networking/outbound"),
    ),
    (
        dataplane("address: 10.0.0.1\ngateway: {type: BUILTIN}"),
        ("missing-field", "/networking/gateway/tags"),
    ),
    (
        dataplane("address: 10.0.0.1\ngateway: {tags: {kuma.io/service: edge, kuma.io/protocol: http}}"),
        ("bad-value", "/networking/gateway/tags/kuma.io~1protocol"),
    ),
    (
        dataplane("address: 10.0.0.1\ninbound: [{port: 80, tags: {kuma.io/service: a, version: '*'}}]"),
        ("bad-value", "/networking/inbound/0/tags/version"),
    ),
    (
        dataplane("address: 10.0.0.1\ninbound: [{port: 80, serviceProbe: {interval: 0s}}]"),
        ("bad-value", "/networking/inbound/0/serviceProbe/interval"),
    ),
    (
        dataplane("address: 10.0.0.1\ninbound: [{port: 80, serviceProbe: {healthyThreshold: 0}}]"),
        ("bad-value", "/networking/inbound/0/serviceProbe/healthyThreshold"),
    ),
    (
        dataplane(
            "address: 10.0.0.1\ninbound: [{port: 80, servicePort: 81, serviceAddress: 127.0.0.1}]\nadmin: {port: 81}"
        ),
        ("port-conflict", "/networking/admin/port"),
    ),
]


@pytest.mark.parametrize(("text", "mistake"), WRONG)
def test_what_is_wrong_is_named(text: str, mistake: tuple[str, str]) -> None:
    assert mistakes(text) == [mistake]


def test_the_template_of_a_set_is_held_to_the_same() -> None:
    template = "{networking: {gateway: {type: BUILTIN, tags: {kuma.io/service: e}}}, probes: {port: 1}}"
    spec = f"{{template: {template}, instances: [{{name: a, address: 10.0.0.1}}]}}"
    text = f"type: DataplaneSet\nmesh: default\nname: s\nspec: {spec}"
    assert mistakes(text) == [("exclusive-fields", "/spec/template/probes")]


@pytest.mark.parametrize(
    ("listening", "expected"),
    [
        (("10.0.0.1:80", "10.0.0.1:80"), [(1, 0)]),
        (("10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:81"), []),
        (("10.0.0.1:80", "0.0.0.0:80", "10.0.0.2:80"), [(1, 0), (2, 1)]),
        (("0.0.0.0:80", "::1:80", ":::80"), [(2, 1)]),
        (("0.0.0.0:80", ":::80", "fd00::1:80", "10.0.0.1:80"), [(2, 1), (3, 0)]),
        (("0.0.0.0:80", ":::80"), []),
        (("a.host:80", "a.host:80", "0.0.0.0:80", "other.host:80"), [(1, 0), (2, 0), (3, 2)]),
    ],
)
def test_an_unspecified_address_takes_a_port_from_its_own_kind(
    listening: tuple[str, ...], expected: list[tuple[int, int]]
) -> None:
    """Envoy takes 0.0.0.0 and ::, or ::1, side by side."""
    parts = (one.rpartition(":") for one in listening)
    assert list(find_conflicts([(address, int(port)) for address, _, port in parts])) == expected
