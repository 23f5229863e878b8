"""Snapshots as messages: what each proxy holds, which proxy stands behind an endpoint, what a cluster's name says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from envoy.config.core.v3.base_pb2 import TrafficDirection
from google.protobuf import any_pb2

from compiler.envoy.packing import unpack
from compiler.envoy.resources import ResourceType
from compiler.mesh.names import SHARED
from compiler.review.promises.routing.answer import CannotTell
from compiler.review.promises.routing.fronts import choose_chain, door, front_of, is_front
from compiler.snapshot.snapshot import Snapshot

Place = tuple[str, int]
"""Address and port."""
Tags = tuple[tuple[str, str], ...]

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  # compared, not bound


@dataclass(frozen=True, slots=True)
class ServiceName:
    """What the name of a cluster or of an outbound listener says: `kri_msvc_<mesh>_<zone>_<namespace>_<name>_<port>`.

    `section` is a port's name or number; of a subset of a service it starts with a dash.
    """

    mesh: str
    name: str
    section: str


def read_service_name(name: str) -> ServiceName | None:
    """None for what belongs to no service. A 2.x service's name may have underscores of its own."""
    words = name.split(":", 1)[0].split("_")
    if words[:2] != ["kri", "msvc"] or len(words) < 7:
        return None
    return ServiceName(words[2], "_".join(words[5:-1]), words[-1])


@dataclass(frozen=True)
class Held:
    """The resources of one proxy, decoded when they are asked for."""

    snapshot: Snapshot
    _decoded: dict[tuple[ResourceType, str], Any] = field(default_factory=dict, compare=False, repr=False)

    def find(self, kind: ResourceType, name: str) -> Any:
        """None where the proxy has no such resource. Nobody changes what is returned.

        By the name of a chain of a builtin gateway's listener, that listener with this chain alone.
        """
        key = (kind, name)
        if key not in self._decoded:
            resource = self.snapshot.resources.get(kind, {}).get(name)
            whole = self.find(kind, front) if kind is ResourceType.LISTENER and (front := front_of(name)) else None
            found = unpack(any_pb2.Any.FromString(resource.body)) if resource is not None else None
            self._decoded[key] = door(whole, name) if whole is not None else found
        return self._decoded[key]

    def names(self, kind: ResourceType) -> Sequence[str]:
        return sorted(self.snapshot.resources.get(kind, {}))

    def version(self, kind: ResourceType, name: str) -> str:
        """Of the content; empty where there is none."""
        resource = self.snapshot.resources.get(kind, {}).get(name)
        return resource.version if resource is not None else ""

    def filter(self, found: Any) -> Any:
        """The configuration of a network or HTTP filter, that of its extension resource where it comes by ECDS."""
        if found.HasField("config_discovery"):
            extension = self.find(ResourceType.EXTENSION, found.name)
            if extension is not None:
                return unpack(extension.typed_config)
            return unpack(found.config_discovery.default_config)
        return unpack(found.typed_config)

    def routes(self, connections: Any) -> Any:
        """The route configuration of a connection manager."""
        if not connections.HasField("rds"):
            return connections.route_config
        found = self.find(ResourceType.ROUTE, connections.rds.route_config_name)
        if found is None:
            raise CannotTell(f"the route configuration {connections.rds.route_config_name} is not in the snapshot")
        return found

    @property
    def uris(self) -> tuple[str, ...]:
        """Those of the proxy's certificate."""
        return tuple(uri for secret in self.snapshot.secrets for uri in secret.uris)

    @property
    def outbounds(self) -> Iterator[str]:
        """Listeners that take the workload's calls to a service."""
        return (name for name in self.names(ResourceType.LISTENER) if read_service_name(name) is not None)

    @property
    def fronts(self) -> tuple[str, ...]:
        """Listeners of a builtin gateway, which take calls from outside of the mesh."""
        return tuple(name for name in self.names(ResourceType.LISTENER) if is_front(name))

    def doors(self, host: str) -> Iterator[str]:
        """The chains of a builtin gateway that take calls of a host, one of each listener where it is not refused."""
        for name in self.fronts:
            chain = choose_chain(self.find(ResourceType.LISTENER, name), host)
            if chain is not None:
                yield chain


@dataclass(frozen=True, slots=True)
class Callee:
    """An inbound listener, of one of the proxies behind a cluster that are all alike; `share` is that of the likes."""

    node: str
    listener: str
    tags: Tags
    share: Fraction


def place_of(address: Any) -> Place:
    return address.socket_address.address, address.socket_address.port_value


def terminal_filter(chain: Any) -> Any:
    return chain.filters[-1]


def is_http(config: Any) -> bool:
    return bool(config.DESCRIPTOR.full_name == _MANAGER)


