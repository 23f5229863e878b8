"""Telemetry of 2.x for edits (`tests/edits.py`): a Mesh's backends, and what leans on them."""

from hypothesis import strategies as st

_LOG = {"name": "lines", "type": "file", "conf": {"path": "/tmp/log"}}
_SENT = {"name": "sent", "type": "tcp", "conf": {"address": "logs:5000"}}

METRICS = st.sampled_from(["", "prom"]).map(
    lambda chosen: {
        "enabledBackend": chosen,
        "backends": [{"name": "prom", "type": "prometheus", "conf": {"port": 1234, "skipMTLS": True}}],
    }
)
OWN_METRICS = st.sampled_from(["/one", "/two"]).map(lambda path: {"type": "prometheus", "conf": {"path": path}})
LOGGING = st.sampled_from(["lines", "sent"]).map(
    lambda chosen: {"defaultBackend": chosen, "backends": [_LOG, _SENT]}
) | st.just({"backends": [_SENT]})
LEGACY_LOGS = st.sampled_from([{}, {"conf": {"backend": "sent"}}]).map(
    lambda conf: {
        "type": "TrafficLog",
        "mesh": "default",
        "name": "logged",
        "sources": [{"match": {"kuma.io/service": "*"}}],
        "destinations": [{"match": {"kuma.io/service": "*"}}],
        **conf,
    }
)
