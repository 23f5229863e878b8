"""What a compile produces: a snapshot for each proxy, and the generation that holds them all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.envoy.resources import ResourceType
from compiler.mesh.proxy import SHARED
from compiler.snapshot.canonical import Rendered


@dataclass(frozen=True, slots=True, order=True)
class NodeId:
    """Where a proxy stands in the tree of snapshots."""

    mesh: str
    zone: str
    workload: str
    proxy: str

    @property
    def path(self) -> str:
        return f"meshes/{self.mesh}/{self.zone or 'default'}/{self.workload}/{self.proxy}"

    def __str__(self) -> str:
        """What Envoy says of itself in `node.id`; a shared snapshot has a name that no proxy can have."""
        return f"{self.mesh}.{self.proxy}" if self.proxy != SHARED else f"{self.mesh}.{self.workload}/{SHARED}"


@dataclass(frozen=True, slots=True)
class SecretName:
    """A secret that a snapshot names and the server resolves: an identity (with its URIs), else an authority's root."""

    name: str
    authority: str
    uris: tuple[str, ...] = ()
    lifetime_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one proxy holds; equal maps are shared between the proxies that have them."""

    node: NodeId
    resources: Mapping[ResourceType, Mapping[str, Rendered]]
    secrets: tuple[SecretName, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """All snapshots of one source tree; `digest` is the Git tree id of its `meshes/` folder."""

    commit: str | None
    tree: str
    digest: str
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
