"""Zone proxies: connections are told apart by the name that their callers ask for (kuma-core §5.7)."""

from collections.abc import Iterator

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_components_pb2 import FilterChain, FilterChainMatch, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from google.protobuf.message import Message

from compiler.envoy.clusters import HTTP, outbound_cluster
from compiler.envoy.common import ads, socket_address
from compiler.envoy.http_filters import http_permission
from compiler.envoy.listeners import connection_filters, inbound_chain, tcp_proxy_filter
from compiler.envoy.outside import is_ip
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Policies, Site
from compiler.envoy.resources import ResourceType
from compiler.envoy.routes import inbound_routes
from compiler.envoy.secrets import downstream_socket
from compiler.mesh.zones.passing import Opening, Passage, ZoneGate

_CALLER_HEADER = "x-forwarded-client-cert"


def gate_listener(gate: ZoneGate, policies: Policies) -> Listener | None:
    """One chain for each name; None where nothing is led to: Envoy takes no listener without a chain."""
    listener = Listener(name=gate.name, stat_prefix=gate.name, traffic_direction=TrafficDirection.INBOUND)
    listener.address.CopyFrom(socket_address(gate.address, gate.port))
    listener.enable_reuse_port.value = False
    inspector = ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=pack(TlsInspector()))
    listener.listener_filters.append(inspector)
    listener.filter_chains.extend(_opening_chain(one, policies) for one in gate.openings)
    listener.filter_chains.extend(_passage_chain(one, policies) for one in gate.passages)
    return listener if listener.filter_chains else None


def _opening_chain(opening: Opening, policies: Policies) -> FilterChain:
    socket = downstream_socket(opening.tls) if opening.tls is not None else None
    chain = inbound_chain(opening, policies, _asking_for(opening.server_name), socket)
    chain.name = opening.name
    return chain


def _passage_chain(passage: Passage, policies: Policies) -> FilterChain:
    """Whoever calls stays unknown, as the TLS is not ended here."""
    site = Site(Direction.INBOUND, passage.cluster, "tcp", passage.service.name, owner=passage.owner)
    chain = FilterChain(name=passage.cluster)
    chain.filters.extend(connection_filters(passage.confs, policies, site))
    chain.filters.append(tcp_proxy_filter(passage.cluster, passage.confs, policies, site))
    chain.filter_chain_match.CopyFrom(_asking_for(passage.server_name))
    return chain


def _asking_for(name: str) -> FilterChainMatch:
    return FilterChainMatch(transport_protocol="tls", server_names=[name])


def passage_cluster(passage: Passage) -> Cluster:
    """The caller's TLS goes through to the service's own proxy."""
    cluster = Cluster(name=passage.cluster, type=Cluster.DiscoveryType.EDS)
    cluster.eds_cluster_config.eds_config.CopyFrom(ads())
    cluster.connect_timeout.FromSeconds(5)
    cluster.circuit_breakers.thresholds.add(track_remaining=True)  # as on every other cluster (kuma-core §7.4)
    return cluster


def opening_resources(opening: Opening, policies: Policies) -> Iterator[tuple[ResourceType, Message]]:
    """What a listener's chain refers to: where calls go, and who may make them."""
    if opening.protocol in HTTP:
        yield ResourceType.ROUTE, _opening_routes(opening, policies)
        yield ResourceType.EXTENSION, http_permission(opening.name, opening.permission)
    yield ResourceType.CLUSTER, outbound_cluster(opening.upstream, policies)


def _opening_routes(opening: Opening, policies: Policies) -> RouteConfiguration:
    """Outside of the mesh nobody is told who called, and a host is asked for by its own name."""
    configuration = inbound_routes(opening, policies)
    configuration.request_headers_to_remove.append(_CALLER_HEADER)
    outside = opening.upstream.destination.outside
    if outside is not None and any(not is_ip(one.address) for one in outside.endpoints):
        for route in configuration.virtual_hosts[0].routes:
            route.route.auto_host_rewrite.value = True
    return configuration
