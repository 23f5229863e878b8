"""How the results of promises are printed: for a person, whose first lines are the verdict, and for machines."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from compiler.diagnostics import plain_diagnostic
from compiler.review.promises.checks import Kind, Result
from compiler.review.promises.coverage import Coverage, RouteLine
from compiler.review.promises.report import Report

SCHEMA_VERSION: Final = 1
ENGINES: Final[Mapping[str, str]] = {
    "envoy": "asked of a real Envoy",
    "python": "answered by the Python engine, without an Envoy",
    "": "no request was asked",
}
_MOST_CALLERS: Final = 3


def as_text(report: Report) -> str:
    """What is broken first; what holds is only counted."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    total, failed = len(report.results), len(report.failed)
    if not total:
        yield "no promises: there are no route tests under tests/, and no invariants under invariants/"
    else:
        kept = total - len(report.skipped)
        verdict = f"failed: {failed} of {_many(total, 'promise')} broken" if failed else f"ok: {_kept(kept)}"
        verdict += f", {len(report.skipped)} skipped" if report.skipped else ""
        routes = any(result.kind is Kind.ROUTE for result in report.results)
        yield f"{verdict}; {ENGINES[report.engine]}" if routes else verdict
    if report.coverage is not None:
        yield _covered(report.coverage)
    for result in report.failed:
        yield ""
        yield f"{result.file}:{result.line}: {result.name}"
        told = (result.message, *result.detail) if _adds_something(result) else result.detail or (result.message,)
        yield from (f"    {line}" for line in told)
    for result in report.skipped:
        yield ""
        yield f"{result.file}:{result.line}: {result.name}"
        yield f"    skipped: {result.message or 'without a reason'}"
    if report.coverage is not None and report.coverage.untouched:
        yield ""
        yield from _uncovered(report.coverage)


def _adds_something(result: Result) -> bool:
    """Whether the message is not among the lines that explain it: an expectation that was not met is."""
    return not any(line == result.message or line.startswith("expected") for line in result.detail)


def _kept(total: int) -> str:
    if not total:
        return "no promise was judged"
    return "the promise is kept" if total == 1 else f"all {total} promises are kept"


def _many(count: int, what: str) -> str:
    return f"{count} {what} is" if count == 1 else f"{count} {what}s are"


def _covered(coverage: Coverage) -> str:
    count = len(coverage.routes)
    return f"coverage: {coverage.touched} of {count} {'route' if count == 1 else 'routes'} touched"


def _uncovered(coverage: Coverage) -> Iterator[str]:
    yield "routes that no test touches:"
    for service, routes in groupby(coverage.untouched, key=lambda route: (route.service, route.port)):
        yield f"  {' port '.join(part for part in service if part)}"
        yield from (f"    {_uncovered_route(route)}" for route in routes)


def _uncovered_route(route: RouteLine) -> str:
    callers = ", ".join(route.callers[:_MOST_CALLERS])
    more = f" and {len(route.callers) - _MOST_CALLERS} more" if len(route.callers) > _MOST_CALLERS else ""
    written = ", ".join(route.written) or "the default route"
    return f"{route.match:<32} {written}, of {callers}{more}"


def as_json(report: Report) -> dict[str, Any]:
    """A field is added to it but never changed within one `schemaVersion`."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "engine": report.engine or None,
        "summary": {
            "total": len(report.results),
            "passed": sum(result.passed for result in report.results),
            "failed": len(report.failed),
            "skipped": len(report.skipped),
        },
        "results": [
            {
                "kind": result.kind.value,
                "name": result.name,
                "file": result.file,
                "line": result.line,
                "passed": result.passed,
                "skipped": result.skipped,
                "message": result.message,
                "detail": list(result.detail),
            }
            for result in report.results
        ],
        "coverage": _coverage_json(report.coverage) if report.coverage is not None else None,
        "diagnostics": [plain_diagnostic(found) for found in report.findings],
    }


def _coverage_json(coverage: Coverage) -> dict[str, Any]:
    return {
        "total": len(coverage.routes),
        "touched": coverage.touched,
        "routes": [
            {
                "service": route.service,
                "port": route.port,
                "match": route.match,
                "written": list(route.written),
                "callers": list(route.callers),
                "touched": route.touched,
            }
            for route in coverage.routes
        ],
    }
