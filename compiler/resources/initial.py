"""The policies that every Mesh has from the start, unless it says otherwise (kuma-core §3)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from msgspec.structs import replace

from compiler.resources.model import DISPLAY_NAME, MESH, ORIGIN, ROLE, Layer, Mesh, Policy, Resource, ResourceKey
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


Change = tuple[Resource | None, Resource | None]
"""A resource as it was and as it is, None where there was or is none."""


class Everything:
    """The resources that were written and, unless one of the same name was, the initial policies of their Meshes."""

    def __init__(self) -> None:
        self._resources: dict[ResourceKey, Resource] = {}
        self._meshes: dict[ResourceKey, tuple[Resource, ...]] = {}
        self._initial: dict[ResourceKey, Resource] = {}

    @property
    def meshes(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted(key.name for key in self._meshes))

    def update(self, written: Mapping[ResourceKey, Resource], changed: Iterable[ResourceKey]) -> tuple[Change, ...]:
        """What is different now; nothing was written otherwise than before but, perhaps, the `changed` ones."""
        touched = dict.fromkeys(changed)
        for key in [key for key in touched if key.type == "Mesh"]:
            touched |= dict.fromkeys(self._initiate(key, written.get(key)))
        changes = tuple(
            (self._resources.get(key), written[key] if key in written else self._initial.get(key)) for key in touched
        )
        self._resources |= {new.key: new for _, new in changes if new is not None}
        for old, new in changes:
            if old is not None and new is None:
                del self._resources[old.key]
        return tuple((old, new) for old, new in changes if old is not new)

    def _initiate(self, key: ResourceKey, mesh: Resource | None) -> Iterable[ResourceKey]:
        """The keys of the policies that the Mesh had and has."""
        old = self._meshes.pop(key, ())
        for policy in old:
            del self._initial[policy.key]
        if mesh is not None:
            self._meshes[key] = tuple(_initial_policies(mesh))
            self._initial |= {policy.key: policy for policy in self._meshes[key]}
        return [policy.key for policy in (*old, *self._meshes.get(key, ()))]


def _initial_policies(mesh: Resource) -> Iterator[Resource]:
    """Of the Mesh's own origin: whoever stored the Mesh made them with it."""
    skipped = cast(Mesh, mesh.spec).skip_creating_initial_policies
    origin = {name: value for name, value in mesh.labels.items() if name == ORIGIN}
    for kind, prefix, spec in _POLICIES:
        if "*" not in skipped and kind not in skipped:
            name = f"{prefix}-{mesh.key.name}"
            labels = {MESH: mesh.key.name, DISPLAY_NAME: name, ROLE: "system", **origin}
            policy = replace(decode(Policy, spec), layer=Layer.INITIAL)
            yield Resource(ResourceKey(kind, mesh.key.name, name), labels, policy)
