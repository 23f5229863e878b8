"""When a child is killed, judged from what was seen of it."""

from dataclasses import replace

import pytest

from compiler.reconcile.options import MIB, Limits
from compiler.reconcile.vitals import Death, Phase, Vitals, is_silent, judge_worker, phase_bound

LIMITS = Limits()
WELL = Vitals(now=100.0, started=0.0, heard=99.8, phase=Phase("idle"), phase_since=10.0, resident=80 * MIB)


def test_an_idle_worker_that_beats_lives_for_ever() -> None:
    assert judge_worker(WELL, LIMITS, 0.1) is None


@pytest.mark.parametrize(("silence", "death"), [(2.9, None), (3.1, Death.STALLED)])
def test_three_seconds_of_silence_are_a_stall(silence: float, death: Death | None) -> None:
    assert judge_worker(replace(WELL, heard=100.0 - silence), LIMITS, 0.1) is death


@pytest.mark.parametrize(
    ("silence", "starved", "death"),
    [(5.9, 3.0, None), (6.1, 3.0, Death.STALLED), (14.9, 99.0, None), (15.1, 99.0, Death.STALLED)],
)
def test_a_worker_that_gets_no_cpu_is_excused_for_a_while(silence: float, starved: float, death: Death | None) -> None:
    assert judge_worker(replace(WELL, heard=100.0 - silence, starved_silent=starved), LIMITS, 0.1) is death


def test_a_worker_that_still_imports_has_longer_until_its_first_beat() -> None:
    starting = replace(WELL, heard=None, started=90.0)
    assert not is_silent(starting, start=20.0, silence=3.0)
    assert is_silent(replace(starting, started=79.0), start=20.0, silence=3.0)


def test_memory_over_its_bound_is_said_before_anything_else() -> None:
    assert judge_worker(replace(WELL, resident=2049 * MIB, heard=0.0), LIMITS, None) is Death.MEMORY


def test_a_compile_may_take_five_seconds_and_three_times_the_longest_before() -> None:
    compiling = replace(WELL, phase=Phase("compile", "c", "t"))
    assert judge_worker(replace(compiling, phase_since=100.0 - 10.9), LIMITS, 2.0) is None
    assert judge_worker(replace(compiling, phase_since=100.0 - 11.1), LIMITS, 2.0) is Death.TIME


def test_a_compile_that_gets_no_cpu_is_excused_for_a_while() -> None:
    compiling = replace(WELL, phase=Phase("compile", "c", "t"), phase_since=100.0 - 16.0, heard=100.0)
    assert judge_worker(replace(compiling, starved_in_phase=5.1), LIMITS, 2.0) is None
    assert judge_worker(replace(compiling, starved_in_phase=4.9), LIMITS, 2.0) is Death.TIME
    assert judge_worker(replace(compiling, starved_in_phase=99.0, phase_since=100.0 - 55.1), LIMITS, 2.0) is Death.TIME


def test_each_phase_has_its_own_bound_and_idling_has_none() -> None:
    assert phase_bound("fetch", LIMITS, 1.0) == 30.0
    assert phase_bound("compile", LIMITS, None) == LIMITS.first_compile
    assert phase_bound("idle", LIMITS, 1.0) is None
