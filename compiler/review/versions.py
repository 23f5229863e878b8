"""The two sides of a comparison, compiled by one compiler one after the other: the second costs what differs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.diagnostics import Checked, Diagnostic, sort_diagnostics
from compiler.pipeline import Compiled, Compiler
from compiler.resources.model import ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.resources.settings import Settings
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.source.tree import SourceTree

__all__ = ["Version", "Versions"]


@dataclass(frozen=True)
class Version:
    """A tree and what it compiled to. `generation` is None where there are errors; snapshots never change."""

    tree: SourceTree
    generation: Generation | None
    resources: ResourceSet
    diagnostics: tuple[Diagnostic, ...]
    settings: Settings = field(default_factory=Settings)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """By node id."""
        return self.generation.snapshots if self.generation is not None else {}


@dataclass
class Versions:
    """Moves one compiler from tree to tree. Its memo speaks of the tree that was compiled last, and of no other."""

    compiler: Compiler = field(default_factory=Compiler)
    _last: Version | None = None

    @property
    def is_new(self) -> bool:
        """Whether nothing was compiled yet."""
        return self._last is None

    def compile(self, tree: Checked[SourceTree], *, thorough: bool = False) -> Version:
        """A tree, at the cost of what differs from the one before; the same tree again costs nothing."""
        if self._last is not None and self._last.tree is tree.value:
            return self._last
        compiled: Checked[Compiled] = self.compiler.compile(tree.value, thorough=thorough)
        found = sort_diagnostics((*tree.diagnostics, *compiled.diagnostics))
        generation = None if tree.failed else compiled.value.generation
        self._last = Version(tree.value, generation, compiled.value.resources, found, compiled.value.settings)
        return self._last

    def key_of(self, node: str) -> ResourceKey | None:
        """The resource that the last tree's proxy of that node id is compiled from."""
        return self.compiler.find_proxy(node)
