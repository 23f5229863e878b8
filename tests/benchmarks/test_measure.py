import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.budgets import check, read_budgets, record
from benchmarks.calibrate import Calibration, Kernels, calibrate
from benchmarks.effort import Effort
from benchmarks.measure import Measurement, Stopwatch, percentile, read_child_rss, read_peak_rss, reset_peak_rss
from benchmarks.report import Result, keep
from benchmarks.tiers import TIERS, Shape


def make_result(seconds: float) -> Result:
    measurement = Measurement("E1", "an edit", (seconds, seconds), cpu=seconds)
    return Result("compile", Shape(TIERS["S"]), (measurement,), Calibration(0.2, 0.1, {"sha256": 0.2}), (0.5, 0.7))


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(list(range(1, 101)), 99) == 99
    assert percentile([5, 7], 99) == 7


def test_the_kernel_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    found = calibrate(tmp_path, runs=1)
    assert found.parts.keys() == {"sha256", "zlib", "fsync", "yaml", "upb", "objects"}
    assert found.seconds == pytest.approx(sum(found.parts.values()))
    assert 0 < found.cpu <= found.seconds * 1.5
    assert list(tmp_path.iterdir()) == []


def test_the_peak_counts_anew_after_a_reset() -> None:
    block = bytearray(b"x" * 64_000_000)
    high = read_peak_rss()
    del block
    reset_peak_rss()
    assert read_peak_rss() < high - 32_000_000


def test_a_stopwatch_tells_phases_of_one_try() -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch.whole(), watch.phase("read"):
            pass
    assert len(watch.seconds) == 2
    assert watch.means()["read"] == pytest.approx(watch.sums["read"] / 2)


def test_the_cpu_of_children_counts() -> None:
    watch, busy = Stopwatch(), "import time\nwhile time.process_time() < 0.3: pass"
    with watch.whole():
        subprocess.run([sys.executable, "-c", busy], check=True)
    assert 0.3 <= watch.cpu < 1
    assert read_child_rss() > 1_000_000


def test_a_try_is_divided_by_the_kernels_next_to_it() -> None:
    """The machine was half as fast in the second try, and something else came between in the third."""
    one = Measurement("E1", "", (1.0,) * 4, 1.0, cpus=(0.4, 0.8, 2.0, 0.4), kernels=(0.1, 0.2, 0.2, 0.1, 0.1))
    assert one.quotient == pytest.approx(0.4 / 0.15)
    assert Measurement("E1", "", (1.0,), 1.0).quotient is None


def test_kernels_run_only_where_they_are_wanted_and_longer_beside_a_long_try(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def take_a_tenth() -> None:
        clock[0] += 0.1

    monkeypatch.setattr("benchmarks.calibrate._PROCESSING", {"only": take_a_tenth})
    monkeypatch.setattr("benchmarks.calibrate.time.process_time", lambda: clock[0])
    unwanted, kernels = Kernels(wanted=False), Kernels(wanted=True)
    unwanted.run()
    assert (unwanted.seconds, clock) == ([], [0.0])
    kernels.run()
    assert clock == pytest.approx([0.1])
    kernels.run(beside=5.0)
    assert clock[0] >= 0.1 + 5.0 / 10 - 1e-9, "a tenth of the try"
    assert kernels.seconds == pytest.approx([0.1, 0.1])


def test_effort_ends_by_tries_or_by_time_but_not_before_three() -> None:
    effort = Effort(tries=10, seconds=1.0)
    assert effort.goes_on(2, spent=5.0)
    assert not effort.goes_on(3, spent=5.0)
    assert effort.goes_on(9, spent=0.5)
    assert not effort.goes_on(10, spent=0.5)


def test_a_result_is_kept_as_a_line_for_each_operation(tmp_path: Path) -> None:
    path = keep(make_result(0.2), tmp_path / "results")
    assert keep(make_result(0.2), tmp_path / "results") == path
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["operation"] for line in lines] == ["E1", "E1"]
    assert (lines[0]["quotient"], lines[0]["wallQuotient"]) == pytest.approx((2, 1))
    assert {one["metric"]: one["verdict"] for one in lines[0]["goals"]} == {}
    assert lines[0]["shape"]["tier"] == {"name": "S", "services": 10, "proxies": 30}
    assert lines[0]["load"] == [0.5, 0.7]
    assert {"python", "libgit2", "git", "protobuf"} <= lines[0]["versions"].keys()


def test_budgets_bend_by_their_slack_and_no_more(tmp_path: Path) -> None:
    budgets = tmp_path / "budgets.json"
    record([make_result(0.1)], budgets)
    assert read_budgets(budgets) == {"compile/S": {"E1": 1.0}}
    assert list(check([make_result(0.129)], read_budgets(budgets))) == []
    overrun = list(check([make_result(0.131)], read_budgets(budgets)))
    assert [(one.place, one.operation) for one in overrun] == [("compile/S", "E1")]


def test_recording_one_tier_leaves_the_others(tmp_path: Path) -> None:
    budgets = tmp_path / "budgets.json"
    budgets.write_text('{"compile/M": {"E1": 3}}')
    record([make_result(0.1)], budgets)
    assert read_budgets(budgets) == {"compile/M": {"E1": 3}, "compile/S": {"E1": 1.0}}
