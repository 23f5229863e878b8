"""What a server holds: plain values that need no parsing, shared between proxies and between generations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from compiler.snapshot.names import NodeId, SecretName

__all__ = ["ServedGeneration", "ServedProxy", "ServedResource", "Touched"]


class ServedResource(NamedTuple):
    """`body` is a serialised Any, as it goes on the wire."""

    version: str
    body: bytes


class ServedProxy(NamedTuple):
    """One proxy's resources by type URL and name. Equal maps are one object; an unchanged proxy is the same object."""

    node: NodeId
    digest: str
    resources: Mapping[str, Mapping[str, ServedResource]]
    secrets: tuple[SecretName, ...] = ()


class Touched(NamedTuple):
    """Where a generation may differ from an earlier one, which is named by its number and digest."""

    since: tuple[int, str]
    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServedGeneration:
    """All proxies by node id (`str(NodeId)`, what Envoy says in `node.id`)."""

    number: int
    commit: str | None
    digest: str
    proxies: Mapping[str, ServedProxy] = field(default_factory=dict)
    touched: Touched | None = field(default=None, compare=False, repr=False)

    def list_differing(self, former: "ServedGeneration | None") -> tuple[str, ...]:
        """Nodes that came, went or hold something else; all are looked at only where nobody noted the touched ones."""
        before = former.proxies if former is not None else {}
        noted = former is not None and self.touched is not None and self.touched.since == (former.number, former.digest)
        nodes = sorted(self.touched.nodes) if noted and self.touched else {**before, **self.proxies}
        return tuple(node for node in nodes if before.get(node) is not self.proxies.get(node))
