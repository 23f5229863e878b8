"""How long to wait for what fails: full jitter, so that many reconcilers do not return at one instant."""

import random
from typing import Final

REMOTE: Final = 300.0
"""A Git host is asked at least every five minutes."""

LOCAL: Final = 5.0
"""What is on this machine is tried often: the next good commit is due within ten seconds."""


def back_off(failures: int, interval: float, longest: float) -> float:
    """Seconds until the next try: the interval while all is well, never less than the interval."""
    if failures <= 0:
        return interval
    return max(interval, random.uniform(0.0, min(longest, 2.0 ** min(failures, 16))))  # noqa: S311  # spreads load, hides nothing
