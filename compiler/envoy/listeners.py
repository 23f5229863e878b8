"""Listeners: kept still, since a change of one drains connections; what policies change often is elsewhere (D15)."""

from collections.abc import Iterator, Mapping
from typing import Final

from envoy.config.core.v3.base_pb2 import TrafficDirection, TransportSocket
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, FilterChainMatch, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from compiler.envoy.clusters import HTTP
from compiler.envoy.common import ads, socket_address
from compiler.envoy.http_filters import http_filters, network_permission
from compiler.envoy.names import HTTP_FILTER, NETWORK_RBAC_FILTER, TCP_FILTER, tcp_name
from compiler.envoy.packing import pack
from compiler.envoy.policy import Policy
from compiler.envoy.secrets import ALPN, downstream_socket
from compiler.mesh.proxy import Confs, Inbound, Outbound

Policies = Mapping[str, Policy]

_INTERNAL: Final = (("10.0.0.0", 8), ("192.168.0.0", 16), ("172.16.0.0", 12), ("127.0.0.1", 32))
_INTERNAL_V6: Final = (("fc00::", 7), ("fd00::", 8), ("::1", 128))
"""Kuma's `ipam.knownInternalCIDRs` (kuma-core §7.3)."""
_CONNECTION_IDLE_SECONDS: Final = 7200
_STREAM_IDLE_SECONDS: Final = 3600
"""What an inbound has until MeshTimeout says otherwise (kuma-core §7.3)."""


def inbound_listener(inbound: Inbound, policies: Policies) -> Listener:
    """One chain where TLS is required; where it is optional, one each for plaintext, other TLS and the mesh's own."""
    listener = Listener(name=inbound.name, stat_prefix=inbound.name, traffic_direction=TrafficDirection.INBOUND)
    listener.address.CopyFrom(socket_address(inbound.address, inbound.port))
    listener.enable_reuse_port.value = False
    if inbound.transparent:
        listener.bind_to_port.value = False
    listener.filter_chains.extend(_inbound_chains(inbound, policies))
    if inbound.tls is not None and inbound.tls.permissive:
        inspector = ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=pack(TlsInspector()))
        listener.listener_filters.append(inspector)
    return listener


def outbound_listener(outbound: Outbound, policies: Policies) -> Listener:
    """HTTP goes by routes; where TCP goes is an extension resource, so that a new split closes no connection."""
    listener = Listener(name=outbound.name, stat_prefix=outbound.name, traffic_direction=TrafficDirection.OUTBOUND)
    listener.address.CopyFrom(socket_address(outbound.address, outbound.port))
    listener.enable_reuse_port.value = False
    if outbound.transparent:
        listener.bind_to_port.value = False
    chain = listener.filter_chains.add()
    chain.filters.append(_outbound_http(outbound, policies) if outbound.routes else tcp_slot(outbound.name))
    return listener


def tcp_extension(name: str, cluster: str, confs: Confs, policies: Policies) -> TypedExtensionConfig:
    """What stands in the slot of a listener that takes TCP calls."""
    proxy = TcpProxy(stat_prefix=name, cluster=cluster)
    _decorate_tcp(proxy, confs, policies)
    return TypedExtensionConfig(name=tcp_name(name), typed_config=pack(proxy))


def tcp_slot(name: str) -> Filter:
    """Of the listener of this name."""
    slot = Filter(name=tcp_name(name))
    slot.config_discovery.config_source.CopyFrom(ads())
    slot.config_discovery.type_urls.append("type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy")
    return slot


def tcp_filter(name: str, cluster: str) -> Filter:
    return Filter(name=TCP_FILTER, typed_config=pack(TcpProxy(stat_prefix=name, cluster=cluster)))


def passthrough_listener(name: str, address: str, port: int, direction: TrafficDirection, beyond: Filter) -> Listener:
    """Takes what the kernel redirected and hands it to the listener of its original address; `beyond` gets the rest."""
    listener = Listener(name=name, stat_prefix=name, traffic_direction=direction)
    listener.use_original_dst.value = True
    listener.address.CopyFrom(socket_address(address, port))
    listener.enable_reuse_port.value = False
    listener.listener_filters.add(name="envoy.filters.listener.original_dst", typed_config=pack(OriginalDst()))
    listener.filter_chains.add(filters=[beyond])
    return listener


