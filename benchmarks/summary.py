"""The figures of a release in one small file that stays in Git: `python -m benchmarks.summary`.

The daily result files hold every try and are not kept; a summary holds for each operation what one compares.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.fits import fit_all
from benchmarks.goals import judge
from benchmarks.proportion import count_work
from benchmarks.records import RESULTS, Record, read_newest
from benchmarks.report import describe_goal


def summarise(records: Sequence[Record], release: str) -> Mapping[str, Any]:
    """Of the default workload every operation and goal, of even workloads the exponents."""
    usual = sorted((record for record in records if record.shape.is_usual), key=_order)
    goals = [
        {"tier": record.tier, **describe_goal(one)}
        for record in usual
        for one in judge(record.kind, record.tier, record.measurement)
    ]
    newest = max(records, key=lambda record: record.time)
    return {
        "schemaVersion": 1,
        "release": release,
        "machine": newest.around["machine"],
        "versions": newest.around["versions"],
        "measurements": [_describe(record) for record in usual],
        "goals": goals,
        "exponents": [
            {
                "series": fitted.series.label,
                "panel": fitted.series.panel,
                "sizes": [proxies for proxies, _ in fitted.points],
                "exponent": fitted.exponent,
                "verdict": fitted.verdict,
            }
            for fitted in fit_all(records)
        ],
    }


def _order(record: Record) -> tuple[str, int, str]:
    return record.kind, record.shape.proxies, record.measurement.operation


def _describe(record: Record) -> Mapping[str, Any]:
    one = record.measurement
    return {
        "kind": record.kind,
        "tier": record.tier,
        "operation": one.operation,
        "time": record.time,
        "seed": record.shape.seed,
        "load": record.around["load"],
        "kernelCpu": record.around["calibration"]["cpu"],
        "tries": len(one.seconds),
        "p50": one.p50,
        "p99": one.p99,
        "cpu": one.cpu,
        "quotient": one.cpu / record.around["calibration"]["cpu"] if one.quotient is None else one.quotient,
        "peakRss": one.peak_rss,
        "work": count_work(one.counters),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Raises SystemExit where nothing was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    records = read_newest(options.results)
    if not records:
        parser.error(f"{options.results} holds no measurements")
    release = version("meshwright")
    path = options.results / f"release-{release}.json"
    path.write_text(json.dumps(summarise(records, release), indent=1, sort_keys=True) + "\n")
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
