from benchmarks.effort import Effort


def test_what_has_no_p99_to_hold_is_tried_for_a_shorter_time() -> None:
    effort = Effort(tries=200, seconds=60, brief=5)
    assert effort.of("E1").seconds == effort.of("E1 effect").seconds == 60
    assert effort.of("E6").seconds == 5
    assert Effort(tries=30, seconds=4).of("E6").seconds == 4


def test_an_operation_is_tried_three_times_however_long_it_takes() -> None:
    effort = Effort(tries=200, seconds=60, brief=5).of("E6")
    assert effort.goes_on(2, 100)
    assert not effort.goes_on(3, 100)
