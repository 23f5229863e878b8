"""A minimal correct delta-ADS client: holds what it is sent, subscribes to what that names, and ACKs everything."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from compiler.envoy.resources import ResourceType
from compiler.snapshot.references import references_of

CDS: Final = ResourceType.CLUSTER.type_url
LDS: Final = ResourceType.LISTENER.type_url
NAMED: Final = tuple(
    kind.type_url for kind in (ResourceType.ENDPOINT, ResourceType.ROUTE, ResourceType.EXTENSION, ResourceType.SECRET)
)
"""Types that are asked for by name."""
_KINDS: Final = {kind.type_url: kind for kind in ResourceType}
_MESSAGES: Final[Mapping[str, type[Any]]] = {
    ResourceType.CLUSTER.type_url: Cluster,
    ResourceType.LISTENER.type_url: Listener,
    ResourceType.ENDPOINT.type_url: ClusterLoadAssignment,
    ResourceType.ROUTE.type_url: RouteConfiguration,
    ResourceType.EXTENSION.type_url: TypedExtensionConfig,
}

Name = tuple[str, str]
"""A type URL and a resource's name."""


@dataclass(slots=True)
class Names:
    """What resources name, by type, name and version: read once however many proxies hold the same one."""

    known: dict[tuple[str, str, str], frozenset[Name]] = field(default_factory=dict)

    def of(self, type_url: str, name: str, version: str, body: bytes) -> frozenset[Name]:
        """Nothing for a secret."""
        if type_url not in _MESSAGES:
            return frozenset()
        key = type_url, name, version
        if key not in self.known:
            found = references_of(_KINDS[type_url], _MESSAGES[type_url].FromString(body))
            self.known[key] = frozenset((one.type.type_url, one.name) for one in found if one.type.type_url in NAMED)
        return self.known[key]


@dataclass(slots=True)
class Proxy:
    """One proxy's side of its stream, without the stream: responses in, requests out."""

    node: str
    names: Names
    versions: dict[Name, str] = field(default_factory=dict)
    _links: dict[Name, frozenset[Name]] = field(default_factory=dict)
    _wanted: Counter[Name] = field(default_factory=Counter)
    _asked: set[Name] = field(default_factory=set)
    _opened: set[str] = field(default_factory=set)
    _relinked: bool = False

    @property
    def is_settled(self) -> bool:
        """Clusters and listeners have come, and everything that they name."""
        return self._opened >= {CDS, LDS} and self._asked <= self.versions.keys() and bool(self.versions)

    def open(self) -> list[bytes]:
        """The first requests of a stream: the node, clusters and listeners, and what is held from the last one."""
        self._asked.clear()
        self._opened = {CDS}
        first = self._request(CDS)
        first.node.id = self.node
        requests = [first.SerializeToString()]
        if self.versions:
            requests += [*self._subscribe(), self._open(LDS)]
        return requests

    def open_all(self) -> list[bytes]:
        """As `open`, and listeners at once: what a client sends that does not care for the answers."""
        return [*self.open(), self._open(LDS)]

    def take(self, message: bytes) -> list[bytes]:
        """The ACK of a response, then what it leads to."""
        response = DeltaDiscoveryResponse.FromString(message)
        for resource in response.resources:
            name = response.type_url, resource.name
            self.versions[name] = resource.version
            self._link(name, self.names.of(*name, resource.version, resource.resource.value))
        for removed in response.removed_resources:
            self.versions.pop((response.type_url, removed), None)
            self._link((response.type_url, removed), frozenset())
        ack = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        requests = [ack.SerializeToString(), *self._subscribe()]
        if LDS not in self._opened:
            requests.append(self._open(LDS))
        return requests

    def _link(self, name: Name, links: frozenset[Name]) -> None:
        before = self._links.pop(name, frozenset())
        if links:
            self._links[name] = links
        if links == before:
            return
        self._relinked = True
        self._wanted.update(links - before)
        self._wanted.subtract(before - links)

    def _subscribe(self) -> Iterator[bytes]:
        """A type's names that are wanted from now on, and those that are not any more."""
        if not self._relinked and self._asked:
            return
        self._relinked = False
        wanted = {name for name, count in self._wanted.items() if count > 0}
        new, gone = wanted - self._asked, self._asked - wanted
        for type_url in NAMED:
            added = sorted(name for url, name in new if url == type_url)
            dropped = sorted(name for url, name in gone if url == type_url)
            if added or dropped:
                yield self._request(type_url, added, dropped).SerializeToString()
        for name in gone:
            self.versions.pop(name, None)
        self._asked = wanted

    def _open(self, type_url: str) -> bytes:
        self._opened.add(type_url)
        encoded: bytes = self._request(type_url).SerializeToString()
        return encoded

    def _request(self, type_url: str, added: Sequence[str] = (), dropped: Sequence[str] = ()) -> Any:
        """A type's first request tells the versions that are held."""
        claims = {}
        if type_url in (CDS, LDS) or (added and type_url not in self._opened):
            self._opened.add(type_url)
            claims = {
                name: version
                for (url, name), version in self.versions.items()
                if url == type_url and (name in added or type_url in (CDS, LDS))
            }
        return DeltaDiscoveryRequest(
            type_url=type_url,
            resource_names_subscribe=added,
            resource_names_unsubscribe=dropped,
            initial_resource_versions=claims,
        )
