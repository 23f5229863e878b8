"""A Mesh: what holds for all of its proxies (kuma-core §2.1)."""

from msgspec import field

from compiler.resources.specs.spec import Conf, Spec
from compiler.resources.values import Duration


class Rotation(Spec, frozen=True):
    expiration: Duration = Duration(24 * 3600 * 10**9)


class DataplaneCertificate(Spec, frozen=True):
    rotation: Rotation = Rotation()


class CertificateBackend(Spec, frozen=True):
    """`type` is builtin, provided, vault, acmpca or certmanager; `mode` STRICT or PERMISSIVE."""

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
    zone_egress: bool = False
    default_forbid_mesh_external_service_access: bool = False
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


class LoggingBackend(Spec, frozen=True):
    """`type` is file or tcp; the fields of `conf` are that type's."""

    name: str
    type: str
    format: str = ""
    conf: Conf = field(default_factory=dict)


class Logging(Spec, frozen=True):
    default_backend: str = ""
    backends: tuple[LoggingBackend, ...] = ()


class TracingBackend(Spec, frozen=True):
    """`type` is zipkin or datadog; `sampling` counts in hundredths, all where absent."""

    name: str
    type: str
    sampling: float | None = None
    conf: Conf = field(default_factory=dict)


class Tracing(Spec, frozen=True):
    default_backend: str = ""
    backends: tuple[TracingBackend, ...] = ()


class AggregateMetrics(Spec, frozen=True):
    """An application whose metrics are added; `address` is that of the inbound where empty."""

    name: str
    port: int = 0
    path: str = "/metrics"
    enabled: bool = True
    address: str = ""


class EnvoyMetrics(Spec, frozen=True):
    filter_regex: str = ""
    used_only: bool = False


class MetricsTls(Spec, frozen=True):
    """`mode`: activeMTLSBackend, providedTLS or disabled."""

    mode: str = "activeMTLSBackend"


class Prometheus(Spec, frozen=True):
    """What a proxy offers, as far as it is written: a Dataplane's own goes before that of its Mesh."""

    port: int | None = None
    path: str | None = None
    skip_mtls: bool | None = field(default=None, name="skipMTLS")
    tls: MetricsTls | None = None
    aggregate: tuple[AggregateMetrics, ...] = ()
    envoy: EnvoyMetrics | None = None


class MetricsBackend(Spec, frozen=True):
    """`type` is prometheus."""

    type: str
    name: str = ""
    conf: Conf = field(default_factory=dict)


class Metrics(Spec, frozen=True):
    enabled_backend: str = ""
    backends: tuple[MetricsBackend, ...] = ()


class Mesh(Spec, frozen=True):
    mtls: MutualTls = MutualTls()
    networking: MeshNetworking = MeshNetworking()
    routing: Routing = Routing()
    mesh_services: MeshServices = MeshServices()
    constraints: Constraints = Constraints()
    metrics: Metrics = Metrics()
    logging: Logging = Logging()
    tracing: Tracing = Tracing()
    skip_creating_initial_policies: tuple[str, ...] = ()
