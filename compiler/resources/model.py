"""Typed resources: what the documents say once their schemas have accepted them.

Field names and meaning follow Kuma's (kuma-core §1 and §2); a spec is what stands beside the envelope of a Universal
document. Confs of policies stay plain values here: they are merged as JSON before they get a type.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from msgspec import Struct, field

from compiler.resources.values import Duration

Conf = Mapping[str, Any]

DISPLAY_NAME: Final = "kuma.io/display-name"
MESH: Final = "kuma.io/mesh"
ZONE: Final = "kuma.io/zone"
ORIGIN: Final = "kuma.io/origin"
ENVIRONMENT: Final = "kuma.io/env"
NAMESPACE: Final = "k8s.kuma.io/namespace"
ROLE: Final = "kuma.io/policy-role"
EFFECT: Final = "kuma.io/effect"
SERVICE: Final = "kuma.io/service"
PROTOCOL: Final = "kuma.io/protocol"
WORKLOAD: Final = "kuma.io/workload"


class ResourceKey(NamedTuple):
    """What tells a resource from every other; `mesh` is empty for Mesh and Zone."""

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


SHORT_NAMES: Final[Mapping[str, str]] = {
    "Dataplane": "dp",
    "DataplaneSet": "dps",
    "HostnameGenerator": "hg",
    "Mesh": "m",
    "MeshAccessLog": "mal",
    "MeshCircuitBreaker": "mcb",
    "MeshExternalService": "extsvc",
    "MeshFaultInjection": "mfi",
    "MeshGateway": "mgw",
    "MeshHTTPRoute": "mhttpr",
    "MeshHealthCheck": "mhc",
    "MeshIdentity": "mid",
    "MeshLoadBalancingStrategy": "mlbs",
    "MeshMetric": "mm",
    "MeshMultiZoneService": "mzsvc",
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
    "Workload": "wl",
    "Zone": "z",
}
"""Kuma's short names (kuma-core §1.6); DataplaneSet and Secret, which have none there, have one of ours."""


