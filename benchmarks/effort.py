"""How long an operation is measured."""

from dataclasses import dataclass
from typing import Final

FEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """An operation is tried until there are `tries` or `seconds` have passed, but three times at least.

    `cold` is how often a start from nothing is tried; `verify` compares each edit's result with such a start's.
    """

    tries: int
    seconds: float
    cold: int = 3
    verify: bool = True

    def goes_on(self, done: int, spent: float) -> bool:
        return done < self.tries and (done < FEWEST or spent < self.seconds)
