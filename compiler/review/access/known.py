"""Envoy's resources, read for who reaches whom: each once, however many proxies share it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from google.protobuf import any_pb2

from compiler.envoy.names import is_gateway_listener
from compiler.envoy.packing import UndecodableError, UnknownTypeError, message_type, unpack
from compiler.envoy.resources import ResourceType
from compiler.review.access.rbac import Rbac, read_rbac
from compiler.review.access.views import Chain, Extension, Listening, Name, Place, Slot, Upstream
from compiler.snapshot.canonical import Rendered

__all__ = ["Known"]

T = TypeVar("T")
_FILTERS: Final = "envoy.extensions.filters"
_RBAC: Final = frozenset({f"{_FILTERS}.http.rbac.v3.RBAC", f"{_FILTERS}.network.rbac.v3.RBAC"})
_CONNECTIONS: Final = f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"
_TCP: Final = f"{_FILTERS}.network.tcp_proxy.v3.TcpProxy"
_GRPC: Final = f"{_FILTERS}.http.grpc_stats.v3.FilterConfig"
_AGGREGATE: Final = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"
_TLS: Final = "envoy.extensions.transport_sockets.tls.v3"


@dataclass(frozen=True)
class Known:
    """What has been read, by version, which is the hash of all that a resource says.

    Give the same one to both sides of a comparison; it holds what it has read for as long as it lives.
    """

    _listeners: dict[str, Listening] = field(default_factory=dict)
    _routes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _clusters: dict[str, Upstream] = field(default_factory=dict)
    _assignments: dict[str, tuple[Place, ...]] = field(default_factory=dict)
    _extensions: dict[str, Extension] = field(default_factory=dict)
    _chains: dict[bytes, tuple[Chain, ...]] = field(default_factory=dict)
    """By their bytes: listeners of replicas differ in their addresses only, and share them."""

    def listener(self, rendered: Rendered) -> Listening:
        return _once(self._listeners, rendered, self._listener)

    def routed(self, rendered: Rendered) -> tuple[str, ...]:
        """The clusters that some request of a route configuration can go to."""
        return _once(self._routes, rendered, _routed)

    def cluster(self, rendered: Rendered) -> Upstream:
        return _once(self._clusters, rendered, _cluster)

    def assigned(self, rendered: Rendered) -> tuple[Place, ...]:
        """The endpoints of a load assignment."""
        return _once(self._assignments, rendered, _assigned)

    def extension(self, rendered: Rendered) -> Extension:
        return _once(self._extensions, rendered, _extension)

    def read_alike(self, one: Rendered, other: Rendered) -> bool:
        """Whether two resources of a type say the same of who reaches whom, whatever else they say."""
        readers: Mapping[ResourceType, Callable[[Rendered], object]] = {
            ResourceType.LISTENER: self.listener,
            ResourceType.ROUTE: self.routed,
            ResourceType.CLUSTER: self.cluster,
            ResourceType.ENDPOINT: self.assigned,
            ResourceType.EXTENSION: self.extension,
        }
        return readers[one.type](one) == readers[other.type](other)

    def _listener(self, message: Any) -> Listening:
        """A builtin gateway's listener is an inbound where it asks proxies of other meshes for a certificate."""
        addresses = [message.address, *(one.address for one in message.additional_addresses)]
        chains = self._chains_of(message)
        strangers = is_gateway_listener(message.name) and not any(chain.certificate for chain in chains)
        return Listening(
            name=message.name,
            inbound=message.traffic_direction == _INBOUND and not strangers,
            redirects=message.use_original_dst.value,
            places=tuple(_place(address) for address in addresses),
            chains=chains,
        )

    def _chains_of(self, message: Any) -> tuple[Chain, ...]:
        chains = [*message.filter_chains]
        if message.HasField("default_filter_chain"):
            chains.append(message.default_filter_chain)
        written = b"\n".join(chain.SerializeToString(deterministic=True) for chain in chains)
        if written not in self._chains:
            self._chains[written] = tuple(_chain(chain) for chain in chains)
        return self._chains[written]


def _once(read: dict[str, T], rendered: Rendered, reader: Callable[[Any], T]) -> T:
    found = read.get(rendered.version)
    if found is None:
        packed = any_pb2.Any.FromString(rendered.body)
        found = read[rendered.version] = reader(message_type(packed.type_url).FromString(packed.value))
    return found


def _open(packed: Any) -> Any | None:
    """What nobody knows says nothing of who reaches whom."""
    try:
        return unpack(packed) if packed.type_url else None
    except (UnknownTypeError, UndecodableError):
        return None


def _is(message: Any | None, *names: str) -> bool:
    return message is not None and message.DESCRIPTOR.full_name in names


# --- Listeners ----------------------------------------------------------------------------------------------------


_INBOUND: Final = 1


def _place(address: Any) -> Place:
    return address.socket_address.address, address.socket_address.port_value


