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
