"""Clusters: where a proxy connects to, one for each destination and one for each port of its own workload."""

from itertools import groupby

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from compiler.envoy.common import ads, socket_address
from compiler.envoy.names import HTTP_OPTIONS
from compiler.envoy.outside import is_ip
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Policies, Site, each_hook
from compiler.envoy.secrets import outside_socket, upstream_socket
from compiler.mesh.calls import Inbound, Upstream
from compiler.mesh.destination import Outside
from compiler.mesh.value import Confs

HTTP = frozenset({"http", "http2", "grpc"})
"""Protocols that Envoy handles request by request (kuma-core §1.5)."""

_LOOP_BREAKER = {4: "127.0.0.6", 6: "::6"}
"""The source address that redirection leaves alone, so that a proxy's calls to its own workload do not loop back."""


def outbound_cluster(upstream: Upstream, policies: Policies) -> Cluster:
    """Endpoints come by EDS; proxies speak HTTP/2 to each other whatever their applications speak (kuma-core §5.6)."""
    destination = upstream.destination
    if destination.outside is not None:
        return _outside_cluster(upstream, destination.outside, policies)
    cluster = Cluster(name=destination.name, type=Cluster.DiscoveryType.EDS)
    cluster.eds_cluster_config.eds_config.CopyFrom(ads())
    if destination.secured:
        cluster.transport_socket.CopyFrom(upstream_socket(destination, upstream.tls))
    options = HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.SetInParent()
    site = Site(Direction.OUTBOUND, destination.name, destination.protocol, destination.service.name)
    return decorate_cluster(cluster, options if destination.protocol in HTTP else None, upstream.confs, policies, site)


def _outside_cluster(upstream: Upstream, outside: Outside, policies: Policies) -> Cluster:
    """What is outside of the mesh is spoken to as it speaks itself; names are looked up by the proxy.

    IPv6 first, which is Envoy's own way, only where the proxy itself has such an address: with IPv4 alone the addresses
    that it finds first would lead nowhere. Kuma then asks for no others at all.
    """
    destination = upstream.destination
    named = any(not is_ip(endpoint.address) for endpoint in outside.endpoints)
    kind = Cluster.DiscoveryType.STRICT_DNS if named else Cluster.DiscoveryType.STATIC
    cluster = Cluster(name=destination.name, type=kind)
    if named and not outside.by_ipv6:
        cluster.dns_lookup_family = Cluster.DnsLookupFamily.V4_PREFERRED
    cluster.load_assignment.cluster_name = destination.name
    for priority, members in groupby(outside.endpoints, lambda endpoint: endpoint.priority):
        locality = cluster.load_assignment.endpoints.add(priority=priority)
        for member in members:
            endpoint = locality.lb_endpoints.add().endpoint
            endpoint.address.CopyFrom(socket_address(member.address, member.port))
    if outside.tls is not None:
        cluster.transport_socket.CopyFrom(outside_socket(destination.mesh, outside.tls))
    site = Site(Direction.OUTBOUND, destination.name, destination.protocol, destination.service.name)
    return decorate_cluster(cluster, _workload_options(destination.protocol), upstream.confs, policies, site)


def inbound_cluster(inbound: Inbound, policies: Policies) -> Cluster:
    """One endpoint: the workload."""
    cluster = Cluster(name=inbound.name, type=Cluster.DiscoveryType.STATIC)
    cluster.load_assignment.cluster_name = inbound.name
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.CopyFrom(socket_address(inbound.workload_address, inbound.workload_port))
    if inbound.transparent and inbound.workload_version:
        cluster.upstream_bind_config.source_address.address = _LOOP_BREAKER[inbound.workload_version]
        cluster.upstream_bind_config.source_address.port_value = 0
    site = Site(Direction.INBOUND, inbound.name, inbound.protocol, owner=inbound.owner)
    return decorate_cluster(cluster, _workload_options(inbound.protocol), inbound.confs, policies, site)


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


def decorate_cluster(
    cluster: Cluster, options: HttpProtocolOptions | None, confs: Confs, policies: Policies, site: Site
) -> Cluster:
    """With what policies say of it."""
    for hook, conf, here in each_hook("cluster", confs, policies, site):
        hook(conf, cluster, here)
    if options is not None:
        for hook, conf, here in each_hook("http_options", confs, policies, site):
            hook(conf, options, here)
        cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    return cluster
