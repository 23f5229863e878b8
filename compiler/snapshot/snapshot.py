"""What a compile produces: a snapshot for each proxy, and the generation that holds them all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.names import NodeId, SecretName


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
