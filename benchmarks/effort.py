"""How long an operation is measured, and how."""

import math
from dataclasses import dataclass, replace
from typing import Final

FEWEST: Final = 3
_JUDGED_BY_P99: Final = ("E1", "E2", "E3", "E1 effect")


@dataclass(frozen=True, slots=True)
class Effort:
    """An operation is tried until there are `tries` or `seconds` have passed, but three times at least.

    `cold` is how often a start from nothing is tried; `verify` compares each edit's result with such a start's.
    `brief` is how long those are tried of which only the median is a goal; a 99th percentile wants all the `tries`.
    `steady` is for comparisons with a budget: the calibration kernel runs between the tries. What users wait for is
    measured without, since the kernel leaves the caches of the processor to others.
    """

    tries: int
    seconds: float
    cold: int = 3
    verify: bool = True
    steady: bool = False
    brief: float = math.inf

    def of(self, operation: str) -> "Effort":
        """What this operation is worth."""
        return self if operation in _JUDGED_BY_P99 else replace(self, seconds=min(self.seconds, self.brief))

    def goes_on(self, done: int, spent: float) -> bool:
        return done < self.tries and (done < FEWEST or spent < self.seconds)
