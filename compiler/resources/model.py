"""Typed resources: what the documents say once their schemas have accepted them.

Field names and meaning follow Kuma's (kuma-core §1 and §2); a spec is what stands beside the envelope of a Universal
document. Confs of policies stay plain values here: they are merged as JSON before they get a type.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from msgspec import Struct, field

from compiler.resources.label_names import (
    DISPLAY_NAME,
    EFFECT,
    ENVIRONMENT,
    MESH,
    NAMESPACE,
    ORIGIN,
    PROTOCOL,
    ROLE,
    SERVICE,
    WORKLOAD,
    ZONE,
)
from compiler.resources.specs.dataplane import (
    BackendReference,
    Dataplane,
    DataplaneSet,
    Gateway,
    Inbound,
    Instance,
    Networking,
    TransparentProxying,
)
from compiler.resources.specs.gateways import MeshGateway, MeshGatewayConfig, MeshGatewayInstance, MeshGatewayRoute
from compiler.resources.specs.identities import GlobalSecret, MeshIdentity, MeshTrust, Secret, Workload
from compiler.resources.specs.kubernetes import ContainerPatch
from compiler.resources.specs.mesh import Mesh, TagSet
from compiler.resources.specs.services import (
    ExternalService,
    HostnameGenerator,
    MeshExternalService,
    MeshMultiZoneService,
    MeshService,
    ServicePort,
    ServiceSelector,
    VirtualOutbound,
)
from compiler.resources.specs.spec import Conf, LabelSelector, Spec
from compiler.resources.specs.telemetry import MeshOpenTelemetryBackend
from compiler.resources.specs.zones import MeshZoneAddress, Zone, ZoneEgress, ZoneIngress

__all__ = (
    "DISPLAY_NAME",
    "EFFECT",
    "ENVIRONMENT",
    "MESH",
    "NAMESPACE",
    "ORIGIN",
    "PROTOCOL",
    "ROLE",
    "SERVICE",
    "SHORT_NAMES",
    "SPECS",
    "WORKLOAD",
    "ZONE",
    "BackendReference",
    "Conf",
    "ContainerPatch",
    "Dataplane",
    "DataplaneSet",
    "ExternalService",
    "Gateway",
    "GlobalSecret",
    "HostnameGenerator",
    "Inbound",
    "Instance",
    "LabelSelector",
    "Layer",
    "Mesh",
    "MeshExternalService",
    "MeshGateway",
    "MeshGatewayConfig",
    "MeshGatewayInstance",
    "MeshGatewayRoute",
    "MeshIdentity",
    "MeshMultiZoneService",
    "MeshOpenTelemetryBackend",
    "MeshService",
    "MeshTrust",
    "MeshZoneAddress",
    "Networking",
    "Policy",
    "PolicyItem",
    "Resource",
    "ResourceKey",
    "Secret",
    "ServicePort",
    "ServiceSelector",
    "Spec",
    "TagSet",
    "TargetRef",
    "TransparentProxying",
    "VirtualOutbound",
    "Workload",
    "Zone",
    "ZoneEgress",
    "ZoneIngress",
)


class ResourceKey(NamedTuple):
    """What tells a resource from every other; `mesh` is empty for a type of no mesh, such as Zone."""

    type: str
    mesh: str
    name: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource with its computed labels (kuma-core §1.4); equal when a proxy could not tell the difference."""

    key: ResourceKey
    labels: Mapping[str, str]
    spec: Struct

    @property
    def name(self) -> str:
        return self.labels.get(DISPLAY_NAME, self.key.name)

    @property
    def zone(self) -> str:
        return self.labels.get(ZONE, "")

    @property
    def namespace(self) -> str:
        return self.labels.get(NAMESPACE, "")

    def kri(self, section: str = "") -> str:
        """Kuma's resource identifier (kuma-core §5.3)."""
        mesh = "" if self.key.type == "Mesh" else self.key.mesh
        return f"kri_{SHORT_NAMES[self.key.type]}_{mesh}_{self.zone}_{self.namespace}_{self.name}_{section}"

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> tuple[object, ...]:
        """As a call, which is several times as quick as what dataclasses do to be pickled."""
        return Resource, (self.key, self.labels, self.spec)


