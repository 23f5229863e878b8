"""A bound on the bytes that all streams together are writing: slow readers cannot fill the memory."""

from collections.abc import Callable


class ByteBudget:
    """First come, first served. A message larger than the whole budget is written when nothing else is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[Callable[[], None], int] = {}
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

    def wait_for(self, size: int, granted: Callable[[], None]) -> None:
        """`granted` is called once the bytes are its own; it waits for one portion at a time."""
        self._waiting[granted] = size
        self._grant()

    def withdraw(self, granted: Callable[[], None]) -> None:
        """Who waited is gone; what was granted already is given back by whom it was granted to."""
        if self._waiting.pop(granted, None) is not None:
            self._grant()

    def give_back(self, size: int) -> None:
        self.used -= size
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            granted, size = next(iter(self._waiting.items()))
            if not self._fits(size):
                return
            del self._waiting[granted]
            self.used += size
            granted()

    def _fits(self, size: int) -> bool:
        return self.used == 0 or self.used + size <= self._limit
