import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import envoy.config as envoy_config
import envoy.extensions as envoy_extensions
import pytest
from envoy.config.accesslog.v3.accesslog_pb2 import GrpcStatusFilter
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.common.matcher.v3.matcher_pb2 import Matcher
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, KeyValueAppend, Metadata
from envoy.config.core.v3.config_source_pb2 import ExtensionConfigSource, RateLimitSettings
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.health_check_pb2 import HealthCheck
from envoy.config.core.v3.protocol_pb2 import SchemeHeaderTransformation
from envoy.config.core.v3.udp_socket_config_pb2 import UdpSocketConfig
from envoy.config.listener.v3.listener_components_pb2 import FilterChainMatch
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.metrics.v3.stats_pb2 import HistogramBucketSettings
from envoy.config.rbac.v3.rbac_pb2 import Permission
from envoy.config.route.v3.route_components_pb2 import (
    RateLimit,
    RetryPolicy,
    Route,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.config.tap.v3.common_pb2 import HttpGenericBodyMatch
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.http.api_key_auth.v3.api_key_auth_pb2 import KeySource
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.client_side_weighted_round_robin_pb2 import (  # noqa: E501  # its name
    ClientSideWeightedRoundRobin,
)
from envoy.extensions.resource_monitors.downstream_connections.v3.downstream_connections_pb2 import (
    DownstreamConnectionsConfig,
)
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import (
    PreviousPrioritiesConfig,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute as RegexRewrite
from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from validate import validate_pb2

from compiler.envoy.packing import pack
from compiler.snapshot.constraints import Violation, check_constraints

from .sidecar import eds_cluster, local_cluster, sidecar
from .verdicts import envoy_objects, first_route, listener_with, needs_envoy, plain_manager

Spoil = Callable[[Any], object]


def rules_broken(message: Message) -> set[tuple[str, str]]:
    return {(each.path, each.rule) for each in check_constraints(message)}


def test_a_whole_sidecar_breaks_no_constraint() -> None:
    for messages in sidecar().messages.values():
        for message in messages.values():
            assert check_constraints(message) == ()


def test_every_violation_is_reported_with_its_path() -> None:
    host = VirtualHost(name="it", domains=["*"])
    host.routes.add().match.prefix = "/"
    host.routes.add().redirect.SetInParent()
    host.request_headers_to_add.add().header.value = "1"

    assert rules_broken(host) == {
        ("requestHeadersToAdd[0].header.key", "string.min_len"),
        ("routes[0].action", "oneof.required"),
        ("routes[1].match", "required"),
    }


def test_an_own_violation_blocks_the_answer_and_a_nested_one_only_its_resource() -> None:
    chain = TcpProxy(cluster="redis")
    listener = Listener(name="it")
    listener.address.socket_address.port_value = 99_999
    listener.address.socket_address.address = "127.0.0.1"
    listener.filter_chains.add().filters.add(name="tcp", typed_config=pack(chain))

    assert check_constraints(listener) == (
        Violation("address.socketAddress.portValue", "uint32.lte", "must be at most 65535", blocks_answer=True),
        Violation(
            "filterChains[0].filters[0].typedConfig.statPrefix",
            "string.min_len",
            "must be at least 1 characters long",
            blocks_answer=False,
        ),
    )


def test_the_config_of_an_extension_costs_that_extension_only() -> None:
    extension = TypedExtensionConfig(typed_config=pack(FileAccessLog()))

    grades = {each.path: each.blocks_answer for each in check_constraints(extension)}
    assert grades == {"name": True, "typedConfig.path": False}


def test_an_any_of_an_unknown_type_or_of_broken_bytes_is_a_violation() -> None:
    unknown = any_pb2.Any(type_url="type.googleapis.com/envoy.extensions.nowhere.v3.Nothing")
    broken = any_pb2.Any(type_url=f"type.googleapis.com/{TcpProxy.DESCRIPTOR.full_name}", value=b"\xff")
    listener = Listener(name="it")
    listener.filter_chains.add().filters.add(name="a", typed_config=unknown)
    listener.filter_chains.add().filters.add(name="b", typed_config=broken)

    assert rules_broken(listener) >= {
        ("filterChains[0].filters[0].typedConfig", "any.type"),
        ("filterChains[1].filters[0].typedConfig", "any.type"),
    }


# One row a kind of rule: the message, how to make it right, how to make it wrong, and the rule that then speaks.
KINDS: dict[str, tuple[type[Message], Spoil, Spoil, tuple[str, str]]] = {
    "any.required": (
        Permission,
        lambda m: m.matcher.CopyFrom(TypedExtensionConfig(name="it", typed_config=pack(TcpProxy()))),
        lambda m: m.matcher.CopyFrom(TypedExtensionConfig(name="it")),
        ("matcher.typedConfig", "required"),
    ),
    "bool.const": (
        Permission,
        lambda m: _set(m, any=True),
        lambda m: _set(m, any=False),
        ("any", "bool.const"),
    ),
    "bytes.min_len": (
        HttpGenericBodyMatch.GenericTextMatch,
        lambda m: _set(m, binary_match=b"1"),
        lambda m: _set(m, binary_match=b""),
        ("binaryMatch", "bytes.min_len"),
    ),
    "bytes.max_len": (
        HeaderValue,
        lambda m: _set(m, key="a", raw_value=b"1"),
        lambda m: _set(m, key="a", raw_value=b"1" * 16_385),
        ("rawValue", "bytes.max_len"),
    ),
    "double.gt": (
        RateLimitSettings,
        lambda m: _set(m.fill_rate, value=0.1),
        lambda m: _set(m.fill_rate, value=0.0),
        ("fillRate", "double.gt"),
    ),
    "double.lte": (
        Cluster.PreconnectPolicy,
        lambda m: _set(m.per_upstream_preconnect_ratio, value=3.0),
        lambda m: _set(m.per_upstream_preconnect_ratio, value=3.5),
        ("perUpstreamPreconnectRatio", "double.lte"),
    ),
    "float.gte": (
        ClientSideWeightedRoundRobin,
        lambda m: _set(m.error_utilization_penalty, value=0.0),
        lambda m: _set(m.error_utilization_penalty, value=-0.5),
        ("errorUtilizationPenalty", "float.gte"),
    ),
    "int32.gt": (
        PreviousPrioritiesConfig,
        lambda m: _set(m, update_frequency=1),
        lambda m: _set(m, update_frequency=0),
        ("updateFrequency", "int32.gt"),
    ),
    "int64.gt": (
        DownstreamConnectionsConfig,
        lambda m: _set(m, max_active_downstream_connections=1),
        lambda m: _set(m, max_active_downstream_connections=-1),
        ("maxActiveDownstreamConnections", "int64.gt"),
    ),
    "string.ignore_empty": (
        RegexRewrite,
        lambda m: (_set(m.pattern, regex="a"), _set(m, substitution="")),
        lambda m: (_set(m.pattern, regex="a"), _set(m, substitution="a\r\n")),
        ("substitution", "string.well_known_regex"),
    ),
    "string.max_bytes": (
        UpstreamTlsContext,
        lambda m: _set(m, sni="é" * 127),
        lambda m: _set(m, sni="é" * 128),
        ("sni", "string.max_bytes"),
    ),
    "string.max_len": (
        KeySource,
        lambda m: _set(m, header="é" * 1024),
        lambda m: _set(m, header="é" * 1025),
        ("header", "string.max_len"),
    ),
    "duration.gt": (
        RetryPolicy.RetryBackOff,
        lambda m: _set(m.base_interval, seconds=1),
        lambda m: _set(m.base_interval, seconds=0),
        ("baseInterval", "duration.gt"),
    ),
    "duration.required": (
        RetryPolicy.RetryBackOff,
        lambda m: _set(m.base_interval, seconds=1),
        lambda m: _set(m.max_interval, seconds=1),
        ("baseInterval", "required"),
    ),
    "enum.defined_only": (
        Cluster,
        lambda m: _set(m, name="it", lb_policy=1),
        lambda m: _set(m, name="it", lb_policy=99),
        ("lbPolicy", "enum.defined_only"),
    ),
    "enum.not_in": (
        HealthCheck.HttpHealthCheck,
        lambda m: _set(m, path="/", method=1),
        lambda m: _set(m, path="/", method=6),
        ("method", "enum.not_in"),
    ),
    "map.keys": (
        Metadata,
        lambda m: m.filter_metadata["a"].update({"b": 1}),
        lambda m: m.filter_metadata[""].update({"b": 1}),
        ('filterMetadata[""]', "string.min_len"),
    ),
    "map.min_pairs": (
        Matcher.MatcherTree.MatchMap,
        lambda m: m.map["a"].action.CopyFrom(TypedExtensionConfig(name="it", typed_config=pack(TcpProxy()))),
        lambda m: m.Clear(),
        ("map", "map.min_pairs"),
    ),
    "message.required": (
        ExtensionConfigSource,
        lambda m: (m.config_source.ads.SetInParent(), m.type_urls.append("a/b")),
        lambda m: m.type_urls.append("a/b"),
        ("configSource", "required"),
    ),
    "oneof.required": (
        RouteMatch,
        lambda m: _set(m, prefix="/"),
        lambda m: m.case_sensitive.SetInParent(),
        ("path_specifier", "oneof.required"),
    ),
    "repeated.min_items": (
        VirtualHost,
        lambda m: (_set(m, name="it"), m.domains.append("*")),
        lambda m: _set(m, name="it"),
        ("domains", "repeated.min_items"),
    ),
    "repeated.max_items": (
        RouteConfiguration,
        lambda m: m.response_headers_to_add.extend([HeaderValueOption(header=HeaderValue(key="a"))] * 1000),
        lambda m: m.response_headers_to_add.extend([HeaderValueOption(header=HeaderValue(key="a"))] * 1001),
        ("responseHeadersToAdd", "repeated.max_items"),
    ),
    "repeated.items.uint32": (
        FilterChainMatch,
        lambda m: m.source_ports.extend((1, 65_535)),
        lambda m: m.source_ports.extend((1, 65_536)),
        ("sourcePorts[1]", "uint32.lte"),
    ),
    "repeated.items.enum": (
        GrpcStatusFilter,
        lambda m: m.statuses.append(16),
        lambda m: m.statuses.append(17),
        ("statuses[0]", "enum.defined_only"),
    ),
    "repeated.items": (
        VirtualHost,
        lambda m: (_set(m, name="it"), m.domains.append("*")),
        lambda m: (_set(m, name="it"), m.domains.extend(("ok", "a\n"))),
        ("domains[1]", "string.well_known_regex"),
    ),
    "repeated.unique": (
        HistogramBucketSettings,
        lambda m: (m.match.MergeFrom(type(m.match)(prefix="a")), m.buckets.extend((1, 2))),
        lambda m: (m.match.MergeFrom(type(m.match)(prefix="a")), m.buckets.extend((1, 1))),
        ("buckets", "repeated.unique"),
    ),
    "string.in": (
        SchemeHeaderTransformation,
        lambda m: _set(m, scheme_to_overwrite="https"),
        lambda m: _set(m, scheme_to_overwrite="ftp"),
        ("schemeToOverwrite", "string.in"),
    ),
    "string.pattern": (
        RouteMatch,
        lambda m: _set(m, path_separated_prefix="/api"),
        lambda m: _set(m, path_separated_prefix="/api/"),
        ("pathSeparatedPrefix", "string.pattern"),
    ),
    "string.prefix": (
        RateLimit.HitsAddend,
        lambda m: _set(m, format="%BYTES_RECEIVED%"),
        lambda m: _set(m, format="BYTES_RECEIVED%"),
        ("format", "string.prefix"),
    ),
    "string.suffix": (
        RateLimit.HitsAddend,
        lambda m: _set(m, format="%BYTES_RECEIVED%"),
        lambda m: _set(m, format="%BYTES_RECEIVED"),
        ("format", "string.suffix"),
    ),
    "string.well_known_regex": (
        HeaderValue,
        lambda m: _set(m, key="x-a", value="plain"),
        lambda m: _set(m, key="x-a\r\n", value="plain"),
        ("key", "string.well_known_regex"),
    ),
    "uint32.gte": (
        Cluster.LeastRequestLbConfig,
        lambda m: _set(m.choice_count, value=2),
        lambda m: _set(m.choice_count, value=1),
        ("choiceCount", "uint32.gte"),
    ),
    "uint32.gt": (
        TcpProxy.WeightedCluster.ClusterWeight,
        lambda m: _set(m, name="a", weight=1),
        lambda m: _set(m, name="a", weight=0),
        ("weight", "uint32.gte"),
    ),
    "uint64.gt": (
        UdpSocketConfig,
        lambda m: _set(m.max_rx_datagram_size, value=65_535),
        lambda m: _set(m.max_rx_datagram_size, value=0),
        ("maxRxDatagramSize", "uint64.gt"),
    ),
    "uint32.lt": (
        Route,
        lambda m: (_set(m.match, prefix="/"), _set(m.direct_response, status=503)),
        lambda m: (_set(m.match, prefix="/"), _set(m.direct_response, status=600)),
        ("directResponse.status", "uint32.lt"),
    ),
    "uint64.lte": (
        Cluster.RingHashLbConfig,
        lambda m: _set(m.minimum_ring_size, value=1024),
        lambda m: _set(m.minimum_ring_size, value=8_388_609),
        ("minimumRingSize", "uint64.lte"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_of_this_kind_accepts_the_right_and_reports_the_wrong(kind: str) -> None:
    message_class, right, wrong, broken = KINDS[kind]
    good, bad = message_class(), message_class()
    right(good)
    wrong(bad)

    assert broken not in rules_broken(good)
    assert broken in rules_broken(bad)


def test_an_arm_of_a_oneof_that_is_not_set_demands_nothing() -> None:
    match = RouteMatch(prefix="/")
    assert check_constraints(match) == ()

    match.safe_regex.SetInParent()
    assert rules_broken(match) == {("safeRegex.regex", "string.min_len")}


def test_a_wrapper_that_is_not_set_breaks_nothing_and_one_of_zero_does() -> None:
    cluster = local_cluster()
    assert check_constraints(cluster) == ()

    cluster.per_connection_buffer_limit_bytes.value = 0
    cluster.least_request_lb_config.choice_count.value = 0
    assert rules_broken(cluster) == {("leastRequestLbConfig.choiceCount", "uint32.gte")}


def test_what_a_constraint_says_to_skip_is_not_looked_into() -> None:
    skipped = KeyValueAppend()
    skipped.entry.SetInParent()

    assert check_constraints(skipped.entry) != ()
    assert check_constraints(skipped) == ()


def test_every_constraint_of_every_message_type_can_be_read() -> None:
    """A new release of xds-protos that brings a new kind of rule fails here, not in front of a user."""
    seen = 0
    for descriptor in _all_types():
        check_constraints(GetMessageClass(descriptor)())
        for field in descriptor.fields:
            options: Any = field.GetOptions()
            rules = options.Extensions[validate_pb2.rules]
            seen += bool(rules.ListFields())
            if rules.WhichOneof("type") in ("any", "timestamp"):
                assert [setting.name for setting, _ in rules.any.ListFields()] == ["required"]
            if rules.WhichOneof("type") == "duration":
                assert {setting.name for setting, _ in rules.duration.ListFields()} <= _DURATION_SETTINGS
    assert seen > 900


_DURATION_SETTINGS = {"required", "gt", "gte", "lt", "lte"}


def _all_types() -> Iterator[Descriptor]:
    for package in (envoy_config, envoy_extensions):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".v3." in module.name and module.name.endswith("_pb2"):
                file = importlib.import_module(module.name).DESCRIPTOR
                yield from _with_nested(file.message_types_by_name.values())


def _with_nested(descriptors: Any) -> Iterator[Descriptor]:
    for descriptor in descriptors:
        if not descriptor.GetOptions().map_entry:
            yield descriptor
            yield from _with_nested(descriptor.nested_types)


def _set(message: Any, **fields: object) -> Any:
    message.SetInParent()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def _header(manager: HttpConnectionManager) -> HeaderValue:
    return first_route(manager).request_headers_to_add.add().header


BAD_CLUSTERS: dict[str, Spoil] = {
    "a connect timeout of zero": lambda m: m.connect_timeout.Clear(),
    "too large a percentage": lambda m: _set(m.outlier_detection.max_ejection_percent, value=101),
    "one choice": lambda m: _set(m.least_request_lb_config.choice_count, value=1),
    "an undefined policy": lambda m: _set(m, lb_policy=99),
    "a health check without timeout": lambda m: m.health_checks.add().interval.FromSeconds(1),
    "an impossible port": lambda m: _set(_lb_endpoint(m).endpoint.address.socket_address, port_value=70_000),
    "an endpoint of weight zero": lambda m: _set(_lb_endpoint(m).load_balancing_weight, value=0),
    "too large a maglev table": lambda m: _set(m.maglev_lb_config.table_size, value=5_000_012),
    "overprovisioning of zero": lambda m: _set(m.load_assignment.policy.overprovisioning_factor, value=0),
    "no name": lambda m: m.ClearField("name"),
}
BAD_MANAGERS: dict[str, Spoil] = {
    "no stat prefix": lambda m: m.ClearField("stat_prefix"),
    "no route source": lambda m: (m.ClearField("rds"), m.ClearField("route_config")),
    "a route without path": lambda m: first_route(m).match.ClearField("prefix"),
    "a route without action": lambda m: first_route(m).ClearField("route"),
    "a prefix with a query": lambda m: _set(first_route(m).match, path_separated_prefix="/a?"),
    "no domain": lambda m: m.route_config.virtual_hosts[0].ClearField("domains"),
    "a header without name": lambda m: _set(_header(m), value="1"),
    "a retry back-off without base": lambda m: _set(_back_off(m).max_interval, seconds=1),
    "a status of 600": lambda m: _set(first_route(m).direct_response, status=600),
    "an empty retry priority": lambda m: first_route(m).route.retry_policy.retry_priority.SetInParent(),
    "a refused deprecated action": lambda m: _deprecated_action(first_route(m).route.rate_limits.add()),
}


def _lb_endpoint(cluster: Cluster) -> Any:
    return cluster.load_assignment.endpoints[0].lb_endpoints[0]


def _back_off(manager: HttpConnectionManager) -> Any:
    return first_route(manager).route.retry_policy.retry_back_off


def _deprecated_action(limit: RateLimit) -> None:
    action = limit.actions.add().dynamic_metadata
    action.descriptor_key = action.metadata_key.key = "it"
    action.metadata_key.path.add().key = "it"


@needs_envoy
@pytest.mark.parametrize("fault", BAD_CLUSTERS)
def test_envoy_and_we_give_one_verdict_on_a_cluster_with(fault: str) -> None:
    cluster = local_cluster()
    BAD_CLUSTERS[fault](cluster)

    found = check_constraints(cluster)

    assert found
    assert all(each.blocks_answer for each in found)
    assert envoy_objects(cluster) is not None


@needs_envoy
@pytest.mark.parametrize("fault", BAD_MANAGERS)
def test_envoy_and_we_give_one_verdict_on_an_http_listener_with(fault: str) -> None:
    manager = plain_manager()
    BAD_MANAGERS[fault](manager)
    listener = listener_with(manager)
    found = check_constraints(listener)

    assert found
    assert not any(each.blocks_answer for each in found)
    assert envoy_objects(listener) is not None


@needs_envoy
def test_envoy_accepts_what_breaks_no_constraint() -> None:
    listener, cluster = listener_with(plain_manager()), local_cluster()

    assert check_constraints(listener) == check_constraints(cluster) == check_constraints(eds_cluster("it")) == ()
    assert envoy_objects(listener, cluster) is None
