from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit as HttpRateLimit
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.filters.network.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit as TcpRateLimit
from envoy.extensions.load_balancing_policies.maglev.v3.maglev_pb2 import Maglev
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsParameters
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext
from google.protobuf.message import Message

from compiler.envoy.log_format import COMMANDS, format_problems
from compiler.envoy.packing import pack
from compiler.snapshot.traps import RETRY_CONDITIONS, known_traps

from .sidecar import eds_cluster, load_assignment, local_cluster, network_filter, sidecar
from .verdicts import envoy_objects, first_route, listener_with, needs_envoy, plain_manager

MANAGER = "filterChains[0].filters[0].typedConfig"
ROUTE = f"{MANAGER}.routeConfig.virtualHosts[0].routes[0]"


def traps(message: Message) -> set[tuple[str, str]]:
    return {(each.path, each.rule) for each in known_traps(message)}


def _weigh(manager: HttpConnectionManager, *weights: int) -> None:
    for weight in weights:
        first_route(manager).route.weighted_clusters.clusters.add(name="backend").weight.value = weight


def _log(manager: HttpConnectionManager, text: str) -> None:
    log = FileAccessLog(path="/dev/null")
    log.log_format.text_format_source.inline_string = text
    manager.access_log[0].typed_config.CopyFrom(pack(log))


def _log_json(manager: HttpConnectionManager) -> None:
    log = FileAccessLog(path="/dev/null")
    log.log_format.json_format.update({"ok": "%PROTOCOL%", "deep": {"list": ["ok", "%NOTHING%"]}})
    manager.access_log[0].typed_config.CopyFrom(pack(log))


def _allow_from(manager: HttpConnectionManager, prefix: str) -> None:
    principal = rbac_pb2.Principal()
    principal.direct_remote_ip.address_prefix = prefix
    policy = rbac_pb2.Policy(permissions=[rbac_pb2.Permission(any=True)], principals=[principal])
    _put_first(manager, RBAC(rules=rbac_pb2.RBAC(policies={"it": policy})))


def _put_first(manager: HttpConnectionManager, config: Message) -> None:
    manager.http_filters.insert(0, HttpFilter(name="it", typed_config=pack(config)))


def _limit(kind: Any, milliseconds: int) -> Any:
    limit = kind(stat_prefix="it")
    limit.token_bucket.max_tokens = 1
    limit.token_bucket.fill_interval.FromMilliseconds(milliseconds)
    return limit


def _answering(limit: Any) -> Any:
    header = limit.response_headers_to_add.add().header
    header.key, header.value = "x", "%NOTHING%"
    return limit


def _add_header(owner: Any, key: str, value: str = "1") -> None:
    header = owner.request_headers_to_add.add().header
    header.key, header.value = key, value


def _back_off(manager: HttpConnectionManager) -> None:
    back_off = first_route(manager).route.retry_policy.retry_back_off
    back_off.base_interval.seconds, back_off.max_interval.seconds = 2, 1


def _two_rewrites(manager: HttpConnectionManager) -> None:
    action = first_route(manager).route
    action.prefix_rewrite, action.regex_rewrite.pattern.regex = "/", "a"


