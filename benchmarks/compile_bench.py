"""The compiler by itself: from a moved branch to a durable generation, in this process, with no server beside it."""

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.calibrate import Kernels
from benchmarks.edits import EDITS, Edit, commit_edit, undo
from benchmarks.effort import Effort
from benchmarks.fleet import Fleet
from benchmarks.generate import make_repository
from benchmarks.measure import Measurement, Stopwatch, read_child_rss, read_cpu, read_peak_rss, reset_peak_rss
from benchmarks.repository import WorkloadRepository
from benchmarks.stored import StoredObjects
from benchmarks.tiers import Shape
from compiler.diagnostics import Checked
from compiler.garbage import collect_by_hand, settle
from compiler.pipeline import Compiled, Compiler
from compiler.resources.schema import Schemas
from compiler.snapshot.image.writing import ImageWriter
from compiler.snapshot.lock import Lock, acquire_lock
from compiler.snapshot.publication import SourceCommit
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.snapshot.store import SnapshotStore
from compiler.source.mirror import Mirror, Source
from compiler.source.tree import SourceTree


@dataclass
class Bench:
    """One repository, one compiler that remembers, one store."""

    fleet: Fleet
    repository: WorkloadRepository
    source: Source
    data: Path
    lock: Lock
    compiler: Compiler = field(default_factory=Compiler)
    tree: SourceTree | None = None
    generation: Generation | None = None
    counters: dict[str, int] = field(default_factory=dict)
    store: SnapshotStore = field(init=False)
    image: ImageWriter = field(init=False)
    stored: StoredObjects = field(init=False)

    def __post_init__(self) -> None:
        self.stored = StoredObjects(self.data / "snapshots.git" / "objects")
        self.store = SnapshotStore.open(self.data, self.lock)
        self.image = ImageWriter(self.data / "serving.image")

    @classmethod
    def make(cls, folder: Path, shape: Shape) -> "Bench":
        """`folder` must be there and empty."""
        path = folder / "mesh.git"
        fleet = make_repository(path, shape)
        source = Mirror(folder / "data" / "mirror.git").open_source(path)
        lock = acquire_lock(folder / "data")
        if lock is None:
            raise RuntimeError(f"{folder} is in use")
        return cls(fleet, WorkloadRepository(path), source, folder / "data", lock)

    def reconcile(self, watch: Stopwatch) -> Checked[Compiled]:
        """What the reconcile loop does with a moved branch, up to a durable generation."""
        with watch.whole():
            with watch.phase("read"):
                tip = self.source.tip("main") or ""
                tree = self.source.read_commit(tip, previous=self.tree)
            with watch.phase("compile"):
                checked = self.compiler.compile(tree.value)
            generation = checked.value.generation
            if generation is not None:
                with watch.phase("store"):
                    origin = SourceCommit(str(self.repository.path), tip, tree.value.tree)
                    published = self.store.publish(generation, source=origin, now=time.time(), tree=checked.value.files)
        if generation is not None:
            with watch.phase("image, after durable"):
                self.image.append(generation, published.number, checked.value.files)
        changes = _count_changes(self.tree, tree.value, self.generation, generation)
        self.counters = {**checked.value.counters, **changes, "objects written": self.stored.count_new()}
        self.tree, self.generation = tree.value, generation or self.generation
        settle()
        return checked

    @property
    def written(self) -> int:
        """Bytes in the store's object database."""
        return self.stored.size


def _count_changes(
    old_tree: SourceTree | None, tree: SourceTree, old: Generation | None, generation: Generation | None
) -> Mapping[str, int]:
    """What differs, whatever was computed: the least that had to be read and built."""
    known = {file.blob for file in old_tree.files} if old_tree is not None else set()
    before = old.snapshots if old is not None else {}
    after = generation.snapshots if generation is not None else {}
    changed = [(before.get(node), snapshot) for node, snapshot in after.items() if before.get(node) is not snapshot]
    resources = {
        one
        for former, snapshot in changed
        for one in _list_versions(snapshot) - _list_versions(former or _find_sibling(before, snapshot))
    }
    return {
        "files that differ": sum(file.blob not in known for file in tree.files),
        "snapshots that differ": sum(
            _list_versions(former) != _list_versions(snapshot) for former, snapshot in changed
        ),
        "resources that differ": len(resources),
    }


def _find_sibling(before: Mapping[str, Snapshot], snapshot: Snapshot) -> Snapshot | None:
    """Another replica of the same workload, from which a new one differs in little."""
    place = snapshot.node.workload, snapshot.node.zone
    return next((one for one in before.values() if (one.node.workload, one.node.zone) == place), None)


def _list_versions(snapshot: Snapshot | None) -> frozenset[tuple[str, str]]:
    if snapshot is None:
        return frozenset()
    return frozenset((one.name, one.version) for held in snapshot.resources.values() for one in held.values())


def run(folder: Path, shape: Shape, operations: Sequence[str], effort: Effort) -> Iterator[Measurement]:
    """Cold first, since all else is measured on what it leaves behind; garbage is collected when the daemon does."""
    collect_by_hand()
    try:
        bench = Bench.make(folder, shape)
        yield _measure_cold(bench, folder, effort)
        if "validate" in operations:
            yield _measure_validate(bench)
        for name in operations:
            if name in EDITS:
                yield _measure_edit(bench, EDITS[name], effort.of(name))
    finally:
        gc.unfreeze()
        gc.enable()


