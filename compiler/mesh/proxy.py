"""The IR: what one proxy must do, with no word of Envoy; its parts, each of which is translated by itself."""

from compiler.mesh.calls import Admission, Inbound, Outbound, Tls, Upstream
from compiler.mesh.gateways.front import GatewayListener
from compiler.mesh.order import Origin
from compiler.mesh.trust import Trusted
from compiler.mesh.value import Confs, Owner, Value
from compiler.mesh.zones.passing import ZoneGate


class PassthroughMatch(Value, frozen=True, order=True):
    """Calls that are let through: to a Domain, an IP or a CIDR, of one port or with 0 of every one."""

    type: str
    value: str
    port: int
    protocol: str


class Transparent(Value, frozen=True):
    """Traffic is redirected by the kernel; what no other listener wants is passed through, or refused but `matches`."""

    inbound_port: int
    outbound_port: int
    ipv6: bool
    passthrough: bool
    matches: tuple[PassthroughMatch, ...] = ()
    confs: Confs = ()
    """What policies say of calls to the whole mesh holds for connections that are passed through, too."""
    owner: Owner | None = None
    origins: tuple[Origin, ...] = ()


class NameRecord(Value, frozen=True):
    """A host name, and the address at which this proxy takes calls to it."""

    name: str
    address: str


class Asked(Value, frozen=True):
    """Where a proxy answers whether it is ready: the port of Kuma's admin listener (kuma-core §7.2)."""

    address: str
    port: int
    transparent: bool


class ProbedPath(Value, frozen=True):
    """Probes of `path` go to `there` at the cluster, or without one are sent on to the workload's own port."""

    path: str
    there: str
    port: int
    cluster: str = ""


class Probes(Value, frozen=True):
    """Probes of the workload that a proxy takes for it, in plaintext."""

    address: str
    port: int
    transparent: bool
    paths: tuple[ProbedPath, ...]


class Direct(Value, frozen=True):
    """Addresses of single proxies that the workload calls past their services, by mutual TLS where there is any."""

    endpoints: tuple[tuple[str, int], ...]
    tls: Tls | None
    confs: Confs = ()
    """What policies say of calls to the whole mesh, as of what is passed through."""
    owner: Owner | None = None


class Certification(Value, frozen=True):
    """Who certifies a proxy: an authority that the server has, or has the `sources` of; or an agent of SPIRE.

    An agent is waited for `agent_nanoseconds`; `seconds` is a certificate's lifetime, the usual one where it is 0.
    """

    authority: str = ""
    sources: tuple[str, ...] = ()
    seconds: int = 0
    agent_nanoseconds: int = 0


class Known(Value, frozen=True):
    """What Kuma 2 has in the names and at the listeners of Envoy's resources.

    `tags` are of the inbounds, by section, with the labels of the proxy; `ports` the numbers of destinations, by name.
    """

    tags: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    ports: tuple[tuple[str, int], ...]


class Placed(Owner, frozen=True):
    """The owner of what a proxy has beside its parts, which says more of it.

    Its `address`, whether its traffic is `redirected` to it by the kernel, whether it is a `gateway`; `admission` only
    where a policy offers something to proxies of the mesh alone, and this one has a certificate of it.
    """

    address: str = ""
    redirected: bool = False
    gateway: bool = False
    admission: Admission | None = None


class Bundle(Value, frozen=True):
    """Whom to believe beside those of the own mesh: proxies of the mesh that is called, or of all where it is empty."""

    mesh: str
    trusted: tuple[Trusted, ...]


class Proxy(Value, frozen=True):
    """Everything that the replicas of one shape must do."""

    mesh: str
    workload: str
    tls: Tls | None
    identities: tuple[str, ...]
    certification: Certification
    trusted: tuple[Trusted, ...]
    """Sorted; empty where the backend's authority is all that there is to believe."""
    inbounds: tuple[Inbound, ...]
    outbounds: tuple[Outbound, ...]
    upstreams: tuple[Upstream, ...]
    transparent: Transparent | None
    confs: Confs = ()
    """Of policies that hold for all of a proxy; its inbounds, outbounds, upstreams and redirection have them too."""
    owner: Placed | None = None
    names: tuple[NameRecord, ...] | None = None
    """What the host names of services stand for where calls are redirected to the proxy; None where nobody asks."""

    asked: Asked | None = None
    probes: Probes | None = None
    direct: Direct | None = None
    known: Known | None = None
    """Only where a policy patches what the others made."""
    gateway: tuple[GatewayListener, ...] = ()
    bundles: tuple[Bundle, ...] = ()

    gates: tuple[ZoneGate, ...] = ()
    memberships: tuple["Proxy", ...] = ()
    """What a proxy that is of no mesh is in each of those that it serves."""

    @property
    def called(self) -> tuple[Upstream, ...]:
        """All that it connects to as one side of TLS, or none."""
        return (*self.upstreams, *(one.upstream for gate in self.gates for one in gate.openings))

    @property
    def listed(self) -> tuple[Upstream, ...]:
        """Those whose endpoints are listed apart, by zone."""
        return tuple([one for one in self.upstreams if one.destination.outside is None])
