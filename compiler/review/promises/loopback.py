"""The snapshots that requests pass through, as one bootstrap for an Envoy on loopback.

What is told apart by hosts and networks in a mesh is told apart by ports here. Beyond addresses, secrets and where
endpoints are, this changes what a test must know or cannot wait for: each route says in a header of its response that
it was taken; what Envoy draws by lot comes from a header of the request; a retry waits a millisecond, no try ends
before the request does, and that may take a thousand times as long; nobody is ejected, nothing is logged, traced or
counted, no fault strikes and no agent is asked, and the workload's proxy speaks HTTP/1.1 to it.
"""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import HeaderValueOption, TrafficDirection
from google.protobuf.message import Message

from compiler.envoy.names import ALL_BUNDLES
from compiler.envoy.packing import rewrite
from compiler.envoy.resources import EnvoyResources, ResourceType
from compiler.identity.authority import Authority, create_authority
from compiler.identity.leaf import issue_leaf
from compiler.identity.secrets import trust_domains
from compiler.mesh.trust import Trusted
from compiler.review.promises.calls import clusters_behind
from compiler.review.promises.left_out import leave_out
from compiler.review.promises.routing.answer import Ask
from compiler.review.promises.routing.held import Callee, Fleet, Held, is_http, terminal_filter
from compiler.review.promises.routing.table import fraction_of
from compiler.review.promises.stubs import LOOPBACK, Inbound
from compiler.snapshot.inline import inline_all
from compiler.snapshot.names import SecretName

TAKEN: Final = "x-meshwright-taken"
"""Says which route took a request: places of host and route, the cluster, the endpoint, the time it may take."""
FRACTION: Final = "x-meshwright-fraction"
WEIGHT: Final = "x-meshwright-weight"
MILLION: Final = 1_000_000

STRETCH: Final = 1000
"""How much longer a request may take here than the route says."""

_DEFAULT_TIMEOUT: Final = 15 * 10**9
"""Envoy's, in nanoseconds, for a route that names none."""
_CONNECT_SECONDS: Final = 60
_LARGEST_REGEX: Final = 4294967295
_QUICKLY: Final = 1_000_000
_SCHEME: Final = "spiffe://"
_LIKELY: Final = 10**6
"""By what shares of endpoints are multiplied for weights, which are whole."""
_EXPIRED: Final = (
    "outlier_detection",
    "health_checks",
    "upstream_bind_config",
)


@dataclass(frozen=True)
class Loopback:
    """Listeners by proxy and name: the ports on which they take calls here, and back."""

    fleet: Fleet
    asks: Sequence[Ask]
    doors: Mapping[Inbound, int]

    @property
    def behind(self) -> Mapping[int, Inbound]:
        return {port: door for door, port in self.doors.items()}


def doors_of(fleet: Fleet, asks: Iterable[Ask]) -> Mapping[Inbound, bool]:
    """Every listener that the requests may pass, by whether it is a service's."""
    found: dict[Inbound, bool] = {}
    for ask in asks:
        found[ask.caller, ask.listener] = False
        for callee in _callees(fleet, ask):
            if callee.node:
                found[callee.node, callee.listener] = True
    return found


def speaks_http(fleet: Fleet, inbound: Inbound) -> bool:
    held = fleet[inbound[0]]
    chains = held.find(ResourceType.LISTENER, inbound[1]).filter_chains
    return any(is_http(held.filter(terminal_filter(chain))) for chain in chains)


def _callees(fleet: Fleet, ask: Ask) -> Iterator[Callee]:
    caller = fleet[ask.caller]
    for cluster in clusters_behind(caller, ask.listener):
        yield from fleet.callees(caller, cluster)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listened on a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def make_bootstrap(loopback: Loopback, stubs: Mapping[Inbound, int], now: datetime, admin: str) -> Bootstrap:
    """Certificates are those that the proxies would have, by an authority made for this occasion."""
    fleet = loopback.fleet
    held = {node: fleet[node] for node, _ in loopback.doors}
    resources = {node: _resources(one, loopback) for node, one in held.items()}
    bootstrap = inline_all(resources)
    static: Any = bootstrap.static_resources
    for listener in static.listeners:
        _place(listener, loopback.doors)
    for cluster in static.clusters:
        _direct(cluster, loopback, stubs)
    _certify(static, held, now)
    layer = bootstrap.layered_runtime.layers.add(name="meshwright").static_layer
    layer["re2.max_program_size.error_level"] = _LARGEST_REGEX
    bootstrap.admin.address.pipe.path = admin
    return bootstrap


