"""When Python looks for cycles: what a server reads stays for good, and streams leave little in cycles."""

import asyncio
import gc
from typing import Final

_COLLECT_AFTER: Final = 10_000
"""Objects; 700 unless told, which costs a connect storm some 3 % of its CPU."""

_TOLD_WITHIN: Final = 1.0
"""Seconds; by then most proxies have heard of a generation that changed thousands of them."""


def settle_memory() -> None:
    """What was read at the start need not be looked through."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    gc.enable()


def collect_later(loop: asyncio.AbstractEventLoop) -> None:
    """What a generation brings stays, and to look through it would come between it and the first proxy that waits."""
    gc.disable()
    loop.call_later(_TOLD_WITHIN, gc.enable)
