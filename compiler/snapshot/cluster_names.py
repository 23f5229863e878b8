"""Where Envoy's messages name a cluster: one table for checking the names and for changing them."""

from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from compiler.envoy.packing import rewrite

_ROUTE = "envoy.config.route.v3"
_TCP = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

CLUSTER_FIELDS: dict[str, tuple[str, ...]] = {
    f"{_ROUTE}.RouteAction": ("cluster",),
    f"{_ROUTE}.RouteAction.RequestMirrorPolicy": ("cluster",),
    f"{_ROUTE}.WeightedCluster.ClusterWeight": ("name",),
    _TCP: ("cluster",),
    f"{_TCP}.WeightedCluster.ClusterWeight": ("name",),
    "envoy.config.core.v3.GrpcService.EnvoyGrpc": ("cluster_name",),
    "envoy.config.core.v3.HttpUri": ("cluster",),
    "envoy.config.core.v3.ApiConfigSource": ("cluster_names",),
    "envoy.config.trace.v3.ZipkinConfig": ("collector_cluster",),
    "envoy.config.trace.v3.DatadogConfig": ("collector_cluster",),
    "envoy.extensions.clusters.aggregate.v3.ClusterConfig": ("clusters",),
}


def cluster_names(message: Message) -> Iterator[str]:
    """The clusters that this message, not one inside it, names."""
    for name in CLUSTER_FIELDS.get(message.DESCRIPTOR.full_name, ()):
        value = getattr(message, name)
        if value:
            yield from (value,) if isinstance(value, str) else value


def rename_clusters(message: Message, renamed: Callable[[str], str]) -> None:
    """Changes every mention inside, through nested Anys; a cluster's own name is the caller's."""
    rewrite(message, lambda found: _rename(found, renamed))


def _rename(message: Any, renamed: Callable[[str], str]) -> None:
    for name in CLUSTER_FIELDS.get(message.DESCRIPTOR.full_name, ()):
        value = getattr(message, name)
        if isinstance(value, str):
            if value:
                setattr(message, name, renamed(value))
        else:
            value[:] = [renamed(each) for each in value]
