"""The gate as CI runs it, with the compile slowed down on purpose."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as program
from benchmarks.isolate import measure
from compiler.pipeline import Compiler
from compiler.source.tree import SourceTree

TIER = ["--tier", "S", "--short", "--only", "E1", "--tries", "5"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The budgets of a run now, in this process, where nothing is slowed down."""
    folder = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "measure_apart", measure)
        budgets = folder / "budgets.json"
        assert program.main([*TIER, "--results", str(folder / "results"), "--budgets", str(budgets), "--record"]) == 0
    return budgets


@pytest.fixture
def arguments(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The gate in this process, so that what a test does to the compiler counts, with twice what the run cost.

    Few tries beside other tests are a rough measurement, and the slow ones cost five times as much and more.
    """
    monkeypatch.setattr(program, "measure_apart", measure)
    doubled = {name: 2 * cost for name, cost in json.loads(recorded.read_text())["compile/S"].items()}
    (tmp_path / "budgets.json").write_text(json.dumps({"compile/S": doubled}))
    return [*TIER, "--results", str(tmp_path / "results"), "--budgets", str(tmp_path / "budgets.json"), "--check"]


def slow_down(monkeypatch: pytest.MonkeyPatch, seconds: float, times: int = 1_000_000) -> None:
    """One stage burns CPU, so often."""
    read, left = Compiler.read, [times]

    def read_slowly(compiler: Compiler, tree: SourceTree) -> Any:
        left[0] -= 1
        end = time.process_time() + seconds
        while left[0] >= 0 and time.process_time() < end:
            pass
        return read(compiler, tree)

    monkeypatch.setattr(Compiler, "read", read_slowly)


def test_a_regression_ends_with_1_and_is_named(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow_down(monkeypatch, 0.1)
    assert program.main(arguments) == 1
    out = capsys.readouterr().out
    assert "measured again: compile/S E1" in out
    assert "over budget: compile/S E1" in out


def test_a_disturbance_that_passes_is_no_regression(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the first look all is slow: three starts, a warm-up, five edits, a look from nothing, taking them back."""
    slow_down(monkeypatch, 0.1, times=11)
    assert program.main(arguments) == 0
    out = capsys.readouterr().out
    assert "measured again: compile/S E1" in out
    assert "over budget" not in out


def test_what_was_recorded_is_held(arguments: list[str], tmp_path: Path) -> None:
    budgets = json.loads((tmp_path / "budgets.json").read_text())["compile/S"]
    assert budgets.keys() == {"cold", "E1"}
    low = {"compile/S": {**budgets, "E1": budgets["E1"] / 6}}
    (tmp_path / "budgets.json").write_text(json.dumps(low))
    assert program.main(arguments) == 1


def test_ci_runs_the_gate() -> None:
    root = Path(__file__).parents[2]
    assert "- run: make bench-check\n" in (root / ".github/workflows/ci.yml").read_text()
    assert "\nbench-check:" in (root / "Makefile").read_text()
