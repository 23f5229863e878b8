"""What Envoy refuses though every field constraint holds, by message type: each of them was met in practice.

All of it concerns one resource only; Envoy 1.40 was asked about each. Three are worse than refused: a retry condition
that it does not know is ignored in silence, with no version of TLS left no handshake ever succeeds, and a Maglev table
of one makes it crash.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from math import isqrt
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message

from compiler.envoy.log_format import format_problems
from compiler.snapshot.rules import nanoseconds

Problem: TypeAlias = tuple[str, str, str]  # the step from the message that was judged, the rule, the sentence

_SHORTEST_FILL = 50_000_000
_TLS_1_2, _TLS_1_3 = 3, 4
_LARGEST_WEIGHT = 2**32 - 1
_RETRY_CONDITIONS_WORDS = """
5xx gateway-error reset reset-before-request connect-failure envoy-ratelimited retriable-4xx refused-stream
retriable-status-codes retriable-headers http3-post-connect-failure
cancelled deadline-exceeded internal resource-exhausted unavailable
"""
RETRY_CONDITIONS = frozenset(_RETRY_CONDITIONS_WORDS.split())
_HTTP = "envoy.extensions.filters.http"
_NETWORK = "envoy.extensions.filters.network"
_TERMINAL = frozenset(
    (
        f"{_HTTP}.router.v3.Router",
        f"{_HTTP}.upstream_codec.v3.UpstreamCodec",
        f"{_HTTP}.mcp_router.v3.McpRouter",
        f"{_NETWORK}.http_connection_manager.v3.HttpConnectionManager",
        f"{_NETWORK}.tcp_proxy.v3.TcpProxy",
        f"{_NETWORK}.redis_proxy.v3.RedisProxy",
        f"{_NETWORK}.thrift_proxy.v3.ThriftProxy",
        f"{_NETWORK}.dubbo_proxy.v3.DubboProxy",
        f"{_NETWORK}.generic_proxy.v3.GenericProxy",
        f"{_NETWORK}.direct_response.v3.Config",
        f"{_NETWORK}.echo.v3.Echo",
        f"{_NETWORK}.reverse_tunnel.v3.ReverseTunnel",
    )
)
# These say themselves, in their configuration, whether they end the chain.
_EITHER = ("dynamic_modules", "wasm", "composite", "golang", "sni_")


def _listener(listener: Any) -> Iterator[Problem]:
    if listener.address.HasField("socket_address") and not _is_address(listener.address.socket_address.address):
        yield "address.socketAddress.address", "ip_address", "must be an IP address"
    matches = Counter(_key(chain.filter_chain_match) for chain in listener.filter_chains)
    for index, chain in enumerate(listener.filter_chains):
        if matches[_key(chain.filter_chain_match)] > 1:
            yield f"filterChains[{index}]", "filter_chain.unique", "has the same match as another filter chain"


def _key(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _filter_chain_match(match: Any) -> Iterator[Problem]:
    for index, name in enumerate(match.server_names):
        if "*" in name.removeprefix("*."):
            yield f"serverNames[{index}]", "server_name", "may hold a wildcard only as the whole first label (*.)"


def _network_chain(chain: Any) -> Iterator[Problem]:
    return _chain("filters", chain.filters)


def _http_chain(owner: Any) -> Iterator[Problem]:
    return _chain("httpFilters", owner.http_filters)


def _chain(field: str, filters: Sequence[Any]) -> Iterator[Problem]:
    last = len(filters) - 1
    for index, each in enumerate(filters):
        types = _filter_types(each)
        if index < last and types <= _TERMINAL:
            yield f"{field}[{index}]", "filter.terminal", "ends the chain, so no filter may follow it"
        if index == last and types.isdisjoint(_TERMINAL) and not any(_either(name) for name in types):
            yield f"{field}[{index}]", "filter.terminal", "does not end the chain, so it may not be the last filter"


def _filter_types(each: Any) -> frozenset[str]:
    urls = each.config_discovery.type_urls if each.HasField("config_discovery") else (each.typed_config.type_url,)
    return frozenset(url.rpartition("/")[2] for url in urls)


def _either(name: str) -> bool:
    return not name or any(f".{word}" in name for word in _EITHER)


def _route_configuration(configuration: Any) -> Iterator[Problem]:
    domains = Counter(domain.lower() for host in configuration.virtual_hosts for domain in host.domains)
    for host_index, host in enumerate(configuration.virtual_hosts):
        for index, domain in enumerate(host.domains):
            if domains[domain.lower()] > 1:
                step = f"virtualHosts[{host_index}].domains[{index}]"
                yield step, "domain.unique", f"{domain!r} stands more than once in this route configuration"
    yield from _headers(configuration)


def _weighted_clusters(weighted: Any) -> Iterator[Problem]:
    total = sum(cluster.weight.value for cluster in weighted.clusters)
    for index, cluster in enumerate(weighted.clusters):
        if not cluster.HasField("weight"):
            yield f"clusters[{index}].weight", "weight.required", "must be set"
    if weighted.clusters and not 0 < total <= _LARGEST_WEIGHT:
        yield "clusters", "weight.total", f"must have weights of a total from 1 to {_LARGEST_WEIGHT}, not {total}"


def _route_action(action: Any) -> Iterator[Problem]:
    rewrites = [bool(action.prefix_rewrite), action.HasField("regex_rewrite"), action.HasField("path_rewrite_policy")]
    if sum(rewrites) > 1:
        yield "", "rewrite", "may have only one of prefixRewrite, regexRewrite and pathRewritePolicy"


def _retry_policy(policy: Any) -> Iterator[Problem]:
    for condition in policy.retry_on.split(","):
        if condition.strip() and condition.strip() not in RETRY_CONDITIONS:
            yield "retryOn", "retry_condition", f"has {condition.strip()!r}, which Envoy ignores in silence"
    back_off = policy.retry_back_off
    if back_off.HasField("max_interval") and nanoseconds(back_off.max_interval) < nanoseconds(back_off.base_interval):
        yield "retryBackOff.maxInterval", "back_off", "must be at least the base interval"


def _headers(owner: Any) -> Iterator[Problem]:
    for field, name in _HEADER_LISTS:
        for index, option in enumerate(getattr(owner, field, ())):
            step = f"{name}[{index}].header"
            if _is_fixed(option.header.key):
                yield f"{step}.key", "header", f"{option.header.key!r} may not be changed"
            problems = format_problems(option.header.value, extended=False)
            yield from ((f"{step}.value", rule, sentence) for rule, sentence in problems)
    for field, name in _REMOVED_HEADERS:
        for index, header in enumerate(getattr(owner, field, ())):
            if _is_fixed(header):
                yield f"{name}[{index}]", "header", f"{header!r} may not be removed"


_HEADER_LISTS = (("request_headers_to_add", "requestHeadersToAdd"), ("response_headers_to_add", "responseHeadersToAdd"))
_REMOVED_HEADERS = (
    ("request_headers_to_remove", "requestHeadersToRemove"),
    ("response_headers_to_remove", "responseHeadersToRemove"),
)


def _is_fixed(header: str) -> bool:
    return header.startswith(":") or header.lower() == "host"


def _request_limit(limit: Any) -> Iterator[Problem]:
    yield from _token_bucket(limit)
    yield from _headers(limit)


def _token_bucket(limit: Any) -> Iterator[Problem]:
    if limit.HasField("token_bucket") and nanoseconds(limit.token_bucket.fill_interval) < _SHORTEST_FILL:
        yield "tokenBucket.fillInterval", "fill_interval", "must be at least 50ms"


def _cluster(cluster: Any) -> Iterator[Problem]:
    discovers = cluster.type == cluster.EDS
    if discovers and not cluster.HasField("eds_cluster_config"):
        yield "edsClusterConfig", "eds", "must be set in a cluster of type EDS"
    if not discovers and cluster.HasField("eds_cluster_config"):
        yield "edsClusterConfig", "eds", "may be set only in a cluster of type EDS"
    if cluster.type == cluster.STATIC and not cluster.HasField("cluster_type"):
        problems = endpoint_addresses(cluster.load_assignment)
        yield from ((f"loadAssignment.{step}", rule, sentence) for step, rule, sentence in problems)


def endpoint_addresses(assignment: Any) -> Iterator[Problem]:
    """By EDS only addresses may stand here; inside a cluster that depends on the cluster's type."""
    for locality_index, locality in enumerate(assignment.endpoints):
        for index, each in enumerate(locality.lb_endpoints):
            address = each.endpoint.address
            if not _is_address(address.socket_address.address) and address.HasField("socket_address"):
                step = f"endpoints[{locality_index}].lbEndpoints[{index}].endpoint.address.socketAddress.address"
                yield step, "ip_address", "must be an IP address; only a DNS cluster resolves names"


