"""A minimal correct delta-ADS client: holds what it is sent, subscribes to what that names, and ACKs everything."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from benchmarks.links import Name, find_links
from compiler.envoy.resources import ResourceType
from compiler.xds.framing import frame_string

CDS: Final = ResourceType.CLUSTER.type_url
LDS: Final = ResourceType.LISTENER.type_url
SDS: Final = ResourceType.SECRET.type_url
NAMED: Final = tuple(
    kind.type_url for kind in (ResourceType.ENDPOINT, ResourceType.ROUTE, ResourceType.EXTENSION, ResourceType.SECRET)
)
"""Types that are asked for by name."""
_ACK_TYPE: Final = DeltaDiscoveryRequest.TYPE_URL_FIELD_NUMBER
_ACK_NONCE: Final = DeltaDiscoveryRequest.RESPONSE_NONCE_FIELD_NUMBER


@dataclass(slots=True)
class Names:
    """What clusters and listeners name, by type, name and version: read once however many proxies hold the same one."""

    known: dict[tuple[str, str, str], frozenset[Name]] = field(default_factory=dict)

    def of(self, type_url: str, resource: Any) -> frozenset[Name]:
        key = type_url, resource.name, resource.version
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = find_links(type_url, resource.resource.value)
        return found


@dataclass(slots=True)
class Proxy:
    """One proxy's side of its stream, without the stream: responses in, requests out."""

    node: str
    names: Names
    versions: dict[Name, str] = field(default_factory=dict)
    heard: str = ""
    """The type of the last response."""
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
        self.heard = type_url = response.type_url
        for resource in response.resources:
            name = type_url, resource.name
            self.versions[name] = resource.version
            if type_url in (CDS, LDS):
                self._link(name, self.names.of(type_url, resource))
        for removed in response.removed_resources:
            self.versions.pop((type_url, removed), None)
            self._link((type_url, removed), frozenset())
        ack = frame_string(_ACK_TYPE, type_url) + frame_string(_ACK_NONCE, response.nonce)
        requests = [ack, *self._subscribe()]
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
