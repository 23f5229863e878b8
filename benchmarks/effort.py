"""How long an operation is measured, and how."""

import math
from dataclasses import dataclass, replace
from typing import Final

FEWEST: Final = 3
WAITED_FOR: Final = ("E1", "E3")
"""Of what is compared between sizes, that of which the time to an effect counts."""
_JUDGED_BY_P99: Final = ("E1", "E2", "E3", "E1 effect")


@dataclass(frozen=True, slots=True)
class Effort:
    """An operation is tried until there are `tries` or `seconds` have passed, but three times at least.

    `cold` is how often a start from nothing is tried; `verify` compares each edit's result with such a start's.
    `brief` is how long those are tried of which only the median is a goal; a 99th percentile wants all the `tries`.
    `steady` is for comparisons with a budget, or of sizes: the calibration kernel runs between the tries. What users
    wait for is measured without, since the kernel leaves the caches of the processor to others: so is `waited_for`.
    """

    tries: int
    seconds: float
    cold: int = 3
    verify: bool = True
    steady: bool = False
    brief: float = math.inf
    waited_for: tuple[str, ...] = ()

    def of(self, operation: str) -> "Effort":
        """What this operation is worth."""
        seconds = self.seconds if operation in _JUDGED_BY_P99 else min(self.seconds, self.brief)
        return replace(self, seconds=seconds, steady=self.steady and operation not in self.waited_for)

    def goes_on(self, done: int, spent: float) -> bool:
        return done < self.tries and (done < FEWEST or spent < self.seconds)
