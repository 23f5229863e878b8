from pathlib import Path

import pytest

from benchmarks import probe
from benchmarks.effort import Effort
from benchmarks.serve_bench import POINTS, run
from benchmarks.tiers import TIERS, Shape
from benchmarks.witnesses import ABSENT

EFFORT = Effort(tries=3, seconds=0.0)


@pytest.mark.slow
def test_a_commit_is_followed_to_the_last_ack_of_every_proxy_and_to_traffic(tmp_path: Path) -> None:
    measured = run(tmp_path, Shape(TIERS["S"]), ("E1", "E7", "E8", "E10", "C2", "restart"), EFFORT)
    start, storm, edit, effect, nothing, revert, broken, again, envoys, *restarts = measured
    names = [one.operation for one in (start, storm, edit, effect, nothing, broken)]
    assert names == ["start", "C1", "E1", "E1 effect", "E7", "E10"]
    assert storm.counters["proxies"] == again.counters["proxies"] == 30
    assert storm.counters["lost streams"] == 0
    assert list(edit.phases) == [f"to {point}" for point in POINTS]
    assert list(edit.phases.values()) == sorted(edit.phases.values())
    assert 0 < edit.counters["touched"] < 30
    assert again.counters["pushes"] == nothing.counters["pushes"] == broken.counters["pushes"] == 0
    assert list(effect.phases) == [*edit.phases, "to effect"]
    assert effect.phases["to first_push"] < effect.phases["to effect"]
    assert len(effect.seconds) == 3
    digests = [one.counters["digests"] for one in (edit, nothing, revert, broken)]
    assert digests == [3, 1, 2, 1]
    assert envoys.counters == {"real Envoys": 2, "refusals": 0}
    assert [one.operation for one in restarts] == ["restart", "restart, image lost"]


@pytest.mark.slow
def test_without_an_envoy_the_report_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "look_for_envoy", lambda: None)
    measured = list(run(tmp_path, Shape(TIERS["S"]), ("E1", "E7"), EFFORT))
    assert [one.operation for one in measured] == ["start", "C1", "E1", "E7", "Envoys"]
    assert measured[-1].notes == (ABSENT,)
    assert not measured[-1].counters
