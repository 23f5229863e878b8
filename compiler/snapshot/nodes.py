"""Names on the wire: a proxy says its own, and gets the snapshot that has it, so no two may have one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from compiler.diagnostics import Code, Diagnostic, Severity
from compiler.resources.model import ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.snapshot.names import NodeId

NODE_CLASH: Final = Code(
    "node-clash",
    Severity.ERROR,
    "two proxies with one name on the wire",
    "A proxy is known to the server by its mesh and name, and those of a DataplaneSet with registration by mesh and "
    "workload. Two resources lead to one such name, so that one of them would get the other's configuration. Rename "
    "one, or give it a `kuma.io/workload` of its own. A lower severity does not help: one name has one snapshot.",
)


@dataclass
class Nodes:
    """Which resources have which name, kept up while snapshots come and go."""

    _holders: dict[str, set[ResourceKey]] = field(default_factory=dict)
    _contested: set[str] = field(default_factory=set)

    def move(self, key: ResourceKey, before: NodeId | None, after: NodeId | None) -> None:
        """A resource's snapshot has another name now, none where it is gone."""
        if before == after:
            return
        for name in (str(node) for node in (before, after) if node is not None):
            holders = self._holders.setdefault(name, set())
            holders.symmetric_difference_update({key})
            (self._contested.add if len(holders) > 1 else self._contested.discard)(name)
            if not holders:
                del self._holders[name]

    def find(self, name: str) -> ResourceKey | None:
        """The resource whose snapshot has that name."""
        return next(iter(self._holders.get(name, ())), None)

    def clashes(self, resources: ResourceSet) -> Iterator[Diagnostic]:
        """At every resource but the first of those that share a name."""
        for name in sorted(self._contested):
            first, *others = sorted(self._holders[name])
            for key in others:
                message = f"{first.type} {first.name!r} of mesh {first.mesh!r} is {name!r} to the server too"
                hint = "rename it, or give it a workload of its own"
                subject = resources.subject(key)
                yield Diagnostic(resources.position(key), NODE_CLASH, message, hint, subject)
