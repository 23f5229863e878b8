"""What a snapshot is called, and the secrets that it names: all that a server must know of how snapshots are made."""

from typing import Final, NamedTuple

from compiler.mesh.names import NO_MESH, NO_ZONE, SHARED
from compiler.mesh.trust import Trusted


class NodeId(NamedTuple):
    """Where a proxy stands in the tree of snapshots."""

    mesh: str
    zone: str
    workload: str
    proxy: str

    @property
    def path(self) -> str:
        return f"meshes/{self.mesh}/{self.zone or NO_ZONE}/{self.workload}/{self.proxy}"

    def __str__(self) -> str:
        """What Envoy says of itself in `node.id`; a shared snapshot has a name that no proxy can have."""
        if self.mesh == NO_MESH:
            return f".{self.proxy}"
        return f"{self.mesh}.{self.proxy}" if self.proxy != SHARED else f"{self.mesh}.{self.workload}/{SHARED}"


CERTIFICATE: Final = "certificate"
"""The kind of a user's own certificate with its key."""
FROM_AGENT: Final = "agent"
"""The kind of a certificate that the proxy has from an agent of SPIRE, and the server does not know."""


class SecretName(NamedTuple):
    """A secret that a snapshot names and the server resolves.

    A certificate of an authority has URIs; a bundle of whom to trust has domains; what else an authority is named for
    is its root. Without any of those it is the user's own, made of `sources`: Secrets of the mesh, which hold a
    certificate and its key where `kind` is `certificate`, else certificates of whom to trust. An authority that the
    server was not given is made of its `sources`.
    """

    name: str
    authority: str
    uris: tuple[str, ...] = ()
    lifetime_seconds: int = 0
    sources: tuple[str, ...] = ()
    kind: str = ""
    mesh: str = ""
    """Whose it is, where the proxy is of no mesh."""
    trusted: tuple[Trusted, ...] = ()
