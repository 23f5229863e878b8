"""What is served: framed resources, one proxy's set of them, and a generation of all proxies."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import NamedTuple

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
    `exclusive` is what only one resource of its type may hold, a listener's address. The marks of the resources that a
    client holds are added up to its state-of-the-world version.
    """

    name: str
    version: str
    body: bytes = field(compare=False, repr=False)
    exclusive: str | None = field(default=None, compare=False)
    delta_head: bytes = field(init=False, compare=False, repr=False)
    delta_tail: bytes = field(init=False, compare=False, repr=False)
    sotw_head: bytes = field(init=False, compare=False, repr=False)
    mark: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        head, tail = frame_delta_resource(self.name, self.version, len(self.body))
        object.__setattr__(self, "delta_head", head)
        object.__setattr__(self, "delta_tail", tail)
        object.__setattr__(self, "sotw_head", frame_sotw_resource(len(self.body)))
        object.__setattr__(self, "mark", _mark(self.name, self.version))

    def under_version(self, version: str) -> "Resource":
        """The same content under a version string of its own: older Envoys ignore a repair under a refused one."""
        return replace(self, version=version)

    def sotw_parts(self) -> Iterator[bytes]:
        yield self.sotw_head
        yield self.body


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """All that one proxy is to hold, by type URL and name; secrets by name only.

    Mappings of equal types are shared between proxies. Live endpoints may differ under one `digest`.
    """

    digest: str
    resources: Mapping[str, Mapping[str, Resource]]
    secrets: tuple[str, ...] = ()

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


def _mark(name: str, version: str) -> int:
    return int.from_bytes(blake2b(f"{name}\0{version}".encode(), digest_size=16).digest())


def sum_marks(resources: Mapping[str, Resource]) -> int:
    """The state-of-the-world version of a set, whatever its order."""
    return sum(resource.mark for resource in resources.values()) % (1 << 128)
