from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.edits import EDITS, Edit, commit_edit, undo
from benchmarks.generate import make_repository
from benchmarks.repository import WorkloadRepository
from benchmarks.tiers import TIERS, Shape
from compiler.pipeline import Compiler
from compiler.source.git import read_commit

SETS, DATAPLANES = Shape(TIERS["S"]), Shape(TIERS["S"], per_dataplane=True)
CASES = [*((edit, SETS) for edit in EDITS.values()), (EDITS["E3"], DATAPLANES)]


@pytest.mark.parametrize(("edit", "shape"), CASES, ids=lambda each: getattr(each, "name", ""))
def test_an_edit_does_what_it_says_and_can_be_taken_back(edit: Edit, shape: Shape, tmp_path: Path) -> None:
    path = tmp_path / "mesh.git"
    fleet = make_repository(path, shape)
    repository, compiler = WorkloadRepository(path), Compiler()
    first, tree = digest_of(compiler, path), repository.tree
    digests = [first]
    for step in range(3):
        before = repository.tree
        moved = commit_edit(repository, edit, fleet, step)
        assert repository.tip == moved.commit
        assert moved.tree == repository.tree != before
        digests.append(digest_of(compiler, path))
    assert (None in digests) is not edit.valid
    if edit.valid:
        assert all((new != old) is edit.publishes for old, new in pairwise(digests))
    assert repository.commit(undo(fleet, edit, 3), "undo").tree == tree
    assert digest_of(compiler, path) == first


def digest_of(compiler: Compiler, path: Path) -> str | None:
    generation = compiler.compile(read_commit(path, "main").value).value.generation
    return generation.digest if generation is not None else None


def test_a_folder_of_which_nothing_is_left_is_gone(tmp_path: Path) -> None:
    make_repository(tmp_path / "mesh.git", SETS)
    repository = WorkloadRepository(tmp_path / "mesh.git")
    before = repository.tree
    repository.commit({"new/deep/one.yaml": b"a: 1\n"}, "add")
    assert repository.commit({"new/deep/one.yaml": None}, "take away").tree == before


def test_moving_the_branch_back_serves_the_old_commit(tmp_path: Path) -> None:
    make_repository(tmp_path / "mesh.git", SETS)
    repository = WorkloadRepository(tmp_path / "mesh.git")
    first, tree = repository.tip, repository.tree
    repository.commit({"mesh/note.yaml": b"a: 1\n"}, "add")
    assert repository.reset(first).tree == tree
    assert repository.tip == first
