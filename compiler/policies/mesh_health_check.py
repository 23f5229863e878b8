"""MeshHealthCheck: how callers find out which endpoints of a service are well (kuma-policies §2.6)."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.health_check_pb2 import HealthCheck as HealthCheckMessage
from envoy.extensions.health_check.event_sinks.file.v3.file_pb2 import HealthCheckEventFileSink
from envoy.type.v3.http_pb2 import CodecClientType

from compiler.envoy.common import set_duration
from compiler.envoy.packing import pack
from compiler.envoy.policy import Hooks, Policy, Site
from compiler.envoy.routes import header_options
from compiler.mesh.http_route import HeaderChange
from compiler.mesh.policy import Concession, Matter, PolicyKind
from compiler.resources.findings import BAD_VALUE, MISSING_FIELD, Finding, join
from compiler.resources.model import Conf, Spec
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import Duration, Percentage

_SECOND: Final = 10**9
_CHECKS: Final = ("http", "tcp", "grpc")
_HOSTS: Final = frozenset({"host", ":authority"})


class TcpCheck(Spec, frozen=True):
    disabled: bool = False
    send: str = ""
    receive: tuple[str, ...] = ()


class Header(Spec, frozen=True):
    name: str
    value: str


class Headers(Spec, frozen=True):
    set: tuple[Header, ...] = ()
    add: tuple[Header, ...] = ()


class HttpCheck(Spec, frozen=True):
    disabled: bool = False
    path: str = "/"
    host: str = ""
    request_headers_to_add: Headers = Headers()
    expected_statuses: tuple[int, ...] = ()


class GrpcCheck(Spec, frozen=True):
    disabled: bool = False
    service_name: str = ""
    authority: str = ""


class HealthCheck(Spec, frozen=True):
    interval: Duration = Duration(60 * _SECOND)
    timeout: Duration = Duration(15 * _SECOND)
    unhealthy_threshold: int = 5
    healthy_threshold: int = 1
    initial_jitter: Duration | None = None
    interval_jitter: Duration | None = None
    interval_jitter_percent: int | None = None
    healthy_panic_threshold: Percentage | None = None
    fail_traffic_on_panic: bool | None = None
    event_log_path: str = ""
    always_log_health_check_failures: bool = False
    no_traffic_interval: Duration | None = None
    reuse_connection: bool | None = None
    tcp: TcpCheck | None = None
    http: HttpCheck | None = None
    grpc: GrpcCheck | None = None


def add_check(conf: HealthCheck, cluster: Cluster, site: Site) -> None:
    """The check that fits the protocol; where that one is switched off, whether the port opens."""
    check = HealthCheckMessage()
    if not _set_kind(conf, check, site.protocol):
        return
    if check.HasField("http_health_check"):
        check.http_health_check.codec_client_type = _codec(cluster, site.protocol)
    set_duration(check.interval, conf.interval)
    set_duration(check.timeout, conf.timeout)
    check.unhealthy_threshold.value = conf.unhealthy_threshold
    check.healthy_threshold.value = conf.healthy_threshold
    set_duration(check.initial_jitter, conf.initial_jitter)
    set_duration(check.interval_jitter, conf.interval_jitter)
    check.interval_jitter_percent = conf.interval_jitter_percent or 0
    set_duration(check.no_traffic_interval, conf.no_traffic_interval)
    check.always_log_health_check_failures = conf.always_log_health_check_failures
    if conf.reuse_connection is not None:
        check.reuse_connection.value = conf.reuse_connection
    if conf.event_log_path:
        sink = check.event_logger.add(name="envoy.health_check.event_sinks.file")
        sink.typed_config.CopyFrom(pack(HealthCheckEventFileSink(event_log_path=conf.event_log_path)))
    cluster.health_checks.append(check)
    cluster.ignore_health_on_host_removal = True  # or who is taken out of Git is called for as long as it answers
    _set_panic(conf, cluster)


def _set_panic(conf: HealthCheck, cluster: Cluster) -> None:
    """A MeshCircuitBreaker's threshold counts before this one; weights of localities leave no room for the other."""
    balancing = cluster.common_lb_config
    if conf.healthy_panic_threshold is not None and not balancing.HasField("healthy_panic_threshold"):
        balancing.healthy_panic_threshold.value = float(conf.healthy_panic_threshold)
    if conf.fail_traffic_on_panic is not None and not balancing.HasField("locality_weighted_lb_config"):
        balancing.zone_aware_lb_config.fail_traffic_on_panic = conf.fail_traffic_on_panic


