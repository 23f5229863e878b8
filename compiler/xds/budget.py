"""A bound on the bytes that all streams together are writing: slow readers cannot fill the memory."""

import asyncio
from collections import deque


class ByteBudget:
    """First come, first served. A message larger than the whole budget is written when nothing else is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used = 0

    @property
    def is_awaited(self) -> bool:
        return bool(self._waiting)

    def take_at_once(self, size: int) -> bool:
        """Whether it was there to take."""
        if self._waiting or not self._fits(size):
            return False
        self.used += size
        return True

    async def take(self, size: int) -> None:
        if self.take_at_once(size):
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, granted))
        try:
            await granted
        except asyncio.CancelledError:
            self._withdraw(size, granted)
            raise

    def give_back(self, size: int) -> None:
        self.used -= size
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, granted = self._waiting.popleft()
            if not granted.done():
                self.used += size
                granted.set_result(None)

    def _withdraw(self, size: int, granted: "asyncio.Future[None]") -> None:
        """Cancelled in the very moment of being granted: what was granted goes back."""
        if granted.done() and not granted.cancelled():
            self.give_back(size)
        else:
            self._waiting = deque(each for each in self._waiting if each[1] is not granted)
            self._grant()

    def _fits(self, size: int) -> bool:
        return self.used == 0 or self.used + size <= self._limit
