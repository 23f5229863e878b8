"""`python -m benchmarks`: measure tiers, print tables, add JSON lines to benchmarks/results/, hold to budgets.

Without a tier the short set on S and M; with one everything, the compiler by itself and end to end.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

from rich.console import Console

from benchmarks.budgets import BUDGETS, Overrun, check, confirm, read_budgets, record
from benchmarks.effort import Effort
from benchmarks.fits import fit_all
from benchmarks.growth import print_fits
from benchmarks.isolate import KINDS, measure_apart
from benchmarks.proportion import compare
from benchmarks.records import RESULTS, counters_by_operation, read_newest
from benchmarks.report import Result, keep, print_goals, print_proportion, print_table
from benchmarks.tiers import TIERS, Shape, Trimming

SHORT: Final = ("E1", "E3", "E6", "E7")
FULL: Final = ("validate", "E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9", "E10", "C2", "I", "restart")
_ORDER: Final = tuple(TIERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a budget is overrun or an edit costs more in a larger mesh of the same kind."""
    options = _parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    results = list(_measure_all(options, console))
    complete = not (options.short or options.only or options.kind or options.even)
    print_goals(results, console, complete=complete)
    if complete and (fits := fit_all(read_newest(options.results))):
        print_fits(fits, console)
    if options.record:
        record(results, options.budgets)
    overruns = _find_overruns(options, results, console) if options.check else []
    for overrun in overruns:
        console.print(f"over budget: {overrun}")
    broken = any(result.broken for result in results)
    return 1 if overruns or broken or not _is_proportionate(options, console) else 0


def _measure_all(options: argparse.Namespace, console: Console) -> Iterator[Result]:
    for name in options.tier or ["S", "M"]:
        operations = options.only.split(",") if options.only else SHORT if options.short else FULL
        for kind in options.kind or _choose_kinds(options, operations):
            yield _measure(options, kind, name, operations, console)


def _choose_kinds(options: argparse.Namespace, operations: Sequence[str]) -> Sequence[str]:
    """A file for each proxy is for what is said of single documents."""
    if options.short:
        return ["compile"]
    by_file = "validate" in operations and not options.even and not options.per_dataplane
    return [kind for kind in KINDS if kind != "files" or by_file]


def _measure(options: argparse.Namespace, kind: str, tier: str, operations: Sequence[str], console: Console) -> Result:
    shape, effort = _shape(options, tier), _effort(options, tier)
    if kind == "files":
        shape, operations, effort = replace(shape, per_dataplane=True), ("validate",), replace(effort, cold=1)
    result = measure_apart(kind, shape, operations, effort, options.scratch)
    print_table(result, console)
    if result.broken:
        console.print(f"[red]not all of {kind} {tier} was measured[/]: {result.broken}", soft_wrap=True)
    console.print(f"added to {keep(result, options.results)}")
    return result


def _find_overruns(options: argparse.Namespace, results: Sequence[Result], console: Console) -> Sequence[Overrun]:
    """What is over its budget is measured once more."""
    budgets = read_budgets(options.budgets)
    first = list(check(results, budgets))
    suspects: dict[tuple[str, str], list[str]] = {}
    for overrun in first:
        console.print(f"measured again: {overrun}")
        kind, _, tier = overrun.place.partition("/")
        suspects.setdefault((kind, tier), []).append(overrun.operation)
    second = [_measure(options, kind, tier, names, console) for (kind, tier), names in suspects.items()]
    return list(confirm(first, second, budgets))


def _is_proportionate(options: argparse.Namespace, console: Console) -> bool:
    """Even workloads differ in size alone, so there a small edit's counters may not grow; of others they are shown.

    The largest tier of this run is held against the largest that is smaller and was ever measured.
    """
    newest, largest = read_newest(options.results), max(options.tier or ["S", "M"], key=_ORDER.index)
    counted = {
        tier: counters_by_operation(one for one in newest if one.shape == _shape(options, tier)) for tier in _ORDER
    }
    smaller = [tier for tier in _ORDER[: _ORDER.index(largest)] if counted[tier]]
    if not smaller:
        return True
    steps = tuple(compare(counted[smaller[-1]], counted[largest]))
    print_proportion(smaller[-1], largest, steps, console, judged=options.even)
    return not (options.even and any(step.grew for step in steps))


def _shape(options: argparse.Namespace, tier: str) -> Shape:
    return Shape(TIERS[tier], options.graph, options.seed, options.even, options.per_dataplane, options.trimming)


def _effort(options: argparse.Namespace, tier: str) -> Effort:
    """A compile from nothing beside each edit is for small tiers; the property tests do the rest."""
    if options.short:
        return Effort(tries=options.tries or 30, seconds=4.0, cold=3, verify=tier == "S", steady=True)
    few = tier in {"S", "M"}
    brief = options.seconds / (12 if few else 6)
    return Effort(tries=options.tries or 200, seconds=options.seconds, cold=3 if few else 1, verify=few, brief=brief)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--tier", action="append", choices=list(TIERS), help="S and M, in short, where none is given")
    parser.add_argument(
        "--kind", action="append", choices=list(KINDS), help="all where none is given, in short compile"
    )
    parser.add_argument("--short", action="store_true", help="cold, E1, E3, E6, E7 with few tries")
    parser.add_argument("--only", metavar="E1,E3", help="these operations beside cold")
    parser.add_argument("--graph", choices=["zipf", "kong", "full"], default="zipf")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--even", action="store_true", help="ten replicas and four callers each, for exponents")
    parser.add_argument("--trimming", choices=get_args(Trimming), default="automatic")
    parser.add_argument("--per-dataplane", action="store_true", help="a file for each proxy")
    parser.add_argument("--tries", type=int, help="of each edit; 200 unless told, 30 with --short")
    parser.add_argument(
        "--seconds", type=float, default=45.0, help="for each edit at most, where only its median counts less"
    )
    parser.add_argument("--check", action="store_true", help="end with 1 where a budget is overrun by 30 %%")
    parser.add_argument("--record", action="store_true", help="make this run the budget")
    parser.add_argument("--budgets", type=Path, default=BUDGETS, help="the file that is held to or recorded")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--scratch", type=Path, help="where repositories and stores are made: choose the disk")
    options = parser.parse_args(arguments)
    options.short = options.short or not options.tier
    return options


if __name__ == "__main__":
    sys.exit(main())
