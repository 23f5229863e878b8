"""What a policy for every proxy adds to a first compile, in calls, which nothing else on the machine disturbs."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from benchmarks.fleet import draw_fleet
from benchmarks.generate import BRANCH, import_files, write_files
from benchmarks.tiers import Shape, Tier
from compiler.pipeline import Compiler
from compiler.resources.schema import Schemas
from compiler.snapshot.lock import acquire_lock
from compiler.snapshot.publication import SourceCommit
from compiler.snapshot.store import SnapshotStore
from compiler.source.mirror import Mirror

MOST: Final = 1.08
"""Of the calls without the policy; the goal is a tenth of the time, and hashing takes time without calls."""
SHAPE: Final = Shape(Tier("a third of M", 33, 330))
COLLECTOR: Final = "{backends: [{type: OpenTelemetry, openTelemetry: {endpoint: 'otel.example:4317'}}]}"
SPECS: Final = {
    "MeshTrace": (f"default: {COLLECTOR}",),
    "MeshMetric": (f"default: {COLLECTOR}",),
    "MeshAccessLog": (
        f"to: [{{targetRef: {{kind: Mesh}}, default: {COLLECTOR}}}]",
        f"rules: [{{default: {COLLECTOR}}}]",
    ),
}


@pytest.fixture(scope="module")
def files() -> Mapping[str, bytes]:
    return write_files(draw_fleet(SHAPE))


@pytest.fixture(scope="module")
def without(files: Mapping[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> int:
    return count_first_compile(files, tmp_path_factory.mktemp("without"))


@pytest.mark.parametrize("kind", SPECS)
def test_a_policy_for_every_proxy_adds_less_than_a_tenth(
    kind: str, files: Mapping[str, bytes], without: int, tmp_path: Path
) -> None:
    """The two that say something in every listener name its proxy there: templates of callers are not rendered anew."""
    written = {f"mesh/{kind}-{number}.yaml": write(kind, number, spec) for number, spec in enumerate(SPECS[kind])}
    counted = count_first_compile({**files, **written}, tmp_path)
    assert without < counted < MOST * without


def write(kind: str, number: int, spec: str) -> bytes:
    return f"type: {kind}\nmesh: default\nname: whole-{number}\nspec: {{targetRef: {{kind: Mesh}}, {spec}}}\n".encode()


def count_first_compile(files: Mapping[str, bytes], folder: Path) -> int:
    """The second one's calls, up to a durable generation: what a process remembers of any mesh is known by then."""
    import_files(folder / "mesh.git", files)
    schemas = Schemas.load()
    compile_first(folder, schemas, "warm")
    return count_calls(partial(compile_first, folder, schemas, "counted"))


def compile_first(folder: Path, schemas: Schemas, name: str) -> None:
    source = Mirror(folder / "mirror.git").open_source(folder / "mesh.git")
    lock = acquire_lock(folder / name)
    assert lock is not None
    tip = source.tip(BRANCH) or ""
    tree = source.read_commit(tip, previous=None).value
    compiled = Compiler(schemas, processes=1).compile(tree)
    assert compiled.value.generation is not None, compiled.diagnostics
    origin = SourceCommit("mesh.git", tip, tree.tree)
    store = SnapshotStore.open(folder / name, lock)
    store.publish(compiled.value.generation, source=origin, now=0, tree=compiled.value.files)
    lock.release()


def count_calls(work: Callable[[], None]) -> int:
    """Of Python's functions and of C's."""
    calls = 0

    def note(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls
