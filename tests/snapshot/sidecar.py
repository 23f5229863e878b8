"""A sidecar as the compiler makes them: mTLS inbound with ECDS and RDS, an HTTP and a TCP outbound, EDS clusters."""

from datetime import timedelta

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ConfigSource, ExtensionConfigSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
    UpstreamTlsContext,
)
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.message import Message

from compiler.envoy.packing import pack
from compiler.envoy.resources import EnvoyResources, ResourceType

IDENTITY, AUTHORITY = "self_identity", "self_ca"
INBOUND, HTTP_OUTBOUND, TCP_OUTBOUND = "self_inbound_8080", "backend_80", "redis_6379"
PERMISSIONS, TCP_ROUTE = "self_permissions_8080", "redis_route"
ADS = ConfigSource(ads=AggregatedConfigSource(), resource_api_version="V3")
RBAC_FILTER, ROUTER_FILTER = "envoy.filters.http.rbac", "envoy.filters.http.router"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def sidecar() -> EnvoyResources:
    """Fresh messages at every call, so that a test may spoil them."""
    messages: dict[ResourceType, dict[str, Message]] = {
        ResourceType.LISTENER: {
            INBOUND: inbound_listener(),
            HTTP_OUTBOUND: http_outbound_listener(),
            TCP_OUTBOUND: tcp_outbound_listener(),
        },
        ResourceType.ROUTE: {INBOUND: inbound_route(), HTTP_OUTBOUND: outbound_route()},
        ResourceType.EXTENSION: {PERMISSIONS: permissions(), TCP_ROUTE: tcp_route()},
        ResourceType.CLUSTER: {
            "local_8080": local_cluster(),
            "backend_v1": eds_cluster("backend_v1"),
            "backend_v2": eds_cluster("backend_v2"),
            "redis": eds_cluster("redis"),
        },
        ResourceType.ENDPOINT: {name: load_assignment(name) for name in ("backend_v1", "backend_v2", "redis")},
    }
    return EnvoyResources(messages, (AUTHORITY, IDENTITY))


def inbound_listener() -> Listener:
    manager = http_manager(INBOUND)
    manager.http_filters.insert(0, discovered_filter())
    chain = FilterChain(name="mtls", filters=[network_filter("envoy.filters.network.http_connection_manager", manager)])
    chain.filter_chain_match.transport_protocol = "tls"
    chain.transport_socket.name = "envoy.transport_sockets.tls"
    context = DownstreamTlsContext(common_tls_context=tls_context())
    context.require_client_certificate.value = True
    chain.transport_socket.typed_config.CopyFrom(pack(context))
    listener = Listener(name=INBOUND, filter_chains=[chain], traffic_direction="INBOUND")
    set_address(listener, "192.168.0.1", 8080)
    inspector = listener.listener_filters.add(name="envoy.filters.listener.tls_inspector")
    inspector.typed_config.CopyFrom(pack(TlsInspector()))
    return listener


def http_outbound_listener() -> Listener:
    manager = network_filter("envoy.filters.network.http_connection_manager", http_manager(HTTP_OUTBOUND))
    listener = Listener(name=HTTP_OUTBOUND, filter_chains=[FilterChain(name="http", filters=[manager])])
    set_address(listener, "241.0.0.1", 80)
    return listener


def tcp_outbound_listener() -> Listener:
    slot = Filter(name="envoy.filters.network.tcp_proxy")
    slot.config_discovery.CopyFrom(discovered(TcpProxy))
    listener = Listener(name=TCP_OUTBOUND, filter_chains=[FilterChain(name="tcp", filters=[slot])])
    slot = listener.filter_chains[0].filters[0]
    slot.config_discovery.ClearField("default_config")
    slot.config_discovery.apply_default_config_without_warming = False
    slot.name = TCP_ROUTE
    set_address(listener, "241.0.0.2", 6379)
    return listener


def set_address(listener: Listener, address: str, port: int) -> None:
    listener.address.socket_address.address = address
    listener.address.socket_address.port_value = port


def network_filter(name: str, config: Message) -> Filter:
    return Filter(name=name, typed_config=pack(config))


def http_manager(route: str) -> HttpConnectionManager:
    manager = HttpConnectionManager(stat_prefix=route, codec_type="AUTO")
    manager.rds.route_config_name = route
    manager.rds.config_source.CopyFrom(ADS)
    manager.http_filters.append(HttpFilter(name="envoy.filters.http.fault", typed_config=pack(HTTPFault())))
    manager.http_filters.append(HttpFilter(name=ROUTER_FILTER, typed_config=pack(Router())))
    manager.use_remote_address.value = False
    log = FileAccessLog(path="/dev/stdout")
    log.log_format.text_format_source.inline_string = "[%START_TIME%] %REQ(:METHOD)% %RESPONSE_CODE%\n"
    manager.access_log.append(AccessLog(name="envoy.access_loggers.file", typed_config=pack(log)))
    return manager


