from pathlib import Path

import pytest

from benchmarks.effort import Effort
from benchmarks.serve_bench import POINTS, run
from benchmarks.tiers import TIERS, Shape


@pytest.mark.slow
def test_a_commit_is_followed_to_the_last_ack_of_every_proxy(tmp_path: Path) -> None:
    effort = Effort(tries=3, seconds=0.0)
    start, storm, edit, nothing, broken, again = run(tmp_path, Shape(TIERS["S"]), ("E1", "E7", "E10", "C2"), effort)
    assert [one.operation for one in (start, storm, edit, nothing, broken)] == ["start", "C1", "E1", "E7", "E10"]
    assert storm.counters["proxies"] == 30
    assert storm.counters["lost streams"] == 0
    assert list(edit.phases) == [f"to {point}" for point in POINTS]
    assert list(edit.phases.values()) == sorted(edit.phases.values())
    assert 0 < edit.counters["touched"] < 30
    assert again.counters["pushes"] == nothing.counters["pushes"] == broken.counters["pushes"] == 0
