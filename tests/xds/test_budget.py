"""The byte budget admits what fits, keeps the order, and loses nothing when a waiter gives up."""

import asyncio

from compiler.xds.budget import ByteBudget


def test_what_does_not_fit_waits_for_its_turn() -> None:
    async def scenario() -> list[str]:
        budget, order = ByteBudget(10), []

        async def write(name: str, size: int) -> None:
            await budget.take(size)
            order.append(name)

        await budget.take(8)
        tasks = [asyncio.create_task(write("big", 6)), asyncio.create_task(write("small", 1))]
        await asyncio.sleep(0)
        order.append("given back")
        budget.give_back(8)
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(scenario()) == ["given back", "big", "small"]


def test_a_message_larger_than_the_budget_is_written_alone() -> None:
    async def scenario() -> int:
        budget = ByteBudget(10)
        await budget.take(1000)
        return budget.used

    assert asyncio.run(scenario()) == 1000


def test_a_waiter_that_gives_up_holds_nobody_up() -> None:
    async def scenario() -> int:
        budget = ByteBudget(10)
        await budget.take(8)
        giving_up = asyncio.create_task(budget.take(9))
        patient = asyncio.create_task(budget.take(2))
        await asyncio.sleep(0)
        giving_up.cancel()
        await patient
        return budget.used

    assert asyncio.run(scenario()) == 10


def test_a_grant_that_came_too_late_goes_back() -> None:
    async def scenario() -> int:
        budget = ByteBudget(10)
        await budget.take(8)
        late = asyncio.create_task(budget.take(9))
        await asyncio.sleep(0)
        budget.give_back(8)
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        return budget.used

    assert asyncio.run(scenario()) == 0