def _maglev(policy: Any) -> Iterator[Problem]:
    if policy.HasField("table_size") and not _is_prime(policy.table_size.value):
        yield "tableSize", "maglev.prime", "must be a prime number"


def _ring_hash(policy: Any) -> Iterator[Problem]:
    largest = policy.maximum_ring_size.value if policy.HasField("maximum_ring_size") else _LARGEST_RING
    if policy.minimum_ring_size.value > largest:
        yield "minimumRingSize", "ring_size", f"must be at most the maximum ring size, {largest}"


_LARGEST_RING = 8 * 1024 * 1024


def _cidr_range(cidr: Any) -> Iterator[Problem]:
    if not _is_address(cidr.address_prefix):
        yield "addressPrefix", "ip_address", "must be an IP address"


def _upstream_tls(context: Any) -> Iterator[Problem]:
    yield from _tls(context.common_tls_context.tls_params, highest=_TLS_1_2)


def _downstream_tls(context: Any) -> Iterator[Problem]:
    yield from _tls(context.common_tls_context.tls_params, highest=_TLS_1_3)


def _tls(parameters: Any, highest: int) -> Iterator[Problem]:
    """Envoy takes it, and then no handshake ever succeeds; `highest` is its own where none is written."""
    lowest = parameters.tls_minimum_protocol_version or _TLS_1_2
    highest = parameters.tls_maximum_protocol_version or highest
    if lowest > highest:
        yield "commonTlsContext.tlsParams", "tls.versions", "leaves no version of TLS: no connection is ever made"
    elif highest < _TLS_1_2 and not any(suite.endswith("SHA") for suite in parameters.cipher_suites):
        message = "has no cipher suite of TLS 1.1 or before: no connection is ever made"
        yield "commonTlsContext.tlsParams", "tls.ciphers", message


