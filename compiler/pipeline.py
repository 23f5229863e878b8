"""The whole compiler on one page: SourceTree → Documents → ResourceSet → MeshGraph → Proxy → EnvoyResources → Snapshot.

Up to the ResourceSet only the files are read in which a tree differs from the one before it. From there on a memo
remembers what each computation read, so that an edit costs what it touches (docs/decisions/0003); a compile from
nothing is the same code with an empty memo.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Final

from compiler.diagnostics import Checked, Diagnostic, Severity, set_severities, sort_diagnostics
from compiler.envoy.policy import HOOKS
from compiler.forks import map_shares, usable_cores
from compiler.memo import Memo, Table
from compiler.mesh.checks.between import FINDINGS, check_resource
from compiler.mesh.checks.identities import ABSENT
from compiler.mesh.checks.policies import SELECTS_NOTHING
from compiler.mesh.graph import as_dataplane, is_proxy, load
from compiler.mesh.kinds import KINDS
from compiler.mesh.names import NO_ZONE
from compiler.mesh.order import Origin
from compiler.mesh.reachability import index_callers
from compiler.policies import POLICIES
from compiler.resources.by_key import ByKey
from compiler.resources.findings import DANGLING_REF
from compiler.resources.initial import Everything
from compiler.resources.model import Resource, ResourceKey
from compiler.resources.reading import Reading
from compiler.resources.resource_set import ResourceSet
from compiler.resources.schema import Schemas
from compiler.resources.settings import Settings, read_settings
from compiler.snapshot.ahead import compute_ahead
from compiler.snapshot.digest import GenerationTree, running_toolchain
from compiler.snapshot.names import NodeId
from compiler.snapshot.nodes import Nodes
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.snapshot.take import SNAPSHOT, Taken, report, report_unmatched
from compiler.source.tree import SourceTree

_REFERRED_BY_NOTHING: Final = frozenset(policy.kind.type for policy in POLICIES) - {"MeshHTTPRoute"}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A generation, or None where there are errors, and what it was made from; `counters` prove proportion.

    `memo` answers questions about it until the next compile; `files` is its tree, for whoever keeps it.
    """

    generation: Generation | None
    resources: ResourceSet
    settings: Settings
    counters: Mapping[str, int]
    memo: Memo = field(repr=False, compare=False, default_factory=Memo)
    files: GenerationTree = field(repr=False, compare=False, default_factory=GenerationTree)