@dataclass(frozen=True)
class Fleet:
    """All proxies of a generation. `advertised` are the addresses under which proxies are reached, by node id.

    What was decoded and found is remembered as long as the fleet is looked at: by node id, and of callees by the
    versions of a cluster and of its endpoints.
    """

    snapshots: Mapping[str, Snapshot]
    advertised: Mapping[str, str] = field(default_factory=dict)
    _held: dict[str, Held] = field(default_factory=dict, compare=False, repr=False)
    _callees: dict[tuple[str, str, str], tuple[Callee, ...]] = field(default_factory=dict, compare=False, repr=False)

    def __getitem__(self, node: str) -> Held:
        if node not in self._held:
            self._held[node] = Held(self.snapshots[node])
        return self._held[node]

    def callees(self, caller: Held, cluster: str) -> tuple[Callee, ...]:
        """Who may take a call to a cluster, those that would treat it alike as one; none where it has no endpoint."""
        key = (caller.version(ResourceType.CLUSTER, cluster), caller.version(ResourceType.ENDPOINT, cluster), cluster)
        if key not in self._callees:
            self._callees[key] = tuple(self._find_callees(caller, cluster))
        return self._callees[key]

    def _find_callees(self, caller: Held, cluster: str) -> Iterator[Callee]:
        """Of each sort of them the first."""
        sorts: dict[object, list[tuple[str, str, Tags, int]]] = {}
        for place, tags, weight in _endpoints(caller.find(ResourceType.ENDPOINT, cluster)):
            node, listener = self._inbounds.get(place, ("", f"{place[0]}:{place[1]}"))
            sorts.setdefault(self._sort(node, listener, tags), []).append((node, listener, tags, weight))
        total = sum(member[3] for members in sorts.values() for member in members)
        for members in sorts.values():
            node, listener, tags, _ = members[0]
            yield Callee(node, listener, tags, Fraction(sum(member[3] for member in members), total))
        if not sorts:
            yield from self._registering(cluster)

    def _sort(self, node: str, listener: str, tags: Tags) -> object:
        """Equal for proxies that treat a request alike, as replicas do."""
        if not node:
            return listener
        held = self[node]
        chains = self[node].find(ResourceType.LISTENER, listener).filter_chains
        routes = held.version(ResourceType.ROUTE, listener), held.version(ResourceType.EXTENSION, f"{listener}.rbac")
        content = tuple(chain.SerializeToString(deterministic=True) for chain in chains)
        return listener, tags, routes, content, held.uris, held.snapshot.node.workload

    def _registering(self, cluster: str) -> Iterator[Callee]:
        """Proxies that register themselves have no endpoints in Git: their shared snapshot stands for them."""
        service = read_service_name(cluster)
        if service is None or service.section.startswith("-"):
            return
        for node in self._shared.get((service.mesh, service.name), ()):
            inbounds = [name for name, _ in _inbounds(self[node])]
            fitting = [name for name in inbounds if name.endswith(f"_{service.section}")] or inbounds[:1]
            if fitting:
                yield Callee(node, fitting[0], (), Fraction(1))
                return

    @cached_property
    def _inbounds(self) -> Mapping[Place, tuple[str, str]]:
        found: dict[Place, tuple[str, str]] = {}
        for node in sorted(self.snapshots):
            for name, listener in _inbounds(self[node]):
                address, port = place_of(listener.address)
                if address not in _ANYWHERE:
                    found.setdefault((address, port), (node, name))
                if node in self.advertised:
                    found.setdefault((self.advertised[node], port), (node, name))
        return found

    @cached_property
    def _shared(self) -> Mapping[tuple[str, str], Sequence[str]]:
        """Shared snapshots by the mesh and the services that their certificates name."""
        found: dict[tuple[str, str], list[str]] = {}
        for node in sorted(self.snapshots):
            held = self[node]
            if held.snapshot.node.proxy == SHARED:
                mesh = held.snapshot.node.mesh
                names = {uri.removeprefix(f"spiffe://{mesh}/") for uri in held.uris if uri.startswith("spiffe:")}
                for name in sorted(names | {held.snapshot.node.workload}):
                    found.setdefault((mesh, name), []).append(node)
        return found


def _inbounds(held: Held) -> Iterator[tuple[str, Any]]:
    """Listeners that take calls for the proxy's own workload."""
    for name in held.names(ResourceType.LISTENER):
        if name.startswith("self_inbound_"):
            listener = held.find(ResourceType.LISTENER, name)
            if listener.traffic_direction == TrafficDirection.INBOUND:
                yield name, listener


def _endpoints(assignment: Any) -> Iterator[tuple[Place, Tags, int]]:
    """Those of the first priority: the others serve only when it fails."""
    for locality in assignment.endpoints if assignment is not None else ():
        if locality.priority == 0:
            for one in locality.lb_endpoints:
                tags = one.metadata.filter_metadata["envoy.lb"].fields if one.HasField("metadata") else {}
                found = tuple(sorted((name, value.string_value) for name, value in tags.items()))
                yield place_of(one.endpoint.address), found, one.load_balancing_weight.value or 1