def _chain(message: Any) -> Chain:
    match = message.filter_chain_match
    context = _open(message.transport_socket.typed_config)
    secured = _is(context, f"{_TLS}.DownstreamTlsContext")
    filters = _Filters()
    for each in message.filters:
        filters.add(each)
    return Chain(
        name=message.name,
        transport=match.transport_protocol,
        alpn=frozenset(match.application_protocols),
        names=frozenset(match.server_names),
        tls=secured,
        certificate=secured and context.require_client_certificate.value,  # type: ignore[union-attr]  # secured says so
        callers=_names(context.common_tls_context) if secured else (),  # type: ignore[union-attr]  # the same
        protocol=filters.protocol,
        guards=tuple(filters.guards),
        routes=tuple(filters.routes),
        clusters=tuple(filters.clusters),
        slots=tuple(filters.slots),
    )


@dataclass
class _Filters:
    """What the filters of one chain come to, in the order in which traffic passes them."""

    protocol: str = "tcp"
    guards: list[Rbac | Slot] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)

    def add(self, each: Any) -> None:
        """A filter for connections or for requests."""
        if each.HasField("config_discovery"):
            self._add_slot(each)
            return
        config = _open(each.typed_config)
        if _is(config, *_RBAC):
            self.guards.append(read_rbac(config))
        elif _is(config, _TCP):
            self.clusters += _tcp(config)
        elif _is(config, _GRPC):
            self.protocol = "grpc"
        elif _is(config, _CONNECTIONS):
            self._add_connections(config)

    def _add_slot(self, each: Any) -> None:
        if any(url.rpartition("/")[2] in _RBAC for url in each.config_discovery.type_urls):
            default = _open(each.config_discovery.default_config)
            self.guards.append(Slot(each.name, read_rbac(default) if default is not None else None))
        else:
            self.slots.append(each.name)

    def _add_connections(self, config: Any) -> None:
        self.protocol = "http"
        if config.HasField("rds"):
            self.routes.append(config.rds.route_config_name)
        else:
            self.clusters += _routed(config.route_config)
        for each in config.http_filters:
            if not each.disabled:
                self.add(each)


def _names(common: Any) -> tuple[Name, ...]:
    """Alternatives; none where any name will do."""
    validation = common.combined_validation_context.default_validation_context
    if common.HasField("validation_context"):
        validation = common.validation_context
    found = (matcher.matcher for matcher in validation.match_typed_subject_alt_names)
    return tuple(Name(one.prefix, prefix=True) if one.prefix else Name(one.exact) for one in found)


# --- Where traffic goes -------------------------------------------------------------------------------------------


def _routed(configuration: Any) -> tuple[str, ...]:
    """A route after one that takes every request is never tried; a share of none gets none."""
    found: dict[str, None] = {}
    for host in configuration.virtual_hosts:
        for route in host.routes:
            found |= dict.fromkeys(_forwarded(route.route) if route.WhichOneof("action") == "route" else ())
            if _takes_all(route.match):
                break
    return tuple(found)


def _forwarded(action: Any) -> Iterator[str]:
    yield from _weighted(action)
    yield from (mirror.cluster for mirror in action.request_mirror_policies if mirror.cluster)


def _weighted(message: Any) -> Iterator[str]:
    """One cluster, or several with weights; those whose name comes from a header are not known."""
    if message.cluster:
        yield message.cluster
    if message.HasField("weighted_clusters"):
        yield from (one.name for one in message.weighted_clusters.clusters if _weight(one) and one.name)


def _weight(share: Any) -> int:
    """A number where connections are split, a message around one where requests are."""
    return int(getattr(share.weight, "value", share.weight))


def _takes_all(match: Any) -> bool:
    """Every request begins with a slash."""
    return match.prefix == "/" and len(match.ListFields()) == 1


def _tcp(proxy: Any) -> tuple[str, ...]:
    return tuple(_weighted(proxy))


def _extension(message: Any) -> Extension:
    config = _open(message.typed_config)
    if _is(config, *_RBAC):
        return Extension(guard=read_rbac(config))
    return Extension(clusters=_tcp(config) if _is(config, _TCP) else ())


def _cluster(message: Any) -> Upstream:
    context = _open(message.transport_socket.typed_config)
    secured = _is(context, f"{_TLS}.UpstreamTlsContext")
    common = context.common_tls_context if secured else None  # type: ignore[union-attr]  # secured says so
    aggregate = _open(message.cluster_type.typed_config)
    by_name = message.type == message.EDS and not message.HasField("cluster_type")
    return Upstream(
        name=message.name,
        places=tuple(_assigned(message.load_assignment)),
        assignment=(message.eds_cluster_config.service_name or message.name) if by_name else "",
        anywhere=message.type == message.ORIGINAL_DST,
        clusters=tuple(aggregate.clusters) if _is(aggregate, _AGGREGATE) else (),  # type: ignore[union-attr]  # it is one
        tls=secured,
        asks=context.sni if secured else "",  # type: ignore[union-attr]  # the same
        secret=_secret(common) if common is not None else "",
        alpn=frozenset(common.alpn_protocols) if common is not None else frozenset(),
        wanted=_names(common) if common is not None else (),
    )


def _secret(common: Any) -> str:
    return next((one.name for one in common.tls_certificate_sds_secret_configs), "")


def _assigned(assignment: Any) -> tuple[Place, ...]:
    return tuple(_places(assignment.endpoints))


def _places(localities: Iterable[Any]) -> Iterator[Place]:
    for locality in localities:
        yield from (_place(one.endpoint.address) for one in locality.lb_endpoints)
