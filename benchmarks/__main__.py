"""`python -m benchmarks`: measure tiers, print tables, add JSON lines to benchmarks/results/, hold to budgets.

Without a tier the short set on S and M; with one everything, the compiler by itself and end to end.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.budgets import check, read_budgets, record
from benchmarks.effort import Effort
from benchmarks.isolate import KINDS, measure_apart
from benchmarks.report import Result, keep, print_table
from benchmarks.tiers import TIERS, Shape

RESULTS: Final = Path(__file__).parent / "results"
SHORT: Final = ("E1", "E3", "E6", "E7")
FULL: Final = ("E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9", "E10", "C2", "I")


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a budget is overrun."""
    options = _parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    results = list(_measure_all(options, console))
    if options.record:
        record(results)
    overruns = list(check(results, read_budgets())) if options.check else []
    for overrun in overruns:
        console.print(f"over budget: {overrun}")
    return 1 if overruns else 0


def _measure_all(options: argparse.Namespace, console: Console) -> Iterator[Result]:
    for name in options.tier or ["S", "M"]:
        shape = Shape(TIERS[name], options.graph, options.seed, options.even, options.per_dataplane)
        operations = options.only.split(",") if options.only else SHORT if options.short else FULL
        for kind in options.kind or (["compile"] if options.short else list(KINDS)):
            result = measure_apart(kind, shape, operations, _effort(options, name), options.scratch)
            print_table(result, console)
            console.print(f"added to {keep(result, options.results)}")
            yield result


def _effort(options: argparse.Namespace, tier: str) -> Effort:
    """A compile from nothing beside each edit is for small tiers; the property tests do the rest."""
    small = tier == "S" or (tier == "M" and not options.short)
    if options.short:
        return Effort(tries=options.tries or 30, seconds=3.0, cold=3 if tier == "S" else 1, verify=small)
    return Effort(tries=options.tries or 200, seconds=options.seconds, cold=3 if tier in "SM" else 1, verify=small)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--tier", action="append", choices=list(TIERS), help="S and M, in short, where none is given")
    parser.add_argument(
        "--kind", action="append", choices=list(KINDS), help="both where none is given, in short compile"
    )
    parser.add_argument("--short", action="store_true", help="cold, E1, E3, E6, E7 with few tries")
    parser.add_argument("--only", metavar="E1,E3", help="these operations beside cold")
    parser.add_argument("--graph", choices=["zipf", "kong", "full"], default="zipf")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--even", action="store_true", help="ten replicas and four callers each, for exponents")
    parser.add_argument("--per-dataplane", action="store_true", help="a file for each proxy")
    parser.add_argument("--tries", type=int, help="of each edit; 200 unless told, 30 with --short")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most this long for each edit")
    parser.add_argument("--check", action="store_true", help="end with 1 where a budget is overrun by 30 %%")
    parser.add_argument("--record", action="store_true", help="make this run the budget")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--scratch", type=Path, help="where repositories and stores are made: choose the disk")
    options = parser.parse_args(arguments)
    options.short = options.short or not options.tier
    return options


if __name__ == "__main__":
    sys.exit(main())
