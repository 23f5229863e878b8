"""A Dataplane, and a DataplaneSet: the replicas of a workload in one document (kuma-core §2.2)."""

from collections.abc import Mapping
from typing import Final

from msgspec import field

from compiler.resources.label_names import PROTOCOL
from compiler.resources.specs.mesh import MetricsBackend
from compiler.resources.specs.spec import Conf, Spec
from compiler.resources.values import Duration

SERVICELESS: Final = 49151
"""Kuma's port for the inbound of a Kubernetes pod without a Service, which nothing listens on (kuma-core §2.2)."""


class Health(Spec, frozen=True):
    ready: bool = False


class ServiceProbe(Spec, frozen=True):
    """How Kuma probes the workload; what is absent is a default of its control plane."""

    interval: Duration | None = None
    timeout: Duration | None = None
    unhealthy_threshold: int | None = None
    healthy_threshold: int | None = None
    tcp: Conf | None = None


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
    service_probe: ServiceProbe | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def section(self) -> str:
        return self.name or str(self.port)

    @property
    def spoken(self) -> str:
        """The protocol: the field, else the 2.x tag, else tcp; lower case."""
        return (self.protocol or self.tags.get(PROTOCOL, "") or "tcp").lower()

    @property
    def listens(self) -> bool:
        return self.port != SERVICELESS

    @property
    def is_offered(self) -> bool:
        """Whether a service is made of it, healthy or not."""
        return self.state != "Ignored" and self.listens

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
    """`type` is DELEGATED or BUILTIN."""

    type: str = "DELEGATED"
    tags: dict[str, str] = field(default_factory=dict)


class ReachableBackends(Spec, frozen=True):
    refs: tuple[BackendReference, ...] = ()


class TransparentProxying(Spec, frozen=True):
    redirect_port_inbound: int = 15006
    redirect_port_outbound: int = 15001
    ip_family_mode: str = "DualStack"
    direct_access_services: tuple[str, ...] = ()
    reachable_services: tuple[str, ...] | None = None
    reachable_backends: ReachableBackends | None = None


class Admin(Spec, frozen=True):
    port: int = 9901


class ZoneListener(Spec, frozen=True):
    """Of a zone proxy; `type` is ZoneIngress or ZoneEgress, `address` the proxy's where empty."""

    type: str
    port: int
    address: str = ""
    name: str = ""
    state: str = "Ready"

    @property
    def section(self) -> str:
        return self.name or str(self.port)


class Networking(Spec, frozen=True):
    address: str = ""
    advertised_address: str = ""
    inbound: tuple[Inbound, ...] = ()
    outbound: tuple[DataplaneOutbound, ...] = ()
    gateway: Gateway | None = None
    transparent_proxying: TransparentProxying | None = None
    admin: Admin | None = None
    listeners: tuple[ZoneListener, ...] = ()


class ProbeEndpoint(Spec, frozen=True):
    inbound_port: int
    inbound_path: str
    path: str


class Probes(Spec, frozen=True):
    """Probes of the workload that the proxy answers for it; `port` 0 is none."""

    port: int = 0
    endpoints: tuple[ProbeEndpoint, ...] = ()


class Dataplane(Spec, frozen=True):
    networking: Networking
    metrics: MetricsBackend | None = None
    probes: Probes | None = None

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
    metrics: MetricsBackend | None = None
    probes: Probes | None = None


class DataplaneSet(Spec, frozen=True):
    template: DataplaneTemplate
    instances: tuple[Instance, ...] = ()
    registration: Registration | None = None
