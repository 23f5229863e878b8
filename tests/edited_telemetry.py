"""Telemetry of 2.x for edits (`tests/edits.py`): a Mesh's backends, and what leans on them."""

from hypothesis import strategies as st

_LOG = {"name": "lines", "type": "file", "conf": {"path": "/tmp/log"}}
_SENT = {"name": "sent", "type": "tcp", "conf": {"address": "logs:5000"}}

_MUTUAL = st.sampled_from([{}, {"skipMTLS": True}, {"tls": {"mode": "activeMTLSBackend"}}])
METRICS = st.builds(
    lambda chosen, mutual: {
        "enabledBackend": chosen,
        "backends": [{"name": "prom", "type": "prometheus", "conf": {"port": 1234, **mutual}}],
    },
    st.sampled_from(["", "prom"]),
    _MUTUAL,
)
OWN_METRICS = st.builds(
    lambda path, mutual: {"type": "prometheus", "conf": {"path": path, **mutual}},
    st.sampled_from(["/one", "/two"]),
    _MUTUAL,
)
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