IN_MANAGERS: dict[str, tuple[Callable[[HttpConnectionManager], object], tuple[str, str]]] = {
    "a filter after the router": (
        lambda m: m.http_filters.append(HttpFilter(name="late", typed_config=pack(HTTPFault()))),
        (f"{MANAGER}.httpFilters[1]", "filter.terminal"),
    ),
    "no router at the end": (lambda m: m.http_filters.pop(), (f"{MANAGER}.httpFilters[0]", "filter.terminal")),
    "a fill interval of 40 ms": (
        lambda m: _put_first(m, _limit(HttpRateLimit, 40)),
        (f"{MANAGER}.httpFilters[0].typedConfig.tokenBucket.fillInterval", "fill_interval"),
    ),
    "an unknown command in a header of a limit": (
        lambda m: _put_first(m, _answering(_limit(HttpRateLimit, 100))),
        (f"{MANAGER}.httpFilters[0].typedConfig.responseHeadersToAdd[0].header.value", "format.command"),
    ),
    "weights of zero": (lambda m: _weigh(m, 0, 0), (f"{ROUTE}.route.weightedClusters.clusters", "weight.total")),
    "weights too large": (
        lambda m: _weigh(m, 2**32 - 1, 1),
        (f"{ROUTE}.route.weightedClusters.clusters", "weight.total"),
    ),
    "a cluster without weight": (
        lambda m: first_route(m).route.weighted_clusters.clusters.add(name="backend"),
        (f"{ROUTE}.route.weightedClusters.clusters[0].weight", "weight.required"),
    ),
    "a largest back-off below the base": (
        _back_off,
        (f"{ROUTE}.route.retryPolicy.retryBackOff.maxInterval", "back_off"),
    ),
    "two rewrites": (_two_rewrites, (f"{ROUTE}.route", "rewrite")),
    "a domain twice, in two spellings": (
        lambda m: m.route_config.virtual_hosts.add(name="b", domains=["B.x", "b.X"]),
        (f"{MANAGER}.routeConfig.virtualHosts[1].domains[1]", "domain.unique"),
    ),
    "a changed Host header": (
        lambda m: _add_header(first_route(m), "Host"),
        (f"{ROUTE}.requestHeadersToAdd[0].header.key", "header"),
    ),
    "a changed pseudo header": (
        lambda m: _add_header(m.route_config, ":path"),
        (f"{MANAGER}.routeConfig.requestHeadersToAdd[0].header.key", "header"),
    ),
    "a removed Host header": (
        lambda m: first_route(m).request_headers_to_remove.append("host"),
        (f"{ROUTE}.requestHeadersToRemove[0]", "header"),
    ),
    "an unknown command in a header": (
        lambda m: _add_header(first_route(m), "x", "%NOTHING%"),
        (f"{ROUTE}.requestHeadersToAdd[0].header.value", "format.command"),
    ),
    "an unknown command in the access log": (
        lambda m: _log(m, "a %NOTHING% b"),
        (f"{MANAGER}.accessLog[0].typedConfig.logFormat.textFormatSource.inlineString", "format.command"),
    ),
    "an unknown command deep in a JSON log": (
        _log_json,
        (f"{MANAGER}.accessLog[0].typedConfig.logFormat.jsonFormat.deep.list[1]", "format.command"),
    ),
    "a lone per cent sign": (
        lambda m: _log(m, "100%"),
        (f"{MANAGER}.accessLog[0].typedConfig.logFormat.textFormatSource.inlineString", "format.syntax"),
    ),
    "a command without its argument": (
        lambda m: _log(m, "%REQ%"),
        (f"{MANAGER}.accessLog[0].typedConfig.logFormat.textFormatSource.inlineString", "format.arguments"),
    ),
    "an argument that is not taken": (
        lambda m: _log(m, "%PROTOCOL(x)%"),
        (f"{MANAGER}.accessLog[0].typedConfig.logFormat.textFormatSource.inlineString", "format.arguments"),
    ),
    "a range that is no address": (
        lambda m: _allow_from(m, "localhost"),
        (
            f'{MANAGER}.httpFilters[0].typedConfig.rules.policies["it"].principals[0].directRemoteIp.addressPrefix',
            "ip_address",
        ),
    ),
}


def _twin_chains(listener: Listener) -> None:
    listener.filter_chains.add().CopyFrom(listener.filter_chains[0])


def _tcp_limit(listener: Listener) -> None:
    listener.filter_chains[0].filters.insert(0, network_filter("it", _limit(TcpRateLimit, 40)))


IN_LISTENERS: dict[str, tuple[Callable[[Listener], object], tuple[str, str]]] = {
    "a partial wildcard": (
        lambda m: m.filter_chains[0].filter_chain_match.server_names.append("*a.com"),
        ("filterChains[0].filterChainMatch.serverNames[0]", "server_name"),
    ),
    "a bare wildcard": (
        lambda m: m.filter_chains[0].filter_chain_match.server_names.append("*"),
        ("filterChains[0].filterChainMatch.serverNames[0]", "server_name"),
    ),
    "two chains of one match": (_twin_chains, ("filterChains[1]", "filter_chain.unique")),
    "a filter after the last": (
        lambda m: m.filter_chains[0].filters.append(network_filter("late", _limit(TcpRateLimit, 50))),
        ("filterChains[0].filters[0]", "filter.terminal"),
    ),
    "a TCP fill interval of 40 ms": (
        _tcp_limit,
        ("filterChains[0].filters[0].typedConfig.tokenBucket.fillInterval", "fill_interval"),
    ),
    "a host name to listen on": (
        lambda m: setattr(m.address.socket_address, "address", "localhost"),
        ("address.socketAddress.address", "ip_address"),
    ),
}


