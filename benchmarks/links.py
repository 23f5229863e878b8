"""What a client must ask for by name once it holds a resource, read as Envoy reads it: only where such names stand."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext

from compiler.envoy.resources import ResourceType

Name = tuple[str, str]
"""A type URL and a resource's name."""

_ENDPOINT: Final = ResourceType.ENDPOINT.type_url
_ROUTE: Final = ResourceType.ROUTE.type_url
_EXTENSION: Final = ResourceType.EXTENSION.type_url
_SECRET: Final = ResourceType.SECRET.type_url
_TLS: Final[Mapping[str, type[Any]]] = {
    f"type.googleapis.com/{kind.DESCRIPTOR.full_name}": kind for kind in (DownstreamTlsContext, UpstreamTlsContext)
}
_HTTP: Final = f"type.googleapis.com/{HttpConnectionManager.DESCRIPTOR.full_name}"


def find_links(type_url: str, body: bytes) -> frozenset[Name]:
    """Clusters and listeners alone name what is asked for by name."""
    find = _FINDERS.get(type_url)
    return frozenset(find(body)) if find is not None else frozenset()


def _search_cluster(body: bytes) -> Iterator[Name]:
    cluster = Cluster.FromString(body)
    if cluster.type == Cluster.EDS:
        yield _ENDPOINT, cluster.eds_cluster_config.service_name or cluster.name
    yield from _search_socket(cluster.transport_socket)
    for match in cluster.transport_socket_matches:
        yield from _search_socket(match.transport_socket)


def _search_listener(body: bytes) -> Iterator[Name]:
    listener = Listener.FromString(body)
    yield from _search_filters(listener.listener_filters)
    for chain in (*listener.filter_chains, listener.default_filter_chain):
        yield from _search_socket(chain.transport_socket)
        yield from _search_filters(chain.filters)


def _search_filters(filters: Any) -> Iterator[Name]:
    for each in filters:
        if each.HasField("config_discovery"):
            yield _EXTENSION, each.name
        elif each.typed_config.type_url == _HTTP:
            http = HttpConnectionManager.FromString(each.typed_config.value)
            if http.HasField("rds"):
                yield _ROUTE, http.rds.route_config_name
            yield from _search_filters(http.http_filters)


def _search_socket(socket: Any) -> Iterator[Name]:
    tls = _TLS.get(socket.typed_config.type_url)
    if tls is None:
        return
    common = tls.FromString(socket.typed_config.value).common_tls_context
    for certificate in common.tls_certificate_sds_secret_configs:
        yield _SECRET, certificate.name
    for trust in (
        common.validation_context_sds_secret_config,
        common.combined_validation_context.validation_context_sds_secret_config,
    ):
        if trust.name:
            yield _SECRET, trust.name


_FINDERS: Final[Mapping[str, Callable[[bytes], Iterator[Name]]]] = {
    ResourceType.CLUSTER.type_url: _search_cluster,
    ResourceType.LISTENER.type_url: _search_listener,
}
