"""The resources that MeshMetric asks for, what is wrong in one, and which targets it takes."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.message import Message

from compiler.envoy.common import socket_address
from compiler.envoy.http_filters import network_permission
from compiler.envoy.listeners import tcp_filter
from compiler.envoy.names import NETWORK_RBAC_FILTER
from compiler.envoy.outside import beside_cluster, collector_cluster, outside_cluster
from compiler.envoy.packing import pack
from compiler.envoy.policy import Hooks, Policy
from compiler.envoy.resources import ResourceType
from compiler.envoy.secrets import downstream_socket
from compiler.envoy.told import longest, requests_filter, socket_listener, told_routes
from compiler.mesh.calls import Admission
from compiler.mesh.collectors import Collector, collector_references, resolve_collectors
from compiler.mesh.holes import has_hole
from compiler.mesh.policy import FindResource, Need, Offer, PolicyKind
from compiler.mesh.proxy import Placed
from compiler.mesh.shape import version_of
from compiler.policies.mesh_metric.checks import check, mutual_places
from compiler.policies.mesh_metric.conf import BY_PROXY, MUTUAL, PROVIDED, Application, Metric, Prometheus
from compiler.policies.mesh_metric.declared import own_mode, specialise, without_declared
from compiler.policies.mesh_metric.document import (
    application_path,
    otel_socket,
    render_document,
    tls_socket,
)
from compiler.resources.model import Conf
from compiler.resources.target_ref import TargetMatrix

_PREFIX: Final = "system_meshmetric"
_CONFIG: Final = f"{_PREFIX}_config"
_AGGREGATOR: Final = f"{_PREFIX}_aggregator"
_CONFIG_SOCKET: Final = "meshmetric.sock"
_METRICS_SOCKET: Final = "metrics.sock"
_DOCUMENT: Final = "/meshmetric"
_SERVICE: Final = "dataplane-metrics"
_LOCAL: Final = "127.0.0.1"
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  # a proxy whose address no commit knows listens on all of its own
_LOOP_BREAKER: Final = {4: "127.0.0.6", 6: "::6"}

Built = Iterator[tuple[ResourceType, Message]]


def add_collecting(conf: Metric, owner: Placed | None) -> Built:
    if owner is None:
        return
    conf = conf.offered(certified=owner.admission is not None)
    if not any(backend.prometheus or backend.collector for backend in conf.backends):
        return
    yield ResourceType.LISTENER, _config_listener(conf, owner)
    for number, application in enumerate(conf.applications):
        yield ResourceType.CLUSTER, _application_cluster(number, application, owner)
    if any(backend.prometheus is not None for backend in conf.backends):
        yield ResourceType.CLUSTER, beside_cluster(_AGGREGATOR, _METRICS_SOCKET)
    for backend in conf.backends:
        if backend.prometheus is not None:
            yield from _scraped(backend.prometheus, tls_socket(backend), owner)
        if backend.collector is not None:
            yield from _pushed(backend.collector, otel_socket(backend))


# --- What runs beside Envoy asks -------------------------------------------------------------------------------------


def _config_listener(conf: Metric, owner: Placed) -> Listener:
    """On a socket of the proxy's own: what is to be done, and the way to the applications."""
    document = render_document(conf, owner)
    host = VirtualHost(name=_CONFIG, domains=["*"])
    host.routes.extend(told_routes(_CONFIG, _DOCUMENT, document))
    for number, application in enumerate(conf.applications):
        route = host.routes.add(name=f"{_CONFIG}_application_{number}")
        route.match.path = application_path(number)
        route.route.cluster = _application_name(number)
        route.route.regex_rewrite.pattern.regex = ".*"
        route.route.regex_rewrite.substitution = application.path.replace("\\", "\\\\")
    connections = _to(_CONFIG, host)
    connections.route_config.max_direct_response_body_size_bytes.value = longest(document)
    return socket_listener(_CONFIG, _CONFIG_SOCKET, connections)


def _application_name(number: int) -> str:
    return f"{_PREFIX}_application_{number}"


