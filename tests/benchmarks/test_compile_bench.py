from pathlib import Path

from benchmarks.compile_bench import run
from benchmarks.effort import Effort
from benchmarks.tiers import TIERS, Shape


def test_a_short_run_measures_what_it_was_asked_for(tmp_path: Path) -> None:
    effort = Effort(tries=3, seconds=0.0, cold=1)
    cold, edit, nothing, broken = run(tmp_path, Shape(TIERS["S"]), ("E1", "E7", "E10"), effort)
    assert [one.operation for one in (cold, edit, nothing, broken)] == ["cold", "E1", "E7", "E10"]
    assert cold.counters["snapshots"] == 30
    assert 0 < edit.counters["snapshots"] < 30
    assert edit.counters["files that differ"] == 1
    assert 0 < edit.counters["resources that differ"] <= 5 * edit.counters["snapshots that differ"]
    assert not nothing.counters.get("snapshots")
    assert nothing.counters["resources that differ"] == 0
    assert edit.notes == ("same digest as a cold compile",)
    assert len(edit.seconds) == 3
    assert broken.phases.keys() == {"read", "compile"}


def test_a_new_replica_differs_from_the_others_in_little(tmp_path: Path) -> None:
    """Its own listener and cluster, and the endpoints that its callers and neighbours hold in three zones."""
    effort = Effort(tries=3, seconds=0.0, cold=1, verify=False)
    _, edit = run(tmp_path, Shape(TIERS["S"], even=True), ("E3",), effort)
    assert 0 < edit.counters["resources that differ"] <= 5


def test_validating_counts_every_document_and_translates_none(tmp_path: Path) -> None:
    cold, validated = run(tmp_path, Shape(TIERS["S"]), ("validate",), Effort(tries=3, seconds=0.0, cold=1))
    assert validated.operation == "validate"
    assert validated.counters["documents"] >= cold.counters["documents"] > 40
    assert validated.phases.keys() == {"documents", "between them"}
    assert 0 < validated.cpu < cold.cpu
