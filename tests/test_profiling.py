"""The main thread is looked at from an alarm, and nothing of what it handles is kept."""

import json
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from compiler.profiling import MOST_LOOKS, PERIOD, Watch, period_for
from tests.speedscope import seconds_in


@pytest.fixture
def watch() -> Iterator[Watch]:
    former = signal.getsignal(signal.SIGALRM)
    yield Watch()
    signal.signal(signal.SIGALRM, former)


def _toil(password: str, seconds: float) -> int:
    rounds, end = len(password), time.perf_counter() + seconds
    while time.perf_counter() < end:
        rounds += 1
    return rounds


def _rest(seconds: float) -> None:
    time.sleep(seconds)


def test_time_is_shared_out_among_the_functions_that_took_it(watch: Watch) -> None:
    with watch.profile("toil and rest") as profile:
        begun = time.perf_counter()
        _toil("x", 0.3)
        toiled = time.perf_counter()
        _rest(0.2)
        rested = time.perf_counter()
    seconds = seconds_in(json.loads(profile.to_json()))
    assert seconds["_toil"] == pytest.approx(toiled - begun, abs=0.1)
    assert seconds["_rest"] == pytest.approx(rested - toiled, abs=0.1)


def test_work_in_short_spells_is_seen_although_the_thread_mostly_waits(watch: Watch) -> None:
    """As an event loop does; who looks only when the interpreter is free sees a loop that always waits."""
    toiled = 0.0
    with watch.profile("spells") as profile:
        for _ in range(400):
            begun = time.perf_counter()
            _toil("x", 0.0003)
            toiled += time.perf_counter() - begun
            _rest(0.0007)
    assert seconds_in(json.loads(profile.to_json()))["_toil"] > toiled / 5


def test_functions_and_their_files_are_kept_and_no_value_is(watch: Watch) -> None:
    with watch.profile("toil") as profile:
        _toil("swordfish", 0.1)
    document = profile.to_json()
    assert b"swordfish" not in document
    [toil] = [frame for frame in json.loads(document)["shared"]["frames"] if frame["name"] == "_toil"]
    assert toil == {"name": "_toil", "file": __file__, "line": _toil.__code__.co_firstlineno}


def test_another_thread_may_take_it_and_what_ends_it_in_a_wait_is_counted(watch: Watch) -> None:
    """A wait that no signal ends is looked at when the profile ends."""
    taken: list[bytes] = []

    def take() -> None:
        with watch.profile("main") as profile:
            time.sleep(0.2)
        taken.append(profile.to_json())
        done.set()

    done = threading.Event()
    threading.Thread(target=take).start()
    done.wait()
    seconds = seconds_in(json.loads(taken[0]))
    assert seconds["Event.wait"] > 0.15
    assert not [name for name in seconds if name.endswith("take")]


def test_a_thread_that_stands_still_costs_a_line_however_long(watch: Watch) -> None:
    begun = time.perf_counter()
    with watch.profile("rest") as profile:
        _rest(0.3)
    took = time.perf_counter() - begun
    [shown] = json.loads(profile.to_json())["profiles"]
    assert len(shown["samples"]) < 10
    assert sum(shown["weights"]) == pytest.approx(took, abs=0.1)


def test_a_long_profile_is_coarser_and_once_it_is_over_no_alarm_rings(watch: Watch) -> None:
    assert period_for(1) == PERIOD
    assert 300 / period_for(300) == MOST_LOOKS
    with watch.profile("nothing") as profile:
        assert signal.getitimer(signal.ITIMER_REAL)[1] == pytest.approx(PERIOD)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    before = profile.to_json()
    _toil("x", 0.02)
    assert profile.to_json() == before
