"""Listeners beside the workload's calls: who asks whether the proxy is ready, probes, direct calls (kuma-core §7.2)."""

import re
from collections.abc import Iterator
from typing import Final

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.extensions.filters.http.health_check.v3.health_check_pb2 import HealthCheck
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from google.protobuf.message import Message

from compiler.envoy.clusters import passthrough_cluster
from compiler.envoy.common import socket_address
from compiler.envoy.listeners import tcp_proxy_filter
from compiler.envoy.names import DIRECT_ACCESS, HEALTH_CHECK_FILTER, HTTP_FILTER, PROBES, READINESS, ROUTER_FILTER
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Policies, Site
from compiler.envoy.resources import ResourceType
from compiler.envoy.secrets import any_upstream_socket
from compiler.mesh.proxy import Asked, Direct, ProbedPath, Probes

_READY: Final = "/ready"
_NOTHING_HERE: Final = 404


def readiness_listener(asked: Asked) -> Listener:
    """Envoy answers by itself: 200 once it has its listeners, 503 from the moment on that it is being drained."""
    check = HealthCheck()
    check.pass_through_mode.value = False
    check.headers.add(name=":path").string_match.exact = _READY
    host = VirtualHost(name=READINESS, domains=["*"], routes=[_answer(_NOTHING_HERE)])
    filters = [HttpFilter(name=HEALTH_CHECK_FILTER, typed_config=pack(check))]
    return _listener(READINESS, asked, host, filters)


def probe_listener(probes: Probes) -> Listener:
    """Without mTLS, since the kubelet has no certificate; nothing but the probes gets through."""
    host = VirtualHost(name=PROBES, domains=["*"])
    host.routes.extend(_probe_route(number, one) for number, one in enumerate(probes.paths))
    return _listener(PROBES, probes, host, [])


def direct_resources(direct: Direct, policies: Policies) -> Iterator[tuple[ResourceType, Message]]:
    """A connection goes where it was sent, by mTLS; which proxy of the mesh answers is not checked, as in Kuma."""
    cluster = passthrough_cluster(DIRECT_ACCESS)
    if direct.tls is not None:
        cluster.transport_socket.CopyFrom(any_upstream_socket(direct.tls))
    yield ResourceType.CLUSTER, cluster
    for address, port in direct.endpoints:
        name = f"{DIRECT_ACCESS}_{address}:{port}"
        listener = Listener(name=name, traffic_direction=TrafficDirection.OUTBOUND)
        listener.stat_prefix = re.sub("[.:]", "_", name)
        listener.address.CopyFrom(socket_address(address, port))
        listener.enable_reuse_port.value = False
        listener.bind_to_port.value = False
        site = Site(Direction.PASSTHROUGH, name, "tcp", owner=direct.owner)
        listener.filter_chains.add(filters=[tcp_proxy_filter(DIRECT_ACCESS, direct.confs, policies, site)])
        yield ResourceType.LISTENER, listener


def _listener(name: str, at: Asked | Probes, host: VirtualHost, filters: list[HttpFilter]) -> Listener:
    listener = Listener(name=name, stat_prefix=name, traffic_direction=TrafficDirection.INBOUND)
    listener.address.CopyFrom(socket_address(at.address, at.port))
    listener.enable_reuse_port.value = False
    if at.transparent:
        listener.bind_to_port.value = False
    connections = HttpConnectionManager(stat_prefix=name)
    connections.route_config.name = name
    connections.route_config.virtual_hosts.append(host)
    connections.http_filters.extend([*filters, HttpFilter(name=ROUTER_FILTER, typed_config=pack(Router()))])
    listener.filter_chains.add().filters.add(name=HTTP_FILTER, typed_config=pack(connections))
    return listener


def _answer(status: int) -> Route:
    route = Route()
    route.match.prefix = "/"
    route.direct_response.status = status
    return route


def _probe_route(number: int, probed: ProbedPath) -> Route:
    """A port that is no inbound's takes the probe itself: the kubelet follows a redirect."""
    route = Route(name=f"{PROBES}_{number}")
    route.match.path = probed.path
    route.match.headers.add(name=":method").string_match.exact = "GET"
    if not probed.cluster:
        route.redirect.port_redirect = probed.port
        route.redirect.path_redirect = probed.there
        return route
    route.route.cluster = probed.cluster
    route.route.regex_rewrite.pattern.regex = ".*"
    route.route.regex_rewrite.substitution = probed.there.replace("\\", "\\\\")
    return route
