"""What Envoy's resources say of who reaches whom, and nothing else of them."""

from dataclasses import dataclass
from typing import NamedTuple

from compiler.review.access.rbac import Rbac

Place = tuple[str, int]
"""An address and a port."""


class Slot(NamedTuple):
    """A filter that comes by ECDS, and what holds until it is there."""

    extension: str
    default: Rbac | None = None


class Name(NamedTuple):
    """What a URI of the other side's certificate must be or begin with."""

    value: str
    prefix: bool = False

    def fits(self, uris: frozenset[str]) -> bool:
        return any(uri.startswith(self.value) for uri in uris) if self.prefix else self.value in uris


@dataclass(frozen=True, slots=True)
class Chain:
    """One filter chain: for which connections it is, what it asks of them, and where it sends them.

    `guards` are its permissions, whether they judge connections or requests; `routes` are route configurations and
    `slots` extensions that may say where its traffic goes, `clusters` where it says so itself.
    """

    name: str = ""
    transport: str = ""
    alpn: frozenset[str] = frozenset()
    tls: bool = False
    certificate: bool = False
    callers: tuple[Name, ...] = ()
    protocol: str = "tcp"
    guards: tuple[Rbac | Slot, ...] = ()
    routes: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    """Only for who asks for one of these, by which zone proxies tell services apart."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener; an `inbound` one takes calls for the workload, one that `redirects` hands them to the others."""

    name: str
    inbound: bool
    redirects: bool
    places: tuple[Place, ...]
    chains: tuple[Chain, ...]


@dataclass(frozen=True, slots=True)
class Upstream:
    """A cluster: where it leads, whether by TLS with which secret, and whose certificate it wants to see there.

    `assignment` names its endpoints where they come by EDS; `anywhere` is where the client wanted to go; an aggregate
    leads to `clusters`.
    """

    name: str
    places: tuple[Place, ...] = ()
    assignment: str = ""
    anywhere: bool = False
    clusters: tuple[str, ...] = ()
    tls: bool = False
    secret: str = ""
    alpn: frozenset[str] = frozenset()
    wanted: tuple[Name, ...] = ()
    asks: str = ""
    """The name that it asks for by TLS."""


@dataclass(frozen=True, slots=True)
class Extension:
    """What stands in a slot: permissions, or where connections go."""

    guard: Rbac | None = None
    clusters: tuple[str, ...] = ()
