"""Listeners: kept still, since a change of one drains connections; what policies change often is elsewhere (D15)."""

from collections.abc import Iterable, Iterator, Sequence
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
from compiler.envoy.http_filters import http_filters, names_paths, network_permission
from compiler.envoy.names import HTTP_FILTER, NETWORK_RBAC_FILTER, TCP_FILTER, tcp_name
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Policies, Site, Stage, StagedFilter, each_hook
from compiler.envoy.routes import routed_confs
from compiler.envoy.secrets import ALPN, downstream_socket
from compiler.mesh.calls import Inbound, Outbound
from compiler.mesh.value import Confs

Weights = Sequence[tuple[str, int]]

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


def tcp_extension(targets: Weights, confs: Confs, policies: Policies, site: Site) -> TypedExtensionConfig:
    """What stands in the slot of a listener that takes TCP calls: connections go to clusters by weight."""
    proxy = tcp_proxy(site.name, targets)
    decorate_tcp(proxy, confs, policies, site)
    return TypedExtensionConfig(name=tcp_name(site.name), typed_config=pack(proxy))


def tcp_proxy(stat_prefix: str, targets: Weights) -> TcpProxy:
    proxy = TcpProxy(stat_prefix=stat_prefix)
    if len(targets) == 1:
        proxy.cluster = targets[0][0]
    for name, weight in targets if len(targets) > 1 else ():
        proxy.weighted_clusters.clusters.add(name=name, weight=weight)
    return proxy


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


def connections_filter(confs: Confs, policies: Policies, site: Site) -> Filter:
    """For requests that go to the outside of the mesh, by routes of the site's name."""
    connections = _connections(site.name)
    connections.normalize_path.value = True
    connections.http_filters.extend(http_filters((), policies, site, None))
    return _decorate_http(connections, confs, policies, site)


def tcp_proxy_filter(cluster: str, confs: Confs, policies: Policies, site: Site) -> Filter:
    """For connections that go to the outside of the mesh."""
    proxy = TcpProxy(stat_prefix=site.name, cluster=cluster)
    decorate_tcp(proxy, confs, policies, site)
    return Filter(name=TCP_FILTER, typed_config=pack(proxy))


def _inbound_chains(inbound: Inbound, policies: Policies) -> Iterator[FilterChain]:
    if inbound.tls is None:
        yield inbound_chain(inbound, policies, FilterChainMatch(), None)
        return
    socket = downstream_socket(inbound.tls)
    if not inbound.tls.permissive:
        yield inbound_chain(inbound, policies, FilterChainMatch(), socket)
        return
    yield inbound_chain(inbound, policies, FilterChainMatch(transport_protocol="raw_buffer"), None)
    yield FilterChain(
        name="application-tls",
        filter_chain_match=FilterChainMatch(transport_protocol="tls"),
        filters=[*_network_filters(inbound, policies, judged=False), _inbound_tcp(inbound, policies)],
    )
    yield inbound_chain(
        inbound, policies, FilterChainMatch(transport_protocol="tls", application_protocols=[ALPN]), socket
    )


def inbound_chain(
    inbound: Inbound, policies: Policies, match: FilterChainMatch, socket: TransportSocket | None
) -> FilterChain:
    """Permissions hold where callers are authenticated; a plaintext chain knows no callers (kuma-policies §2.16)."""
    chain = FilterChain(name="mesh" if socket is not None else "plain")
    if match.ListFields():
        chain.filter_chain_match.CopyFrom(match)
    authenticated, requests = socket is not None, inbound.protocol in HTTP
    chain.filters.extend(_network_filters(inbound, policies, judged=authenticated and not requests))
    if requests:
        chain.filters.append(_inbound_http(inbound, policies, authenticated=authenticated))
    else:
        chain.filters.append(_inbound_tcp(inbound, policies))
    if socket is not None:
        chain.transport_socket.CopyFrom(socket)
    return chain


