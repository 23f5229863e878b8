from pathlib import Path

import pytest

from benchmarks.calibrate import Calibration
from benchmarks.fits import SERIES, fit_all, fit_exponent
from benchmarks.growth import main
from benchmarks.measure import Measurement
from benchmarks.records import read_newest
from benchmarks.report import Result, keep
from benchmarks.tiers import TIERS, Shape

FLAT, LINEAR, STEEP = 0.0, 1.0, 2.0


def keep_tiers(folder: Path, edits: float, *, even: bool = True) -> None:
    """Four tiers in which an edit's latency grows by this power, everything else in proportion."""
    for tier in ("S", "M", "K", "L"):
        shape = Shape(TIERS[tier], even=even)
        size, calibration = shape.proxies, Calibration(0.1, 0.1, {})
        counters = {"documents": size / 2.5, "stored bytes": size * 1e3}
        measured = [
            Measurement("cold", "", (size / 1e3,), size / 1e3, counters=counters, peak_rss=size * 10_000),
            *(Measurement(name, "", (0.01 * size**edits,), 0.01 * size**edits) for name in ("E1", "E3")),
            Measurement("E6", "", (size / 2e3,), size / 2e3, counters=counters, peak_rss=size * 20_000),
        ]
        keep(Result("compile", shape, tuple(measured), calibration, (0.0, 0.0)), folder)


@pytest.mark.parametrize("power", [0.0, 0.15, 1.0, 1.7])
def test_the_exponent_of_a_power_law_is_found(power: float) -> None:
    assert fit_exponent([(size, 3 * size**power) for size in (30, 1_000, 10_000)]) == pytest.approx(power)


def test_one_size_has_no_exponent() -> None:
    assert fit_exponent([(100, 1.0), (100, 2.0)]) is None
    assert fit_exponent([]) is None


def test_noise_around_a_line_is_averaged() -> None:
    points = [(10, 11.0), (100, 90.0), (1_000, 1_100.0), (10_000, 9_000.0)]
    assert fit_exponent(points) == pytest.approx(0.98, abs=0.03)


def test_every_exponent_that_the_specification_bounds_is_judged(tmp_path: Path) -> None:
    keep_tiers(tmp_path, FLAT)
    judged = {fitted.series.label: fitted.verdict for fitted in fit_all(read_newest(tmp_path)) if fitted.verdict}
    assert judged == {
        "E1 commit to durable": "lead",
        "E3 commit to durable": "lead",
        "cold compile": "lead",
        "E6 mesh-wide edit": "must",
    }


def test_a_machine_that_slows_down_from_size_to_size_is_no_growth(tmp_path: Path) -> None:
    """It takes twice as long for ten times as much, and its kernel does, too."""
    for slower, tier in enumerate(("S", "M", "L")):
        shape, slow = Shape(TIERS[tier], even=True), 2.0**slower
        cpu = slow * shape.proxies / 1e3
        measured = Measurement("E6", "", (cpu,) * 3, cpu, cpus=(cpu,) * 3)
        keep(Result("compile", shape, (measured,), Calibration(0.1, slow * 0.04, {}), (0.0, 0.0)), tmp_path)
    (fitted,) = (one for one in fit_all(read_newest(tmp_path)) if one.series.label == "E6 mesh-wide edit")
    assert fitted.exponent == pytest.approx(1.0)
    assert fitted.points == tuple((float(size), pytest.approx(size / 1e3)) for size in (100, 1000, 10_000))


def test_workloads_that_are_not_even_do_not_count(tmp_path: Path) -> None:
    keep_tiers(tmp_path, FLAT, even=False)
    assert fit_all(read_newest(tmp_path)) == ()


def test_an_edit_that_grows_with_the_mesh_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep_tiers(tmp_path, FLAT)
    assert main(["--results", str(tmp_path)]) == 0
    keep_tiers(tmp_path, 0.5)
    assert main(["--results", str(tmp_path)]) == 1
    assert "missed" in capsys.readouterr().out


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    keep_tiers(tmp_path, FLAT)
    assert main(["--results", str(tmp_path)]) == 0
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_the_newest_of_two_runs_counts(tmp_path: Path) -> None:
    keep_tiers(tmp_path, STEEP)
    keep_tiers(tmp_path, FLAT)
    newest = read_newest(tmp_path)
    assert len(newest) == 4 * 4
    assert [one.exponent for one in fit_all(newest) if one.series.operation == "E1"] == pytest.approx([0, 0])


def test_no_two_series_of_a_panel_have_one_label() -> None:
    labels = [(series.panel, series.label) for series in SERIES]
    assert len(labels) == len(set(labels))
