import json
from pathlib import Path

import pytest

from benchmarks.calibrate import Calibration
from benchmarks.measure import Measurement
from benchmarks.records import counters_by_operation, read_newest
from benchmarks.report import Result, keep
from benchmarks.summary import main
from benchmarks.tiers import TIERS, Shape


def keep_one(
    folder: Path, kind: str = "compile", *, even: bool = False, tier: str = "L", **counters: float
) -> Measurement:
    one = Measurement("E1", "an edit", (0.01, 0.02, 0.03), 0.02, counters=counters, cpus=(0.01, 0.02), notes=("a",))
    keep(
        Result(kind, Shape(TIERS[tier], even=even), (one,), Calibration(0.2, 0.1, {"sha256": 0.2}), (0.5, 0.7)), folder
    )
    return one


def test_what_was_kept_is_read_back(tmp_path: Path) -> None:
    kept = keep_one(tmp_path, proxy=10)
    (record,) = read_newest(tmp_path)
    assert (record.measurement, record.kind, record.tier) == (kept, "compile", "L")
    assert record.around["load"] == [0.5, 0.7]


def test_shapes_and_kinds_are_kept_apart(tmp_path: Path) -> None:
    keep_one(tmp_path)
    keep_one(tmp_path)
    keep_one(tmp_path, even=True)
    keep_one(tmp_path, "serve")
    assert len(read_newest(tmp_path)) == 3


def test_pushes_are_counted_end_to_end_and_the_rest_in_the_compiler(tmp_path: Path) -> None:
    keep_one(tmp_path, "serve", pushes=7)
    keep_one(tmp_path, proxy=10)
    assert counters_by_operation(read_newest(tmp_path)) == {"E1": {"pushes": 7, "proxy": 10}}


def test_a_release_keeps_figures_and_verdicts_but_not_every_try(tmp_path: Path) -> None:
    keep_one(tmp_path, proxy=10)
    keep_one(tmp_path, even=True)
    assert main(["--results", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("release-*.json")
    summary = json.loads(path.read_text())
    (measured,) = summary["measurements"]
    assert (measured["tries"], measured["p50"], measured["p99"]) == (3, 0.02, 0.03)
    assert measured["work"] == {"proxies resolved": 10}
    assert "seconds" not in measured
    assert {one["metric"]: one["verdict"] for one in summary["goals"]} == {
        "E1 commit to durable, p50": "must",
        "E1 commit to durable, p99": "lead",
    }
    assert [one["sizes"] for one in summary["exponents"] if one["panel"].startswith("Latency")] == [[10_000]]


def test_without_measurements_there_is_no_summary(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--results", str(tmp_path)])
