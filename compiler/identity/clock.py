"""Wall time that does not jump: a clock set wrong for a moment must not rotate a fleet's certificates."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SMALL_STEP = timedelta(minutes=5)
"""Steps up to this are followed at once: certificates allow for as much."""

BELIEVED_AFTER = timedelta(minutes=15)
"""A larger step is followed when it has lasted this long: then it was a correction."""


def _steady_seconds() -> float:
    """Goes on while the machine sleeps where the system can tell, so that waking up is no jump."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(slots=True)
class SteadyClock:
    """The wall clock, held to what has passed since it was last believed (promise 42). It may be asked at any pace."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = _steady_seconds
    _offset: float = field(init=False)
    _doubted_offset: float | None = field(init=False, default=None)
    _doubted_since: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._offset = self.wall() - self.steady()

    def now(self) -> datetime:
        """In UTC; differs from the system's clock only while `doubts` is true."""
        steady = self.steady()
        self._judge(self.wall() - steady, steady)
        return datetime.fromtimestamp(steady + self._offset, UTC)

    @property
    def doubts(self) -> bool:
        """The system's clock was set by more than five minutes and is not yet believed."""
        return self._doubted_offset is not None

    def _judge(self, offset: float, steady: float) -> None:
        if _close(offset, self._offset) or self._has_lasted(offset, steady):
            self._offset, self._doubted_offset = offset, None
        elif self._doubted_offset is None or not _close(offset, self._doubted_offset):
            self._doubted_offset, self._doubted_since = offset, steady

    def _has_lasted(self, offset: float, steady: float) -> bool:
        if self._doubted_offset is None or not _close(offset, self._doubted_offset):
            return False
        return steady - self._doubted_since >= BELIEVED_AFTER.total_seconds()


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= SMALL_STEP.total_seconds()
