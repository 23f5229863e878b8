"""What is typed after `meshwright serve` reaches the daemon."""

from pathlib import Path

import pytest

from compiler.cli import serve
from compiler.cli.main import run
from compiler.reconcile.options import MIB, Limits, ServeOptions


@pytest.mark.parametrize(
    ("line", "memory", "seconds"),
    [
        ("", Limits().worker_memory, Limits().first_compile),
        ("--worker-memory 4096 --first-compile 180", 4096 * MIB, 180.0),
    ],
)
def test_the_limits_of_the_worker_can_be_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, memory: int, seconds: float
) -> None:
    asked: list[ServeOptions] = []

    def start(options: ServeOptions) -> int:
        asked.append(options)
        return 0

    monkeypatch.setattr(serve, "serve", start)
    assert run(["serve", "--repo", str(tmp_path), "--data", str(tmp_path / "data"), *line.split()]) == 0
    assert (asked[0].limits.worker_memory, asked[0].limits.first_compile) == (memory, seconds)


@pytest.mark.parametrize("line", ["--worker-memory 255", "--first-compile 0.5", "--worker-memory 2G"])
def test_limits_under_which_nothing_works_are_refused(tmp_path: Path, line: str) -> None:
    assert run(["serve", "--repo", str(tmp_path), "--data", str(tmp_path / "data"), *line.split()]) == 64
