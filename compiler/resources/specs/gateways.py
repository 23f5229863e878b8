"""Builtin gateways (Kuma 2.x; kuma-core §2.11, kuma-policies §4)."""

from msgspec import field

from compiler.resources.specs.spec import Conf, DataSource, Spec, TagSelector


class GatewayTls(Spec, frozen=True):
    """`mode` is TERMINATE or PASSTHROUGH."""

    mode: str = ""
    certificates: tuple[DataSource, ...] = ()


class ListenerResources(Spec, frozen=True):
    connection_limit: int | None = None


class GatewayListener(Spec, frozen=True):
    """`protocol` is HTTP, HTTPS, TCP or TLS."""

    port: int
    protocol: str
    hostname: str = ""
    tls: GatewayTls | None = None
    tags: dict[str, str] = field(default_factory=dict)
    cross_mesh: bool = False
    resources: ListenerResources = ListenerResources()

    @property
    def host(self) -> str:
        """No host name stands for every one."""
        return self.hostname or "*"

    @property
    def crosses(self) -> bool:
        """Whether other meshes can be told of it; one that is written wrongly takes nobody."""
        return self.cross_mesh and self.protocol == "HTTP" and "*" not in self.host


class GatewayConf(Spec, frozen=True):
    listeners: tuple[GatewayListener, ...] = ()


class MeshGateway(Spec, frozen=True):
    selectors: tuple[TagSelector, ...]
    conf: GatewayConf
    tags: dict[str, str] = field(default_factory=dict)


class PathMatch(Spec, frozen=True):
    """`match` is EXACT, PREFIX or REGEX."""

    value: str
    match: str = "EXACT"


class NamedMatch(Spec, frozen=True):
    """Of a header or of a parameter of the query; `match` is EXACT, REGEX, ABSENT, PRESENT or PREFIX."""

    name: str
    value: str = ""
    match: str = "EXACT"


class RequestMatch(Spec, frozen=True):
    path: PathMatch | None = None
    method: str = ""
    headers: tuple[NamedMatch, ...] = ()
    query_parameters: tuple[NamedMatch, ...] = ()


class RouteHeader(Spec, frozen=True):
    name: str
    value: str


class HeaderFilter(Spec, frozen=True):
    set: tuple[RouteHeader, ...] = ()
    add: tuple[RouteHeader, ...] = ()
    remove: tuple[str, ...] = ()


class RouteBackend(Spec, frozen=True):
    destination: dict[str, str]
    weight: int = 1


class Mirror(Spec, frozen=True):
    """`percentage` is all where absent."""

    backend: RouteBackend
    percentage: float | None = None


class Rewrite(Spec, frozen=True):
    """One of the first two; None where it is not given, since an empty prefix means something."""

    replace_full: str | None = None
    replace_prefix_match: str | None = None
    host_to_backend_hostname: bool = False


class Redirect(Spec, frozen=True):
    status_code: int
    scheme: str = ""
    hostname: str = ""
    port: int | None = None
    path: Rewrite | None = None


class RouteFilter(Spec, frozen=True):
    """Exactly one of the five."""

    request_header: HeaderFilter | None = None
    response_header: HeaderFilter | None = None
    mirror: Mirror | None = None
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None


class HttpRule(Spec, frozen=True):
    matches: tuple[RequestMatch, ...]
    filters: tuple[RouteFilter, ...] = ()
    backends: tuple[RouteBackend, ...] = ()


class HttpRoute(Spec, frozen=True):
    rules: tuple[HttpRule, ...]
    hostnames: tuple[str, ...] = ()


class TcpRule(Spec, frozen=True):
    backends: tuple[RouteBackend, ...]


class TcpRoute(Spec, frozen=True):
    rules: tuple[TcpRule, ...]


class GatewayRouteConf(Spec, frozen=True):
    """One of the two."""

    http: HttpRoute | None = None
    tcp: TcpRoute | None = None


class MeshGatewayRoute(Spec, frozen=True):
    selectors: tuple[TagSelector, ...]
    conf: GatewayRouteConf


class MeshGatewayInstance(Spec, frozen=True):
    """The Deployment and the Service of a gateway; the templates are Kubernetes' own words."""

    tags: dict[str, str] = field(default_factory=dict)
    replicas: int = 1
    service_type: str = "LoadBalancer"
    resources: Conf = field(default_factory=dict)
    service_template: Conf = field(default_factory=dict)
    pod_template: Conf = field(default_factory=dict)


class MeshGatewayConfig(Spec, frozen=True):
    """What the Gateways of a GatewayClass are made with."""

    tags: dict[str, str] = field(default_factory=dict)
    replicas: int = 1
    service_type: str = "LoadBalancer"
    resources: Conf = field(default_factory=dict)
    service_template: Conf = field(default_factory=dict)
    pod_template: Conf = field(default_factory=dict)
    cross_mesh: bool = False
