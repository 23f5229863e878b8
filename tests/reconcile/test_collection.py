"""When cycles are collected around a generation."""

import asyncio
import gc

import pytest

from compiler.reconcile import collection


def test_cycles_are_collected_again_soon_after_a_generation_though_others_follow_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collection, "_TOLD_WITHIN", 0.02)

    async def pass_generations_on() -> list[bool]:
        seen = []
        for _ in range(10):
            collection.collect_later(asyncio.get_running_loop())
            assert not gc.isenabled()
            await asyncio.sleep(0.015)
            seen.append(gc.isenabled())
        await asyncio.sleep(0.03)
        assert gc.isenabled()
        return seen

    try:
        assert any(asyncio.run(pass_generations_on()))
    finally:
        gc.enable()


def test_while_a_fleet_connects_nothing_is_collected_and_afterwards_it_counts_as_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collection, "_LOOK", 0.01)
    came = 0

    async def storm() -> None:
        nonlocal came
        sparing = asyncio.create_task(collection.spare_storms(lambda: came))
        await asyncio.sleep(0.03)
        assert gc.isenabled()
        while gc.isenabled():
            came += 100
            await asyncio.sleep(0.005)
        frozen, kept = gc.get_freeze_count(), [[number] for number in range(1000)]
        while not gc.isenabled():
            await asyncio.sleep(0.005)
        assert gc.get_freeze_count() >= frozen + len(kept)
        came += 1
        await asyncio.sleep(0.03)
        assert gc.isenabled()
        sparing.cancel()

    try:
        asyncio.run(asyncio.wait_for(storm(), 20))
    finally:
        gc.enable()
        gc.unfreeze()


@pytest.mark.parametrize("dips", [False, True])
def test_a_storm_without_an_end_is_not_spared_for_ever(monkeypatch: pytest.MonkeyPatch, *, dips: bool) -> None:
    monkeypatch.setattr(collection, "_LOOK", 0.005)
    monkeypatch.setattr(collection, "_LONGEST", 6)
    looks = came = 0

    def count() -> int:
        nonlocal looks, came
        looks += 1
        came += 0 if dips and looks % 3 == 0 else 100
        return came

    async def storm() -> None:
        sparing = asyncio.create_task(collection.spare_storms(count))
        while gc.isenabled():
            await asyncio.sleep(0.001)
        while looks < 12:
            await asyncio.sleep(0.001)
        frozen = gc.get_freeze_count()
        while looks < 40:
            assert gc.isenabled()
            await asyncio.sleep(0.001)
        assert gc.get_freeze_count() <= frozen
        sparing.cancel()

    try:
        asyncio.run(asyncio.wait_for(storm(), 20))
    finally:
        gc.enable()
        gc.unfreeze()
