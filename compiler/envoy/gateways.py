"""Listeners of builtin gateways and their routes; what they take comes from outside of the mesh (kuma-policies §4.3).

Routes come by RDS and the targets of connections by ECDS, as everywhere: a route that changes closes no connection.
"""

from collections.abc import Iterator
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValueOption, TrafficDirection
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.compression.gzip.compressor.v3.gzip_pb2 import Gzip
from envoy.extensions.filters.http.compressor.v3.compressor_pb2 import Compressor
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.connection_limit.v3.connection_limit_pb2 import ConnectionLimit
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from google.protobuf.message import Message

from compiler.envoy.clusters import empty_cluster
from compiler.envoy.common import ads, socket_address
from compiler.envoy.http_filters import http_filters
from compiler.envoy.listeners import decorate_tcp, tcp_proxy, tcp_slot
from compiler.envoy.names import HTTP_FILTER, NO_DESTINATION_OUTBOUND, tcp_name
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Policies, Site, Stage, StagedFilter, StagedHttpFilter, each_hook
from compiler.envoy.resources import ResourceType
from compiler.envoy.routes import route_messages
from compiler.envoy.secrets import crossing_socket, gateway_socket
from compiler.envoy.translate import targets_of
from compiler.mesh.gateways.front import GatewayChain, GatewayListener
from compiler.mesh.http_route import HttpRoute
from compiler.mesh.value import Confs

_BUFFERED_BYTES: Final = 32768
_CONNECTION_IDLE_SECONDS: Final = 300
_STREAM_IDLE_SECONDS: Final = 5
_HEADERS_MILLISECONDS: Final = 500
"""What a gateway has until a MeshTimeout says otherwise (kuma-policies §4.3)."""
_STREAMS: Final = 100
_STREAM_WINDOW: Final = 64 * 1024
_CONNECTION_WINDOW: Final = 1024 * 1024
_LIMIT_FILTER: Final = "envoy.filters.network.connection_limit"
_HTTPS_ONLY: Final = ("strict-transport-security", "max-age=31536000; includeSubDomains")


def gateway_listener(listener: GatewayListener, policies: Policies) -> Listener:
    """A chain for each server name; what asks for none of them is refused before anything is read."""
    message = Listener(name=listener.name, stat_prefix=listener.name, traffic_direction=TrafficDirection.INBOUND)
    message.address.CopyFrom(socket_address(listener.address, listener.port))
    message.per_connection_buffer_limit_bytes.value = _BUFFERED_BYTES
    message.filter_chains.extend(_chain(chain, listener, policies) for chain in listener.chains)
    if listener.is_encrypted:
        message.listener_filters.add(name="envoy.filters.listener.tls_inspector", typed_config=pack(TlsInspector()))
    return message


def gateway_traffic(listener: GatewayListener, policies: Policies) -> Iterator[tuple[ResourceType, Message]]:
    """What does not depend on where the gateway listens."""
    for chain in listener.chains:
        if listener.reads_requests:
            yield ResourceType.ROUTE, _routes(chain, listener, policies)
            continue
        targets = targets_of(chain.backends)
        if NO_DESTINATION_OUTBOUND in dict(targets):
            yield ResourceType.CLUSTER, empty_cluster(NO_DESTINATION_OUTBOUND)
        yield ResourceType.EXTENSION, _tcp_extension(chain, listener, policies)


def routed_confs(chain: GatewayChain) -> Confs:
    """What single routes and hosts have instead of what the chain has, each conf once."""
    own = [one for host in chain.hosts for route in host.routes for one in _own(route, chain)]
    own += [one for host in chain.hosts for one in host.confs]
    return tuple({(one.policy, one.conf): one for one in own}.values())


def _own(route: HttpRoute, chain: GatewayChain) -> Confs:
    return tuple(one for one in route.confs if one not in chain.outgoing)


def _site(chain: GatewayChain, listener: GatewayListener, direction: Direction) -> Site:
    protocol = "http" if listener.reads_requests else "tcp"
    routed = frozenset(one.policy for one in routed_confs(chain)) if direction is Direction.OUTBOUND else frozenset()
    return Site(direction, chain.name, protocol, owner=listener.owner, routed=routed, gateway=True)


def _chain(chain: GatewayChain, listener: GatewayListener, policies: Policies) -> FilterChain:
    message = FilterChain(name=chain.name)
    if listener.is_encrypted:
        message.filter_chain_match.transport_protocol = "tls"
    if chain.server_name:
        message.filter_chain_match.server_names.append(chain.server_name)
    message.filters.extend(_network_filters(chain, listener, policies))
    message.filters.append(_http(chain, listener, policies) if listener.reads_requests else tcp_slot(chain.name))
    if listener.tls is not None:
        message.transport_socket.CopyFrom(crossing_socket(listener.tls))
    if chain.certificates:
        protocols = ("h2", "http/1.1") if listener.reads_requests else ()
        message.transport_socket.CopyFrom(gateway_socket(listener.mesh, chain.certificates, protocols))
    return message


def _network_filters(chain: GatewayChain, listener: GatewayListener, policies: Policies) -> Iterator[Filter]:
    found: list[StagedFilter] = []
    if listener.limit is not None:
        limit = ConnectionLimit(stat_prefix=chain.name)
        limit.max_connections.value = max(listener.limit, 1)
        found.append((Stage.PERMISSION, Filter(name=_LIMIT_FILTER, typed_config=pack(limit))))
    for confs, site in _both(chain, listener):
        for hook, conf, here in each_hook("network_filters", confs, policies, site):
            found += hook(conf, here)
    found.sort(key=lambda staged: (staged[0], staged[1].name))
    return (staged[1] for staged in found)