def _network_filters(inbound: Inbound, policies: Policies, *, judged: bool) -> Iterator[Filter]:
    """Before the one that forwards, in the order in which a connection passes them; requests are judged one by one."""
    found: list[StagedFilter] = []
    if judged:
        permission = network_permission(inbound.name, inbound.permission)
        found.append((Stage.PERMISSION, Filter(name=NETWORK_RBAC_FILTER, typed_config=pack(permission))))
    return connection_filters(inbound.confs, policies, _inbound_site(inbound), found)


def connection_filters(
    confs: Confs, policies: Policies, site: Site, others: Iterable[StagedFilter] = ()
) -> Iterator[Filter]:
    """What policies, and `others`, want of connections before they are forwarded."""
    found = [*others]
    for hook, conf, here in each_hook("network_filters", confs, policies, site):
        found += hook(conf, here)
    found.sort(key=lambda staged: (staged[0], staged[1].name))
    return (staged[1] for staged in found)


def _inbound_site(inbound: Inbound) -> Site:
    return Site(Direction.INBOUND, inbound.name, inbound.protocol, inbound.called, owner=inbound.owner)


def _inbound_http(inbound: Inbound, policies: Policies, *, authenticated: bool) -> Filter:
    connections = _connections(inbound.name)
    connections.common_http_protocol_options.idle_timeout.FromSeconds(_CONNECTION_IDLE_SECONDS)
    connections.stream_idle_timeout.FromSeconds(_STREAM_IDLE_SECONDS)
    if authenticated:
        details = HttpConnectionManager.ForwardClientCertDetails.SANITIZE_SET
        connections.forward_client_cert_details = details
        connections.set_current_client_cert_details.uri = True
    if names_paths(inbound.permission):
        _normalise_paths(connections)
    site = _inbound_site(inbound)
    judged = inbound.name if authenticated else None
    confs = (*inbound.confs, *(applied for rule in inbound.source_rules for applied in rule.confs))
    connections.http_filters.extend(http_filters(confs, policies, site, judged))
    return _decorate_http(connections, inbound.confs, policies, site)


def _normalise_paths(connections: HttpConnectionManager) -> None:
    """`/a/../b`, `//b` and `/a%2F..%2Fb` are ways to write `/b` that a permission of paths must not be passed by."""
    connections.normalize_path.value = True
    connections.merge_slashes = True
    actions = HttpConnectionManager.PathWithEscapedSlashesAction
    connections.path_with_escaped_slashes_action = actions.UNESCAPE_AND_REDIRECT


def _outbound_http(outbound: Outbound, policies: Policies) -> Filter:
    connections = _connections(outbound.name)
    connections.normalize_path.value = True
    routed = routed_confs(outbound)
    site = outbound_site(outbound)._replace(routed=frozenset(applied.policy for applied in routed))
    connections.http_filters.extend(http_filters(outbound.confs, policies, site, None))
    for hook, conf, here in each_hook("http_routed", routed, policies, site):
        hook(conf, connections, here)
    return _decorate_http(connections, outbound.confs, policies, site)


def outbound_site(outbound: Outbound) -> Site:
    called = outbound.destination
    return Site(Direction.OUTBOUND, outbound.name, called.protocol, called.service.name, owner=outbound.owner)


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
    decorate_tcp(proxy, inbound.confs, policies, _inbound_site(inbound))
    return Filter(name=TCP_FILTER, typed_config=pack(proxy))


def _decorate_http(connections: HttpConnectionManager, confs: Confs, policies: Policies, site: Site) -> Filter:
    for hook, conf, here in each_hook("http", confs, policies, site):
        hook(conf, connections, here)
    return Filter(name=HTTP_FILTER, typed_config=pack(connections))


def decorate_tcp(proxy: TcpProxy, confs: Confs, policies: Policies, site: Site) -> None:
    """With what policies say of connections."""
    for hook, conf, here in each_hook("tcp", confs, policies, site):
        hook(conf, proxy, here)
