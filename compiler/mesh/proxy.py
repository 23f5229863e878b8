"""The IR: what one proxy must do, with no word of Envoy.

All values are immutable, compare by content and keep their hash, so that equal parts of different proxies are
translated once (docs/decisions/0003). They carry the identity of the policies they came from, never a line number.
"""

from typing import Any, Final

from msgspec import Struct

from compiler.mesh.order import Origin
from compiler.resources.model import ResourceKey

SHARED: Final = "_shared"
"""The name of the one snapshot that all proxies of a DataplaneSet with registration share (design D9)."""


class Value(Struct, frozen=True, cache_hash=True):
    """The base of every IR value."""


class Applied(Value, frozen=True):
    """A policy's merged conf, typed, as it holds at one place; a policy that says nothing there has its empty conf."""

    policy: str
    conf: Any
    origins: tuple[Origin, ...] = ()


Confs = tuple[Applied, ...]


class UriMatch(Value, frozen=True):
    """A condition on the URIs in a caller's certificate: one of them is, or starts with, `value`."""

    value: str
    prefix: bool = False


class Principal(Value, frozen=True):
    """Callers that show every URI of `present` and none of `absent`; without both, everyone."""

    present: tuple[UriMatch, ...] = ()
    absent: tuple[UriMatch, ...] = ()


class PermissionEntry(Value, frozen=True):
    """What one permission says of some callers: `Allow`, `Deny` or `AllowWithShadowDeny`."""

    principal: Principal
    action: str
    origin: Origin


class Permission(Value, frozen=True):
    """Who may call an inbound: the first entry that matches decides, and nobody else may."""

    entries: tuple[PermissionEntry, ...] = ()


class Tls(Value, frozen=True):
    """Mutual TLS by the mesh's builtin authority."""

    mesh: str
    permissive: bool = False


class SourceRule(Value, frozen=True):
    """Confs that hold for the callers that `match` names only; more specific ones come first."""

    match: UriMatch
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

    @property
    def name(self) -> str:
        return f"self_inbound_dp_{self.section}"


class Destination(Value, frozen=True):
    """One port of a service as callers see it; `subset` narrows it to endpoints with these tags (2.x)."""

    kri: str
    service: ResourceKey
    section: str
    protocol: str
    mesh: str
    subset: tuple[tuple[str, str], ...] = ()
    secured: bool = False
    identities: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.kri


class Endpoint(Value, frozen=True, order=True):
    """Where one instance of a service listens."""

    zone: str
    address: str
    port: int
    tags: tuple[tuple[str, str], ...] = ()


class HeaderMatch(Value, frozen=True):
    """`type`: Exact, Present, Absent, RegularExpression or Prefix."""

    name: str
    type: str = "Exact"
    value: str = ""


class QueryMatch(Value, frozen=True):
    name: str
    type: str
    value: str


class RouteMatch(Value, frozen=True):
    """`path_type`: Exact, PathPrefix or RegularExpression; a match that names no path matches every one."""

    path_type: str = "PathPrefix"
    path: str = "/"
    method: str = ""
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[QueryMatch, ...] = ()


class HeaderChange(Value, frozen=True):
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


class PathChange(Value, frozen=True):
    """`type`: ReplaceFullPath or ReplacePrefixMatch."""

    type: str
    value: str


class Redirect(Value, frozen=True):
    status: int = 302
    scheme: str = ""
    hostname: str = ""
    port: int = 0
    path: PathChange | None = None


class Rewrite(Value, frozen=True):
    hostname: str = ""
    path: PathChange | None = None


class Mirror(Value, frozen=True):
    """`percentage` as written, in percent."""

    destination: Destination
    percentage: str = "100"


class Backend(Value, frozen=True):
    """A share of the traffic; a destination of None stands for a backend that does not exist and answers 500."""

    destination: Destination | None
    weight: int = 1


class HttpRoute(Value, frozen=True):
    """Requests that match go to the backends by weight, or are redirected; `confs` hold for this route."""

    name: str
    match: RouteMatch
    backends: tuple[Backend, ...]
    confs: Confs
    request_headers: HeaderChange = HeaderChange()
    response_headers: HeaderChange = HeaderChange()
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    mirrors: tuple[Mirror, ...] = ()
    origins: tuple[Origin, ...] = ()


class Outbound(Value, frozen=True):
    """A port on which the proxy takes its workload's calls to one destination; `routes` where it speaks HTTP."""

    name: str
    address: str
    port: int
    transparent: bool
    destination: Destination
    confs: Confs
    routes: tuple[HttpRoute, ...] = ()


class Upstream(Value, frozen=True):
    """A destination that traffic of this proxy can reach, with the confs that hold for its connections."""

    destination: Destination
    confs: Confs
    tls: Tls | None = None


class Transparent(Value, frozen=True):
    """Traffic is redirected by the kernel; what no other listener wants is passed through, or refused."""

    inbound_port: int
    outbound_port: int
    ipv6: bool
    passthrough: bool
    confs: Confs = ()
    """What policies say of calls to the whole mesh holds for connections that are passed through, too."""


class Proxy(Value, frozen=True):
    """Everything that the replicas of one shape must do."""

    mesh: str
    workload: str
    tls: Tls | None
    identities: tuple[str, ...]
    authority: str
    certificate_seconds: int
    inbounds: tuple[Inbound, ...]
    outbounds: tuple[Outbound, ...]
    upstreams: tuple[Upstream, ...]
    transparent: Transparent | None
