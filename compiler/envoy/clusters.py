"""Clusters: where a proxy connects to, one for each destination and one for each port of its own workload."""

from collections.abc import Mapping

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from compiler.envoy.common import ads, socket_address
from compiler.envoy.names import HTTP_OPTIONS
from compiler.envoy.packing import pack
from compiler.envoy.policy import Policy
from compiler.envoy.secrets import upstream_socket
from compiler.mesh.proxy import Confs, Inbound, Upstream

Policies = Mapping[str, Policy]

HTTP = frozenset({"http", "http2", "grpc"})
"""Protocols that Envoy handles request by request (kuma-core §1.5)."""

_LOOP_BREAKER = {4: "127.0.0.6", 6: "::6"}
"""The source address that redirection leaves alone, so that a proxy's calls to its own workload do not loop back."""


def outbound_cluster(upstream: Upstream, policies: Policies) -> Cluster:
    """Endpoints come by EDS; proxies speak HTTP/2 to each other whatever their applications speak (kuma-core §5.6)."""
    destination = upstream.destination
    cluster = Cluster(name=destination.name, type=Cluster.DiscoveryType.EDS)
    cluster.eds_cluster_config.eds_config.CopyFrom(ads())
    if destination.secured:
        cluster.transport_socket.CopyFrom(upstream_socket(destination))
    options = HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.SetInParent()
    return _decorate(cluster, options if destination.protocol in HTTP else None, upstream.confs, policies)


def inbound_cluster(inbound: Inbound, policies: Policies) -> Cluster:
    """One endpoint: the workload."""
    cluster = Cluster(name=inbound.name, type=Cluster.DiscoveryType.STATIC)
    cluster.load_assignment.cluster_name = inbound.name
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.CopyFrom(socket_address(inbound.workload_address, inbound.workload_port))
    if inbound.transparent and inbound.workload_version:
        cluster.upstream_bind_config.source_address.address = _LOOP_BREAKER[inbound.workload_version]
        cluster.upstream_bind_config.source_address.port_value = 0
    return _decorate(cluster, _workload_options(inbound.protocol), inbound.confs, policies)


def passthrough_cluster(name: str, *, loop_breaker: str = "") -> Cluster:
    """Connects to where the client wanted to go before the kernel redirected it."""
    cluster = Cluster(name=name, type=Cluster.DiscoveryType.ORIGINAL_DST, lb_policy=Cluster.LbPolicy.CLUSTER_PROVIDED)
    cluster.connect_timeout.FromSeconds(5)
    cluster.circuit_breakers.thresholds.add(track_remaining=True)  # as on every other cluster (kuma-core §7.4)
    if loop_breaker:
        cluster.upstream_bind_config.source_address.address = loop_breaker
        cluster.upstream_bind_config.source_address.port_value = 0
    return cluster


def empty_cluster(name: str) -> Cluster:
    """A destination that refuses every connection."""
    cluster = Cluster(name=name, type=Cluster.DiscoveryType.STATIC)
    cluster.connect_timeout.FromSeconds(5)
    cluster.load_assignment.cluster_name = name
    return cluster


def _workload_options(protocol: str) -> HttpProtocolOptions | None:
    """An application is spoken to as it speaks itself."""
    options = HttpProtocolOptions()
    match protocol:
        case "http":
            options.explicit_http_config.http_protocol_options.SetInParent()
        case "http2" | "grpc":
            options.explicit_http_config.http2_protocol_options.SetInParent()
        case _:
            return None
    return options


def _decorate(cluster: Cluster, options: HttpProtocolOptions | None, confs: Confs, policies: Policies) -> Cluster:
    for applied in confs:
        hooks = policies[applied.policy].hooks
        if hooks.cluster:
            hooks.cluster(applied.conf, cluster)
        if hooks.http_options and options is not None:
            hooks.http_options(applied.conf, options)
    if options is not None:
        cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    return cluster