@dataclass
class Compiler:
    """Compiles one tree after another, remembering; every result is what an empty one would give."""

    schemas: Schemas = field(default_factory=Schemas.load)
    memo: Memo = field(default_factory=Memo)
    toolchain: Mapping[str, str] = field(default_factory=running_toolchain)
    processes: int = field(default_factory=usable_cores)
    zone: str | None = None
    """The one zone whose proxies get a snapshot; what is wrong between documents is told of all."""
    _reading: Reading = field(init=False)
    _loaded: Everything = field(default_factory=Everything)
    _found: dict[ResourceKey, tuple[Diagnostic, ...]] = field(default_factory=dict)
    _awaited: set[ResourceKey] = field(default_factory=set)
    _taken: dict[ResourceKey, Taken] = field(default_factory=dict)
    _wrong: dict[ResourceKey, Taken] = field(default_factory=dict)
    _changes: dict[tuple[Origin, bool], int] = field(default_factory=dict)
    _snapshots: ByKey[str, Snapshot] = field(default_factory=ByKey)
    _unkept: dict[ResourceKey, Snapshot | None] = field(default_factory=dict)
    _files: GenerationTree = field(default_factory=GenerationTree)
    _nodes: Nodes = field(default_factory=Nodes)

    def __post_init__(self) -> None:
        self._reading = Reading(self.schemas, partial(map_shares, processes=self.processes))

    def compile(self, tree: SourceTree, *, thorough: bool = False) -> Checked[Compiled]:
        """A generation with warnings, or the errors that stand in its way.

        `thorough` looks between the documents even where some of them could not be read.
        """
        before = self.computed
        read = self.read(tree)
        resources, settings = read.value
        if read.failed:
            between = self._find_despite(read) if thorough else ()
            found = sort_diagnostics((*read.diagnostics, *between))
            return Checked(Compiled(None, resources, settings, {}, self.memo), found)
        graph = Checked(None, set_severities(self.graph(resources, self._reading.changed), settings.severity))
        self.index()
        self._awaited.update(self._reading.changed)
        self._reading.changed.clear()
        taken = () if graph.failed else set_severities(self.snapshots(resources), settings.severity)
        counters = {name: count - before.get(name, 0) for name, count in self.computed.items()}
        clashes = () if graph.failed else self._nodes.clashes(resources)
        diagnostics = sort_diagnostics((*read.diagnostics, *graph.diagnostics, *taken, *clashes))
        checked = Checked(Compiled(None, resources, settings, counters, self.memo), diagnostics)
        if checked.failed:
            return checked
        generation = self.generation(tree)
        return Checked(Compiled(generation, resources, settings, counters, self.memo, self._files), diagnostics)

    def remembered(self) -> Mapping[str, Any]:
        """All that it knows of the tree that it compiled last, for `recall` in another process."""
        own = {name: getattr(self, name) for name in _REMEMBERED}
        return {**own, "pages": self._reading.pages, "memo": self.memo.image()}

    def recall(self, remembered: Mapping[str, Any], tree: SourceTree, tables: Mapping[str, Table]) -> None:
        """Go on as if it had compiled the tree of which this is remembered; `tables` are all there are, by name."""
        settings = read_settings(tree, self.schemas, self.toolchain).value
        self.memo = Memo.from_image(remembered["memo"], tables)
        self._reading.resume(remembered["pages"], tree, settings)
        for name in _REMEMBERED:
            setattr(self, name, remembered[name])

    def find_proxy(self, node: str) -> ResourceKey | None:
        """What a proxy's snapshot is made from, by the name that it has on the wire."""
        return self._nodes.find(node)

    @property
    def computed(self) -> Mapping[str, int]:
        """How often each thing that is remembered was made."""
        return {**self._reading.computed, **self.memo.computed}

    def read(self, tree: SourceTree) -> Checked[tuple[ResourceSet, Settings]]:
        """Documents to resources: all that can be said of each without looking at the others, and their names."""
        settings = read_settings(tree, self.schemas, self.toolchain)
        resources = self._reading.read(tree, settings.value)
        found = set_severities(resources.diagnostics, settings.value.severity)
        return Checked((resources.value, settings.value), sort_diagnostics((*settings.diagnostics, *found)))

    def _find_despite(self, read: Checked[tuple[ResourceSet, Settings]]) -> tuple[Diagnostic, ...]:
        """What is wrong between the documents that could be read, in a memo of its own.

        A reference may be to something in a document that could not: it counts as dangling only if all of those are
        policies that nothing refers to.
        """
        resources, settings = read.value
        found = Compiler(self.schemas).graph(resources, resources.resources)
        broken = {one.subject.type if one.subject else "" for one in read.diagnostics if one.level is Severity.ERROR}
        if not broken <= _REFERRED_BY_NOTHING:
            found = tuple(one for one in found if one.code not in (DANGLING_REF, SELECTS_NOTHING, *ABSENT))
        return set_severities(found, settings.severity)

    def graph(self, resources: ResourceSet, changed: Iterable[ResourceKey]) -> tuple[Diagnostic, ...]:
        """Resources into the mesh's tables, and what is wrong between them: of a template, once.

        `changed` are those that may mean something else, or stand somewhere else, since the last time.
        """
        touched = tuple(changed)
        self._load(resources, touched)
        self._find_between(resources, touched)
        found = (one for key in sorted(self._found) for one in self._found[key])
        return tuple({(one.position, one.code, one.message): one for one in found}.values())

    def tabulate(self, resources: ResourceSet, changed: Iterable[ResourceKey]) -> None:
        """The tables alone, and who may call whom, for whoever asks of a proxy and not what is wrong."""
        self._load(resources, changed)
        self.index()

    def index(self) -> None:
        """Who may call whom: proxies lean on it, what is wrong between resources does not."""
        index_callers(self.memo, self._loaded.meshes)

    def _load(self, resources: ResourceSet, changed: Iterable[ResourceKey]) -> None:
        self.memo.write(KINDS, None, tuple(policy.kind for policy in POLICIES))
        self.memo.write(HOOKS, None, {policy.kind.type: policy for policy in POLICIES})
        changes = self._loaded.update(resources.resources, tuple(changed))
        load(self.memo, changes)
        self.memo.forget(FINDINGS, [old.key for old, new in changes if old is not None and new is None])

    def _find_between(self, resources: ResourceSet, changed: Iterable[ResourceKey]) -> None:
        """Positions belong to the file, so what only moved is told anew."""
        for key in (*changed, *sorted(self.memo.stale(FINDINGS))):
            source = resources.sources.get(key)
            found = tuple(check_resource(self.memo, key, source)) if source is not None else ()
            if found:
                self._found[key] = found
            else:
                self._found.pop(key, None)

    def snapshots(self, resources: ResourceSet) -> tuple[Diagnostic, ...]:
        """A snapshot of each proxy whose slice of the mesh changed; what Envoy would refuse in any of them."""
        proxies = {key for key in self._awaited if self._is_wanted(resources.resources.get(key))}
        for key in (self._awaited - proxies) & self._taken.keys():
            self._replace(key, None)
        wanted = sorted({key for key in proxies if key not in self._taken} | self.memo.stale(SNAPSHOT))
        compute_ahead(self.memo, wanted, self.processes)
        for key in wanted:
            taken = self.memo.ask(SNAPSHOT, key)
            if taken is not self._taken.get(key):
                self._replace(key, taken)
        self._awaited.clear()
        self.memo.sweep()
        wrong = (found for key in sorted(self._wrong) for found in report(self._wrong[key], resources))
        return (*wrong, *report_unmatched(self._changes, resources))

    def _is_wanted(self, resource: Resource | None) -> bool:
        if resource is None or not is_proxy(resource):
            return False
        return self.zone is None or (as_dataplane(resource).zone or NO_ZONE) == self.zone

    def generation(self, tree: SourceTree) -> Generation:
        """All snapshots, and the digest of the tree of files that they are."""
        changed = [self._taken[key].snapshot for key in self._unkept if key in self._taken]
        gone = {one.node for key, one in self._unkept.items() if one is not None and self._has_left(key, one.node)}
        if gone:
            gone -= {snapshot.node for snapshot in changed}
        self._files = self._files.with_changes(changed, gone)
        named = {str(snapshot.node): snapshot for snapshot in changed}
        self._snapshots = self._snapshots.with_changes(named, map(str, gone))
        self._unkept.clear()
        return Generation(tree.commit, tree.tree, self._files.digest, self._snapshots)

    def _has_left(self, key: ResourceKey, node: NodeId) -> bool:
        return key not in self._taken or self._taken[key].snapshot.node != node

    def _replace(self, key: ResourceKey, taken: Taken | None) -> None:
        """What the tree of files holds is remembered until a generation is made: a bad commit makes none."""
        before = self._taken.pop(key, None)
        self._wrong.pop(key, None)
        if taken is None:
            self.memo.forget(SNAPSHOT, [key])
        else:
            self._taken[key] = taken
            if taken.problems:
                self._wrong[key] = taken
        self._count_changes(before, taken)
        old, new = (one.snapshot if one is not None else None for one in (before, taken))
        self._nodes.move(key, old.node if old else None, new.node if new else None)
        self._unkept.setdefault(key, old)

    def _count_changes(self, before: Taken | None, after: Taken | None) -> None:
        """At how many proxies each patch found something, and at how many nothing."""
        for taken, step in ((before, -1), (after, 1)):
            for change in taken.changes if taken is not None else ():
                self._changes[change] = self._changes.get(change, 0) + step
                if not self._changes[change]:
                    del self._changes[change]


_REMEMBERED: Final = tuple(one.name for one in fields(Compiler) if one.name.startswith("_") and one.init)


def compile_tree(tree: SourceTree, schemas: Schemas | None = None) -> Checked[Compiled]:
    """One tree, from nothing."""
    return Compiler(schemas or Schemas.load()).compile(tree)


__all__ = ["Compiled", "Compiler", "compile_tree"]
