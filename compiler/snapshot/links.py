"""What a resource says of others, by message type: the names it gives, and where it contradicts itself.

A resource's links depend on the resource alone, so they are read once however many proxies share it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf.message import Message

from compiler.envoy.packing import visit
from compiler.envoy.resources import ResourceType
from compiler.mesh.holes import has_hole, stand_in
from compiler.snapshot.cluster_names import CLUSTER_FIELDS, cluster_names


class Reference(NamedTuple):
    """A resource by its type and name."""

    type: ResourceType
    name: str

    def __str__(self) -> str:
        return f"{_SINGULAR[self.type]} {self.name!r}"


class Manager(NamedTuple):
    """A place where a route configuration meets the filters that its overrides are for."""

    route: str
    filters: frozenset[str]


class Slot(NamedTuple):
    """What a listener takes by ECDS under a name: one of these types only."""

    extension: str
    type_urls: frozenset[str]


class Override(NamedTuple):
    """A filter for which a part of a route configuration has settings of its own."""

    filter: str


class Address(NamedTuple):
    """Where a listener takes connections, in a form in which equal places are equal."""

    written: str


class Bound(NamedTuple):
    """A port that a listener takes from the kernel, on one address or on every one of these IP versions."""

    protocol: str
    port: int
    versions: str
    address: str
    everywhere: bool
    shares: bool


class Objection(NamedTuple):
    """A resource contradicts itself; where `after` is set, the path of the message stands before it."""

    rule: str
    before: str
    after: str | None = None


Mention: TypeAlias = Reference | Manager | Slot | Override | Address | Bound
Reader: TypeAlias = Callable[[Any], Iterator[Mention | Objection]]

_IPV6: Final = 6
_SINGULAR = {
    ResourceType.CLUSTER: "cluster",
    ResourceType.ENDPOINT: "load assignment",
    ResourceType.SECRET: "secret",
    ResourceType.EXTENSION: "extension",
    ResourceType.LISTENER: "listener",
    ResourceType.ROUTE: "route configuration",
}


def listener_addresses(listener: Any) -> frozenset[str]:
    """Where a listener takes connections, in a form in which equal places are equal."""
    addresses = (listener.address, *(additional.address for additional in listener.additional_addresses))
    return frozenset(written for address in addresses if (written := _written(address)))


def _read_listener(listener: Any) -> Iterator[Mention | Objection]:
    yield from map(Address, listener_addresses(listener))
    yield from _bound(listener)
    yield from _doubles([chain.name for chain in listener.filter_chains if chain.name], "filter chains")
    yield from _doubles([each.name for each in listener.listener_filters], "listener filters")


def _written(address: Any) -> str:
    """Empty where two listeners may share it: port 0 is a port of each one's own, an internal listener has none."""
    if address.HasField("pipe"):
        return str(address.pipe.path)
    socket = address.socket_address
    if not socket.port_value:
        return ""
    try:
        host = str(ip_address(socket.address))
    except ValueError:
        host = socket.address
    protocol = "udp" if socket.protocol == socket.UDP else "tcp"
    return f"{protocol}://[{host}]:{socket.port_value}" if ":" in host else f"{protocol}://{host}:{socket.port_value}"


def _bound(listener: Any) -> Iterator[Bound]:
    """SO_REUSEPORT is Envoy's default; an address of IPv6 takes none of IPv4 unless it says so."""
    if listener.HasField("bind_to_port") and not listener.bind_to_port.value:
        return
    shares = not listener.HasField("enable_reuse_port") or listener.enable_reuse_port.value
    for address in (listener.address, *(additional.address for additional in listener.additional_addresses)):
        socket = address.socket_address
        try:
            parsed = ip_address(stand_in(socket.address))
        except ValueError:
            continue
        if socket.port_value:
            protocol = "UDP" if socket.protocol == socket.UDP else "TCP"
            everywhere = parsed.is_unspecified and not has_hole(socket.address)
            versions = "46" if socket.ipv4_compat and parsed.version == _IPV6 else str(parsed.version)
            yield Bound(protocol, socket.port_value, versions, socket.address, everywhere, shares)


def _read_chain(chain: Any) -> Iterator[Mention | Objection]:
    return _doubles([each.name for each in chain.filters], "filters in ", inside=True)


def _read_manager(manager: Any) -> Iterator[Mention | Objection]:
    names = [each.name for each in manager.http_filters]
    yield from _doubles(names, "HTTP filters in ", inside=True)
    if manager.HasField("rds"):
        yield Reference(ResourceType.ROUTE, manager.rds.route_config_name)
        yield Manager(manager.rds.route_config_name, frozenset(names))
    elif manager.HasField("route_config"):
        for name in sorted(_overrides(manager.route_config) - set(names)):
            yield Objection("override", f"overrides the filter {name!r}, which ", " does not have")


def _overrides(configuration: Message) -> set[str]:
    return {name for _, owner in visit(configuration, _OVERRIDING) for name in owner.typed_per_filter_config}  # type: ignore[attr-defined]  # all of them have it


def _doubles(names: Sequence[str], what: str, *, inside: bool = False) -> Iterator[Objection]:
    """`inside`: of the message, whose path is said."""
    if len(set(names)) == len(names):
        return
    for name, count in Counter(names).items():
        if count > 1:
            called = f" called {name!r}"
            yield Objection("unique", f"has {count} {what}{'' if inside else called}", called if inside else None)


def _read_slot(owner: Any) -> Iterator[Mention]:
    if owner.HasField("config_discovery"):
        yield Reference(ResourceType.EXTENSION, owner.name)
        yield Slot(owner.name, frozenset(owner.config_discovery.type_urls))


def _read_cluster(cluster: Any) -> Iterator[Mention]:
    if cluster.type == cluster.EDS and not cluster.HasField("cluster_type"):
        yield Reference(ResourceType.ENDPOINT, cluster.eds_cluster_config.service_name or cluster.name)


def _read_secret(secret: Any) -> Iterator[Mention]:
    """Without a source it is one of the bootstrap's, and another server than ours knows its own."""
    if secret.sds_config.HasField("ads"):
        yield Reference(ResourceType.SECRET, secret.name)


def _read_overrides(owner: Any) -> Iterator[Mention]:
    return map(Override, owner.typed_per_filter_config)


def _read_cluster_names(owner: Message) -> Iterator[Mention]:
    return (Reference(ResourceType.CLUSTER, name) for name in cluster_names(owner))


def _read_weight(weight: Message) -> Iterator[Mention]:
    yield from _read_cluster_names(weight)
    yield from _read_overrides(weight)


_ROUTE = "envoy.config.route.v3"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3"
_WEIGHT = f"{_ROUTE}.WeightedCluster.ClusterWeight"
_OVERRIDING = frozenset((f"{_ROUTE}.RouteConfiguration", f"{_ROUTE}.VirtualHost", f"{_ROUTE}.Route", _WEIGHT))
READERS: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(CLUSTER_FIELDS, _read_cluster_names),
    **dict.fromkeys(_OVERRIDING, _read_overrides),
    _WEIGHT: _read_weight,
    "envoy.config.listener.v3.Listener": _read_listener,
    "envoy.config.listener.v3.FilterChain": _read_chain,
    "envoy.config.listener.v3.Filter": _read_slot,
    "envoy.config.listener.v3.ListenerFilter": _read_slot,
    f"{_MANAGER}.HttpFilter": _read_slot,
    f"{_MANAGER}.HttpConnectionManager": _read_manager,
    "envoy.config.cluster.v3.Cluster": _read_cluster,
    "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig": _read_secret,
}
