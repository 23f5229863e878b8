"""Variants of a tree, compiled one after the other: of each only what differs, and only the proxies asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.diagnostics import Checked, Diagnostic, set_severities, sort_diagnostics
from compiler.memo import Memo
from compiler.mesh.graph import is_proxy, load
from compiler.pipeline import Compiler
from compiler.resources.model import Resource, ResourceKey
from compiler.resources.reading import Reading
from compiler.resources.resource_set import ResourceSet
from compiler.resources.schema import Schemas
from compiler.resources.settings import Settings, read_settings
from compiler.review.variants import with_root
from compiler.snapshot.ahead import compute_ahead
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.take import SNAPSHOT
from compiler.source.tree import SourceTree


@dataclass
class Trial:
    """The stages of `Compiler.compile` without its verdict: a variant may leave a reference dangling, and is looked at.

    Everything that is asked is asked of the tree that was read last.
    """

    compiler: Compiler = field(default_factory=Compiler)
    resources: ResourceSet = field(default_factory=ResourceSet)
    _reading: Reading = field(init=False)
    _tree: SourceTree | None = None
    _unchecked: dict[ResourceKey, None] = field(default_factory=dict)
    """What may mean something else since it was last asked what is wrong."""

    def __post_init__(self) -> None:
        self._reading = Reading(self.compiler.schemas)

    @property
    def memo(self) -> Memo:
        return self.compiler.memo

    @property
    def schemas(self) -> Schemas:
        return self.compiler.schemas

    def read(self, tree: SourceTree) -> tuple[Diagnostic, ...]:
        """What is wrong in a tree's documents and between them; the tree that was read last costs nothing."""
        if self._tree is tree:
            return ()
        settings, read = self._read(tree)
        between = self.compiler.graph(read.value, self._unchecked)
        self.compiler.index()
        self._reading.changed.clear()
        self._unchecked.clear()
        self._tree = tree
        found = set_severities((*read.diagnostics, *between), settings.value.severity)
        return sort_diagnostics((*settings.diagnostics, *found))

    def _move(self, tree: SourceTree) -> None:
        """To a variant, of which nobody asks what is wrong."""
        if self._tree is not tree:
            _, read = self._read(tree)
            self.compiler.tabulate(read.value, self._reading.changed)
            self._reading.changed.clear()
            self._tree = tree

    def _read(self, tree: SourceTree) -> tuple[Checked[Settings], Checked[ResourceSet]]:
        settings = read_settings(tree, self.schemas, self.compiler.toolchain)
        read = self._reading.read(with_root(tree), settings.value)
        self.resources = read.value
        self._unchecked |= self._reading.changed
        return settings, read

    def snapshot(self, tree: SourceTree, key: ResourceKey) -> Snapshot | None:
        """What one proxy would be given; None where it would not be there, nor its mesh."""
        self._move(tree)
        return self.memo.ask(SNAPSHOT, key).snapshot if self._stands(key) else None

    def snapshot_if(self, proxy: ResourceKey, before: Resource, after: Resource | None) -> Snapshot | None:
        """What a proxy of the tree that was read last would be given if this resource, which no file may hold, said
        something else, or were not there.
        """
        load(self.memo, [(before, after)])
        try:
            return self.memo.ask(SNAPSHOT, proxy).snapshot if self._stands(proxy) else None
        finally:
            load(self.memo, [(after, before)])

    def snapshots(self, tree: SourceTree) -> Mapping[ResourceKey, Snapshot]:
        """Those of all proxies."""
        self._move(tree)
        keys = [key for key, resource in self.resources.resources.items() if is_proxy(resource) and self._stands(key)]
        compute_ahead(self.memo, [key for key in keys if self.memo.lacks(SNAPSHOT, key)], self.compiler.processes)
        found = {key: self.memo.ask(SNAPSHOT, key).snapshot for key in keys}
        self.memo.sweep()
        return found

    def _stands(self, key: ResourceKey) -> bool:
        found = self.resources.resources
        has_mesh = not key.mesh or ResourceKey("Mesh", "", key.mesh) in found
        return has_mesh and key in found and is_proxy(found[key])


__all__ = ["Trial"]