def _inbound_chains(inbound: Inbound, policies: Policies) -> Iterator[FilterChain]:
    if inbound.tls is None:
        yield _chain(inbound, policies, FilterChainMatch(), None)
        return
    socket = downstream_socket(inbound.tls.mesh)
    if not inbound.tls.permissive:
        yield _chain(inbound, policies, FilterChainMatch(), socket)
        return
    yield _chain(inbound, policies, FilterChainMatch(transport_protocol="raw_buffer"), None)
    yield FilterChain(
        name="application-tls",
        filter_chain_match=FilterChainMatch(transport_protocol="tls"),
        filters=[_inbound_tcp(inbound, policies)],
    )
    yield _chain(inbound, policies, FilterChainMatch(transport_protocol="tls", application_protocols=[ALPN]), socket)


def _chain(
    inbound: Inbound, policies: Policies, match: FilterChainMatch, socket: TransportSocket | None
) -> FilterChain:
    """Permissions hold where callers are authenticated; a plaintext chain knows no callers (kuma-policies §2.16)."""
    chain = FilterChain(name="mesh" if socket is not None else "plain")
    if match.ListFields():
        chain.filter_chain_match.CopyFrom(match)
    if inbound.protocol in HTTP:
        chain.filters.append(_inbound_http(inbound, policies, authenticated=socket is not None))
    else:
        if socket is not None:
            permission = network_permission(inbound.name, inbound.permission)
            chain.filters.add(name=NETWORK_RBAC_FILTER, typed_config=pack(permission))
        chain.filters.append(_inbound_tcp(inbound, policies))
    if socket is not None:
        chain.transport_socket.CopyFrom(socket)
    return chain


def _inbound_http(inbound: Inbound, policies: Policies, *, authenticated: bool) -> Filter:
    connections = _connections(inbound.name)
    connections.common_http_protocol_options.idle_timeout.FromSeconds(_CONNECTION_IDLE_SECONDS)
    connections.stream_idle_timeout.FromSeconds(_STREAM_IDLE_SECONDS)
    if authenticated:
        details = HttpConnectionManager.ForwardClientCertDetails.SANITIZE_SET
        connections.forward_client_cert_details = details
        connections.set_current_client_cert_details.uri = True
    connections.http_filters.extend(http_filters(inbound.protocol, inbound.name if authenticated else None))
    return _decorate_http(connections, inbound.confs, policies)


def _outbound_http(outbound: Outbound, policies: Policies) -> Filter:
    connections = _connections(outbound.name)
    connections.normalize_path.value = True
    connections.http_filters.extend(http_filters(outbound.destination.protocol, None))
    return _decorate_http(connections, outbound.confs, policies)


def _connections(name: str) -> HttpConnectionManager:
    connections = HttpConnectionManager(stat_prefix=name)
    connections.rds.route_config_name = name
    connections.rds.config_source.CopyFrom(ads())
    for address, length in (*_INTERNAL, *_INTERNAL_V6):
        ranges = connections.internal_address_config.cidr_ranges
        ranges.add(address_prefix=address).prefix_len.value = length
    return connections


def _inbound_tcp(inbound: Inbound, policies: Policies) -> Filter:
    proxy = TcpProxy(stat_prefix=inbound.name, cluster=inbound.name)
    proxy.idle_timeout.FromSeconds(_CONNECTION_IDLE_SECONDS)
    _decorate_tcp(proxy, inbound.confs, policies)
    return Filter(name=TCP_FILTER, typed_config=pack(proxy))


def _decorate_http(connections: HttpConnectionManager, confs: Confs, policies: Policies) -> Filter:
    for applied in confs:
        hook = policies[applied.policy].hooks.http
        if hook:
            hook(applied.conf, connections)
    return Filter(name=HTTP_FILTER, typed_config=pack(connections))


def _decorate_tcp(proxy: TcpProxy, confs: Confs, policies: Policies) -> None:
    for applied in confs:
        hook = policies[applied.policy].hooks.tcp
        if hook:
            hook(applied.conf, proxy)
