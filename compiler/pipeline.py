"""The whole compiler on one page: SourceTree → Documents → ResourceSet → MeshGraph → Proxy → EnvoyResources → Snapshot.

The stages up to the ResourceSet work document by document and remember their verdicts by blob. From there on a memo
remembers what each computation read, so that an edit costs what it touches (docs/decisions/0003); a compile from
nothing is the same code with an empty memo.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from compiler.diagnostics import Checked, Diagnostic, set_severities, sort_diagnostics
from compiler.envoy.policy import HOOKS
from compiler.memo import Memo
from compiler.mesh.checks import check_resource
from compiler.mesh.graph import RESOURCE, is_proxy, load
from compiler.mesh.reachability import index_callers
from compiler.mesh.selection import KINDS
from compiler.policies import POLICIES
from compiler.resources.initial import add_initial_policies
from compiler.resources.model import Resource, ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.resources.schema import Schemas
from compiler.resources.settings import Settings, read_settings, select_files
from compiler.resources.validate import VerdictCache, validate
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.snapshot.take import SNAPSHOT, Taken, report
from compiler.source.parse import ParseCache, parse
from compiler.source.tree import SourceTree


@dataclass(frozen=True, slots=True)
class Compiled:
    """A generation, or None where there are errors, and what it was made from; `counters` prove proportion.

    `memo` answers questions about it until the next compile.
    """

    generation: Generation | None
    resources: ResourceSet
    settings: Settings
    counters: Mapping[str, int]
    memo: Memo = field(repr=False, compare=False, default_factory=Memo)


@dataclass
class Compiler:
    """Compiles one tree after another, remembering; every result is what an empty one would give."""

    schemas: Schemas = field(default_factory=Schemas.load)
    memo: Memo = field(default_factory=Memo)
    _parsed: ParseCache = field(default_factory=ParseCache)
    _judged: VerdictCache = field(default_factory=VerdictCache)
    _loaded: Mapping[ResourceKey, Resource] = field(default_factory=dict)
    _taken: dict[ResourceKey, Taken] = field(default_factory=dict)
    _found: dict[ResourceKey, tuple[Diagnostic, ...]] = field(default_factory=dict)
    _tree: GenerationTree = field(default_factory=GenerationTree)

    def compile(self, tree: SourceTree) -> Checked[Compiled]:
        """A generation with warnings, or the errors that stand in its way."""
        before = dict(self.memo.computed)
        read = self.read(tree)
        resources, settings = read.value
        if read.failed:
            return Checked(Compiled(None, resources, settings, {}, self.memo), read.diagnostics)
        graph = Checked(None, set_severities(self.graph(resources), settings.severity))
        taken = () if graph.failed else set_severities(self.snapshots(resources), settings.severity)
        counters = {name: count - before.get(name, 0) for name, count in self.memo.computed.items()}
        diagnostics = sort_diagnostics((*read.diagnostics, *graph.diagnostics, *taken))
        checked = Checked(Compiled(None, resources, settings, counters, self.memo), diagnostics)
        if checked.failed:
            return checked
        return Checked(Compiled(self.generation(tree), resources, settings, counters, self.memo), diagnostics)

    def read(self, tree: SourceTree) -> Checked[tuple[ResourceSet, Settings]]:
        """Documents to resources: all that can be said of each without looking at the others, and their names."""
        settings = read_settings(tree, self.schemas)
        documents = parse(select_files(tree, settings.value), self._parsed)
        resources = validate(documents.value, self.schemas, self._judged)
        self._judged.keep_only(documents.value)
        found = set_severities((*documents.diagnostics, *resources.diagnostics), settings.value.severity)
        return Checked((resources.value, settings.value), sort_diagnostics((*settings.diagnostics, *found)))

    def graph(self, resources: ResourceSet) -> tuple[Diagnostic, ...]:
        """Resources into the mesh's tables, and what is wrong between them."""
        everything = add_initial_policies(resources.resources)
        self.memo.write(KINDS, None, tuple(policy.kind for policy in POLICIES))
        self.memo.write(HOOKS, None, {policy.kind.type: policy for policy in POLICIES})
        load(self.memo, self._loaded, everything)
        self._loaded = everything
        index_callers(self.memo, sorted({key.name for key in everything if key.type == "Mesh"}))
        return tuple(
            finding
            for key, source in resources.sources.items()
            for finding in check_resource(self.memo, key, source)
        )

    def snapshots(self, resources: ResourceSet) -> tuple[Diagnostic, ...]:
        """A snapshot of each proxy whose slice of the mesh changed; what Envoy would refuse in any of them."""
        proxies = [key for key, resource in resources.resources.items() if is_proxy(resource)]
        self._forget(self._taken.keys() - set(proxies))
        stale = self.memo.stale(SNAPSHOT)
        for key in proxies:
            if key not in self._taken or key in stale:
                self._taken[key] = self.memo.ask(SNAPSHOT, key)
        self.memo.sweep()
        return tuple(finding for taken in _distinct(self._taken.values()) for finding in report(taken, resources))

    def generation(self, tree: SourceTree) -> Generation:
        """All snapshots, and the digest of the tree of files that they are."""
        snapshots: dict[str, Snapshot] = {str(one.snapshot.node): one.snapshot for one in self._taken.values()}
        self._tree = self._tree.holding(snapshots)
        return Generation(tree.commit, tree.tree, self._tree.digest, snapshots)

    def _forget(self, gone: Iterable[ResourceKey]) -> None:
        for key in tuple(gone):
            del self._taken[key]
            self.memo.forget(SNAPSHOT, [key])


def _distinct(taken: Iterable[Taken]) -> Iterable[Taken]:
    return (one for one in taken if one.problems)


def compile_tree(tree: SourceTree, schemas: Schemas | None = None) -> Checked[Compiled]:
    """One tree, from nothing."""
    return Compiler(schemas or Schemas.load()).compile(tree)


__all__ = ["RESOURCE", "Compiled", "Compiler", "compile_tree"]
