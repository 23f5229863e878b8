"""The rules that no schema can say."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Severity
from compiler.resources.checks.addresses import _PLAIN_ADDRESS
from tests.resources.build import dataplane, diagnostics, findings, policy

ROUTE = """
to:
- targetRef: {kind: MeshService, name: backend}
  rules:
  - matches: [%s]
    default: %s
"""


def route(match: str = "{method: GET}", default: str = "{}") -> str:
    return policy("MeshHTTPRoute", ROUTE % (match, default))


RULE = "/spec/to/0/rules/0"
DATAPLANES = {
    "an address that others cannot reach": ("address: 0.0.0.0", [("bad-value", "/networking/address")]),
    "an IPv6 address that others cannot reach": ("address: '::'", [("bad-value", "/networking/address")]),
    "an address that is nearly an IP": ("address: 10.0.0.300", [("bad-value", "/networking/address")]),
    "a host name": ("address: backend.internal", []),
    "two inbounds on one port": (
        "address: 10.0.0.1\ninbound: [{port: 80}, {port: 80}]",
        [("port-conflict", "/networking/inbound/1/port")],
    ),
    "one port on two addresses": ("address: 10.0.0.1\ninbound: [{port: 80}, {port: 80, address: 10.0.0.2}]", []),
    "one port on all addresses and on one": (
        "address: 10.0.0.1\ninbound: [{port: 80, address: 0.0.0.0}, {port: 80}]",
        [("port-conflict", "/networking/inbound/1/port")],
    ),
    "two inbounds of one name": (
        "address: 10.0.0.1\ninbound: [{port: 80, name: http}, {port: 81, name: http}]",
        [("duplicate-name", "/networking/inbound/1/name")],
    ),
    "a workload where the proxy listens": (
        "address: 10.0.0.1\ninbound: [{port: 80, serviceAddress: 10.0.0.1}]",
        [("port-conflict", "/networking/inbound/0/serviceAddress")],
    ),
    "a workload beside the proxy": (
        "address: 10.0.0.1\ninbound: [{port: 80, servicePort: 81, serviceAddress: 10.0.0.1}]",
        [],
    ),
    "a listener without an IP": (
        "address: 10.0.0.1\ninbound: [{port: 80, address: 'fe::x'}]",
        [("bad-value", "/networking/inbound/0/address")],
    ),
    "tags without a service": (
        "address: 10.0.0.1\ninbound: [{port: 80, tags: {version: v1}}]",
        [("missing-field", "/networking/inbound/0/tags")],
    ),
    "a protocol tag that nobody speaks": (
        "address: 10.0.0.1\ninbound: [{port: 80, tags: {kuma.io/service: a, kuma.io/protocol: htp}}]",
        [("bad-value", "/networking/inbound/0/tags/kuma.io~1protocol")],
    ),
    "a gateway with inbounds": (
        "address: 10.0.0.1\ngateway: {tags: {kuma.io/service: kong}}\ninbound: [{port: 80}]",
        [("exclusive-fields", "/networking/inbound")],
    ),
    "an admin port that an inbound has": (
        "address: 10.0.0.1\nadmin: {port: 80}\ninbound: [{port: 80, address: 127.0.0.1}]",
        [("port-conflict", "/networking/admin/port")],
    ),
    "an admin port that an inbound elsewhere has": ("address: 10.0.0.1\nadmin: {port: 80}\ninbound: [{port: 80}]", []),
    "an outbound without a destination": (
        "address: 10.0.0.1\noutbound: [{port: 80}]",
        [("missing-field", "/networking/outbound/0")],
    ),
    "an outbound with two destinations": (
        (
            "address: 10.0.0.1\noutbound: [{port: 80, tags: {kuma.io/service: a}, "
            "backendRef: {kind: MeshService, name: a, port: 1}}]"
        ),
        [("exclusive-fields", "/networking/outbound/0/backendRef")],
    ),
    "a backendRef without a port": (
        "address: 10.0.0.1\noutbound: [{port: 80, backendRef: {kind: MeshService, name: a}}]",
        [("missing-field", "/networking/outbound/0/backendRef")],
    ),
    "a backendRef to nothing": (
        "address: 10.0.0.1\noutbound: [{port: 80, backendRef: {kind: MeshService, port: 80}}]",
        [("bad-target", "/networking/outbound/0/backendRef")],
    ),
    "a reachable backend by name and labels": (
        (
            "address: 10.0.0.1\ntransparentProxying: {reachableBackends: {refs: [{kind: MeshService, "
            "name: a, labels: {b: c}}]}}"
        ),
        [("exclusive-fields", "/networking/transparentProxying/reachableBackends/refs/0/labels")],
    ),
    "a reachable backend by namespace alone": (
        "address: 10.0.0.1\ntransparentProxying: {reachableBackends: {refs: [{kind: MeshService, namespace: a}]}}",
        [
            ("bad-target", "/networking/transparentProxying/reachableBackends/refs/0"),
            ("bad-target", "/networking/transparentProxying/reachableBackends/refs/0/namespace"),
        ],
    ),
    "a probe, which changes nothing": (
        "address: 10.0.0.1\ninbound: [{port: 80, serviceProbe: {tcp: {}}}]",
        [("no-effect", "/networking/inbound/0/serviceProbe")],
    ),
}


@pytest.mark.parametrize("title", DATAPLANES)
def test_of_a_dataplane(title: str) -> None:
    networking, expected = DATAPLANES[title]
    assert findings(dataplane(networking)) == expected


def test_many_listeners_are_compared_quickly() -> None:
    """4,096 virtual addresses on one port are right; a quadratic comparison would take seconds."""
    outbound = ", ".join(
        f"{{address: 241.0.{index // 256}.{index % 256}, port: 80, tags: {{kuma.io/service: a}}}}"
        for index in range(4096)
    )
    assert findings(dataplane(f"address: 10.0.0.1\noutbound: [{outbound}]")) == []


REWRITE = "{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}"
REGEX = (
    "{{filters: [{{type: URLRewrite, urlRewrite: "
    "{{path: {{type: ReplaceRegexMatch, replaceRegexMatch: {{pattern: '{0}', substitution: '{1}'}}}}}}}}]}}"
)
REGEX_AT = f"{RULE}/default/filters/0/urlRewrite/path/replaceRegexMatch"
FROM_PATH = "hostnameFromPath: {pattern: a, substitution: b}"
ROUTES = {
    "what matches in a path": (route(default=REGEX.format("^/(.*)-(?P<b>.*)$", r"/\2-\1\\\0")), []),
    "an expression for a path that RE2 refuses": (
        route(default=REGEX.format("(?!a)", "")),
        [("bad-value", f"{REGEX_AT}/pattern")],
    ),
    "a group that does not capture": (
        route(default=REGEX.format("(?:a)(?i)b", r"\1")),
        [("bad-value", f"{REGEX_AT}/substitution")],
    ),
    "a letter behind a backslash": (
        route(default=REGEX.format("a", r"\n")),
        [("bad-value", f"{REGEX_AT}/substitution")],
    ),
    "a backslash at the end": (route(default=REGEX.format("a", "b\\")), [("bad-value", f"{REGEX_AT}/substitution")]),
    "a host and a host out of the path": (
        route(default=f"{{filters: [{{type: URLRewrite, urlRewrite: {{hostname: a.b, {FROM_PATH}}}}}]}}"),
        [("exclusive-fields", f"{RULE}/default/filters/0/urlRewrite/hostname")],
    ),
    "a prefix that is rewritten": (route("{path: {type: PathPrefix, value: /a}}", REWRITE), []),
    "no prefix to rewrite": (
        route("{path: {type: Exact, value: /a}}", REWRITE),
        [("exclusive-fields", f"{RULE}/default/filters/0/urlRewrite/path/type")],
    ),
    "a path without a slash": (
        route("{path: {type: Exact, value: a}}"),
        [("bad-value", f"{RULE}/matches/0/path/value")],
    ),
    "a prefix with a slash at its end": (
        route("{path: {type: PathPrefix, value: /a/}}"),
        [("bad-value", f"{RULE}/matches/0/path/value")],
    ),
    "every path": (route("{path: {type: PathPrefix, value: /}}"), []),
    "an expression that RE2 refuses": (
        route("{path: {type: RegularExpression, value: '/(?!a)'}}"),
        [("bad-value", f"{RULE}/matches/0/path/value")],
    ),
    "an expression that would take minutes elsewhere": (
        route("{path: {type: RegularExpression, value: '^(a+)+$'}}"),
        [],
    ),
    "one parameter twice": (
        route("{queryParams: [{type: Exact, name: a, value: b}, {type: Exact, name: a, value: c}]}"),
        [("duplicate-name", f"{RULE}/matches/0/queryParams/1/name")],
    ),
    "a filter without its field": (
        route(default="{filters: [{type: RequestMirror}]}"),
        [("missing-field", f"{RULE}/default/filters/0")],
    ),
    "a filter with another's field": (
        route(
            default="{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [a]}, urlRewrite: {}}]}"
        ),
        [("exclusive-fields", f"{RULE}/default/filters/0/urlRewrite")],
    ),
    "a header changed twice": (
        route(
            default=(
                "{filters: [{type: RequestHeaderModifier, "
                "requestHeaderModifier: {remove: [a], set: [{name: a, value: b}]}}]}"
            )
        ),
        [("duplicate-name", f"{RULE}/default/filters/0/requestHeaderModifier/remove/0")],
    ),
    "a rewrite after a redirect": (
        route(
            default=(
                "{filters: [{type: RequestRedirect, requestRedirect: {port: 80}}, "
                "{type: URLRewrite, urlRewrite: {hostname: a}}]}"
            )
        ),
        [("exclusive-fields", f"{RULE}/default/filters/1/type")],
    ),
    "a rewrite before a redirect": (
        route(
            default=(
                "{filters: [{type: URLRewrite, urlRewrite: {hostname: a}}, "
                "{type: RequestRedirect, requestRedirect: {port: 80}}]}"
            )
        ),
        [],
    ),
    "a path modifier without its field": (
        route(default="{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath}}}]}"),
        [("missing-field", f"{RULE}/default/filters/0/requestRedirect/path")],
    ),
    "a backend that is no service": (
        route(default="{backendRefs: [{kind: Mesh}]}"),
        [("unsupported-target", f"{RULE}/default/backendRefs/0/kind")],
    ),
    "a multi-zone backend without a port": (
        route(default="{backendRefs: [{kind: MeshMultiZoneService, name: a}]}"),
        [("bad-target", f"{RULE}/default/backendRefs/0")],
    ),
    "hosts without a gateway": (
        policy("MeshHTTPRoute", "to: [{targetRef: {kind: MeshService, name: a}, hostnames: [b], rules: []}]"),
        [("unsupported-target", "/spec/to/0/hostnames")],
    ),
}


@pytest.mark.parametrize("title", ROUTES)
def test_of_a_route(title: str) -> None:
    text, expected = ROUTES[title]
    assert findings(text) == expected


MESHES = {
    "a backend that does not exist": (
        "mtls: {enabledBackend: ca-2, backends: [{name: ca-1, type: builtin}]}",
        [("dangling-name", "/mtls/enabledBackend")],
    ),
    "two backends": (
        "mtls: {enabledBackend: a, backends: [{name: a, type: builtin}, {name: b, type: builtin}]}",
        [("bad-value", "/mtls/backends")],
    ),
    "a backend that is not in force": (
        "mtls: {backends: [{name: a, type: builtin}]}",
        [("no-effect", "/mtls/backends")],
    ),
    "snake_case": (
        "mtls: {enabled_backend: a, backends: [{name: a, type: builtin, dp_cert: {rotation: {expiration: 1d}}}]}",
        [],
    ),
    "a wrong value in snake_case": (
        "mtls: {enabled_backend: a, backends: [{name: a, type: builtin, dp_cert: {rotation: {expiration: x}}}]}",
        [("bad-value", "/mtls/backends/0/dp_cert/rotation/expiration")],
    ),
    "both spellings of one field": (
        "mtls: {enabled_backend: a, enabledBackend: a, backends: [{name: a, type: builtin}]}",
        [("unknown-field", "/mtls/enabled_backend")],
    ),
    "a field that changes nothing": (
        (
            "mtls: {skipValidation: true, enabledBackend: a, backends: [{name: a, "
            "type: builtin, rootChain: {requestTimeout: 1s}}]}"
        ),
        [("no-effect", "/mtls/skipValidation"), ("no-effect", "/mtls/backends/0/rootChain")],
    ),
    "what a server sets": ("creationTime: '2026-01-01T00:00:00Z'\nstatus: {}\nkri: kri_m_", []),
}


@pytest.mark.parametrize("title", MESHES)
def test_of_a_mesh(title: str) -> None:
    text, expected = MESHES[title]
    assert findings(f"type: Mesh\nname: m\n{text}\n") == expected


SERVICES = {
    "two ports of one number": (
        "ports: [{port: 80}, {port: 80}]",
        [("duplicate-name", "/spec/ports/1/port"), ("duplicate-name", "/spec/ports/1/name")],
    ),
    "two ports of one name": (
        "ports: [{port: 80, name: a}, {port: 81, name: a}]",
        [("duplicate-name", "/spec/ports/1/name")],
    ),
    "two selectors": (
        "selector: {dataplaneRef: {name: a}, dataplaneTags: {a: b}}\nports: [{port: 80}]",
        [("bad-value", "/spec/selector")],
    ),
}


@pytest.mark.parametrize("title", SERVICES)
def test_of_a_service(title: str) -> None:
    text, expected = SERVICES[title]
    spec = text if "selector" in text else f"selector: {{dataplaneRef: {{name: a}}}}\n{text}"
    assert sorted(findings(policy("MeshService", spec))) == sorted(expected)


NOT_SERVED = ("not-supported-yet", "/spec/registration")
SETS = {
    "neither instances nor registration": ("template: {networking: {}}", [("missing-field", "/spec")]),
    "instances and registration": (
        "template: {networking: {}}\ninstances: [{name: a, address: 10.0.0.1}]\nregistration: {cidrs: [10.0.0.0/8]}",
        [("exclusive-fields", "/spec/registration"), NOT_SERVED],
    ),
    "an instance twice": (
        "template: {networking: {}}\ninstances: [{name: a, address: 10.0.0.1}, {name: a, address: 10.0.0.1}]",
        [("duplicate-name", "/spec/instances/1/name"), ("duplicate-name", "/spec/instances/1/address")],
    ),
    "an address in the template": (
        "template: {networking: {address: 10.0.0.1}}\ninstances: [{name: a, address: 10.0.0.1}]",
        [("unknown-field", "/spec/template/networking/address")],
    ),
    "a range with bits after its prefix": (
        "template: {networking: {}}\nregistration: {cidrs: [10.0.0.1/8]}",
        [NOT_SERVED, ("bad-value", "/spec/registration/cidrs/0")],
    ),
    "two inbounds on one port": (
        "template: {networking: {inbound: [{port: 80}, {port: 80}]}}\nregistration: {cidrs: [10.0.0.0/8]}",
        [NOT_SERVED, ("port-conflict", "/spec/template/networking/inbound/1/port")],
    ),
}


@pytest.mark.parametrize("title", SETS)
def test_of_a_set_of_dataplanes(title: str) -> None:
    text, expected = SETS[title]
    found = [
        each for each in findings(policy("DataplaneSet", text)) if each != ("duplicate-resource", "/spec/instances/1")
    ]
    assert sorted(found) == sorted(expected)


LABELS = {
    "another mesh": ("labels: {kuma.io/mesh: other}", "bad-label", Severity.ERROR),
    "an origin that there is not": ("labels: {kuma.io/origin: bogus}", "bad-label", Severity.ERROR),
    "a role that there is not": ("labels: {kuma.io/policy-role: boss}", "bad-label", Severity.ERROR),
    "a role that only Kubernetes has": ("labels: {kuma.io/policy-role: producer}", "bad-label", Severity.WARNING),
}


@pytest.mark.parametrize("title", LABELS)
def test_of_labels(title: str) -> None:
    labels, code, severity = LABELS[title]
    text = policy("MeshTimeout", "rules: [{default: {idleTimeout: 1h}}]") + labels
    [found] = diagnostics(text)
    assert (str(found.code), found.level) == (code, severity)


@pytest.mark.parametrize("name", ["Cart", "1cart", "cart.a", "cart_a", "a" * 64])
def test_a_workload_that_no_service_could_be_called_is_refused(name: str) -> None:
    text = dataplane("address: 10.0.0.1") + f"labels: {{kuma.io/workload: {name}}}"
    assert ("bad-label", "/labels/kuma.io~1workload") in findings(text)


def test_a_workload_of_one_instance_is_warned_of() -> None:
    instances = "[{name: a, address: 10.0.0.1, labels: {kuma.io/workload: A}}]"
    text = policy("DataplaneSet", f"template: {{networking: {{}}}}\ninstances: {instances}")
    [found] = diagnostics(text)
    assert (found.code.word, found.level) == ("bad-label", Severity.WARNING)
    assert found.path == "/spec/instances/0/labels/kuma.io~1workload"


def test_a_workload_of_a_pod_is_warned_of_as_its_name_may_be_that_of_a_deployment() -> None:
    head = "apiVersion: kuma.io/v1alpha1\nkind: Dataplane\nmetadata: {name: d, labels: {kuma.io/workload: a.b}}\n"
    [found] = diagnostics(head + "spec: {networking: {address: 10.0.0.1}}")
    assert (found.code.word, found.level) == ("bad-label", Severity.WARNING)


_dotted = st.lists(st.integers(0, 300).map(str) | st.sampled_from(["00", "01", ""]), min_size=3, max_size=5).map(
    ".".join
)


@settings(max_examples=300)
@given(_dotted | st.ip_addresses().map(str))
def test_only_an_address_that_others_can_reach_passes_at_a_glance(address: str) -> None:
    if _PLAIN_ADDRESS.fullmatch(address):
        assert not ip_address(address).is_unspecified
        assert str(ip_address(address)) == address
    else:
        assert address.count(".") != 3 or address.startswith("0") or not _is_reachable(address)


def _is_reachable(address: str) -> bool:
    try:
        return not ip_address(address).is_unspecified
    except ValueError:
        return False
