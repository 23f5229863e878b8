"""How cost grows with the mesh: exponents over even workloads, held to their goals, and a picture of them.

`python -m benchmarks --even --tier S --tier M --tier K --tier L --only E1,E3,E6` measures; this reads what was kept.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.fits import Fitted, fit_all
from benchmarks.records import RESULTS, read_newest


def print_fits(fits: Sequence[Fitted], console: Console) -> None:
    table = Table(title="growth over even workloads, as a power of the number of proxies", title_justify="left")
    table.add_column("series")
    for heading in ("sizes", "exponent", "must", "lead"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for fitted in fits:
        bound = fitted.series.bound
        sizes = ", ".join(f"{proxies:g}" for proxies, _ in fitted.points)
        exponent = "-" if fitted.exponent is None else f"{fitted.exponent:.2f}"
        limits = ("", "") if bound is None else (f"{bound.must:g}", f"{bound.lead:g}")
        label = f"{fitted.series.panel}: {fitted.series.label}{' (by documents)' if fitted.series.by_documents else ''}"
        table.add_row(label, sizes, exponent, *limits, fitted.verdict)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 where an exponent misses what it must be; raises SystemExit where nothing even was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="where measurements are read and the picture goes"
    )
    options = parser.parse_args(arguments)
    records = read_newest(options.results)
    fits = fit_all(records)
    if not fits:
        parser.error(f"{options.results} holds no even workload; measure with --even first")
    print_fits(fits, Console(width=None if sys.stdout.isatty() else 160))
    from benchmarks.plot import draw

    print(f"picture: {draw(fits, records, options.results / 'growth.png')}")
    return 1 if any(fitted.verdict == "missed" for fitted in fits) else 0


if __name__ == "__main__":
    sys.exit(main())