def _maglev_policy(cluster: Cluster) -> None:
    policy = Maglev()
    policy.table_size.value = 4
    config = TypedExtensionConfig(name="maglev", typed_config=pack(policy))
    cluster.load_balancing_policy.policies.add().typed_extension_config.CopyFrom(config)


def _maglev(cluster: Cluster, size: int) -> None:
    cluster.lb_policy = Cluster.MAGLEV
    cluster.maglev_lb_config.table_size.value = size


def _ring(cluster: Cluster) -> None:
    cluster.lb_policy = Cluster.RING_HASH
    cluster.ring_hash_lb_config.minimum_ring_size.value = 10
    cluster.ring_hash_lb_config.maximum_ring_size.value = 5


def _health_check(cluster: Cluster) -> None:
    check = cluster.health_checks.add()
    check.timeout.seconds = check.interval.seconds = 1
    check.healthy_threshold.value = check.unhealthy_threshold.value = 1
    check.http_health_check.path = "/"
    _add_header(check.http_health_check, "Host")


def _name_endpoint(owner: Any) -> None:
    owner.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address = "backend.local"


IN_CLUSTERS: dict[str, tuple[Callable[[Cluster], object], tuple[str, str]]] = {
    "a maglev table that is not prime": (lambda m: _maglev(m, 65_536), ("maglevLbConfig.tableSize", "maglev.prime")),
    "a maglev table of one, a crash": (lambda m: _maglev(m, 1), ("maglevLbConfig.tableSize", "maglev.prime")),
    "a maglev policy that is not prime": (
        _maglev_policy,
        ("loadBalancingPolicy.policies[0].typedExtensionConfig.typedConfig.tableSize", "maglev.prime"),
    ),
    "a smallest ring above the largest": (_ring, ("ringHashLbConfig.minimumRingSize", "ring_size")),
    "a Host header in a health check": (
        _health_check,
        ("healthChecks[0].httpHealthCheck.requestHeadersToAdd[0].header.key", "header"),
    ),
    "a name among static addresses": (
        lambda m: _name_endpoint(m.load_assignment),
        ("loadAssignment.endpoints[0].lbEndpoints[0].endpoint.address.socketAddress.address", "ip_address"),
    ),
    "EDS settings in a static cluster": (
        lambda m: m.eds_cluster_config.SetInParent(),
        ("edsClusterConfig", "eds"),
    ),
}


@needs_envoy
@pytest.mark.parametrize("trap", IN_MANAGERS)
def test_we_see_and_envoy_refuses_in_an_http_listener(trap: str) -> None:
    manager = plain_manager()
    manager.http_filters.pop(0)
    spoil, expected = IN_MANAGERS[trap]
    if trap == "no router at the end":
        _put_first(manager, HTTPFault())
    spoil(manager)
    listener = listener_with(manager)

    assert expected in traps(listener)
    assert envoy_objects(listener) is not None


@needs_envoy
@pytest.mark.parametrize("trap", IN_LISTENERS)
def test_we_see_and_envoy_refuses_in_a_listener(trap: str) -> None:
    listener = listener_with(plain_manager())
    spoil, expected = IN_LISTENERS[trap]
    spoil(listener)

    assert expected in traps(listener)
    assert envoy_objects(listener) is not None


@needs_envoy
@pytest.mark.parametrize("trap", IN_CLUSTERS)
def test_we_see_and_envoy_refuses_in_a_cluster(trap: str) -> None:
    cluster = local_cluster()
    spoil, expected = IN_CLUSTERS[trap]
    spoil(cluster)

    assert expected in traps(cluster)
    assert envoy_objects(cluster) is not None


@needs_envoy
def test_what_stands_close_to_a_trap_is_neither_reported_nor_refused() -> None:
    manager = plain_manager()
    _weigh(manager, 0, 1)
    _put_first(manager, _limit(HttpRateLimit, 50))
    _allow_from(manager, "10.0.0.0")
    _log(manager, '100%% %REQ(X?Y):10% %START_TIME(%Y-%m)% %PROTOCOL% %COALESCE({"operators": ["PROTOCOL"]})%')
    _add_header(first_route(manager), "x-host", "%REQ(:authority)%")
    first_route(manager).route.retry_policy.retry_on = ",".join(sorted(RETRY_CONDITIONS))
    manager.route_config.virtual_hosts.add(name="b", domains=["b.x", "*.b.x"])
    listener = listener_with(manager)
    listener.filter_chains[0].filter_chain_match.server_names.extend(("*.a.com", "b.com"))
    listener.filter_chains[0].filters.insert(0, network_filter("it", _limit(TcpRateLimit, 50)))
    cluster, named = local_cluster(), local_cluster()
    _maglev(cluster, 65_537)
    named.name, named.type = "named", Cluster.STRICT_DNS
    _name_endpoint(named.load_assignment)

    assert known_traps(listener) == known_traps(cluster) == known_traps(named) == ()
    assert envoy_objects(listener, cluster, named) is None