SHORT_NAMES: Final[Mapping[str, str]] = {
    "Dataplane": "dp",
    "DataplaneSet": "dps",
    "ExternalService": "es",
    "GlobalSecret": "gsec",
    "HostnameGenerator": "hg",
    "Mesh": "m",
    "MeshAccessLog": "mal",
    "MeshCircuitBreaker": "mcb",
    "MeshExternalService": "extsvc",
    "MeshFaultInjection": "mfi",
    "MeshGateway": "mgw",
    "MeshGatewayConfig": "mgwc",
    "MeshGatewayInstance": "mgwi",
    "MeshGatewayRoute": "mgwr",
    "MeshGlobalRateLimit": "mgrl",
    "MeshHTTPRoute": "mhttpr",
    "MeshHealthCheck": "mhc",
    "MeshIdentity": "mid",
    "MeshLoadBalancingStrategy": "mlbs",
    "MeshMetric": "mm",
    "MeshMultiZoneService": "mzsvc",
    "MeshOPA": "mopa",
    "MeshOpenTelemetryBackend": "motb",
    "MeshPassthrough": "mp",
    "MeshProxyPatch": "mpp",
    "MeshRateLimit": "mrl",
    "MeshRetry": "mr",
    "MeshService": "msvc",
    "MeshTCPRoute": "mtcpr",
    "MeshTLS": "mtls",
    "MeshTimeout": "mt",
    "MeshTrace": "mtr",
    "MeshTrafficPermission": "mtp",
    "MeshTrust": "mtrust",
    "MeshZoneAddress": "mza",
    "Secret": "sec",
    "VirtualOutbound": "vo",
    "Workload": "wl",
    "Zone": "z",
    "ZoneEgress": "ze",
    "ZoneIngress": "zi",
}
"""Kuma's short names (kuma-core §1.6); types that have none there have one of ours."""


class TargetRef(Spec, frozen=True):
    """Which resource a policy, or a part of it, is about (kuma-core §4.1, kuma-policies §1.2)."""

    kind: str = "Mesh"
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    proxy_types: tuple[str, ...] = ()
    section_name: str = ""
    mesh: str = ""


class PolicyItem(Spec, frozen=True):
    """One entry of `to`, `from` or `rules`; a route's entry holds `rules`, any other a `default`."""

    target_ref: TargetRef = TargetRef()
    matches: tuple[Conf, ...] = ()
    default: Conf | None = None
    rules: tuple[Conf, ...] | None = None
    hostnames: tuple[str, ...] = ()

    @property
    def conf(self) -> Conf:
        return self.default if self.default is not None else {"rules": self.rules or ()}


class Layer(IntEnum):
    """Who wrote a policy, which decides before anything else where several of a kind meet (compiler/mesh/layers.py)."""

    INITIAL = 1
    LEGACY = 2
    WRITTEN = 3


class Policy(Spec, frozen=True):
    """What a policy says; no document has a `layer`: it is that of the one that a policy was made from."""

    target_ref: TargetRef = TargetRef()
    to: tuple[PolicyItem, ...] = ()
    from_: tuple[PolicyItem, ...] = field(default=(), name="from")
    rules: tuple[PolicyItem, ...] = ()
    default: Conf | None = None
    layer: Layer = Layer.WRITTEN


SPECS: Final[Mapping[str, type[Spec]]] = {
    "ContainerPatch": ContainerPatch,
    "Mesh": Mesh,
    "Dataplane": Dataplane,
    "DataplaneSet": DataplaneSet,
    "MeshService": MeshService,
    "MeshMultiZoneService": MeshMultiZoneService,
    "MeshExternalService": MeshExternalService,
    "HostnameGenerator": HostnameGenerator,
    "ExternalService": ExternalService,
    "VirtualOutbound": VirtualOutbound,
    "MeshGateway": MeshGateway,
    "MeshGatewayRoute": MeshGatewayRoute,
    "MeshGatewayInstance": MeshGatewayInstance,
    "MeshGatewayConfig": MeshGatewayConfig,
    "Zone": Zone,
    "ZoneIngress": ZoneIngress,
    "ZoneEgress": ZoneEgress,
    "MeshZoneAddress": MeshZoneAddress,
    "MeshIdentity": MeshIdentity,
    "MeshTrust": MeshTrust,
    "Workload": Workload,
    "Secret": Secret,
    "GlobalSecret": GlobalSecret,
    "MeshOpenTelemetryBackend": MeshOpenTelemetryBackend,
}
"""The spec of every type that is no policy with a targetRef; such a policy's is `Policy`."""
