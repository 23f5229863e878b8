"""A plan is the same whether its base was compiled now or kept by an earlier one."""

import os
import signal
from pathlib import Path

import pytest

from compiler.diagnostics import Checked
from compiler.pipeline import Compiler
from compiler.review.access.reaching import find_access
from compiler.review.changes import baseline
from compiler.review.changes.baseline import open_baseline
from compiler.review.changes.plan_json import render_json
from compiler.review.changes.planning import NO_TREE, make_plan
from compiler.review.kept.folder import Kept
from compiler.review.outputs.text import render_text
from compiler.review.versions import Versions
from tests.review.shop_edits import FASTER, SHOP, edited, service
from tests.trees import SCHEMAS, tree_of

EDITS = {
    "nothing": (),
    "a default": (FASTER,),
    "a permission": (("permissions.yaml", "spiffe://shop/web", "spiffe://shop/batch"),),
    "a service and a default": (FASTER, ("teams/web.yaml", "backend, port: 8080", "batch, port: 8080")),
    "a proxy less": (("teams/web.yaml", "  - {name: '4', address: 127.1.2.4, zone: west}\n", ""),),
    "a mistake": (("retry.yaml", "numRetries: 2", "numRetrys: 2"),),
}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path / "cache", fewest=0)
    made.open()
    return made


def plan(head: dict[str, str], kept: Kept | None, zone: str | None = None) -> tuple[str, str]:
    base, versions = Checked(tree_of(SHOP)), Versions(Compiler(SCHEMAS, zone=zone))
    made = make_plan(versions, base, Checked(tree_of(head)), "main", "head", kept=kept)
    return render_json(made), render_text(made)


@pytest.mark.parametrize("edit", EDITS)
def test_it_is_the_same_without_one_with_a_new_and_with_a_kept_one(edit: str, kept: Kept) -> None:
    head = dict(edited(*EDITS[edit]))
    without = plan(head, None)
    assert plan(head, kept) == without
    (image,) = kept.folder.iterdir()
    written = image.read_bytes()
    assert plan(head, kept) == without
    assert image.read_bytes() == written


@pytest.mark.parametrize("edit", EDITS)
def test_a_zone_has_a_base_of_its_own(edit: str, kept: Kept) -> None:
    head = dict(edited(*EDITS[edit]))
    without = {zone: plan(head, None, zone) for zone in (None, "west", "east")}
    for _ in range(2):
        for zone, expected in without.items():
            assert plan(head, kept, zone) == expected
        assert len(list(kept.folder.iterdir())) == len(without)


def test_a_small_zone_of_a_large_mesh_is_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path, fewest=8)
    west = Versions(Compiler(SCHEMAS, zone="west"))
    with open_baseline(west, Checked(tree_of(SHOP)), kept) as base:
        assert 0 < len(base.version.snapshots) < kept.fewest
    assert len(list(tmp_path.iterdir())) == 1


def test_of_a_zone_in_which_nothing_stands_nothing_is_kept(kept: Kept) -> None:
    plan(dict(SHOP), kept, "nowhere")
    assert list(kept.folder.iterdir()) == []


def test_a_kept_base_is_not_compiled_again(kept: Kept) -> None:
    plan(dict(SHOP), kept)
    versions = Versions(Compiler(SCHEMAS))
    with open_baseline(versions, Checked(tree_of(SHOP)), kept) as base:
        assert versions.compiler.computed == {}
        assert len(base.version.snapshots) == 8
        assert base.access() == find_access(base.version.snapshots)
        assert base.access().edges


def test_what_does_not_compile_is_not_kept(kept: Kept) -> None:
    broken = Checked(tree_of(edited(("retry.yaml", "numRetries: 2", "numRetrys: 2"))))
    made = make_plan(Versions(Compiler(SCHEMAS)), broken, Checked(tree_of(SHOP)), "main", "head", kept=kept)
    assert made.base_findings
    assert list(kept.folder.iterdir()) == []


def test_nothing_is_kept_of_nothing(kept: Kept) -> None:
    make_plan(Versions(Compiler(SCHEMAS)), NO_TREE, Checked(tree_of(SHOP)), "nothing", "head", kept=kept)
    assert list(kept.folder.iterdir()) == []


def test_a_small_mesh_is_compiled_as_quickly_as_it_is_read(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    plan(dict(SHOP), kept)
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_knows_something_else_is_not_kept_nor_replaced(kept: Kept) -> None:
    versions = Versions(Compiler(SCHEMAS))
    compiler = versions.compiler
    versions.compile(Checked(tree_of(edited(FASTER))))
    with open_baseline(versions, Checked(tree_of(SHOP)), kept) as base:
        assert base.access() == find_access(base.version.snapshots)
    assert versions.compiler is compiler
    assert list(kept.folder.iterdir()) == []


def test_a_kept_base_that_is_harmed_is_made_anew(kept: Kept) -> None:
    head = dict(edited(FASTER))
    without = plan(head, kept)
    (image,) = kept.folder.iterdir()
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    assert plan(head, kept) == without
    assert len(image.read_bytes()) > len(whole) // 2
    assert plan(head, kept) == without


def test_a_folder_that_goes_away_harms_no_plan(kept: Kept) -> None:
    kept.folder.rmdir()
    head = dict(edited(FASTER))
    assert plan(head, kept) == plan(head, None)


def test_two_plans_at_once_do_not_harm_each_other(kept: Kept) -> None:
    tree = Checked(tree_of(SHOP))
    one, other = Versions(Compiler(SCHEMAS)), Versions(Compiler(SCHEMAS))
    with open_baseline(one, tree, kept) as first, open_baseline(other, tree, kept) as second:
        assert first.access() == second.access()
    assert len(list(kept.folder.iterdir())) == 1
    assert kept.find(tree.value, Compiler(SCHEMAS)) is not None


def test_who_may_call_whom_is_found_here_where_the_child_dies(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, find = os.getpid(), find_access

    def die_in_a_child(*asked: object) -> object:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return find(*asked)  # type: ignore[arg-type]

    head = dict(edited(("permissions.yaml", "spiffe://shop/web", "spiffe://shop/batch")))
    without = plan(head, None)
    monkeypatch.setattr(baseline, "find_access", die_in_a_child)
    assert plan(head, kept) == without
    assert list(kept.folder.iterdir()) == []


def test_a_larger_head_than_the_base_is_planned_from_what_was_kept(kept: Kept) -> None:
    head = {**SHOP, "teams/new.yaml": service("new", 5, "backend", place=7)}
    without = plan(head, None)
    plan(head, kept)
    assert plan(head, kept) == without
