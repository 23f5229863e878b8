"""How much work that moves nothing a peer may make."""

from compiler.http2.bounds import Bounds


class Allowance:
    """A bucket of `burst` tokens that fills by `burst_rate` a second; and ten frames for each of ours with data in it.

    A client that reads a long answer says so all the time (WINDOW_UPDATE, PING), and floods nobody.
    """

    __slots__ = ("_answered", "_at", "_bounds", "_level")

    def __init__(self, bounds: Bounds, now: float) -> None:
        self._bounds = bounds
        self._level = float(bounds.burst)
        self._at = now
        self._answered = 0

    def take(self, now: float) -> bool:
        """False where there is none left."""
        filled = self._level + (now - self._at) * self._bounds.burst_rate
        self._level = min(float(self._bounds.burst), filled) - 1
        self._at = now
        return self._level >= 0

    def answer(self, now: float, data_frames: int) -> bool:
        """The same for a frame that may answer one of our `data_frames`."""
        self._answered += 1
        return self._answered <= 10 * data_frames or self.take(now)
