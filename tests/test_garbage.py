"""Python's collector runs when it is told to, and what stays is not looked at again."""

import gc
from collections.abc import Iterator

import pytest

from compiler.garbage import collect_by_hand, settle, uncollected


class Cycle:
    freed = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Cycle.freed += 1


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    Cycle.freed = 0
    yield
    gc.unfreeze()
    gc.collect()
    gc.enable()


def test_cycles_of_a_commit_are_freed_after_it() -> None:
    collect_by_hand()
    made = [Cycle() for _ in range(1_000)]
    made.clear()
    assert (gc.isenabled(), Cycle.freed) == (False, 0)
    settle()
    assert Cycle.freed == 1_000


def test_what_stays_is_looked_at_once() -> None:
    collect_by_hand()
    kept = [Cycle() for _ in range(1_000)]
    assert _is_looked_at(kept[0])
    settle()
    assert not _is_looked_at(kept[0])


def _is_looked_at(wanted: object) -> bool:
    """What is frozen is not among the collector's objects."""
    return any(one is wanted for one in gc.get_objects())


def test_a_look_at_nothing_new_costs_nothing() -> None:
    collect_by_hand()
    settle()
    Cycle()
    settle()
    assert Cycle.freed == 0


def test_what_a_command_made_is_not_looked_at_when_it_is_done() -> None:
    with uncollected():
        made: list[object] = [[] for _ in range(300_000)]
        made.append(made)
        Cycle()
    gc.collect()
    assert (len(made), Cycle.freed) == (300_001, 0)


def test_the_cycles_of_a_small_command_are_freed_later() -> None:
    with uncollected():
        Cycle()
    gc.collect()
    assert Cycle.freed == 1


def test_a_command_leaves_the_collector_as_it_was() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()
