"""What is Kuma's but not ours yet: types, fields and values that get a finding of their own instead of "unknown"."""

from collections.abc import Mapping
from typing import Final

from compiler.resources.findings import NOT_SUPPORTED_YET, SECRET_IN_GIT, Finding

KUMA_TYPES: Final = frozenset(
    (
        "ContainerPatch",
        "ExternalService",
        "GlobalSecret",
        "HostnameGenerator",
        "MeshAccessLog",
        "MeshExternalService",
        "MeshFaultInjection",
        "MeshGateway",
        "MeshGatewayConfig",
        "MeshGatewayInstance",
        "MeshGatewayRoute",
        "MeshGlobalRateLimit",
        "MeshHealthCheck",
        "MeshIdentity",
        "MeshLoadBalancingStrategy",
        "MeshMetric",
        "MeshMultiZoneService",
        "MeshOPA",
        "MeshOpenTelemetryBackend",
        "MeshPassthrough",
        "MeshProxyPatch",
        "MeshRateLimit",
        "MeshTCPRoute",
        "MeshTLS",
        "MeshTrace",
        "MeshTrust",
        "MeshZoneAddress",
        "Workload",
        "ZoneEgress",
        "ZoneIngress",
    )
)
"""Types of Kuma 2.14 that this release does not compile."""

LEGACY_TYPES: Final = frozenset(
    (
        "CircuitBreaker",
        "FaultInjection",
        "HealthCheck",
        "ProxyTemplate",
        "RateLimit",
        "Retry",
        "Timeout",
        "TrafficLog",
        "TrafficPermission",
        "TrafficRoute",
        "TrafficTrace",
        "VirtualOutbound",
    )
)
"""Kuma's policies from before targetRef; their names are common words, so a document needs a `mesh` too."""

_REPLACEMENTS: Final[Mapping[str, str]] = {
    "TrafficPermission": "MeshTrafficPermission",
    "TrafficRoute": "MeshHTTPRoute",
    "Timeout": "MeshTimeout",
    "Retry": "MeshRetry",
    "CircuitBreaker": "MeshCircuitBreaker",
}

_NETWORKING: Final = ("listeners", "transparentProxying/directAccessServices")
_FIELDS: Final = frozenset(
    (
        "Mesh/metrics",
        "Mesh/logging",
        "Mesh/tracing",
        "Mesh/mtls/backends/*/conf/cert",
        "Mesh/mtls/backends/*/conf/key",
        "Dataplane/metrics",
        "Dataplane/probes",
        *(f"Dataplane/networking/{field}" for field in _NETWORKING),
        *(f"DataplaneSet/template/networking/{field}" for field in _NETWORKING),
    )
)
_VALUES: Final[Mapping[str, tuple[object, ...]]] = {
    "Mesh/mtls/backends/*/type": ("provided", "vault", "acmpca", "certmanager"),
    "Mesh/routing/zoneEgress": (True,),
    "Dataplane/networking/gateway/type": ("BUILTIN",),
    "DataplaneSet/template/networking/gateway/type": ("BUILTIN",),
}


def later_type(kind: str, pointer: str) -> Finding:
    """For a document of a type that Kuma has and this release has not."""
    replacement = _REPLACEMENTS.get(kind)
    hint = f"{replacement} says the same today" if replacement else _leave_out("document")
    return Finding(pointer, NOT_SUPPORTED_YET, f"{kind} is not supported yet", hint)


def later_field(kind: str, pointer: str) -> Finding | None:
    """For a field that the type's schema does not have, where Kuma has it or a secret is about to leak."""
    path = _path(kind, pointer)
    if path in ("Secret/data", "Secret/stringData"):
        message = "a secret's content does not belong in Git"
        return Finding(
            pointer, SECRET_IN_GIT, message, "keep the name only; give the content to the server", on_key=True
        )
    if path in _FIELDS:
        message = f"{path.partition('/')[2].replace('/*', '')} of a {kind} is not supported yet"
        return Finding(pointer, NOT_SUPPORTED_YET, message.replace("/", "."), _leave_out("field"), on_key=True)
    return None


def later_value(kind: str, pointer: str, value: object) -> Finding | None:
    """For a value that Kuma's enumeration has and ours has not."""
    path = _path(kind, pointer)
    if value not in _VALUES.get(path, ()):
        return None
    field = path.rpartition("/")[2]
    shown = str(value).lower() if isinstance(value, bool) else value
    return Finding(pointer, NOT_SUPPORTED_YET, f"{field} {shown} is not supported yet", _leave_out("field"))


def _leave_out(what: str) -> str:
    return f"take the {what} out, or list the file under `ignore` in meshwright.yaml to go without it"


def _path(kind: str, pointer: str) -> str:
    """The place as the tables above write it: without the Kubernetes envelope, indexes as stars."""
    segments = pointer.split("/")[1:]
    if segments[:1] == ["spec"]:
        segments = segments[1:]
    return "/".join([kind, *("*" if segment.isdigit() else segment for segment in segments)])