def _resources(held: Held, loopback: Loopback) -> EnvoyResources:
    """The very resources of the snapshot, as many of them as the requests pass through."""
    node = str(held.snapshot.node)
    listeners = [name for owner, name in loopback.doors if owner == node]
    clusters = sorted({cluster for name in listeners for cluster in clusters_behind(held, name)})
    names: dict[ResourceType, Sequence[str]] = {ResourceType.LISTENER: listeners, ResourceType.CLUSTER: clusters}
    names |= {kind: held.names(kind) for kind in (ResourceType.ROUTE, ResourceType.EXTENSION)}
    messages = {
        kind: {name: found for name in chosen if (found := held.find(kind, name)) is not None}
        for kind, chosen in names.items()
    }
    return EnvoyResources(messages)


def _split_name(name: str) -> Inbound:
    """`inline_all` writes the proxy before the name; a shared snapshot's proxy has a slash of its own."""
    before, agents, rest = name.partition(f"/{_SCHEME}")
    if agents:
        return before, _SCHEME + rest
    node, _, own = name.rpartition("/")
    return node, own


def _place(listener: Any, doors: Mapping[Inbound, int]) -> None:
    listener.ClearField("bind_to_port")
    listener.address.socket_address.address = LOOPBACK
    listener.address.socket_address.port_value = doors[_split_name(listener.name)]
    rewrite(listener, leave_out)
    if listener.traffic_direction == TrafficDirection.OUTBOUND:
        rewrite(listener, _prepare)


def _prepare(message: Message) -> None:
    edit = _EDITS.get(message.DESCRIPTOR.full_name)
    if edit is not None:
        edit(message)


