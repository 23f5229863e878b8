"""Specs of policies for edits (`tests/edits.py`): nearly all of them right, so that what is edited mostly compiles."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Document = Mapping[str, Any]
Strategy = st.SearchStrategy[Any]

_SERVICES = ("web", "api")
_services = st.sampled_from(_SERVICES)


def only(**fields: Strategy) -> st.SearchStrategy[dict[str, Any]]:
    """Fields that are None are left out."""
    drawn = st.fixed_dictionaries(fields)
    return drawn.map(lambda found: {name: one for name, one in found.items() if one is not None})


def entries(targets: Strategy, confs: list[Document]) -> st.SearchStrategy[list[Document]]:
    entry = st.fixed_dictionaries({"targetRef": targets, "default": st.sampled_from(confs)})
    return st.lists(entry, min_size=1, max_size=2)


MESH = st.just({"kind": "Mesh"})
TOPS = st.one_of(
    MESH,
    st.just({"kind": "Mesh", "proxyTypes": ["Gateway"]}),
    _services.map(lambda name: {"kind": "MeshService", "name": name}),
    _services.map(lambda app: {"kind": "Dataplane", "labels": {"app": app}}),
    st.just({"kind": "MeshSubset", "tags": {"version": "v1"}}),
)
_SIDECARS = st.one_of(
    st.just({"kind": "Mesh", "proxyTypes": ["Sidecar"]}),
    _services.map(lambda app: {"kind": "Dataplane", "labels": {"app": app}}),
    st.just({"kind": "Dataplane", "labels": {"app": "web"}, "sectionName": "main"}),
)
_WHOLE = _SIDECARS | st.just({"kind": "MeshSubset", "tags": {"version": "v1"}})
SERVICE = _services.map(lambda name: {"kind": "MeshService", "name": name})
_OTHERS = st.sampled_from(
    [{"kind": "MeshExternalService", "name": "outside"}, {"kind": "MeshMultiZoneService", "name": "everywhere"}]
)
DESTINATIONS = MESH | SERVICE
ROUTES = st.just({"kind": "MeshHTTPRoute", "name": "route"})
CALLERS = st.one_of(MESH, SERVICE, st.just({"kind": "MeshSubset", "tags": {"version": "v2"}}))
IDS = _services.map(lambda name: {"spiffeID": {"type": "Exact", "value": f"spiffe://default/{name}"}}) | st.just(
    {"spiffeID": {"type": "Prefix", "value": "spiffe://default/"}}
)


def _rules(confs: list[Document]) -> st.SearchStrategy[list[Document]]:
    """Some of them for some callers only."""
    conf = st.sampled_from(confs)
    matched = st.builds(lambda one, default: {"matches": [one], "default": default}, IDS, conf)
    return st.lists(conf.map(lambda default: {"default": default}) | matched, min_size=1, max_size=2)


def _whole(confs: list[Document], tops: Strategy = _WHOLE) -> st.SearchStrategy[Document]:
    return only(targetRef=tops, default=st.sampled_from(confs))


_OTEL = {"type": "OpenTelemetry", "openTelemetry": {"backendRef": {"kind": "MeshOpenTelemetryBackend", "name": "otel"}}}
_LIMITS: list[Document] = [
    {"local": {"http": {"requestRate": {"num": number, "interval": "1s"}}}} for number in (5, 7)
] + [{"local": {"http": {"disabled": True}}}]
_FAULTS: list[Document] = [
    {"http": [{"abort": {"httpStatus": status, "percentage": 10}}, {"delay": {"value": "1s", "percentage": "2.5"}}]}
    for status in (500, 503)
]
_CHECKS: list[Document] = [
    {"interval": "5s", "http": {"path": "/ready"}, "tcp": {}},
    {"tcp": {"disabled": True}, "healthyPanicThreshold": 20},
    {"http": {"disabled": True}, "tcp": {"send": "ping"}, "failTrafficOnPanic": True},
]
_BALANCINGS: list[Document] = [
    {"loadBalancer": {"type": "Maglev"}, "hashPolicies": [{"type": "Header", "header": {"name": "x-user"}}]},
    {"localityAwareness": {"disabled": True}},
    {"localityAwareness": {"localZone": {"affinityTags": [{"key": "version"}, {"key": "app"}]}}},
    {"localityAwareness": {"crossZone": {"failover": [{"to": {"type": "Only", "zones": ["east"]}}]}}},
]
_MODES: list[Document] = [{"mode": "Strict"}, {"mode": "Permissive"}]
_PASSED: list[Document] = [
    {"passthroughMode": "All"},
    {"passthroughMode": "None"},
    {"appendMatch": [{"type": "Domain", "value": "a.example", "protocol": "tls", "port": 443}]},
    {"appendMatch": [{"type": "CIDR", "value": "10.9.0.0/16"}]},
    {"appendMatch": [{"type": "Domain", "value": "b.example", "protocol": "http"}]},
]
_LOGS: list[Document] = [
    {"backends": [{"type": "File", "file": {"path": "/dev/stdout"}}]},
    {"backends": [{"type": "Tcp", "tcp": {"address": "logs:5000"}}]},
    {"backends": [_OTEL]},
]
_METRICS: list[Document] = [
    {"backends": [{"type": "Prometheus", "prometheus": {"port": 5670, "path": "/metrics"}}]},
    {"backends": [{"type": "Prometheus", "prometheus": {"port": 5670, "tls": {"mode": "ActiveMTLSBackend"}}}]},
    {"sidecar": {"profiles": {"appendProfiles": [{"name": "None"}]}}, "backends": [_OTEL]},
]
_TRACES: list[Document] = [
    {
        "backends": [{"type": "Zipkin", "zipkin": {"url": "http://zipkin:9411/api/v2/spans"}}],
        "sampling": {"random": 10},
    },
    {"backends": [_OTEL], "tags": [{"name": "team", "literal": "core"}]},
]
_GLOBAL_LIMITS: list[Document] = [
    {
        "http": {"requestRate": {"num": number, "interval": "1s"}},
        "backend": {"rateLimitService": {"url": "http://limits:8081"}},
    }
    for number in (100, 200)
]
_OPINIONS: list[Document] = [
    {"appendPolicies": [{"rego": {"inlineString": f"package shop\ndefault allow := {word}\n"}}]}
    for word in ("true", "false")
]
_KEPT_ALIVE = {"op": "add", "path": "/upstreamConnectionOptions/tcpKeepalive/keepaliveTime", "value": 60}
_PATCHES: list[Document] = [
    {"appendModifications": [one]}
    for one in (
        {"cluster": {"operation": "Patch", "match": {"origin": "inbound"}, "value": "connectTimeout: 7s"}},
        {"cluster": {"operation": "Patch", "match": {"origin": "outbound"}, "jsonPatches": [_KEPT_ALIVE]}},
        {"listener": {"operation": "Remove", "match": {"name": "nobody"}}},
    )
]


def _backends() -> st.SearchStrategy[list[Document]]:
    weighted = st.builds(lambda target, weight: {**target, "port": 80, "weight": weight}, SERVICE | _OTHERS, st.just(1))
    return st.lists(weighted, min_size=1, max_size=2)


SPECS: Mapping[str, st.SearchStrategy[Document]] = {
    "MeshRateLimit": only(targetRef=_SIDECARS, rules=_rules(_LIMITS))
    | only(targetRef=TOPS, **{"from": entries(MESH, _LIMITS)}),
    "MeshFaultInjection": only(targetRef=_SIDECARS, rules=_rules(_FAULTS))
    | only(targetRef=_WHOLE, **{"from": entries(CALLERS, _FAULTS)}),
    "MeshHealthCheck": only(targetRef=TOPS, to=entries(DESTINATIONS | _OTHERS, _CHECKS)),
    "MeshTCPRoute": only(
        targetRef=TOPS,
        to=st.builds(
            lambda target, backends: [{"targetRef": target, "rules": [{"default": {"backendRefs": backends}}]}],
            SERVICE,
            _backends(),
        ),
    ),
    "MeshTLS": only(targetRef=_WHOLE, rules=st.sampled_from(_MODES).map(lambda mode: [{"default": mode}]))
    | only(
        targetRef=MESH,
        **{"from": entries(MESH, [*_MODES, {"tlsVersion": {"min": "TLS13"}}])},
    ),
    "MeshPassthrough": _whole(_PASSED, MESH | _WHOLE.filter(lambda target: "sectionName" not in target)),
    "MeshLoadBalancingStrategy": only(targetRef=TOPS, to=entries(DESTINATIONS, _BALANCINGS))
    | only(targetRef=TOPS, to=entries(ROUTES, [{"hashPolicies": [{"type": "SourceIP"}]}])),
    "MeshAccessLog": only(targetRef=TOPS, to=entries(DESTINATIONS, _LOGS))
    | only(targetRef=_SIDECARS, rules=_rules(_LOGS)),
    "MeshMetric": _whole(_METRICS, MESH),
    "MeshTrace": _whole(_TRACES, MESH),
    "MeshGlobalRateLimit": only(targetRef=SERVICE, **{"from": entries(MESH, _GLOBAL_LIMITS)}),
    "MeshOPA": _whole(_OPINIONS, MESH | _services.map(lambda app: {"kind": "Dataplane", "labels": {"app": app}})),
    "MeshProxyPatch": _whole(_PATCHES, MESH | SERVICE),
}
"""Of policies that came later; two of each kind take part in an edit."""
