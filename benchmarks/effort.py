"""How long an operation is measured, and how."""

from dataclasses import dataclass
from typing import Final

FEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """An operation is tried until there are `tries` or `seconds` have passed, but three times at least.

    `cold` is how often a start from nothing is tried; `verify` compares each edit's result with such a start's.
    `steady` is for comparisons with a budget: the calibration kernel runs between the tries. What users wait for is
    measured without, since the kernel leaves the caches of the processor to others.
    """

    tries: int
    seconds: float
    cold: int = 3
    verify: bool = True
    steady: bool = False

    def goes_on(self, done: int, spent: float) -> bool:
        return done < self.tries and (done < FEWEST or spent < self.seconds)
