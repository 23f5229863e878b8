"""The policies that every Mesh has from the start, unless it says otherwise (kuma-core §3)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from compiler.resources.model import DISPLAY_NAME, MESH, ROLE, Mesh, Policy, Resource, ResourceKey
from compiler.resources.values import decode

_EVERYTHING: Final = {"kind": "Mesh"}
_BACK_OFF: Final = {
    "numRetries": 5,
    "perTryTimeout": "16s",
    "backOff": {"baseInterval": "25ms", "maxInterval": "250ms"},
}
_INBOUND_TIMEOUT: Final = {
    "connectionTimeout": "10s",
    "idleTimeout": "2h",
    "http": {"requestTimeout": "0s", "streamIdleTimeout": "1h", "maxStreamDuration": "0s"},
}
_OUTBOUND_TIMEOUT: Final = {
    "connectionTimeout": "5s",
    "idleTimeout": "1h",
    "http": {"requestTimeout": "15s", "streamIdleTimeout": "30m"},
}
_GATEWAY_INBOUND: Final = {
    "idleTimeout": "5m",
    "http": {"streamIdleTimeout": "5s", "requestHeadersTimeout": "500ms"},
}
_GATEWAY_OUTBOUND: Final = {"idleTimeout": "1h", "http": {"streamIdleTimeout": "5s"}}
_LIMITS: Final = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRequests": 1024, "maxRetries": 3}


def _part(conf: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [{"targetRef": _EVERYTHING, "default": conf}]


_POLICIES: Final[tuple[tuple[str, str, Mapping[str, Any]], ...]] = (
    (
        "MeshTimeout",
        "mesh-timeout-all",
        {
            "targetRef": {"kind": "Mesh", "proxyTypes": ["Sidecar"]},
            "from": _part(_INBOUND_TIMEOUT),
            "to": _part(_OUTBOUND_TIMEOUT),
        },
    ),
    (
        "MeshTimeout",
        "mesh-gateways-timeout-all",
        {
            "targetRef": {"kind": "Mesh", "proxyTypes": ["Gateway"]},
            "from": _part(_GATEWAY_INBOUND),
            "to": _part(_GATEWAY_OUTBOUND),
        },
    ),
    (
        "MeshCircuitBreaker",
        "mesh-circuit-breaker-all",
        {"targetRef": _EVERYTHING, "to": _part({"connectionLimits": _LIMITS})},
    ),
    (
        "MeshRetry",
        "mesh-retry-all",
        {
            "targetRef": _EVERYTHING,
            "to": _part({"tcp": {"maxConnectAttempt": 5}, "http": _BACK_OFF, "grpc": _BACK_OFF}),
        },
    ),
)
"""Those of 2.14, which say the same as the four of 3.0; there is no MeshTrafficPermission among them."""


def add_initial_policies(resources: Mapping[ResourceKey, Resource]) -> Mapping[ResourceKey, Resource]:
    """A policy that is written under the same name stands in for the initial one."""
    meshes = [resource for resource in resources.values() if isinstance(resource.spec, Mesh)]
    return {**{policy.key: policy for mesh in meshes for policy in _initial_policies(mesh)}, **resources}


def _initial_policies(mesh: Resource) -> Iterator[Resource]:
    skipped = cast(Mesh, mesh.spec).skip_creating_initial_policies
    for kind, prefix, spec in _POLICIES:
        if "*" not in skipped and kind not in skipped:
            name = f"{prefix}-{mesh.key.name}"
            labels = {MESH: mesh.key.name, DISPLAY_NAME: name, ROLE: "system"}
            yield Resource(ResourceKey(kind, mesh.key.name, name), labels, decode(Policy, spec))
