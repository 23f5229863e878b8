"""A clock that someone sets wrong must not change what time it is for certificates, unless it stays so."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from compiler.identity.clock import SteadyClock

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Machine:
    """Time passes in both of its clocks; only the wall's can be set."""

    steady: float = 1_000.0
    wall: float = START.timestamp()

    def pass_time(self, time: timedelta) -> None:
        self.steady += time.total_seconds()
        self.wall += time.total_seconds()

    def set_clock(self, by: timedelta) -> None:
        self.wall += by.total_seconds()

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.steady)


def test_it_is_the_wall_clock_where_nobody_sets_it() -> None:
    machine = Machine()
    clock = machine.clock()
    for _ in range(100):
        machine.pass_time(timedelta(hours=7))
        assert clock.now().timestamp() == pytest.approx(machine.wall)
        assert not clock.doubts


@pytest.mark.parametrize("jump", [timedelta(days=-3650), timedelta(hours=-1), timedelta(hours=1), timedelta(days=400)])
def test_a_large_step_that_is_taken_back_was_never_seen(jump: timedelta) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set_clock(jump)
    for minute in range(14):
        assert clock.now() == START + timedelta(minutes=minute)
        assert clock.doubts
        machine.pass_time(timedelta(minutes=1))
    machine.set_clock(-jump)
    assert clock.now() == START + timedelta(minutes=14)
    assert not clock.doubts


def test_a_large_step_is_believed_when_it_has_lasted_a_quarter_of_an_hour() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set_clock(timedelta(days=20))
    assert clock.now() == START
    machine.pass_time(timedelta(minutes=15))
    assert clock.now() == START + timedelta(days=20, minutes=15)
    assert not clock.doubts


def test_a_second_step_starts_the_waiting_anew() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set_clock(timedelta(days=20))
    clock.now()
    machine.pass_time(timedelta(minutes=14))
    machine.set_clock(timedelta(days=20))
    clock.now()
    machine.pass_time(timedelta(minutes=14))
    assert clock.now() == START + timedelta(minutes=28)


def test_small_corrections_are_followed_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set_clock(timedelta(minutes=-4))
    assert clock.now() == START - timedelta(minutes=4)


def test_the_real_clocks_agree() -> None:
    assert abs(SteadyClock().now() - datetime.now(UTC)) < timedelta(seconds=1)