def discovered(kind: type[Message]) -> ExtensionConfigSource:
    """A slot that denies until its configuration has come."""
    source = ExtensionConfigSource(config_source=ADS, apply_default_config_without_warming=True)
    source.type_urls.append(f"type.googleapis.com/{kind.DESCRIPTOR.full_name}")
    source.default_config.CopyFrom(pack(kind()))
    return source


def discovered_filter() -> HttpFilter:
    slot = HttpFilter(name=PERMISSIONS, config_discovery=discovered(RBAC))
    slot.config_discovery.default_config.CopyFrom(pack(RBAC(rules=rbac_pb2.RBAC(action="ALLOW"))))
    return slot


def permissions() -> TypedExtensionConfig:
    principal = rbac_pb2.Principal()
    principal.authenticated.principal_name.exact = "spiffe://default/frontend"
    policy = rbac_pb2.Policy(permissions=[rbac_pb2.Permission(any=True)], principals=[principal])
    rules = rbac_pb2.RBAC(action="ALLOW", policies={"frontend": policy, "another": policy})
    return TypedExtensionConfig(name=PERMISSIONS, typed_config=pack(RBAC(rules=rules)))


def tcp_route() -> TypedExtensionConfig:
    return TypedExtensionConfig(name=TCP_ROUTE, typed_config=pack(TcpProxy(stat_prefix="redis", cluster="redis")))


def tls_context() -> CommonTlsContext:
    context = CommonTlsContext()
    context.tls_certificate_sds_secret_configs.append(SdsSecretConfig(name=IDENTITY, sds_config=ADS))
    combined = context.combined_validation_context
    combined.validation_context_sds_secret_config.CopyFrom(SdsSecretConfig(name=AUTHORITY, sds_config=ADS))
    name = combined.default_validation_context.match_typed_subject_alt_names.add(san_type="URI")
    name.matcher.prefix = "spiffe://default/"
    return context


def inbound_route() -> RouteConfiguration:
    configuration = RouteConfiguration(name=INBOUND)
    host = configuration.virtual_hosts.add(name="self", domains=["*"])
    route = host.routes.add()
    route.match.prefix = "/"
    route.route.cluster = "local_8080"
    route.typed_per_filter_config[PERMISSIONS].CopyFrom(pack(RBACPerRoute()))
    return configuration


def outbound_route() -> RouteConfiguration:
    configuration = RouteConfiguration(name=HTTP_OUTBOUND)
    configuration.validate_clusters.value = False
    host = configuration.virtual_hosts.add(name="backend", domains=["*"])
    route = host.routes.add(name="all")
    route.match.path_separated_prefix = "/api"
    for name, weight in (("backend_v1", 90), ("backend_v2", 10)):
        route.route.weighted_clusters.clusters.add(name=name).weight.value = weight
    route.route.timeout.FromTimedelta(timedelta(seconds=15))
    route.route.retry_policy.retry_on = "5xx,reset,cancelled"
    route.route.retry_policy.retry_back_off.base_interval.FromTimedelta(timedelta(milliseconds=25))
    return configuration


def local_cluster() -> Cluster:
    cluster = Cluster(name="local_8080", type="STATIC")
    cluster.connect_timeout.FromTimedelta(timedelta(seconds=5))
    cluster.load_assignment.CopyFrom(load_assignment("local_8080", "127.0.0.1"))
    return cluster


def eds_cluster(name: str) -> Cluster:
    cluster = Cluster(name=name, type="EDS")
    cluster.connect_timeout.FromTimedelta(timedelta(seconds=5))
    cluster.eds_cluster_config.eds_config.CopyFrom(ADS)
    cluster.outlier_detection.consecutive_5xx.value = 5
    cluster.circuit_breakers.thresholds.add().max_connections.value = 1024
    options = HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.SetInParent()
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    cluster.transport_socket.name = "envoy.transport_sockets.tls"
    context = UpstreamTlsContext(common_tls_context=tls_context(), sni=f"{name}.mesh")
    cluster.transport_socket.typed_config.CopyFrom(pack(context))
    cluster.metadata.filter_metadata["io.kuma.tags"].update({"version": "v1", "kuma.io/service": name, "weight": 3})
    return cluster


def load_assignment(name: str, address: str = "192.168.0.9") -> ClusterLoadAssignment:
    assignment = ClusterLoadAssignment(cluster_name=name)
    endpoint = assignment.endpoints.add().lb_endpoints.add()
    endpoint.endpoint.address.socket_address.address = address
    endpoint.endpoint.address.socket_address.port_value = 8080
    endpoint.metadata.filter_metadata["envoy.lb"].update({"zone": "east", "app": "backend", "version": "v1"})
    endpoint.load_balancing_weight.value = 1
    return assignment
