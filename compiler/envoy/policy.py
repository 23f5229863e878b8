"""What a policy does to Envoy's messages: hooks that fill in a message that nobody else has seen yet.

A hook gets its conf, one message, and the site where that is; it writes its own fields and nothing else. Hooks of
different policies commute (`tests/policies/test_decorators_commute.py`), so policies have no order among each other:
a filter names its stage in the chain, not its position.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Final, NamedTuple

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, VirtualHost
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.message import Message

from compiler.envoy.patching import Patching
from compiler.envoy.resources import ResourceType
from compiler.memo import Input
from compiler.mesh.policy import PolicyKind
from compiler.mesh.proxy import Placed
from compiler.mesh.value import Confs, Owner, UriMatch


class Direction(Enum):
    """Whose traffic a site has: callers' to the workload, the workload's, or what no listener of the mesh wants."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    PASSTHROUGH = "passthrough"


class Site(NamedTuple):
    """Where a conf is applied; `name` is that of the listener, cluster or routes, `service` the one that is called.

    What comes in names a service at a zone proxy alone, which stands before many. `matches` are the callers that the
    conf is about, all where empty. Only kinds that say so are told the owner. `routed` are the kinds of which some
    routes of an outbound have a conf of their own. At a builtin gateway what is inbound comes from outside of the mesh,
    and what is outbound has no destination yet where `service` is empty.
    """

    direction: Direction
    name: str
    protocol: str
    service: str = ""
    matches: tuple[UriMatch, ...] = ()
    owner: Owner | None = None
    routed: frozenset[str] = frozenset()
    gateway: bool = False


class Stage(IntEnum):
    """Where in a chain a filter stands, in the order in which requests and connections pass."""

    PERMISSION = 1
    AUTHORIZATION = 2
    STATISTICS = 3
    FAULT = 4
    LIMIT = 5
    GLOBAL_LIMIT = 6
    OTHER = 7
    LAST = 8


StagedHttpFilter = tuple[Stage, HttpFilter]
StagedFilter = tuple[Stage, Filter]


@dataclass(frozen=True, slots=True)
class Hooks:
    """Each is called with the policy's conf, the message, and the site; those that return something get no message."""

    cluster: Callable[[Any, Cluster, Site], None] | None = None
    http_options: Callable[[Any, HttpProtocolOptions, Site], None] | None = None
    """Options of a cluster's HTTP connections; only clusters that speak HTTP have them."""
    route: Callable[[Any, RouteAction, Site], None] | None = None
    """Only a route that forwards; a redirect has no action to fill in."""
    route_filters: Callable[[Any, Route, Site], None] | None = None
    """What filters of the chain do on this route: `typed_per_filter_config`."""
    http: Callable[[Any, HttpConnectionManager, Site], None] | None = None
    http_routed: Callable[[Any, HttpConnectionManager, Site], None] | None = None
    """For a conf that some routes of an outbound have instead of the outbound's own, once for each such conf."""
    routed: Callable[[Any, Route, Site], None] | None = None
    """For a route of an outbound with a conf of its own; a redirect and an answer of 500 are routes too."""
    untaken: Callable[[Any, VirtualHost, Site], None] | None = None
    """For a host of a builtin gateway with a conf of its own for requests that none of its routes takes."""
    tcp: Callable[[Any, TcpProxy, Site], None] | None = None
    http_filters: Callable[[Any, Site], Iterable[StagedHttpFilter]] | None = None
    """More filters of an HTTP chain. What changes often belongs into `slots` and `route_filters` (design D15)."""
    network_filters: Callable[[Any, Site], Iterable[StagedFilter]] | None = None
    """Filters of an inbound's chain before the one that forwards."""
    resources: Callable[[Any, Placed | None], Iterable[tuple[ResourceType, Message]]] | None = None
    """What else the proxy needs because of this conf, once: its name follows from its content."""
    patching: Patching | None = None
    """Changes of what all hooks of all policies have made."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One kind of policy: what the mesh knows of it, and what it does to Envoy."""

    kind: PolicyKind
    hooks: Hooks = Hooks()
    slots: tuple[StagedHttpFilter, ...] = ()
    """Filters that every inbound's HTTP chain has, doing nothing until a route says something for them: a change of
    such a policy reaches Envoy with the routes and drains no connection."""


HOOKS: Final[Input[None, Mapping[str, Policy]]] = Input("hooks", {})
"""The policies that this compiler knows, by type."""

Policies = Mapping[str, Policy]


def each_hook(name: str, confs: Confs, policies: Policies, site: Site) -> Iterator[tuple[Any, Any, Site]]:
    """The hooks of this name that the confs call for, each with its conf and the site as it is told of it."""
    for applied in confs:
        policy = policies[applied.policy]
        hook = getattr(policy.hooks, name)
        if hook is not None:
            owner = site.owner if policy.kind.names_owner else None
            yield hook, applied.conf, site._replace(matches=applied.matches, owner=owner)
