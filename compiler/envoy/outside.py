"""Clusters of what is outside of the mesh: collectors of logs, spans and metrics, and what runs beside Envoy."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from compiler.envoy.common import socket_address
from compiler.envoy.names import HTTP_OPTIONS
from compiler.envoy.packing import pack
from compiler.mesh.collectors import Collector
from compiler.mesh.holes import has_hole

_CONNECT_SECONDS: Final = 5


def outside_cluster(name: str, host: str, port: int, *, http2: bool = False) -> Cluster:
    """A host name is looked up by the proxy, which does not wait for the answer to begin its work.

    IPv4 first, as a collector on `localhost` may listen on 127.0.0.1 alone.
    """
    return _cluster(name, socket_address(host, port), named=not is_ip(host), http2=http2)


def collector_cluster(name: str, collector: Collector) -> Cluster:
    cluster = outside_cluster(name, collector.address, collector.port, http2=collector.protocol == "grpc")
    if collector.encrypted:
        encrypt(cluster, collector.address)
    return cluster


def beside_cluster(name: str, path: str, *, http2: bool = False) -> Cluster:
    """A socket, in the working directory of the proxy where its path is relative (docs/dataplane-run.md)."""
    address = Address()
    address.pipe.path = path
    return _cluster(name, address, named=False, http2=http2)


def encrypt(cluster: Cluster, host: str, *, alpn: Sequence[str] = ()) -> None:
    """TLS to a server whose certificate nobody checks: a commit does not know which authorities a proxy trusts.

    Servers of gRPC want to be told `h2` by `alpn`.
    """
    context = UpstreamTlsContext(sni="" if is_ip(host) else host)
    if alpn:
        context.common_tls_context.alpn_protocols.extend(alpn)
    cluster.transport_socket.CopyFrom(TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context)))


def _cluster(name: str, address: Address, *, named: bool, http2: bool) -> Cluster:
    kind = Cluster.DiscoveryType.STRICT_DNS if named else Cluster.DiscoveryType.STATIC
    cluster = Cluster(name=name, type=kind)
    if named:
        cluster.dns_lookup_family = Cluster.DnsLookupFamily.V4_PREFERRED
    cluster.connect_timeout.FromSeconds(_CONNECT_SECONDS)
    cluster.wait_for_warm_on_init.value = False
    cluster.load_assignment.cluster_name = name
    cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.CopyFrom(address)
    if http2:
        options = HttpProtocolOptions()
        options.explicit_http_config.http2_protocol_options.SetInParent()
        cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    return cluster


def is_ip(host: str) -> bool:
    """A hole stands for an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return has_hole(host)
    return True