def _set_kind(conf: HealthCheck, check: HealthCheckMessage, protocol: str) -> bool:
    """Whether there is anything to ask."""
    match _fitting(conf, protocol):
        case GrpcCheck() as grpc:
            check.grpc_health_check.service_name = grpc.service_name
            check.grpc_health_check.authority = grpc.authority
        case HttpCheck() as http:
            _set_http(http, check)
        case TcpCheck() as tcp:
            _set_tcp(tcp, check)
        case None:
            return False
    return True


def _fitting(conf: HealthCheck, protocol: str) -> GrpcCheck | HttpCheck | TcpCheck | None:
    """The check of a protocol's own, or where that is switched off the one of all (kuma-policies, appendix A.5)."""
    own = {"grpc": conf.grpc, "http": conf.http, "http2": conf.http}
    if protocol in own:
        check = own[protocol]
        if check is None or not check.disabled:
            return check
    return conf.tcp if conf.tcp is not None and not conf.tcp.disabled else None


def misses(conf: HealthCheck, protocol: str) -> bool:
    """Who does nothing but switch checks off wants nothing asked."""
    checks = (conf.http, conf.tcp, conf.grpc)
    switched = HealthCheck(http=conf.http, tcp=conf.tcp, grpc=conf.grpc)
    wanted = any(one is not None and not one.disabled for one in checks) or conf != switched
    return wanted and _fitting(conf, protocol) is None


def _codec(cluster: Cluster, protocol: str) -> Any:
    """Proxies speak HTTP/2 to each other; what is outside of the mesh, whose endpoints are known here, what it says."""
    if cluster.type == Cluster.DiscoveryType.EDS or protocol == "http2":
        return CodecClientType.HTTP2
    return CodecClientType.HTTP1


def _set_http(conf: HttpCheck, check: HealthCheckMessage) -> None:
    http = check.http_health_check
    http.path, http.host = conf.path, conf.host
    sets, adds = (
        tuple((one.name, one.value) for one in each)
        for each in (conf.request_headers_to_add.set, conf.request_headers_to_add.add)
    )
    http.request_headers_to_add.extend(header_options(HeaderChange(set=sets, add=adds)))
    for status in sorted(set(conf.expected_statuses)):
        http.expected_statuses.add(start=status, end=status + 1)


def _set_tcp(conf: TcpCheck, check: HealthCheckMessage) -> None:
    """Envoy takes text in hexadecimal digits alone."""
    check.tcp_health_check.SetInParent()
    if conf.send:
        check.tcp_health_check.send.text = conf.send.encode().hex()
    for piece in conf.receive:
        check.tcp_health_check.receive.add(text=piece.encode().hex())


def check(policy: PolicySpec) -> Iterator[Finding]:
    for index, item in enumerate(policy.to):
        yield from _check_conf(item.default or {}, join("", "to", index, "default"))


def _check_conf(conf: Conf, pointer: str) -> Iterator[Finding]:
    if not any(name in conf for name in _CHECKS):
        yield Finding(pointer, MISSING_FIELD, "a health check needs http, tcp or grpc", on_key=True)
    headers = (conf.get("http") or {}).get("requestHeadersToAdd") or {}
    added = ((part, place, one) for part, pairs in headers.items() for place, one in enumerate(pairs))
    for part, place, header in added:
        if header["name"] in _HOSTS:
            at = join(pointer, "http", "requestHeadersToAdd", part, place, "name")
            yield Finding(at, BAD_VALUE, "Envoy refuses the host among the headers of a check", "use http.host")


POLICY: Final = Policy(
    PolicyKind(
        type="MeshHealthCheck",
        conf=HealthCheck,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            to=frozenset({"Mesh", "MeshService", "MeshExternalService", "MeshMultiZoneService"}),
        ),
        outbound=True,
        check=check,
        misses=misses,
        concessions=(
            Concession(
                ("healthyPanicThreshold",),
                Matter.PANIC_THRESHOLD,
                "{} says a healthyPanicThreshold wherever this one holds, and that one counts",
                "keep one of them",
            ),
            Concession(
                ("failTrafficOnPanic",),
                Matter.PANIC,
                "{} gives localities weights or hashes calls: then Envoy fails no traffic on panic",
                "take it out, or there localityAwareness.localZone, RingHash or Maglev",
            ),
        ),
    ),
    Hooks(cluster=add_check),
)