class Spec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of everything decoded from YAML: immutable, camelCase outside, snake_case here."""


# --- Mesh ---------------------------------------------------------------------------------------------------------


class Rotation(Spec, frozen=True):
    expiration: Duration = Duration(24 * 3600 * 10**9)


class DataplaneCertificate(Spec, frozen=True):
    rotation: Rotation = Rotation()


class CertificateBackend(Spec, frozen=True):
    """`type` is builtin for now; `mode` STRICT or PERMISSIVE."""

    name: str
    type: str
    mode: str = "STRICT"
    dp_cert: DataplaneCertificate = DataplaneCertificate()
    conf: Conf = field(default_factory=dict)


class MutualTls(Spec, frozen=True):
    enabled_backend: str = ""
    backends: tuple[CertificateBackend, ...] = ()

    @property
    def backend(self) -> CertificateBackend | None:
        """The backend in force, None in a plaintext mesh."""
        return next((backend for backend in self.backends if backend.name == self.enabled_backend), None)


class OutboundNetworking(Spec, frozen=True):
    passthrough: bool = True


class MeshNetworking(Spec, frozen=True):
    outbound: OutboundNetworking = OutboundNetworking()


class Routing(Spec, frozen=True):
    """`auto_reachable` is ours: trim every proxy to what MeshTrafficPermissions let it call (kuma-core §6.3, §6.4)."""

    locality_aware_load_balancing: bool = False
    auto_reachable: bool = False


class MeshServices(Spec, frozen=True):
    """`mode`: Disabled, Everywhere, ReachableBackends or Exclusive (kuma-core §5.1)."""

    mode: str = "Disabled"


class TagSet(Spec, frozen=True):
    tags: dict[str, str] = field(default_factory=dict)


class Membership(Spec, frozen=True):
    requirements: tuple[TagSet, ...] = ()
    restrictions: tuple[TagSet, ...] = ()


class Constraints(Spec, frozen=True):
    dataplane_proxy: Membership = Membership()


class Mesh(Spec, frozen=True):
    mtls: MutualTls = MutualTls()
    networking: MeshNetworking = MeshNetworking()
    routing: Routing = Routing()
    mesh_services: MeshServices = MeshServices()
    constraints: Constraints = Constraints()
    skip_creating_initial_policies: tuple[str, ...] = ()


# --- Dataplane ----------------------------------------------------------------------------------------------------


class Health(Spec, frozen=True):
    ready: bool = False


class Inbound(Spec, frozen=True):
    """An inbound as written; what it defaults to is asked of the Dataplane."""

    port: int
    name: str = ""
    address: str = ""
    service_port: int = 0
    service_address: str = ""
    protocol: str = ""
    state: str = "Ready"
    health: Health | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def section(self) -> str:
        return self.name or str(self.port)

    @property
    def spoken(self) -> str:
        """The protocol: the field, else the 2.x tag, else tcp; lower case."""
        return (self.protocol or self.tags.get(PROTOCOL, "") or "tcp").lower()

    @property
    def healthy(self) -> bool:
        return self.state == "Ready" and (self.health is None or self.health.ready)


class BackendReference(Spec, frozen=True):
    """A destination by name or by labels (kuma-core §2.2); `tags` is of a MeshServiceSubset (2.x)."""

    kind: str
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    port: int | None = None


class DataplaneOutbound(Spec, frozen=True):
    port: int
    address: str = "127.0.0.1"
    backend_ref: BackendReference | None = None
    tags: dict[str, str] = field(default_factory=dict)


class Gateway(Spec, frozen=True):
    type: str = "DELEGATED"
    tags: dict[str, str] = field(default_factory=dict)


class ReachableBackends(Spec, frozen=True):
    refs: tuple[BackendReference, ...] = ()


class TransparentProxying(Spec, frozen=True):
    redirect_port_inbound: int = 15006
    redirect_port_outbound: int = 15001
    ip_family_mode: str = "DualStack"
    reachable_services: tuple[str, ...] | None = None
    reachable_backends: ReachableBackends | None = None


class Admin(Spec, frozen=True):
    port: int = 9901


class Networking(Spec, frozen=True):
    address: str = ""
    advertised_address: str = ""
    inbound: tuple[Inbound, ...] = ()
    outbound: tuple[DataplaneOutbound, ...] = ()
    gateway: Gateway | None = None
    transparent_proxying: TransparentProxying | None = None
    admin: Admin | None = None


class Dataplane(Spec, frozen=True):
    networking: Networking

    @property
    def tag_sets(self) -> tuple[Mapping[str, str], ...]:
        """One for each inbound; a gateway has its own one."""
        gateway = self.networking.gateway
        return tuple(inbound.tags for inbound in self.networking.inbound) if gateway is None else (gateway.tags,)


# --- DataplaneSet: the replicas of a workload in one document -------------------------------------------------------


class Instance(Spec, frozen=True):
    name: str
    address: str
    zone: str = ""
    labels: dict[str, str] = field(default_factory=dict)


class Registration(Spec, frozen=True):
    """Proxies that come and go within these ranges share one snapshot."""

    cidrs: tuple[str, ...]
    max: int = 1000


class DataplaneTemplate(Spec, frozen=True):
    networking: Networking


class DataplaneSet(Spec, frozen=True):
    template: DataplaneTemplate
    instances: tuple[Instance, ...] = ()
    registration: Registration | None = None


# --- MeshService, Zone, Secret --------------------------------------------------------------------------------------


class LabelSelector(Spec, frozen=True):
    match_labels: dict[str, str] = field(default_factory=dict)


class NameReference(Spec, frozen=True):
    name: str


class ServiceSelector(Spec, frozen=True):
    """Exactly one of the three."""

    dataplane_labels: LabelSelector | None = None
    dataplane_ref: NameReference | None = None
    dataplane_tags: dict[str, str] | None = None


class ServicePort(Spec, frozen=True):
    port: int
    name: str = ""
    target_port: int | str | None = None
    app_protocol: str = "tcp"

    @property
    def section(self) -> str:
        return self.name or str(self.port)


class MeshService(Spec, frozen=True):
    selector: ServiceSelector = ServiceSelector()
    ports: tuple[ServicePort, ...] = ()


class Zone(Spec, frozen=True):
    enabled: bool = True


class Secret(Spec, frozen=True):
    """A secret by reference only: `data` in a repository is refused."""


# --- Policies -----------------------------------------------------------------------------------------------------


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


class Policy(Spec, frozen=True):
    target_ref: TargetRef = TargetRef()
    to: tuple[PolicyItem, ...] = ()
    from_: tuple[PolicyItem, ...] = field(default=(), name="from")
    rules: tuple[PolicyItem, ...] = ()
    default: Conf | None = None


SPECS: Final[Mapping[str, type[Spec]]] = {
    "Mesh": Mesh,
    "Dataplane": Dataplane,
    "DataplaneSet": DataplaneSet,
    "MeshService": MeshService,
    "Zone": Zone,
    "Secret": Secret,
}
"""The spec of every type that is no policy; a policy's is `Policy`."""
