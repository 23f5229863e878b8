"""Listeners of builtin gateways, and routes from them."""

import pytest

from tests.resources.build import mistakes

GATEWAY = """
type: MeshGateway
mesh: default
name: g
selectors: [{match: {kuma.io/service: edge}}]
conf: {listeners: [%s]}
"""
ROUTE = """
type: MeshGatewayRoute
mesh: default
name: r
selectors: [{match: {kuma.io/service: edge}}]
conf: {http: {rules: [{%s}]}}
"""
MATCH = "matches: [{path: {match: PREFIX, value: /a}}]"
BACKEND = "backends: [{destination: {kuma.io/service: b}}]"
SECRET = "certificates: [{secret: c}]"
AT, HERE = "/conf/listeners", "/conf/http/rules/0"

INSTANCE = "apiVersion: kuma.io/v1alpha1\nkind: MeshGatewayInstance\nmetadata: {name: e}\nspec: %s"
RIGHT = [
    GATEWAY % "{port: 80, protocol: HTTP}, {port: 443, protocol: HTTPS, tls: {mode: TERMINATE, %s}}" % SECRET,
    GATEWAY % "{port: 80, protocol: HTTP, hostname: a.b}, {port: 80, protocol: HTTP, hostname: '*.b'}",
    GATEWAY
    % (
        "{port: 80, protocol: HTTP, hostname: a.b, resources: {connectionLimit: 5}}, "
        "{port: 80, protocol: HTTP, hostname: '*.b'}"
    ),
    GATEWAY % "{port: 443, protocol: TLS, tls: {mode: PASSTHROUGH}}",
    GATEWAY % "{port: 80, protocol: HTTP, hostname: a.b, crossMesh: true}",
    GATEWAY % "{port: 80, protocol: HTTP, hostname: a.b, crossMesh: true}, {port: 81, protocol: HTTP}",
    ROUTE % f"{MATCH}, {BACKEND}, filters: [{{rewrite: {{replacePrefixMatch: ''}}}}]",
    ROUTE % f"{MATCH}, filters: [{{redirect: {{status_code: 301, hostname: a.b}}}}]",
    ROUTE % f"matches: [{{headers: [{{name: x, match: PRESENT}}]}}], {BACKEND}",
    INSTANCE % "{tags: {tier: e}, resources: {limits: {cpu: 1, memory: 64Mi}}}",
    INSTANCE % "{replicas: 2}",
    "apiVersion: kuma.io/v1alpha1\nkind: MeshGatewayConfig\nmetadata: {name: e}\nspec: {crossMesh: true, replicas: 2}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_one_has_nothing_wrong(text: str) -> None:
    assert mistakes(text) == []


WRONG = [
    (GATEWAY % "", ("missing-field", AT)),
    (GATEWAY.replace("kuma.io/service", "app") % "{port: 80, protocol: HTTP}", ("missing-field", "/selectors/0/match")),
    (
        GATEWAY % "{port: 80, protocol: HTTP, tags: {kuma.io/service: e}}",
        ("bad-value", f"{AT}/0/tags/kuma.io~1service"),
    ),
    (GATEWAY % "{port: 80, protocol: HTTP, tls: {mode: TERMINATE, %s}}" % SECRET, ("exclusive-fields", f"{AT}/0/tls")),
    (GATEWAY % "{port: 80, protocol: HTTPS}", ("missing-field", f"{AT}/0")),
    (GATEWAY % "{port: 80, protocol: HTTPS, tls: {mode: PASSTHROUGH}}", ("bad-value", f"{AT}/0/tls/mode")),
    (GATEWAY % "{port: 80, protocol: TLS, tls: {mode: TERMINATE}}", ("missing-field", f"{AT}/0/tls")),
    (GATEWAY % "{port: 80, protocol: TLS, tls: {%s}}" % SECRET, ("missing-field", f"{AT}/0/tls")),
    (
        GATEWAY % "{port: 80, protocol: TLS, tls: {mode: PASSTHROUGH, %s}}" % SECRET,
        ("exclusive-fields", f"{AT}/0/tls/certificates"),
    ),
    (
        GATEWAY % "{port: 80, protocol: TLS, tls: {mode: TERMINATE, certificates: [{inline: dA==}]}}",
        ("secret-in-git", f"{AT}/0/tls/certificates/0/inline"),
    ),
    (GATEWAY % "{port: 80, protocol: TCP, crossMesh: true, hostname: a.b}", ("bad-value", f"{AT}/0/protocol")),
    (GATEWAY % "{port: 80, protocol: HTTP, crossMesh: true}", ("missing-field", f"{AT}/0")),
    (GATEWAY % "{port: 80, protocol: HTTP, crossMesh: true, hostname: '*'}", ("missing-field", f"{AT}/0")),
    (GATEWAY % "{port: 80, protocol: HTTP, crossMesh: true, hostname: '*.b'}", ("bad-value", f"{AT}/0/hostname")),
    (
        GATEWAY % "{port: 80, protocol: HTTP, hostname: a.b, crossMesh: true}, {port: 80, protocol: HTTP}",
        ("listener-conflict", f"{AT}/1"),
    ),
    (
        GATEWAY % "{port: 80, protocol: HTTP, hostname: a.b, crossMesh: true, tls: {mode: TERMINATE, %s}}" % SECRET,
        ("exclusive-fields", f"{AT}/0/tls"),
    ),
    (GATEWAY % "{port: 80, protocol: HTTP, hostname: '*.a.*.b'}", ("bad-value", f"{AT}/0/hostname")),
    (ROUTE % f"matches: [], {BACKEND}", ("bad-value", f"{HERE}/matches")),
    (ROUTE % MATCH, ("missing-field", HERE)),
    (
        ROUTE % f"{MATCH}, {BACKEND}, filters: [{{redirect: {{statusCode: 301}}}}]",
        ("exclusive-fields", f"{HERE}/backends"),
    ),
    *(
        (
            ROUTE % f"{MATCH}, filters: [{{redirect: {{{redirect}}}}}]",
            ("bad-value", f"{HERE}/filters/0/redirect/{field}"),
        )
        for redirect, field in (
            ("statusCode: 304", "statusCode"),
            ("statusCode: 301, scheme: gopher", "scheme"),
            ("statusCode: 301, port: 65536", "port"),
        )
    ),
    (
        ROUTE % f"{MATCH}, filters: [{{redirect: {{statusCode: 301}}}}, {{requestHeader: {{remove: [a]}}}}]",
        ("exclusive-fields", f"{HERE}/filters"),
    ),
    (
        ROUTE % f"{MATCH}, {BACKEND}, filters: [{{mirror: {{backend: {{destination: {{kuma.io/service: b}}}}}}}}]",
        ("missing-field", f"{HERE}/filters/0/mirror/percentage"),
    ),
    (ROUTE % f"{MATCH}, backends: [{{destination: {{app: b}}}}]", ("missing-field", f"{HERE}/backends/0/destination")),
    (
        ROUTE % f"{MATCH}, backends: [{{weight: 0, destination: {{kuma.io/service: b}}}}]",
        ("bad-value", f"{HERE}/backends"),
    ),
    (ROUTE % f"matches: [{{path: {{value: a}}}}], {BACKEND}", ("bad-value", f"{HERE}/matches/0/path/value")),
    (
        ROUTE % f"matches: [{{path: {{match: REGEX, value: '('}}}}], {BACKEND}",
        ("bad-value", f"{HERE}/matches/0/path/value"),
    ),
    (
        ROUTE % f"matches: [{{headers: [{{name: x, match: ABSENT, value: v}}]}}], {BACKEND}",
        ("exclusive-fields", f"{HERE}/matches/0/headers/0/value"),
    ),
    (
        ROUTE % f"matches: [{{queryParameters: [{{name: x}}]}}], {BACKEND}",
        ("missing-field", f"{HERE}/matches/0/queryParameters/0"),
    ),
    (
        ROUTE % f"matches: [{{path: {{value: /a}}}}], {BACKEND}, filters: [{{rewrite: {{replacePrefixMatch: /b}}}}]",
        ("bad-value", f"{HERE}/filters/0/rewrite/replacePrefixMatch"),
    ),
    (
        ROUTE % f"{MATCH}, {BACKEND}, filters: [{{rewrite: {{replaceFull: /b}}}}, {{rewrite: {{replaceFull: /c}}}}]",
        ("exclusive-fields", f"{HERE}/filters/1/rewrite"),
    ),
    (
        ROUTE % f"{MATCH}, {BACKEND}, filters: [{{rewrite: {{replaceFull: /b, replacePrefixMatch: /b}}}}]",
        ("exclusive-fields", f"{HERE}/filters/0/rewrite/replacePrefixMatch"),
    ),
    (
        ROUTE % f"{MATCH}, {BACKEND}, filters: [{{rewrite: {{hostToBackendHostname: true}}}}, "
        "{requestHeader: {set: [{name: Host, value: a}]}}]",
        ("exclusive-fields", f"{HERE}/filters/1/requestHeader/set/0"),
    ),
    (
        INSTANCE % "{tags: {kuma.io/service: e}}",
        ("bad-value", "/spec/tags/kuma.io~1service"),
    ),
]


@pytest.mark.parametrize(("text", "mistake"), WRONG)
def test_what_is_wrong_is_named(text: str, mistake: tuple[str, str]) -> None:
    assert mistakes(text) == [mistake]


@pytest.mark.parametrize(
    ("listeners", "paths"),
    [
        ("{port: 1, protocol: TCP}, {port: 1, protocol: TCP}", [f"{AT}/0", f"{AT}/1"]),
        (
            "{port: 1, protocol: TCP, hostname: a.b}, {port: 1, protocol: HTTP, hostname: c.d}",
            [f"{AT}/0/protocol", f"{AT}/1/protocol"],
        ),
        (
            (
                "{port: 1, protocol: HTTP, hostname: a.b, resources: {connection_limit: 5}}, "
                "{port: 1, protocol: HTTP, hostname: c.d, resources: {connectionLimit: 6}}"
            ),
            [f"{AT}/0/resources/connection_limit", f"{AT}/1/resources/connectionLimit"],
        ),
    ],
)
def test_listeners_that_cannot_share_a_port_are_all_named(listeners: str, paths: list[str]) -> None:
    assert mistakes(GATEWAY % listeners) == [("listener-conflict", path) for path in paths]


def test_of_tcp_listeners_of_one_port_all_but_the_first_are_warned_of() -> None:
    listeners = "{port: 1, protocol: TCP, hostname: a.b}, {port: 1, protocol: TCP, hostname: c.d}"
    assert mistakes(GATEWAY % listeners) == [("no-effect", f"{AT}/1")]


def test_a_listeners_tag_may_hold_a_slash() -> None:
    assert mistakes(GATEWAY % "{port: 1, protocol: HTTP, tags: {port: http/1}}") == []


def test_a_gateway_may_name_its_mesh_beside_its_kind_on_kubernetes() -> None:
    spec = "{selectors: [{match: {kuma.io/service: e, my_tag: x}}], conf: {listeners: [{port: 1, protocol: TCP}]}}"
    text = f"apiVersion: kuma.io/v1alpha1\nkind: MeshGateway\nmesh: %s\nmetadata: {{name: g}}\nspec: {spec}"
    assert mistakes(text % "default") == []
    assert mistakes(text % "other") == [("unknown-mesh", "/metadata/labels/kuma.io~1mesh")]