def _measure_cold(bench: Bench, folder: Path, effort: Effort) -> Measurement:
    """The first is the one whose memory is told; the others begin in empty folders too."""
    watch, kernels = Stopwatch(), Kernels(effort.steady)
    reset_peak_rss()
    before = read_peak_rss()
    kernels.run()
    _compile_first(bench, watch)
    peak = read_peak_rss()
    for each in range(1, effort.cold):
        kernels.run(watch.cpus[-1])
        _compile_elsewhere(bench, folder / f"cold-{each}", watch)
    kernels.run(watch.cpus[-1])
    documents = len(bench.tree.files) if bench.tree is not None else 0
    stored = bench.written
    counters = {
        "documents": documents,
        **bench.counters,
        "stored bytes": stored,
        "stored bytes per proxy": round(stored / bench.fleet.shape.proxies),
        "rss before": before,
        "rss of a child": read_child_rss(),
    }
    return _describe("cold", "Git to durable", watch, kernels, counters, peak)


def _compile_elsewhere(bench: Bench, folder: Path, watch: Stopwatch) -> None:
    lock = acquire_lock(folder)
    assert lock is not None
    _compile_first(Bench(bench.fleet, bench.repository, bench.source, folder, lock, Compiler()), watch)
    lock.release()
    gc.unfreeze()  # all of it is garbage now
    gc.collect()
    gc.freeze()


def _compile_first(bench: Bench, watch: Stopwatch) -> None:
    """With the schemas loaded anew, as after a start; raises RuntimeError where the workload has errors."""
    begun, cpu = time.perf_counter(), read_cpu()
    bench.compiler = Compiler(Schemas.load())
    loading, cpu = time.perf_counter() - begun, read_cpu() - cpu
    checked = bench.reconcile(watch)
    watch.seconds[-1] += loading
    watch.cpus[-1] += cpu
    watch.sums["schemas"] = watch.sums.get("schemas", 0.0) + loading
    if checked.failed:
        raise RuntimeError(f"the workload does not compile: {checked.diagnostics[0]}")


def _measure_validate(bench: Bench) -> Measurement:
    """All that can be said without translating: each document by itself, then what stands between them."""
    assert bench.tree is not None
    watch, compiler = Stopwatch(), Compiler(bench.compiler.schemas)
    with watch.whole():
        with watch.phase("documents"):
            read = compiler.read(bench.tree)
        resources = read.value[0]
        with watch.phase("between them"):
            compiler.graph(resources, resources.resources)
    counters = {"documents": resources.counts.documents}
    return Measurement("validate", "documents and references", tuple(watch.seconds), watch.cpu, watch.means(), counters)


def _measure_edit(bench: Bench, edit: Edit, effort: Effort) -> Measurement:
    """The first try only warms up: it may add a file that the others change."""
    commit_edit(bench.repository, edit, bench.fleet, 0)
    _judge(edit, bench.reconcile(Stopwatch()))
    stored, watch, kernels = bench.written, Stopwatch(), Kernels(effort.steady)
    step, begun = 0, time.perf_counter()
    kernels.run()
    while effort.goes_on(step, time.perf_counter() - begun):
        step += 1
        commit_edit(bench.repository, edit, bench.fleet, step)
        before = bench.counters
        _judge(edit, bench.reconcile(watch))
        kernels.run(watch.cpus[-1])
    counters = {**_take_greater(before, bench.counters), "stored bytes": round((bench.written - stored) / step)}
    notes = (_compare_with_cold(bench),) if effort.verify and edit.valid else ()
    bench.repository.commit(undo(bench.fleet, edit, step + 1), f"undo {edit.name}")
    bench.reconcile(Stopwatch())
    return _describe(edit.name, edit.title, watch, kernels, counters, read_peak_rss(), notes)


def _take_greater(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    """Of tries that take turns, such as one endpoint more and one less, whichever came last."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def _describe(
    name: str,
    title: str,
    watch: Stopwatch,
    kernels: Kernels,
    counters: Mapping[str, float],
    peak: int,
    notes: tuple[str, ...] = (),
) -> Measurement:
    return Measurement(
        operation=name,
        title=title,
        seconds=tuple(watch.seconds),
        cpu=watch.cpu / len(watch.cpus),
        phases=watch.means(),
        counters=counters,
        peak_rss=peak,
        notes=notes,
        cpus=tuple(watch.cpus),
        kernels=tuple(kernels.seconds),
    )


def _judge(edit: Edit, checked: Checked[Compiled]) -> None:
    """A benchmark of something that does not do what it should is worth nothing."""
    if checked.failed is edit.valid:
        raise RuntimeError(f"{edit.name} should {'' if edit.valid else 'not '}compile: {checked.diagnostics[:1]}")


def _compare_with_cold(bench: Bench) -> str:
    """Raises RuntimeError unless the incremental result is that of a compile from nothing."""
    assert bench.tree is not None
    cold = Compiler(bench.compiler.schemas).compile(bench.tree).value.generation
    assert cold is not None
    published = bench.store.published
    if published is None or published.digest != cold.digest:
        raise RuntimeError(f"published {published}, a cold compile gives {cold.digest}")
    return "same digest as a cold compile"
