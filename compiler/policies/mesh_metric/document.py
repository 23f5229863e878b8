"""What runs beside Envoy is told in one JSON document: the contract is docs/dataplane-run.md."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.mesh.proxy import Placed
from compiler.policies.mesh_metric.conf import PROVIDED, Backend, Metric, Selector

SCHEMA_VERSION: Final = 1
_BROADEST: Final = ("All", "Basic", "None")
_DIGITS: Final = 12


def render_document(conf: Metric, owner: Placed) -> str:
    """One line of JSON, with sorted keys; holes stay as they are."""
    profiles = conf.sidecar.profiles
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "applications": [
            {"name": one.name, "path": application_path(number)} for number, one in enumerate(conf.applications)
        ],
        "backends": list(_backends(conf)),
        "extraLabels": _labels(owner),
        "sidecar": {
            "includeUnused": conf.sidecar.include_unused,
            "profiles": [name for name in _BROADEST if name in {one.name for one in profiles.append_profiles}]
            or ["Basic"],
            "exclude": [_selector(one) for one in profiles.exclude],
            "include": [_selector(one) for one in profiles.include],
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def application_path(number: int) -> str:
    return f"/applications/{number}"


def tls_socket(backend: Backend) -> str:
    return f"metrics-tls-{backend.prometheus.name if backend.prometheus is not None else ''}.sock"


def otel_socket(backend: Backend) -> str:
    """Named by a digest: the path of a socket has about a hundred characters, and a host name may have more."""
    name = backend.collector.name if backend.collector is not None else ""
    return f"metrics-otel-{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}.sock"


def _backends(conf: Metric) -> Iterator[Mapping[str, Any]]:
    for backend in conf.backends:
        if backend.prometheus is not None:
            mode = backend.prometheus.tls.mode
            described = {"type": "Prometheus", "name": backend.prometheus.name, "tls": mode}
            socket = {"socket": tls_socket(backend)} if mode == PROVIDED else {}
            yield {**described, "path": backend.prometheus.path, **socket}
        if backend.open_telemetry is not None and backend.collector is not None:
            collector = backend.collector
            yield {
                "type": "OpenTelemetry",
                "name": collector.name,
                "socket": otel_socket(backend),
                "protocol": collector.protocol,
                "path": f"{collector.path.rstrip('/')}/v1/metrics" if collector.protocol == "http" else "",
                "refreshInterval": str(backend.open_telemetry.refresh_interval),
            }


def _labels(owner: Placed) -> Mapping[str, str]:
    """Kuma's, as a label of Prometheus may be called."""
    labels = {
        "mesh": owner.mesh,
        "zone": owner.zone,
        "kuma_io_service": owner.service,
        "kuma_workload": owner.workload,
        "kuma_proxy_role": "gateway" if owner.gateway else "sidecar",
    }
    return {name: value for name, value in labels.items() if value}


def _selector(one: Selector) -> Mapping[str, str]:
    return {"type": one.type, "match": one.match}
