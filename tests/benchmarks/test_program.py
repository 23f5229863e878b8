"""What a run measures, with the measuring itself left out."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks.calibrate import Calibration
from benchmarks.effort import Effort
from benchmarks.report import Result
from benchmarks.tiers import Shape

Asked = tuple[str, Shape, Sequence[str], Effort]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What was to be measured; a server always fails."""
    found: list[Asked] = []

    def measure(kind: str, shape: Shape, operations: Sequence[str], effort: Effort, folder: Path | None) -> Result:
        found.append((kind, shape, operations, effort))
        return Result(kind, shape, (), Calibration(1, 1, {}), (0, 0), "nobody came" if kind == "serve" else "")

    monkeypatch.setattr(program, "measure_apart", measure)
    return found


def test_a_tier_is_measured_in_every_way_that_a_goal_is_about(asked: list[Asked], tmp_path: Path) -> None:
    program.main(["--tier", "L", "--results", str(tmp_path)])
    assert [kind for kind, *_ in asked] == ["compile", "files", "serve"]
    by_set, by_file, served = asked
    assert by_file[1].per_dataplane
    assert not by_set[1].per_dataplane
    assert by_file[2] == ("validate",)
    assert {"E4", "E9", "C2", "I", "restart"} <= set(served[2])
    assert served[3].of("E6").seconds < served[3].of("E3").seconds


def test_exponents_want_no_file_for_each_proxy(asked: list[Asked], tmp_path: Path) -> None:
    program.main(["--tier", "S", "--even", "--only", "E1,E3,E6", "--results", str(tmp_path)])
    assert [kind for kind, *_ in asked] == ["compile", "serve"]


def test_what_could_not_be_measured_fails_the_run_and_is_told(
    asked: list[Asked], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["--tier", "S", "--kind", "compile", "--results", str(tmp_path)]) == 0
    assert program.main(["--tier", "S", "--kind", "serve", "--results", str(tmp_path)]) == 1
    assert "not all of serve S was measured: nobody came" in capsys.readouterr().out
    assert len(asked) == 2