def test_a_whole_sidecar_falls_into_no_trap() -> None:
    for messages in sidecar().messages.values():
        for message in messages.values():
            assert known_traps(message) == ()


@pytest.mark.parametrize(
    ("kind", "lowest", "highest", "suites", "rules"),
    [
        (UpstreamTlsContext, "TLSv1_3", "TLS_AUTO", (), {"tls.versions"}),
        (DownstreamTlsContext, "TLSv1_3", "TLS_AUTO", (), set()),
        (UpstreamTlsContext, "TLSv1_3", "TLSv1_3", (), set()),
        (DownstreamTlsContext, "TLSv1_3", "TLSv1_2", (), {"tls.versions"}),
        (DownstreamTlsContext, "TLS_AUTO", "TLSv1_1", (), {"tls.versions"}),
        (DownstreamTlsContext, "TLSv1_0", "TLSv1_1", ("ECDHE-RSA-AES128-GCM-SHA256",), {"tls.ciphers"}),
        (DownstreamTlsContext, "TLSv1_0", "TLSv1_1", ("ECDHE-RSA-AES128-SHA",), set()),
    ],
)
def test_versions_of_tls_that_leave_no_handshake_are_reported(
    kind: Any, lowest: str, highest: str, suites: tuple[str, ...], rules: set[str]
) -> None:
    """Envoy takes them: a client of its own goes up to TLS 1.2, both sides begin there (asked of Envoy 1.40)."""
    context, versions = kind(), TlsParameters.TlsProtocol
    parameters = context.common_tls_context.tls_params
    parameters.tls_minimum_protocol_version = versions.Value(lowest)
    parameters.tls_maximum_protocol_version = versions.Value(highest)
    parameters.cipher_suites.extend(suites)
    assert {rule for _, rule in traps(context)} == rules


def test_a_retry_condition_that_envoy_would_ignore_is_reported() -> None:
    manager = plain_manager()
    first_route(manager).route.retry_policy.retry_on = "5xx, canceled"

    assert traps(listener_with(manager)) == {(f"{ROUTE}.route.retryPolicy.retryOn", "retry_condition")}


def test_endpoints_delivered_by_eds_are_addresses() -> None:
    assignment = load_assignment("backend")
    _name_endpoint(assignment)

    place = "endpoints[0].lbEndpoints[0].endpoint.address.socketAddress.address"
    assert traps(assignment) == {(place, "ip_address")}


def test_an_eds_cluster_says_where_its_endpoints_come_from() -> None:
    cluster = eds_cluster("backend")
    cluster.ClearField("eds_cluster_config")

    assert traps(cluster) == {("edsClusterConfig", "eds")}


def test_a_format_with_formatters_beside_it_may_hold_their_commands() -> None:
    assert list(format_problems("%REQ_WITHOUT_QUERY(x)%", extended=True)) == []
    assert [rule for rule, _ in format_problems("%REQ_WITHOUT_QUERY(x)%", extended=False)] == ["format.command"]


@needs_envoy
def test_envoy_knows_every_command_that_we_know() -> None:
    def objection(command: str) -> str | None:
        manager = plain_manager()
        _log(manager, f"%{command}%")
        return envoy_objects(listener_with(manager))

    def known(commands: list[str]) -> bool:
        manager = plain_manager()
        _log(manager, " ".join(f"%{command}%" for command in commands))
        return envoy_objects(listener_with(manager)) is None

    bare = sorted(command for command in COMMANDS if not list(format_problems(f"%{command}%", extended=False)))
    others = sorted(COMMANDS - set(bare) | {"CEL"})
    assert known([command for command in bare if command not in others])
    with ThreadPoolExecutor(2) as pool:
        objections = list(pool.map(objection, others))
    assert all(objections)
    assert not any("Not supported field" in (each or "") for each in objections)