def _application_cluster(number: int, application: Application, owner: Placed) -> Cluster:
    """The kernel would redirect a call of the workload's own address back to the proxy, but for one source."""
    address = application.address or (_LOCAL if owner.address in ("", _EVERYWHERE) else owner.address)
    cluster = outside_cluster(_application_name(number), address, application.port)
    version = version_of(address) if address == owner.address else 0
    if owner.redirected and version:
        cluster.upstream_bind_config.source_address.address = _LOOP_BREAKER[version]
        cluster.upstream_bind_config.source_address.port_value = 0
    return cluster


# --- Who collects -------------------------------------------------------------------------------------------------


def _scraped(conf: Prometheus, socket: str, owner: Placed) -> Built:
    """With a certificate of its own the connection is handed on as it is: who ends it has that, or does not listen."""
    name = f"{_PREFIX}_prometheus_{conf.name}"
    listener = Listener(name=name, stat_prefix=name, traffic_direction=TrafficDirection.INBOUND)
    listener.address.CopyFrom(socket_address(_listening(owner), conf.port))
    listener.enable_reuse_port.value = False
    if conf.tls.mode == PROVIDED:
        yield ResourceType.CLUSTER, beside_cluster(name, socket)
        listener.filter_chains.add(filters=[tcp_filter(name, name)])
    else:
        host = VirtualHost(name=name, domains=["*"])
        route = host.routes.add(name=name)
        route.match.prefix = conf.path
        route.route.cluster = _AGGREGATOR
        route.route.prefix_rewrite = _DOCUMENT
        chain = listener.filter_chains.add(filters=[requests_filter(name, _to(name, host))])
        if conf.tls.mode == MUTUAL and owner.admission is not None:
            _guard(name, chain, owner.admission)
    yield ResourceType.LISTENER, listener


def _guard(name: str, chain: FilterChain, admission: Admission) -> None:
    """As an inbound that does not see requests is guarded: a permission of some requests alone admits nobody."""
    judge = Filter(name=NETWORK_RBAC_FILTER, typed_config=pack(network_permission(name, admission.permission)))
    chain.filters.insert(0, judge)
    chain.transport_socket.CopyFrom(downstream_socket(admission.tls))


def _listening(owner: Placed) -> str:
    if has_hole(owner.address):
        return owner.address
    try:
        return str(ipaddress.ip_address(owner.address))
    except ValueError:
        return _EVERYWHERE


def _pushed(collector: Collector, socket: str) -> Built:
    name = f"{_PREFIX}_otel_{collector.name}"
    yield ResourceType.CLUSTER, collector_cluster(name, collector)
    host = VirtualHost(name=name, domains=["*"])
    route = host.routes.add(name=name)
    route.match.prefix = "/"
    route.route.cluster = name
    yield ResourceType.LISTENER, socket_listener(name, socket, _to(name, host))


def _to(name: str, host: VirtualHost) -> HttpConnectionManager:
    connections = HttpConnectionManager()
    connections.route_config.name = name
    connections.route_config.virtual_hosts.append(host)
    return connections


def resolve(conf: Conf, find: FindResource) -> Conf:
    return resolve_collectors(without_declared(conf), find)


def _is_collected(conf: Metric) -> bool | None:
    """What the Mesh declares comes with a backend of its own."""
    return bool(conf.backends) or conf.declared is not None if conf.applications else None


POLICY: Final = Policy(
    PolicyKind(
        type="MeshMetric",
        conf=Metric,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            system_only=frozenset({"MeshGateway"}),
        ),
        whole=True,
        beside=True,
        names_owner=True,
        check=check,
        needs=(
            Need(
                ("applications",),
                _is_collected,
                "no policy that holds here says who collects metrics: nobody asks the applications",
                "add backends",
            ),
        ),
        resolve=resolve,
        specialise=specialise,
        offer=Offer(
            service=_SERVICE,
            ports=lambda conf: conf.offered(certified=True).mutual_ports,
            asks=lambda conf: not conf.modes.isdisjoint((BY_PROXY, MUTUAL)),
            needs=lambda conf: MUTUAL in conf.modes,
            written=mutual_places,
            own=own_mode,
        ),
        references=collector_references,
    ),
    Hooks(resources=add_collecting),
)
