"""The IR of calls: what a proxy takes of whom, what it makes, and the TLS that both are by."""

from compiler.mesh.destination import Destination, Spread
from compiler.mesh.http_route import Backend, HttpRoute, RouteMatch
from compiler.mesh.order import Origin
from compiler.mesh.value import Confs, Owner, UriMatch, Value


class Principal(Value, frozen=True):
    """Callers that show every URI of `present` and none of `absent`; without both, everyone."""

    present: tuple[UriMatch, ...] = ()
    absent: tuple[UriMatch, ...] = ()


class PermissionEntry(Value, frozen=True):
    """What one permission says of some callers: `Allow`, `Deny` or `AllowWithShadowDeny`.

    Of all their calls, or only of the requests that one of `requests` matches.
    """

    principal: Principal
    action: str
    origin: Origin
    requests: tuple[RouteMatch, ...] = ()


class Permission(Value, frozen=True):
    """Who may call an inbound: the first entry that matches decides, and nobody else may."""

    entries: tuple[PermissionEntry, ...] = ()


class Tls(Value, frozen=True):
    """Mutual TLS; versions (`TLS12`) and ciphers are Envoy's own where empty.

    The certificate is that of the mesh's backend, or of the MeshIdentity that `identity` is the KRI of. An agent of
    SPIRE is asked for it by the `agent_id`, and then for whom to trust, too; else peers are trusted by the domain of
    their SPIFFE id where `by_domain` says so, and by the backend's authority where not. `origins` are what versions and
    ciphers were written by, who overrides the others first.
    """

    mesh: str
    permissive: bool = False
    oldest: str = ""
    newest: str = ""
    ciphers: tuple[str, ...] = ()
    identity: str = ""
    agent_id: str = ""
    by_domain: bool = False
    origins: tuple[Origin, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the versions and ciphers are Envoy's own."""
        return not (self.oldest or self.newest or self.ciphers)


class Admission(Value, frozen=True):
    """Who is let in to what a proxy offers to those of its mesh alone: whom the TLS and then the permission admit."""

    tls: Tls
    permission: Permission


class SourceRule(Value, frozen=True):
    """What holds for some callers instead of the inbound's confs; the first rule that names a caller counts."""

    callers: Principal
    confs: Confs


class Inbound(Value, frozen=True):
    """A port on which the proxy takes calls for its workload.

    `workload_version` is that of the IP address at which the workload is called, 0 where it is the loopback's.
    """

    section: str
    address: str
    port: int
    workload_address: str
    workload_port: int
    workload_version: int
    protocol: str
    transparent: bool
    tls: Tls | None
    permission: Permission
    confs: Confs
    source_rules: tuple[SourceRule, ...] = ()
    owner: Owner | None = None

    @property
    def name(self) -> str:
        return f"self_inbound_dp_{self.section}"

    @property
    def called(self) -> str:
        """Where callers ask for another service than the proxy's own, which."""
        return ""


class Outbound(Value, frozen=True):
    """A port on which the proxy takes its workload's calls to one destination.

    Requests go by `routes` where it speaks HTTP; connections go to the destination, or else to `backends` by weight.
    """

    name: str
    address: str
    port: int
    transparent: bool
    destination: Destination
    confs: Confs
    routes: tuple[HttpRoute, ...] = ()
    backends: tuple[Backend, ...] = ()
    backend_origins: tuple[Origin, ...] = ()
    owner: Owner | None = None


class Upstream(Value, frozen=True):
    """A destination that traffic of this proxy can reach, with the confs that hold for its connections."""

    destination: Destination
    confs: Confs
    tls: Tls | None = None
    spread: Spread | None = None
