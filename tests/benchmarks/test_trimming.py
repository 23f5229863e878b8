from pathlib import Path

import pytest

from benchmarks.tiers import TIERS, Shape, Tier, Trimming
from benchmarks.trimming import HEADINGS, Limits, Row, Trimmed, main, measure, measure_apart, write_markdown

WAYS: tuple[Trimming, ...] = ("none", "services", "listed", "automatic")


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> dict[Trimming, Trimmed]:
    return {way: measure(tmp_path_factory.mktemp(way), Shape(TIERS["S"], trimming=way)) for way in WAYS}


def test_a_list_of_what_the_graph_has_gives_what_the_permissions_give(trimmed: dict[Trimming, Trimmed]) -> None:
    listed, automatic = trimmed["listed"], trimmed["automatic"]
    assert (listed.clusters, listed.all_bytes) == (automatic.clusters, automatic.all_bytes)


def test_a_list_of_services_trims_by_itself(trimmed: dict[Trimming, Trimmed]) -> None:
    """Routes name MeshServices still, whose clusters stand beside those of the services of 2.x."""
    assert trimmed["automatic"].clusters <= trimmed["services"].clusters < 0.7 * trimmed["none"].clusters


def test_without_trimming_a_proxy_holds_all_services(trimmed: dict[Trimming, Trimmed]) -> None:
    assert trimmed["none"].clusters > TIERS["S"].services > trimmed["automatic"].clusters
    assert trimmed["none"].all_bytes > 2 * trimmed["automatic"].all_bytes


def test_a_compile_that_takes_too_long_is_given_up() -> None:
    shape = Shape(Tier("endless", 1_000, 10_000))
    assert measure_apart(shape, Limits(0.5, 2**33)) == "not finished in 0.5 s"


def test_a_table_says_why_a_row_is_empty(trimmed: dict[Trimming, Trimmed]) -> None:
    rows = [Row("S", "automatic", trimmed["automatic"]), Row("K", "none", None, "not finished in 300 s")]
    lines = write_markdown(rows).splitlines()
    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}
    assert lines[3].startswith("| K | none | not finished in 300 s | - |")


def test_the_program_writes_what_it_measured(tmp_path: Path) -> None:
    assert main(["--tier", "S", "--results", str(tmp_path)]) == 0
    assert (tmp_path / "trimming.md").read_text().count("| S |") == len(WAYS)
