"""What is served: framed resources, one proxy's set of them, and a generation of all proxies."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple, cast

from compiler.xds.framing import frame_delta_resource, frame_sotw_resource

CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
SDS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
ECDS = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
LDS = "type.googleapis.com/envoy.config.listener.v3.Listener"
RDS = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

DELIVERY_ORDER = (CDS, EDS, SDS, ECDS, LDS, RDS)
"""What is named by another resource goes before it; Envoy asks for RDS and ECDS once the listener came."""

WILDCARD_TYPES = frozenset({CDS, LDS})
"""Envoy takes all that there are of these; the others it asks for by name."""

NOTHING: Mapping[str, "Resource"] = {}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, ready to embed: `body` is its serialised `google.protobuf.Any`; `version` the hash of its content.

    Equal name and version mean equal content, so the bodies are not compared; nor printed, since one may be a secret.
    `exclusive` is what only one resource of its type may hold, a listener's address.
    """

    name: str
    version: str
    body: bytes = field(compare=False, repr=False)
    exclusive: str | None = field(default=None, compare=False)
    delta_head: bytes = field(init=False, compare=False, repr=False)
    delta_tail: bytes = field(init=False, compare=False, repr=False)
    _mark: int | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        head, tail = frame_delta_resource(self.name, self.version, len(self.body))
        object.__setattr__(self, "delta_head", head)
        object.__setattr__(self, "delta_tail", tail)

    def under_version(self, version: str) -> "Resource":
        """The same content under a version string of its own: older Envoys ignore a repair under a refused one."""
        return replace(self, version=version)

    def sotw_parts(self) -> Iterator[bytes]:
        yield frame_sotw_resource(len(self.body))
        yield self.body

    @property
    def mark(self) -> int:
        """Those of all that a client holds add up to its state-of-the-world version; most never meet such a client."""
        if self._mark is None:
            object.__setattr__(self, "_mark", _hash_mark(self.name, self.version))
        return cast(int, self._mark)


class LazyTypes(Mapping[str, Mapping[str, Resource]]):
    """One proxy's resources by type URL, made of what is `held` when they are first looked at.

    `make` gives the same mapping for the same one held; only a proxy that is connected is ever looked at.
    """

    __slots__ = ("_made", "_make", "held")

    def __init__(
        self, held: Mapping[str, Mapping[str, Any]], make: Callable[[str, Mapping[str, Any]], Mapping[str, Resource]]
    ) -> None:
        self.held = held
        self._make = make
        self._made: dict[str, Mapping[str, Resource]] = {}

    def __getitem__(self, type_url: str) -> Mapping[str, Resource]:
        made = self._made.get(type_url)
        if made is None:
            made = self._made[type_url] = self._make(type_url, self.held[type_url])
        return made

    def get(self, type_url: str, default: Any = None) -> Any:
        """As a Mapping's, which looks by raising and catching what `__getitem__` raises."""
        return self[type_url] if type_url in self.held else default

    def __contains__(self, type_url: object) -> bool:
        return type_url in self.held

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


class ProxyConfig(NamedTuple):
    """All that one proxy is to hold, by type URL and name; secrets by name only.

    Mappings of equal types are shared between proxies. Live endpoints may differ under one `digest`.
    """

    digest: str
    resources: Mapping[str, Mapping[str, Resource]]
    secrets: tuple[str, ...] = ()

    def list_changed_types(self, former: "ProxyConfig") -> list[str]:
        """In delivery order; equal mappings are mostly the same object, and what was made of them need not be asked."""
        before, after = former.resources, self.resources
        if isinstance(before, LazyTypes) and isinstance(after, LazyTypes):
            before, after = before.held, after.held
        return [url for url in DELIVERY_ORDER if before.get(url) is not after.get(url)]

    def of(self, type_url: str) -> Mapping[str, Resource]:
        return self.resources.get(type_url, NOTHING)

    def same_as(self, other: "ProxyConfig") -> bool:
        """Identity first: mostly the mappings are the very same objects."""
        if self is other:
            return True
        if self.digest != other.digest or self.secrets != other.secrets:
            return False
        types = self.resources.keys() | other.resources.keys()
        return all(self.of(each) is other.of(each) or self.of(each) == other.of(each) for each in types)


class Touched(NamedTuple):
    """Where a generation may differ from an earlier one, which is named by its number and digest."""

    since: tuple[int, str]
    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Generation:
    """One commit compiled for all its proxies; the key of `proxies` is the node id, `<mesh>.<name>`."""

    number: int
    commit: str
    digest: str
    proxies: Mapping[str, ProxyConfig]
    touched: Touched | None = field(default=None, compare=False, repr=False)

    def list_touched(self, former: "Generation | None") -> Iterable[str]:
        """Nodes that may have come, gone or changed; all there are where nobody noted them."""
        if former is None:
            return self.proxies
        if self.touched is not None and self.touched.since == (former.number, former.digest):
            return self.touched.nodes
        return self.proxies.keys() | former.proxies.keys()


def _hash_mark(name: str, version: str) -> int:
    return int.from_bytes(blake2b(f"{name}\0{version}".encode(), digest_size=16).digest())


def sum_marks(resources: Mapping[str, Resource]) -> int:
    """The state-of-the-world version of a set, whatever its order."""
    return sum(resource.mark for resource in resources.values()) % (1 << 128)
