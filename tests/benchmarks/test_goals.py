from collections import Counter

import pytest

from benchmarks.goals import GOALS, Bound, judge, list_goals
from benchmarks.measure import Measurement


def measured(operation: str, *seconds: float, **counters: float) -> Measurement:
    return Measurement(operation, "", seconds or (1.0,), 1.0, counters=counters)


@pytest.mark.parametrize(("value", "verdict"), [(12, "lead"), (12.1, "must"), (25, "must"), (25.1, "missed")])
def test_a_bound_is_met_by_what_equals_it(value: float, verdict: str) -> None:
    assert Bound(25, 12).judge(value) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(7_000, "lead"), (1_300, "must"), (1_299, "missed")])
def test_of_a_rate_more_is_better(value: float, verdict: str) -> None:
    assert Bound(1_300, 7_000, at_least=True).judge(value) == verdict


def test_without_a_figure_that_must_be_what_does_not_lead_is_missed() -> None:
    assert [Bound(None, 10).judge(value) for value in (10, 11)] == ["lead", "missed"]


def test_p50_and_p99_of_an_edit_are_goals_of_their_own() -> None:
    seconds = [0.02] * 98 + [0.1, 0.1]
    found = {one.goal.metric: (one.value, one.verdict) for one in judge("compile", "L", measured("E1", *seconds))}
    assert found["E1 commit to durable, p50"] == (pytest.approx(20), "must")
    assert found["E1 commit to durable, p99"] == (pytest.approx(100), "missed")


def test_the_daemons_own_clock_points_are_judged_by_try() -> None:
    one = Measurement("E3", "", (0.1, 0.1), 1.0, points={"durable": (0.01, 0.03)})
    found = {each.goal.metric: each.value for each in judge("serve", "M", one)}
    assert found["E3 commit to durable, beside serving, p50"] == pytest.approx(10)
    assert found["E3 commit to durable, beside serving, p99"] == pytest.approx(30)


def test_a_tier_without_a_goal_is_not_judged() -> None:
    assert [one.goal.metric for one in judge("compile", "S", measured("cold"))] == []
    assert "cold compile, Git to durable" in [one.goal.metric for one in judge("compile", "L", measured("cold"))]


def test_what_a_measurement_does_not_tell_is_not_judged() -> None:
    metrics = {one.goal.metric for one in judge("compile", "L", measured("cold"))}
    assert "stored bytes per proxy" not in metrics
    judged = judge("compile", "L", measured("cold", **{"stored bytes per proxy": 2_900}))
    assert {one.goal.metric: one.verdict for one in judged}["stored bytes per proxy"] == "must"


def test_rebuilding_is_judged_against_what_differs() -> None:
    counters = {"inbound listeners": 10, "load assignments": 2, "resources that differ": 3}
    found = {one.goal.metric: one.value for one in judge("compile", "M", measured("E3", **counters))}
    assert found["E3 resources rebuilt over minimal"] == 4


def test_a_push_costs_what_the_server_spent_over_all_of_them() -> None:
    one = measured("E6", **{"pushes": 2_000, "cpu ms server": 140.0})
    assert {each.goal.metric: each.value for each in judge("serve", "S", one)}["CPU per push and ACK"] == 70


def test_what_a_commit_costs_by_itself_is_no_push() -> None:
    few = {"pushes, E1": 4, "cpu ms server, E1": 3.0}
    one = measured("E6", **{"pushes": 24, "cpu ms server": 4.0}, **few)
    assert {each.goal.metric: each.value for each in judge("serve", "S", one)}["CPU per push and ACK"] == 50


def test_goals_that_were_not_measured_are_listed_without_a_verdict() -> None:
    blank = list(list_goals(["L"]))
    assert {one.verdict for one in blank} == {None}
    assert len(blank) == sum("L" in goal.bounds for goal in GOALS) > 20


def test_every_goal_has_a_name_of_its_own_and_leads_beyond_what_must_be() -> None:
    assert [name for name, count in Counter(goal.metric for goal in GOALS).items() if count > 1] == []
    for bound in (bound for goal in GOALS for bound in goal.bounds.values()):
        assert bound.must is None or bound.lead is None or bound.judge(bound.lead) == "lead"
        assert bound.must is None or bound.judge(bound.must) in {"lead", "must"}


def test_a_digest_that_comes_again_and_refusals_are_goals_of_the_daemon() -> None:
    def verdicts(operation: str, **counters: float) -> list[str | None]:
        judged = judge("serve", "L", measured(operation, **counters))
        return [one.verdict for one in judged if "digests" in one.goal.metric or "refusals" in one.goal.metric]

    assert verdicts("E7", digests=1) == verdicts("E8", digests=2) == verdicts("E10", digests=1) == ["lead"]
    assert verdicts("E7", digests=2) == verdicts("E8", digests=3) == verdicts("E10", digests=2) == ["missed"]
    assert verdicts("Envoys", refusals=0) == ["lead"]
    assert verdicts("Envoys", refusals=1) == ["missed"]