def _both(chain: GatewayChain, listener: GatewayListener) -> tuple[tuple[Confs, Site], ...]:
    """What is said of requests that are sent on, and then what is said of those that come in."""
    outgoing, incoming = (_site(chain, listener, one) for one in (Direction.OUTBOUND, Direction.INBOUND))
    return (chain.outgoing, outgoing), (chain.incoming, incoming)


def _tcp_extension(chain: GatewayChain, listener: GatewayListener, policies: Policies) -> TypedExtensionConfig:
    proxy = tcp_proxy(chain.name, targets_of(chain.backends))
    for confs, site in _both(chain, listener):
        decorate_tcp(proxy, confs, policies, site)
    return TypedExtensionConfig(name=tcp_name(chain.name), typed_config=pack(proxy))


def _http(chain: GatewayChain, listener: GatewayListener, policies: Policies) -> Filter:
    """Callers are strangers: paths are normalised before they are matched, and dubious headers are refused."""
    connections = _bare_http(chain.name)
    confs = (*chain.incoming, *chain.outgoing, *routed_confs(chain))
    site = _site(chain, listener, Direction.INBOUND)
    connections.http_filters.extend(http_filters(confs, policies, site, None, (_compressor(),)))
    for held, here in _both(chain, listener):
        for hook, conf, place in each_hook("http", held, policies, here):
            hook(conf, connections, place)
    outgoing = _site(chain, listener, Direction.OUTBOUND)
    for hook, conf, place in each_hook("http_routed", routed_confs(chain), policies, outgoing):
        hook(conf, connections, place)
    return Filter(name=HTTP_FILTER, typed_config=pack(connections))


def _bare_http(name: str) -> HttpConnectionManager:
    connections = HttpConnectionManager(stat_prefix=name)
    connections.rds.route_config_name = name
    connections.rds.config_source.CopyFrom(ads())
    connections.use_remote_address.value = True
    connections.normalize_path.value = True
    connections.merge_slashes = True
    connections.path_with_escaped_slashes_action = (
        HttpConnectionManager.PathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT
    )
    for address, length in (("127.0.0.1", 32), ("::1", 128)):
        connections.internal_address_config.cidr_ranges.add(address_prefix=address).prefix_len.value = length
    common = connections.common_http_protocol_options
    common.headers_with_underscores_action = HttpProtocolOptions.HeadersWithUnderscoresAction.REJECT_REQUEST
    common.idle_timeout.FromSeconds(_CONNECTION_IDLE_SECONDS)
    connections.stream_idle_timeout.FromSeconds(_STREAM_IDLE_SECONDS)
    connections.request_headers_timeout.FromMilliseconds(_HEADERS_MILLISECONDS)
    options = connections.http2_protocol_options
    options.max_concurrent_streams.value = _STREAMS
    options.initial_stream_window_size.value = _STREAM_WINDOW
    options.initial_connection_window_size.value = _CONNECTION_WINDOW
    options.allow_connect = True
    return connections


def _compressor() -> StagedHttpFilter:
    """Not where an answer has an ETag, which would be that of other bytes."""
    compressor = Compressor()
    compressor.compressor_library.name = "gzip"
    compressor.compressor_library.typed_config.CopyFrom(pack(Gzip()))
    compressor.response_direction_config.disable_on_etag_header = True
    return Stage.OTHER, HttpFilter(name="gzip-compress", typed_config=pack(compressor))


# --- Routes -------------------------------------------------------------------------------------------------------


def _routes(chain: GatewayChain, listener: GatewayListener, policies: Policies) -> RouteConfiguration:
    """A host without routes, and a host that none of them is, are answered with 404."""
    configuration = RouteConfiguration(name=chain.name, ignore_port_in_host_matching=True)
    configuration.request_headers_to_remove.append("x-kuma-tags")
    site = _site(chain, listener, Direction.OUTBOUND)
    for host in chain.hosts:
        message = configuration.virtual_hosts.add(name=host.domain, domains=[host.domain])
        for route in host.routes:
            message.routes.extend(_messages(route, chain, policies, site))
        for hook, conf, here in each_hook("untaken", host.confs, policies, site):
            hook(conf, message, here)
        if listener.is_encrypted:
            _demand_encryption(message)
    return configuration


def count_routes(route: HttpRoute, chain: GatewayChain, listener: GatewayListener, policies: Policies) -> int:
    """How many of Envoy's routes a route of a host gives."""
    return len(tuple(_messages(route, chain, policies, _site(chain, listener, Direction.OUTBOUND))))


def _messages(route: HttpRoute, chain: GatewayChain, policies: Policies, site: Site) -> Iterator[Route]:
    called = next((one.destination for one in route.backends if one.destination is not None), None)
    if called is not None:
        site = site._replace(protocol=called.protocol, service=called.service.name)
    messages = tuple(route_messages(route, site, policies))
    for message in messages:
        if message.HasField("route") and not message.route.HasField("idle_timeout"):
            message.route.idle_timeout.FromSeconds(_STREAM_IDLE_SECONDS)
    for hook, conf, here in each_hook("routed", _own(route, chain), policies, site):
        for message in messages:
            hook(conf, message, here)
    return iter(messages)


def _demand_encryption(host: VirtualHost) -> None:
    """Browsers remember that the host is asked by TLS alone."""
    option = host.response_headers_to_add.add()
    option.header.key, option.header.value = _HTTPS_ONLY
    option.append_action = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
