"""What a MeshMetric says (kuma-policies §2.8)."""

from typing import Final

from msgspec.structs import replace

from compiler.mesh.collectors import Collector, OpenTelemetry
from compiler.resources.model import Spec
from compiler.resources.specs.mesh import Prometheus as Declared
from compiler.resources.values import Duration

_MINUTE: Final = Duration(60 * 10**9)
DISABLED: Final = "Disabled"
PROVIDED: Final = "ProvidedTLS"
MUTUAL: Final = "ActiveMTLSBackend"
BY_PROXY: Final = ""
"""Where nobody says it of what a Mesh declares: mutual where the proxy has a certificate of the mesh."""


class Profile(Spec, frozen=True):
    """`name`: All, Basic or None."""

    name: str


class Selector(Spec, frozen=True):
    """`type`: Prefix, Regex, Exact or Contains."""

    type: str
    match: str


class Profiles(Spec, frozen=True):
    append_profiles: tuple[Profile, ...] = ()
    exclude: tuple[Selector, ...] = ()
    include: tuple[Selector, ...] = ()


class Sidecar(Spec, frozen=True):
    include_unused: bool = False
    profiles: Profiles = Profiles()


class Application(Spec, frozen=True):
    """At the proxy's own address where none is written."""

    port: int
    name: str = ""
    path: str = "/metrics"
    address: str = ""


class Tls(Spec, frozen=True):
    """`mode`: Disabled, ProvidedTLS or ActiveMTLSBackend."""

    mode: str = DISABLED


class Prometheus(Spec, frozen=True):
    client_id: str = ""
    port: int = 5670
    path: str = "/metrics"
    tls: Tls = Tls()

    @property
    def name(self) -> str:
        return self.client_id or "default-backend"


class Pushed(OpenTelemetry, frozen=True):
    refresh_interval: Duration = _MINUTE


class Backend(Spec, frozen=True):
    """`type`: Prometheus or OpenTelemetry, whose block is the one that is there."""

    type: str
    prometheus: Prometheus | None = None
    open_telemetry: Pushed | None = None

    @property
    def collector(self) -> Collector | None:
        return self.open_telemetry.collector if self.open_telemetry is not None else None


class Metric(Spec, frozen=True):
    """Without backends nothing is collected; `declared` is what the Mesh says where no policy was written."""

    sidecar: Sidecar = Sidecar()
    applications: tuple[Application, ...] = ()
    backends: tuple[Backend, ...] = ()
    declared: Declared | None = None

    @property
    def modes(self) -> frozenset[str]:
        """Of the ports at which it is scraped."""
        return frozenset(one.prometheus.tls.mode for one in self.backends if one.prometheus is not None)

    @property
    def mutual_ports(self) -> tuple[int, ...]:
        """Once it is known what is offered."""
        found = (one.prometheus for one in self.backends if one.prometheus is not None)
        return tuple(one.port for one in found if one.tls.mode == MUTUAL)

    def offered(self, *, certified: bool) -> "Metric":
        """By a proxy that has a certificate of the mesh, or none: then what is to be mutual is not served at all."""
        found = (_offered(one, certified=certified) for one in self.backends)
        return replace(self, backends=tuple(one for one in found if one is not None))


def _offered(backend: Backend, *, certified: bool) -> Backend | None:
    prometheus = backend.prometheus
    if prometheus is None or prometheus.tls.mode not in (BY_PROXY, MUTUAL):
        return backend
    if not certified and prometheus.tls.mode == MUTUAL:
        return None
    return replace(backend, prometheus=replace(prometheus, tls=Tls(MUTUAL if certified else DISABLED)))
