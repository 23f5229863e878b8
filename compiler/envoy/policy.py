"""What a policy does to Envoy's messages: hooks that fill in a message that nobody else has seen yet.

A hook gets its conf and one message; it writes its own fields and nothing else. Hooks of different policies commute
(`tests/policies/test_decorators_commute.py`), so policies have no order among each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import RouteAction
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from compiler.memo import Input
from compiler.mesh.policy import PolicyKind


@dataclass(frozen=True, slots=True)
class Hooks:
    """Each is called with the policy's conf and the message; a route's also with the protocol that is spoken."""

    cluster: Callable[[Any, Cluster], None] | None = None
    http_options: Callable[[Any, HttpProtocolOptions], None] | None = None
    """Options of a cluster's HTTP connections; only clusters that speak HTTP have them."""
    route: Callable[[Any, RouteAction, str], None] | None = None
    """Only a route that forwards; a redirect has no action to fill in."""
    http: Callable[[Any, HttpConnectionManager], None] | None = None
    tcp: Callable[[Any, TcpProxy], None] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One kind of policy: what the mesh knows of it, and what it does to Envoy."""

    kind: PolicyKind
    hooks: Hooks = Hooks()


HOOKS: Final[Input[None, Mapping[str, Policy]]] = Input("hooks", {})
"""The policies that this compiler knows, by type."""
