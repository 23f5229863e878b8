"""What operations may cost in CPU, in calibration kernels: a run is held to an earlier one, with slack."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.report import Result

SLACK: Final = 1.3
BUDGETS: Final = Path(__file__).parent / "budgets.json"

Budgets = Mapping[str, Mapping[str, float]]
"""Quotients by `kind/tier` and operation."""


@dataclass(frozen=True, slots=True)
class Overrun:
    """An operation that cost more than its budget and the slack."""

    place: str
    operation: str
    quotient: float
    budget: float

    def __str__(self) -> str:
        return (
            f"{self.place} {self.operation}: {self.quotient:.2f} kernels, more than {self.budget:.2f} and the slack of "
            f"{SLACK - 1:.0%}"
        )


def read_budgets(path: Path = BUDGETS) -> Budgets:
    """Raises OSError where there are none."""
    found: Budgets = json.loads(path.read_text())
    return found


def check(results: Iterable[Result], budgets: Budgets) -> Iterator[Overrun]:
    """An operation without a budget is let pass."""
    for place, operation, quotient in _quotients(results):
        budget = budgets.get(place, {}).get(operation)
        if budget is not None and quotient > budget * SLACK:
            yield Overrun(place, operation, quotient, budget)


def confirm(first: Iterable[Overrun], second: Iterable[Result], budgets: Budgets) -> Iterator[Overrun]:
    """What a second look found over its budget too: a regression is there both times, a disturbance seldom."""
    suspects = {(one.place, one.operation) for one in first}
    return (one for one in check(second, budgets) if (one.place, one.operation) in suspects)


def record(results: Iterable[Result], path: Path = BUDGETS) -> None:
    """What was measured now is the budget from now on; tiers that did not run keep theirs."""
    budgets = {place: dict(known) for place, known in (read_budgets(path) if path.exists() else {}).items()}
    for place, operation, quotient in _quotients(results):
        budgets.setdefault(place, {})[operation] = round(quotient, 3)
    path.write_text(json.dumps(budgets, indent=2, sort_keys=True) + "\n")


def _quotients(results: Iterable[Result]) -> Iterator[tuple[str, str, float]]:
    for result in results:
        for one in result.measurements:
            yield f"{result.kind}/{result.shape.tier.name}", one.operation, result.quotient(one)
