"""The IR of zone proxies: what is passed on unopened, and what is opened (kuma-core §5.7)."""

from typing import Final

from msgspec.structs import replace

from compiler.mesh.calls import Inbound, Upstream
from compiler.mesh.destination import Destination
from compiler.mesh.value import Confs, Owner, Value
from compiler.resources.model import ResourceKey


class Passage(Value, frozen=True):
    """Connections that a zone proxy passes on unopened, told by the name that their callers ask for.

    They go to endpoints of the proxy's own zone where `side` is near, of the others where it is far. `confs` are of
    policies for the listener, which sees connections alone.
    """

    server_name: str
    cluster: str
    service: ResourceKey
    section: str
    subset: tuple[tuple[str, str], ...]
    side: str
    confs: Confs = ()
    owner: Owner | None = None

    @property
    def unjudged(self) -> "Passage":
        """Without what policies say: so far it is that of every zone proxy of its zone."""
        return replace(self, confs=(), owner=None)


_NOTHING: Final = Upstream(Destination("", ResourceKey("", "", ""), "", "", ""), ())
"""Every field behind Inbound's has a default: a value with fields by name only could not be kept in an image."""


class Opening(Inbound, frozen=True):
    """Where a zone egress ends the mesh's TLS and calls a service outside: for its callers it is an inbound."""

    server_name: str = ""
    upstream: Upstream = _NOTHING

    @property
    def name(self) -> str:
        return self.upstream.destination.name

    @property
    def called(self) -> str:
        return self.upstream.destination.service.name


class ZoneGate(Value, frozen=True):
    """A listener of a zone proxy, by which a zone is entered or left."""

    name: str
    address: str
    port: int
    passages: tuple[Passage, ...] = ()
    openings: tuple[Opening, ...] = ()
