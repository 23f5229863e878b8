"""When Python looks for cycles: what a server reads stays for good, and streams leave nothing in cycles."""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

_COLLECT_AFTER: Final = 10_000
"""Objects; 700 unless told, which costs a connect storm some 3 % of its CPU."""

_TOLD_WITHIN: Final = 1.0
"""Seconds; by then most proxies have heard of a generation that changed thousands of them."""

_LOOK: Final = 0.25
_STORM: Final = 20
"""Streams that come between two looks: by then some 3,000 objects that stay."""
_LONGEST: Final = 240
"""Looks, a minute: who comes and goes without an end is looked through as ever, until there was a minute's calm."""


def settle_memory() -> None:
    """What was read at the start need not be looked through."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    gc.enable()


def collect_later(loop: asyncio.AbstractEventLoop) -> None:
    """What a generation brings stays, and to look through it would come between it and the first proxy that waits."""
    gc.disable()
    loop.call_later(_TOLD_WITHIN, gc.enable)


async def spare_storms(count_streams: Callable[[], int]) -> None:
    """For as long as the server runs; `count_streams` says how many have come since the start.

    A fleet that connects makes a million objects that stay as long as its streams: each would be looked through twice,
    for a tenth of the storm's CPU, and no stream leaves any in a cycle. After the storm they count as settled.
    """
    seen, spared, calm = count_streams(), 0, 0
    while True:
        await asyncio.sleep(_LOOK)
        before, seen = seen, count_streams()
        is_storm = seen - before >= _STORM
        spared, calm = (spared + 1, 0) if is_storm else (spared, calm + 1)
        if is_storm and spared < _LONGEST:
            gc.disable()
        elif spared and (is_storm or calm == 1):
            if spared < _LONGEST:
                gc.freeze()
            gc.enable()
        if calm >= _LONGEST:
            spared = 0
