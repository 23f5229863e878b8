"""Policies of before targetRef for edits (`tests/edits.py`); of VirtualOutbound and TrafficLog there are others."""

from collections.abc import Mapping

from hypothesis import strategies as st

from tests.edited_policies import Document, only

TRACING: Document = {
    "defaultBackend": "zipkin",
    "backends": [
        {"name": "zipkin", "type": "zipkin", "sampling": 50, "conf": {"url": "http://zipkin:9411/api/v2/spans"}},
        {"name": "dog", "type": "datadog", "conf": {"address": "dog", "port": 8126}},
    ],
}
"""What a Mesh says for a TrafficTrace to name."""
_LIMIT: Document = {"requests": 5, "interval": "10s"}
_ORIGIN: Document = {"match": {"origin": "outbound"}}
_CHANGES: list[Document] = [
    {"operation": "patch", **_ORIGIN, "value": "connectTimeout: 5s"},
    {"operation": "remove", "match": {"name": "nobody"}},
]
_ABORT: Document = {"percentage": 40, "httpStatus": 500}
_SPLIT: list[Document] = [
    {"weight": 90, "destination": {"kuma.io/service": "web", "version": "v1"}},
    {"weight": 10, "destination": {"kuma.io/service": "api"}},
]
_CONFS: Mapping[str, list[Document | None]] = {
    "CircuitBreaker": [{"detectors": {"totalErrors": {"consecutive": 20}}}, {"thresholds": {"maxConnections": 100}}],
    "FaultInjection": [{"delay": {"percentage": 50, "value": "10ms"}}, {"abort": _ABORT}],
    "HealthCheck": [
        {
            "interval": "10s",
            "timeout": "2s",
            "unhealthyThreshold": 3,
            "healthyThreshold": 1,
            "http": {"path": "/ready"},
        },
        {"interval": "9s", "timeout": "2s", "unhealthyThreshold": 3, "healthyThreshold": 1},
    ],
    "RateLimit": [{"http": _LIMIT}, {"http": {**_LIMIT, "onRateLimit": {"status": 423}}}],
    "Retry": [{"http": {"numRetries": 3}}, {"tcp": {"maxConnectAttempts": 2}}],
    "Timeout": [{"connectTimeout": "2s"}, {"http": {"requestTimeout": "3s", "idleTimeout": "1h"}}],
    "TrafficPermission": [None],
    "TrafficRoute": [
        {"destination": {"kuma.io/service": "api"}},
        {"split": _SPLIT},
        {
            "http": [{"match": {"path": {"prefix": "/v1"}}, "destination": {"kuma.io/service": "api"}}],
            "destination": {"kuma.io/service": "web"},
        },
    ],
}
_services = st.sampled_from(["*", "web", "api"])


def _between(kind: str, confs: list[Document | None]) -> st.SearchStrategy[Document]:
    protocol = {"kuma.io/protocol": "http"} if kind == "FaultInjection" else {}
    destinations = st.sampled_from(["web", "api"]) if kind == "TrafficRoute" else _services
    return only(
        type=st.just(kind),
        mesh=st.just("default"),
        name=st.just("old"),
        sources=_services.map(lambda name: [{"match": {"kuma.io/service": name}}]),
        destinations=destinations.map(lambda name: [{"match": {"kuma.io/service": name, **protocol}}]),
        conf=st.sampled_from(confs),
    )


def _selecting(kind: str, confs: list[Document]) -> st.SearchStrategy[Document]:
    return only(
        type=st.just(kind),
        mesh=st.just("default"),
        name=st.just("old"),
        selectors=_services.map(lambda name: [{"match": {"kuma.io/service": name}}]),
        conf=st.sampled_from(confs),
    )


LEGACY: Mapping[str, st.SearchStrategy[Document]] = {
    **{f"old-{kind}": _between(kind, confs) for kind, confs in _CONFS.items()},
    "old-TrafficTrace": _selecting("TrafficTrace", [{"backend": "zipkin"}, {"backend": "dog"}, {}]),
    "old-ProxyTemplate": _selecting(
        "ProxyTemplate",
        [{"imports": ["default-proxy"], "modifications": [{"cluster": change}]} for change in _CHANGES],
    ),
}
"""By the name of their file."""
