"""Who is being written to and since when: a client that does not read is let go, the sooner the more others wait."""

import asyncio
import time
from collections.abc import Callable

from compiler.xds.budget import ByteBudget
from compiler.xds.limits import Limits

_LOOKS = 4
"""In the time that a write may take; one look for all, since a timer for each costs more than most writes."""


class Writes:
    """What all streams are writing at this moment, the longest first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._budget = ByteBudget(limits.bytes_in_flight)
        self._small = ByteBudget(limits.small_bytes_in_flight)
        self._since: dict[object, tuple[float, Callable[[], None]]] = {}
        self._look: asyncio.TimerHandle | None = None

    def begin(self, writer: object, give_up: Callable[[], None]) -> None:
        """`give_up` is called when the write has lasted too long."""
        self._since[writer] = (time.monotonic(), give_up)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(self._interval, self._let_go)

    def end(self, writer: object) -> None:
        self._since.pop(writer, None)

    @property
    def is_idle(self) -> bool:
        return not self._since

    def budget_for(self, size: int) -> ByteBudget:
        """Small messages have one of their own: they pass, however many large ones are stuck."""
        return self._small if size <= self._limits.small_bytes else self._budget

    def _let_go(self) -> None:
        self._look = None
        oldest = time.monotonic() - (self._limits.crowded_write if self._is_crowded else self._limits.write)
        for since, give_up in tuple(self._since.values()):
            if since > oldest:
                break
            give_up()
        if self._since:
            self._look = asyncio.get_running_loop().call_later(self._interval, self._let_go)

    @property
    def _is_crowded(self) -> bool:
        return self._budget.is_awaited or self._small.is_awaited

    @property
    def _interval(self) -> float:
        return min(self._limits.write, self._limits.crowded_write) / _LOOKS
