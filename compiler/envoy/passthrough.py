"""Calls to the outside of the mesh that a policy lets through: a chain for each kind of match (kuma-policies §2.9).

Envoy looks at the port of a connection first, then at its network, and never comes back: a match of every port stands
again on each port that another names, and one of a wider network, or of a domain, in each network that another names.
An exact domain of a known port is resolved here and called there, whatever address the workload dialled; only a
wildcard's calls go where they were sent, and then a workload can reach any address by naming such a domain.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import HttpInspector
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from compiler.envoy.clusters import decorate_cluster, passthrough_cluster
from compiler.envoy.common import socket_address
from compiler.envoy.listeners import connections_filter, tcp_proxy_filter
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Policies, Site, each_hook
from compiler.mesh.proxy import PassthroughMatch, Transparent

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PREFIX: Final = "meshpassthrough"
_REQUESTS: Final = frozenset({"http", "http2", "grpc"})
_HTTP2: Final = frozenset({"http2", "grpc"})
_RAW: Final = frozenset({"tcp", "mysql"})
_UNLISTED: Final = "no MeshPassthrough lets requests to this host through\n"


def spread(matches: Sequence[PassthroughMatch]) -> tuple[PassthroughMatch, ...]:
    """With those of every port again on each port that another one names, unless one is there already."""
    ports = sorted({match.port for match in matches if match.port})
    found = {_key(match): match for match in matches}
    for match in matches:
        if not match.port and match.protocol != "mysql":
            for port in ports:
                again = PassthroughMatch(match.type, match.value, port, match.protocol)
                if not _clashes(again, found.values()):
                    found.setdefault(_key(again), again)
    return tuple(sorted(found.values()))


def passthrough_chains(transparent: Transparent, version: int, policies: Policies) -> Iterator[FilterChain]:
    """Of what an IP version can be: a domain of both, an address of its own."""
    matches = [match for match in spread(transparent.matches) if _version(match) in {0, version}]
    for match in matches:
        if not _is_hosted(match):
            yield _chain_of_one(match, transparent, policies)
    hosted = _hosted(matches)
    for name, group in hosted:
        yield _chain_of_hosts(name, group[0], transparent, policies)
    for port in sorted({match.port for match in matches}):
        alike = [match for match in matches if match.port == port and not _is_hosted(match)]
        groups = [(name, group[0]) for name, group in hosted if group[0].port == port]
        yield from _again(alike, groups, transparent, policies)


def _again(
    matches: Sequence[PassthroughMatch],
    hosted: Sequence[tuple[str, PassthroughMatch]],
    transparent: Transparent,
    policies: Policies,
) -> Iterator[FilterChain]:
    """One more chain of each, with all networks in which it stands again: there may be hundreds of either."""
    found: dict[str, FilterChain] = {}
    for network, narrowed, takes_hosts in _within(matches):
        for match in narrowed:
            if _name(match) not in found:
                found[_name(match)] = _without_networks(_chain_of_one(match, transparent, policies))
            _match_network(found[_name(match)].filter_chain_match, network)
        for name, first in hosted if takes_hosts else ():
            if name not in found:
                found[name] = _without_networks(_chain_of_hosts(name, first, transparent, policies))
            _match_network(found[name].filter_chain_match, network)
    return iter(found.values())


def _within(matches: Sequence[PassthroughMatch]) -> Iterator[tuple[Network, list[PassthroughMatch], bool]]:
    """By network that one of them names, what others let through there; and whether requests to domains are among it.

    Of each family the narrowest decides, and what lets connections through lets requests through, too.
    """
    placed = sorted(
        ((ipaddress.ip_network(one.value), one) for one in matches if one.type != "Domain"),
        key=lambda found: -found[0].prefixlen,
    )
    named = [one for one in matches if one.type == "Domain"]
    for network in dict.fromkeys(network for network, _ in placed):
        taken = {_key(one)[0] for other, one in placed if other == network}
        again: list[PassthroughMatch] = []
        for wider, one in placed:
            family = _key(one)[0]
            known = family in taken or (family == "request" and "raw" in taken)
            if wider != network and _contains(wider, network) and not known:
                taken.add(family)
                again.append(one)
        yield network, again + (named if "tls" not in taken else []), taken.isdisjoint({"raw", "request"})


def _contains(wider: Network, network: Network) -> bool:
    return wider.prefixlen <= network.prefixlen and network.network_address in wider


def _without_networks(chain: FilterChain) -> FilterChain:
    chain.name = f"{chain.name}_again"
    del chain.filter_chain_match.prefix_ranges[:]
    return chain


def passthrough_routes(transparent: Transparent, policies: Policies) -> Iterator[RouteConfiguration]:
    matches = spread(transparent.matches)
    for name, group in _hosted(matches):
        yield _routes(name, group, transparent, policies)
    for match in matches:
        if match.protocol in _REQUESTS and not _is_hosted(match):
            yield _routes(_name(match), [match], transparent, policies)


def passthrough_clusters(transparent: Transparent, policies: Policies) -> Iterator[Cluster]:
    for match in spread(transparent.matches):
        cluster = _pinned(match, ipv6=transparent.ipv6) if _is_pinned(match) else passthrough_cluster(_name(match))
        options = None
        if match.protocol in _REQUESTS:
            options = HttpProtocolOptions()
            explicit = options.explicit_http_config
            (
                explicit.http2_protocol_options if match.protocol in _HTTP2 else explicit.http_protocol_options
            ).SetInParent()
        site = Site(Direction.PASSTHROUGH, cluster.name, match.protocol)
        yield decorate_cluster(cluster, options, (), policies, site)


def inspectors(matches: Sequence[PassthroughMatch]) -> Iterator[ListenerFilter]:
    """What tells the chains apart; not on ports where the server speaks first and an inspector would wait for ever."""
    if not matches:
        return
    quiet = sorted({match.port for match in matches if match.protocol == "mysql"})
    for name, message in (("tls_inspector", TlsInspector()), ("http_inspector", HttpInspector())):
        inspector = ListenerFilter(name=f"envoy.filters.listener.{name}", typed_config=pack(message))
        if quiet:
            inspector.filter_disabled.CopyFrom(_any_port(quiet))
        yield inspector


def _any_port(ports: Sequence[int]) -> ListenerFilterChainMatchPredicate:
    rules = []
    for port in ports:
        rule = ListenerFilterChainMatchPredicate()
        rule.destination_port_range.start, rule.destination_port_range.end = port, port + 1
        rules.append(rule)
    if len(rules) == 1:
        return rules[0]
    predicate = ListenerFilterChainMatchPredicate()
    predicate.or_match.rules.extend(rules)
    return predicate


def _chain_of_one(match: PassthroughMatch, transparent: Transparent, policies: Policies) -> FilterChain:
    name = _name(match)
    chain = FilterChain(name=name)
    wanted = chain.filter_chain_match
    if match.protocol in _REQUESTS:
        _match_requests(wanted)
    else:
        wanted.transport_protocol = "tls" if match.protocol == "tls" else "raw_buffer"
    _match_port(wanted, match.port)
    if match.type == "Domain":
        wanted.server_names.append(match.value)
    else:
        _match_network(wanted, ipaddress.ip_network(match.value, strict=False))
    requests = match.protocol in _REQUESTS
    site = Site(Direction.PASSTHROUGH, name, match.protocol, owner=transparent.owner)
    chain.filters.append(
        _requests(name, match.protocol, transparent, policies)
        if requests
        else tcp_proxy_filter(name, transparent.confs, policies, site)
    )
    return chain


def _chain_of_hosts(name: str, first: PassthroughMatch, transparent: Transparent, policies: Policies) -> FilterChain:
    chain = FilterChain(name=name)
    _match_requests(chain.filter_chain_match)
    _match_port(chain.filter_chain_match, first.port)
    chain.filters.append(_requests(name, first.protocol, transparent, policies))
    return chain


def _match_network(wanted: FilterChainMatch, network: Network) -> None:
    wanted.prefix_ranges.add(address_prefix=str(network.network_address)).prefix_len.value = network.prefixlen


def _match_requests(wanted: FilterChainMatch) -> None:
    wanted.transport_protocol = "raw_buffer"
    wanted.application_protocols.extend(["http/1.1", "h2c"])


def _match_port(wanted: FilterChainMatch, port: int) -> None:
    if port:
        wanted.destination_port.value = port


def _requests(name: str, protocol: str, transparent: Transparent, policies: Policies) -> Filter:
    return connections_filter(
        transparent.confs, policies, Site(Direction.PASSTHROUGH, name, protocol, owner=transparent.owner)
    )


def _routes(
    name: str, matches: Iterable[PassthroughMatch], transparent: Transparent, policies: Policies
) -> RouteConfiguration:
    configuration = RouteConfiguration(name=name)
    for match in matches:
        host = VirtualHost(name=match.value, domains=_domains(match))
        route = Route()
        route.match.prefix = "/"
        route.route.cluster = _name(match)
        site = Site(Direction.PASSTHROUGH, name, match.protocol, owner=transparent.owner)
        for hook, conf, here in each_hook("route", transparent.confs, policies, site):
            hook(conf, route.route, here)
        host.routes.append(route)
        configuration.virtual_hosts.append(host)
    if all("*" not in host.domains for host in configuration.virtual_hosts):
        configuration.virtual_hosts.append(_nobody())
    return configuration


def _domains(match: PassthroughMatch) -> tuple[str, ...]:
    """As clients write the host, with the port or without it."""
    if match.type != "Domain":
        return ("*",)
    if match.port:
        return match.value, f"{match.value}:{match.port}"
    return match.value, f"{match.value}:*"


def _nobody() -> VirtualHost:
    host = VirtualHost(name="no_match", domains=["*"])
    route = host.routes.add()
    route.match.prefix = "/"
    route.direct_response.status = 503
    route.direct_response.body.inline_string = _UNLISTED
    return host


def _pinned(match: PassthroughMatch, *, ipv6: bool) -> Cluster:
    cluster = Cluster(name=_name(match), type=Cluster.DiscoveryType.STRICT_DNS)
    family = Cluster.DnsLookupFamily
    cluster.dns_lookup_family = family.V4_PREFERRED if ipv6 else family.V4_ONLY
    cluster.load_assignment.cluster_name = cluster.name
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.CopyFrom(socket_address(match.value, match.port))
    cluster.connect_timeout.FromSeconds(5)
    cluster.circuit_breakers.thresholds.add(track_remaining=True)
    return cluster


def _is_pinned(match: PassthroughMatch) -> bool:
    return match.type == "Domain" and bool(match.port) and not match.value.startswith("*.")


def _is_hosted(match: PassthroughMatch) -> bool:
    """Whether it shares a chain with other domains of its port, told apart by the host of each request."""
    return match.type == "Domain" and match.protocol in _REQUESTS


def _hosted(matches: Iterable[PassthroughMatch]) -> list[tuple[str, list[PassthroughMatch]]]:
    hosted = sorted((match for match in matches if _is_hosted(match)), key=lambda one: (one.port, one.value))
    return [(f"{_PREFIX}_http_{port or '*'}", list(group)) for port, group in groupby(hosted, lambda one: one.port)]


def _name(match: PassthroughMatch) -> str:
    return f"{_PREFIX}_{match.protocol}_{match.value}_{match.port or '*'}"


def _version(match: PassthroughMatch) -> int:
    """0 for a domain, which may have addresses of both."""
    return 0 if match.type == "Domain" else ipaddress.ip_network(match.value, strict=False).version


def _key(match: PassthroughMatch) -> tuple[str, str, int]:
    """Of matches with one key there is one chain."""
    family = "request" if match.protocol in _REQUESTS else "raw" if match.protocol in _RAW else match.protocol
    return family, match.value, match.port


def _clashes(again: PassthroughMatch, matches: Iterable[PassthroughMatch]) -> bool:
    """Whether another protocol of requests has its port, from which it could not be told apart."""
    return again.protocol in _REQUESTS and any(
        one.port == again.port and one.protocol in _REQUESTS and one.protocol != again.protocol for one in matches
    )
