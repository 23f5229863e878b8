"""When a new generation is passed on: the first at once, those that follow closely together; a pure reckoning."""

from dataclasses import dataclass


@dataclass(slots=True)
class HoldOff:
    """Seconds. While changes keep coming the pause between two doubles from `least` to `most`, until a quiet time."""

    least: float = 0.01
    most: float = 0.1
    _pause: float = 0.0
    _passed: float | None = None

    def wait(self, now: float) -> float:
        """How long a change that is heard now is held; 0 where it may pass."""
        if self._passed is None:
            return 0.0
        return max(0.0, self._passed + (self._pause or self.least) - now)

    def note_passed(self, now: float, *, held: bool) -> None:
        """`held` says that changes came faster than they were passed on."""
        self._pause = min(2 * (self._pause or self.least), self.most) if held else self.least
        self._passed = now