def _label_routes(table: Any) -> None:
    for place, host in enumerate(table.virtual_hosts):
        for index, route in enumerate(host.routes):
            said = "%UPSTREAM_CLUSTER_RAW%|%UPSTREAM_REMOTE_ADDRESS%|%REQ(X-ENVOY-EXPECTED-RQ-TIMEOUT-MS)%"
            option = HeaderValueOption(append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
            option.header.key, option.header.value = TAKEN, f"{place}.{index}|{said}"
            route.response_headers_to_add.append(option)


def _draw_fraction(match: Any) -> None:
    """As Envoy draws, with the number given: less than the fraction is inside."""
    if match.HasField("runtime_fraction"):
        drawn = match.headers.add(name=FRACTION).range_match
        drawn.start, drawn.end = 0, int(fraction_of(match.runtime_fraction.default_value) * MILLION)
        match.ClearField("runtime_fraction")


def _draw_cluster(weighted: Any) -> None:
    weighted.header_name = WEIGHT


def _retry_quickly(policy: Any) -> None:
    for name in ("per_try_timeout", "per_try_idle_timeout", "rate_limited_retry_back_off"):
        policy.ClearField(name)
    policy.retry_back_off.base_interval.FromNanoseconds(_QUICKLY)
    policy.retry_back_off.max_interval.FromNanoseconds(_QUICKLY)


def _stretch(action: Any) -> None:
    """A busy machine must not run into a timeout; 0 is none, and stays so."""
    nanoseconds = action.timeout.ToNanoseconds() if action.HasField("timeout") else _DEFAULT_TIMEOUT
    action.timeout.FromNanoseconds(nanoseconds * STRETCH)
    action.ClearField("idle_timeout")


def _be_patient(connections: Any) -> None:
    """A gateway gives strangers half a second for their headers."""
    connections.ClearField("request_headers_timeout")
    connections.ClearField("stream_idle_timeout")


def _speak_http1(options: Any) -> None:
    options.explicit_http_config.http_protocol_options.SetInParent()


_ROUTE: Final = "envoy.config.route.v3"
_EDITS: Final[Mapping[str, Callable[[Any], None]]] = {
    f"{_ROUTE}.RouteConfiguration": _label_routes,
    f"{_ROUTE}.RouteAction": _stretch,
    f"{_ROUTE}.RouteMatch": _draw_fraction,
    f"{_ROUTE}.WeightedCluster": _draw_cluster,
    f"{_ROUTE}.RetryPolicy": _retry_quickly,
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": _be_patient,
}
_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _direct(cluster: Any, loopback: Loopback, stubs: Mapping[Inbound, int]) -> None:
    """To the proxies of the service, or from a service's proxy to the stub of its workload."""
    for name in _EXPIRED:
        cluster.ClearField(name)
    cluster.connect_timeout.FromSeconds(_CONNECT_SECONDS)
    node, name = _split_name(cluster.name)
    cluster.load_assignment.Clear()
    cluster.load_assignment.cluster_name = cluster.name
    if (node, name) in stubs:
        rewrite(cluster, lambda one: _speak_http1(one) if one.DESCRIPTOR.full_name == _OPTIONS else None)
        _add_endpoint(cluster, stubs[node, name], 1)
    for callee in loopback.fleet.callees(loopback.fleet[node], name) if cluster.type == Cluster.STATIC else ():
        if port := loopback.doors.get((callee.node, callee.listener)):
            _add_endpoint(cluster, port, max(1, int(callee.share * _LIKELY)))


def _add_endpoint(cluster: Any, port: int, weight: int) -> None:
    assignment = cluster.load_assignment
    locality = assignment.endpoints[0] if assignment.endpoints else assignment.endpoints.add()
    endpoint = locality.lb_endpoints.add()
    address = endpoint.endpoint.address.socket_address
    address.address, address.port_value = LOOPBACK, port
    endpoint.load_balancing_weight.value = weight


def _certify(static: Any, held: Mapping[str, Held], now: datetime) -> None:
    """In place of secrets made up of nothing: peers check each other's names."""
    authorities = _Authorities(now, held)
    for secret in static.secrets:
        node, name = _split_name(secret.name)
        mesh = held[node].snapshot.node.mesh
        if name == ALL_BUNDLES:
            trust_domains(secret, authorities.by_domain(mesh, ()))
        for named in held[node].snapshot.secrets:
            if named.name == name and named.trusted:
                trust_domains(secret, authorities.by_domain(mesh, named.trusted))
            elif named.name == name and (named.authority or named.uris):
                _fill_secret(secret, named, node, authorities.of(mesh, named.authority), now)


@dataclass
class _Authorities:
    """One for each that the snapshots name, made when it is asked for."""

    now: datetime
    held: Mapping[str, Held]
    made: dict[tuple[str, str], Authority] = field(default_factory=dict)

    def of(self, mesh: str, name: str) -> Authority:
        if (mesh, name) not in self.made:
            self.made[mesh, name] = create_authority(mesh, "loopback", now=self.now)
        return self.made[mesh, name]

    def by_domain(self, mesh: str, trusted: Sequence[Trusted]) -> Mapping[str, bytes]:
        """Whoever certifies somebody of a domain here is believed for it: what a MeshTrust has has no key.

        An agent is taken to know all domains, which is what no `trusted` at all stands for.
        """
        pems = {one.domain: self.of(one.mesh or mesh, one.authority).trust_bundle for one in trusted}
        for other in self.held.values():
            for named in (one for one in other.snapshot.secrets if one.uris):
                domain = named.uris[0].removeprefix(_SCHEME).partition("/")[0]
                if domain in pems or not trusted:
                    root = self.of(other.snapshot.node.mesh, named.authority).trust_bundle
                    pems[domain] = pems.get(domain, b"") + root
        return pems


def _fill_secret(secret: Any, named: SecretName, node: str, authority: Authority, now: datetime) -> None:
    if secret.HasField("validation_context"):
        secret.validation_context.trusted_ca.inline_bytes = authority.trust_bundle
    elif secret.HasField("tls_certificate") and named.uris:
        leaf = issue_leaf(authority, node=node, uris=named.uris, now=now)
        secret.tls_certificate.certificate_chain.inline_bytes = leaf.chain
        secret.tls_certificate.private_key.inline_bytes = leaf.key
