"""MeshTimeout: how long connections, requests and streams may take (kuma-policies §2.13)."""

from collections.abc import Iterator, Sequence
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import RouteAction
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from compiler.envoy.clusters import HTTP
from compiler.envoy.common import set_duration
from compiler.envoy.policy import Direction, Hooks, Policy, Site
from compiler.mesh.policy import Inbounds, PolicyKind
from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.model import Conf, Spec
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix, for_gateways
from compiler.resources.values import Duration

SECOND: Final = 10**9
_OFF: Final = Duration(0)


class HttpTimeout(Spec, frozen=True):
    """0s switches a timeout off."""

    request_timeout: Duration | None = None
    stream_idle_timeout: Duration | None = None
    max_stream_duration: Duration = _OFF
    max_connection_duration: Duration = _OFF
    request_headers_timeout: Duration | None = None


class Timeout(Spec, frozen=True):
    """What a policy leaves unset is Kuma's default (kuma-core §3), not Envoy's; that of None is another at gateways."""

    connection_timeout: Duration = Duration(5 * SECOND)
    idle_timeout: Duration | None = None
    http: HttpTimeout = HttpTimeout()


_IDLE: Final = Duration(3600 * SECOND)
_REQUEST: Final = Duration(15 * SECOND)
_STREAM_IDLE: Final = Duration(1800 * SECOND)
_DEFAULTS: Final = Timeout(
    idle_timeout=_IDLE,
    http=HttpTimeout(request_timeout=_REQUEST, stream_idle_timeout=_STREAM_IDLE, request_headers_timeout=_OFF),
)


def set_connect_timeout(conf: Timeout, cluster: Cluster, _: Site) -> None:
    """The only timeout of a cluster that does not depend on its protocol."""
    set_duration(cluster.connect_timeout, conf.connection_timeout)


def set_connection_timeouts(conf: Timeout, options: HttpProtocolOptions, _: Site) -> None:
    """For gRPC too, which Kuma leaves out (kuma-policies §8, defect 9)."""
    common = options.common_http_protocol_options
    set_duration(common.idle_timeout, _idle(conf))
    set_duration(common.max_stream_duration, conf.http.max_stream_duration)
    set_duration(common.max_connection_duration, conf.http.max_connection_duration)


def set_request_timeout(conf: Timeout, route: RouteAction, _: Site) -> None:
    """Of the route that was taken, so that a change bites on open connections."""
    request, stream_idle = conf.http.request_timeout, conf.http.stream_idle_timeout
    set_duration(route.timeout, request if request is not None else _REQUEST)
    set_duration(route.idle_timeout, stream_idle if stream_idle is not None else _STREAM_IDLE)


def set_header_timeout(conf: Timeout, connections: HttpConnectionManager, site: Site) -> None:
    """Idle connections are the cluster's to end: one that the application still uses must not be closed before it.

    A gateway ends those of strangers, as it is told of what comes in, and is impatient of what it is not told of. The
    time that it gives a stranger to send a request is not that which a service has to answer one.
    """
    if not site.gateway:
        set_duration(connections.common_http_protocol_options.idle_timeout, _OFF)
        set_duration(connections.request_headers_timeout, conf.http.request_headers_timeout or _OFF)
    elif site.direction is Direction.INBOUND:
        set_duration(connections.common_http_protocol_options.idle_timeout, conf.idle_timeout)
        set_duration(connections.stream_idle_timeout, conf.http.stream_idle_timeout)
        set_duration(connections.request_timeout, conf.http.request_timeout)
        set_duration(connections.request_headers_timeout, conf.http.request_headers_timeout)


def set_tcp_idle_timeout(conf: Timeout, proxy: TcpProxy, site: Site) -> None:
    """At a gateway what is said of connections that come in goes before what is said of those that go on."""
    if site.gateway and site.direction is Direction.INBOUND:
        set_duration(proxy.idle_timeout, conf.idle_timeout)
        return
    set_duration(proxy.idle_timeout, _idle(conf))


def _idle(conf: Timeout) -> Duration:
    return conf.idle_timeout if conf.idle_timeout is not None else _IDLE


def check(policy: PolicySpec) -> Iterator[Finding]:
    """An SNI tells services apart at a zone's egress; a sidecar has one service behind each port."""
    for index, rule in enumerate(policy.rules):
        for place, match in enumerate(rule.matches):
            if "sni" in match:
                message = "no caller of a sidecar is told apart by SNI: the match changes nothing"
                yield Finding(f"/rules/{index}/matches/{place}/sni", NO_EFFECT, message, "name callers by spiffeID")
    if for_gateways(policy.target_ref):
        yield from _check_coming_in(policy)
    if policy.target_ref.kind == "MeshGateway":
        yield from _check_sent_on(policy)


def _check_coming_in(policy: PolicySpec) -> Iterator[Finding]:
    """A gateway has no workload of its own."""
    for part, items in (("rules", policy.rules), ("from", policy.from_)):
        for index, item in enumerate(items):
            conf, at = item.default or {}, join("", part, index, "default")
            for pointer in _said(conf, at, _TO_WORKLOAD):
                message = "it is about connections to a workload, and a gateway has none"
                yield Finding(pointer, NO_EFFECT, message, "set it in to, for the services behind it", on_key=True)


def _check_sent_on(policy: PolicySpec) -> Iterator[Finding]:
    for index, item in enumerate(policy.to):
        for pointer in _said(item.default or {}, join("", "to", index, "default"), _OF_CALLERS):
            message = "headers come in to a gateway: their timeout is not that of what it sends on"
            yield Finding(pointer, NO_EFFECT, message, "set it in from", on_key=True)


def _said(conf: Conf, pointer: str, names: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Where a conf says something by one of these names, which are ways into it."""
    for *outer, name in names:
        block = conf.get(outer[0]) or {} if outer else conf
        if block.get(name) is not None:
            yield join(pointer, *outer, name)


_TO_WORKLOAD: Final = (("connectionTimeout",), ("http", "maxStreamDuration"), ("http", "maxConnectionDuration"))
_OF_CALLERS: Final = (("http", "requestHeadersTimeout"),)


def mute(conf: Conf, protocol: str) -> str:
    """Connections and their idleness are of every protocol."""
    is_about_requests = all(name == "http" for name, value in conf.items() if value is not None)
    return "set connectionTimeout or idleTimeout" if is_about_requests and protocol not in HTTP else ""


POLICY: Final = Policy(
    PolicyKind(
        type="MeshTimeout",
        conf=Timeout,
        targets=TargetMatrix(
            top=frozenset(
                {"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshHTTPRoute", "MeshGateway", "Dataplane"}
            ),
            to=frozenset({"Mesh", "MeshService", "MeshExternalService", "MeshMultiZoneService", "MeshHTTPRoute"}),
            to_under=dict.fromkeys(("MeshHTTPRoute", "MeshGateway"), frozenset({"Mesh", "MeshExternalService"})),
            system_only=frozenset({"MeshHTTPRoute", "MeshGateway"}),
            from_=frozenset({"Mesh"}),
            rules=True,
        ),
        inbounds=Inbounds.BY_SOURCE,
        at_gateways=True,
        outbound=True,
        always=True,
        defaults=_DEFAULTS,
        routes=True,
        check=check,
        mute=mute,
    ),
    Hooks(
        cluster=set_connect_timeout,
        http_options=set_connection_timeouts,
        route=set_request_timeout,
        http=set_header_timeout,
        tcp=set_tcp_idle_timeout,
    ),
)
