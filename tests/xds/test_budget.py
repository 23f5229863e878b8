"""The byte budget admits what fits, keeps the order, and loses nothing when a waiter gives up."""

from collections.abc import Callable

from compiler.xds.budget import ByteBudget


def test_what_does_not_fit_waits_for_its_turn() -> None:
    budget, order = ByteBudget(10), list[str]()
    assert budget.take_at_once(8)
    for name, size in (("big", 6), ("small", 1)):
        assert not budget.take_at_once(size)
        budget.wait_for(size, _noting(order, name))
    order.append("given back")
    budget.give_back(8)
    assert order == ["given back", "big", "small"]
    assert budget.used == 7
    assert not budget.is_awaited


def test_a_message_larger_than_the_budget_is_written_alone() -> None:
    budget, order = ByteBudget(10), list[str]()
    assert budget.take_at_once(1)
    budget.wait_for(1000, _noting(order, "huge"))
    assert order == []
    budget.give_back(1)
    assert (order, budget.used) == (["huge"], 1000)


def test_a_waiter_that_gives_up_holds_nobody_up() -> None:
    budget, order = ByteBudget(10), list[str]()
    giving_up = _noting(order, "giving up")
    assert budget.take_at_once(8)
    budget.wait_for(9, giving_up)
    budget.wait_for(2, _noting(order, "patient"))
    budget.withdraw(giving_up)
    assert (order, budget.used) == (["patient"], 10)


def test_who_withdraws_after_the_grant_changes_nothing() -> None:
    budget, order = ByteBudget(10), list[str]()
    late = _noting(order, "late")
    assert budget.take_at_once(8)
    budget.wait_for(9, late)
    budget.give_back(8)
    budget.withdraw(late)
    assert (order, budget.used) == (["late"], 9)


def test_a_grant_that_gives_back_at_once_lets_the_next_pass() -> None:
    budget, order = ByteBudget(10), list[str]()

    def take_and_give_back() -> None:
        order.append("first")
        budget.give_back(10)

    assert budget.take_at_once(10)
    budget.wait_for(10, take_and_give_back)
    budget.wait_for(10, _noting(order, "second"))
    budget.give_back(10)
    assert (order, budget.used) == (["first", "second"], 10)


def _noting(order: list[str], name: str) -> Callable[[], None]:
    return lambda: order.append(name)