def _format_string(form: Any) -> Iterator[Problem]:
    extended = bool(form.formatters)
    texts = (("textFormat", form.text_format), ("textFormatSource.inlineString", form.text_format_source.inline_string))
    for step, text in texts:
        yield from ((step, *problem) for problem in format_problems(text, extended=extended))
    yield from _structured("jsonFormat", form.json_format, extended=extended)


def _file_access_log(log: Any) -> Iterator[Problem]:
    """The formats from before `logFormat`, which is a message of its own."""
    yield from (("format", *problem) for problem in format_problems(log.format, extended=False))
    yield from _structured("jsonFormat", log.json_format, extended=False)
    yield from _structured("typedJsonFormat", log.typed_json_format, extended=False)


def _structured(step: str, struct: Any, *, extended: bool) -> Iterator[Problem]:
    for key in sorted(struct.fields):
        yield from _structured_value(f"{step}.{key}", struct.fields[key], extended=extended)


def _structured_value(step: str, value: Any, *, extended: bool) -> Iterator[Problem]:
    match value.WhichOneof("kind"):
        case "string_value":
            problems = format_problems(value.string_value, extended=extended)
            yield from ((step, *problem) for problem in problems)
        case "struct_value":
            yield from _structured(step, value.struct_value, extended=extended)
        case "list_value":
            for index, each in enumerate(value.list_value.values):
                yield from _structured_value(f"{step}[{index}]", each, extended=extended)


@lru_cache(maxsize=4096)  # a pure function of the text; the same few thousand addresses are looked at all day
def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, isqrt(number) + 1))


_ROUTE = "envoy.config.route.v3"
_TLS = "envoy.extensions.transport_sockets.tls.v3"
TRAPS: Final[Mapping[str, Callable[[Any], Iterator[Problem]]]] = {
    "envoy.config.listener.v3.Listener": _listener,
    "envoy.config.listener.v3.FilterChain": _network_chain,
    "envoy.config.listener.v3.FilterChainMatch": _filter_chain_match,
    f"{_NETWORK}.http_connection_manager.v3.HttpConnectionManager": _http_chain,
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _http_chain,
    f"{_NETWORK}.local_ratelimit.v3.LocalRateLimit": _token_bucket,
    f"{_HTTP}.local_ratelimit.v3.LocalRateLimit": _request_limit,
    f"{_HTTP}.ratelimit.v3.RateLimit": _headers,
    "envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit": _token_bucket,
    f"{_TLS}.UpstreamTlsContext": _upstream_tls,
    f"{_TLS}.DownstreamTlsContext": _downstream_tls,
    f"{_ROUTE}.RouteConfiguration": _route_configuration,
    f"{_ROUTE}.VirtualHost": _headers,
    f"{_ROUTE}.Route": _headers,
    f"{_ROUTE}.WeightedCluster": _weighted_clusters,
    f"{_ROUTE}.WeightedCluster.ClusterWeight": _headers,
    f"{_ROUTE}.RouteAction": _route_action,
    f"{_ROUTE}.RetryPolicy": _retry_policy,
    "envoy.config.cluster.v3.Cluster": _cluster,
    "envoy.config.cluster.v3.Cluster.MaglevLbConfig": _maglev,
    "envoy.config.cluster.v3.Cluster.RingHashLbConfig": _ring_hash,
    "envoy.extensions.load_balancing_policies.maglev.v3.Maglev": _maglev,
    "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash": _ring_hash,
    "envoy.config.core.v3.HealthCheck.HttpHealthCheck": _headers,
    "envoy.config.core.v3.CidrRange": _cidr_range,
    "envoy.config.core.v3.SubstitutionFormatString": _format_string,
    "envoy.extensions.access_loggers.file.v3.FileAccessLog": _file_access_log,
}
