"""A repository's own promises: all of them, judged over the snapshots of one version."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from compiler.diagnostics import Diagnostic, Severity
from compiler.resources.model import Dataplane
from compiler.resources.schema import Schemas
from compiler.review.access.why import Party, find_party, may_call
from compiler.review.promises.calls import Calls, Planned
from compiler.review.promises.checks import Result
from compiler.review.promises.coverage import Coverage, measure
from compiler.review.promises.decided import Deciders
from compiler.review.promises.expectations import Judge
from compiler.review.promises.invariants import read_invariants
from compiler.review.promises.judging import Counterexample, Mesh, judge
from compiler.review.promises.python_checks import run_checks
from compiler.review.promises.route_tests import read_route_tests
from compiler.review.promises.routing.answer import CannotTell, Engine, Outcome
from compiler.review.promises.routing.held import Fleet
from compiler.review.versions import Version, Versions


@dataclass(frozen=True, slots=True)
class Report:
    """`findings` are mistakes in the promises themselves; with an error among them nothing was judged.

    `engine` is the one that answered, empty where no request was asked.
    """

    results: tuple[Result, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    engine: str = ""
    coverage: Coverage | None = None

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.failed)

    @property
    def skipped(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.skipped)

    @property
    def unreadable(self) -> bool:
        return any(found.level is Severity.ERROR for found in self.findings)


def run_promises(
    versions: Versions,
    version: Version,
    choose: Callable[[Fleet], Engine],
    checks: Mapping[str, str],
    *,
    coverage: bool,
) -> Report:
    """Route tests and invariants of what `versions` compiled last; `checks` are those in Python, by file."""
    schemas = versions.compiler.schemas
    invariants = read_invariants(version.tree, schemas)
    if invariants.failed:
        return Report(findings=(*invariants.diagnostics, *read_route_tests(version.tree, schemas).diagnostics))
    report = run_route_tests(versions, version, choose, schemas=schemas, coverage=coverage)
    if report.unreadable:
        return replace(report, findings=(*invariants.diagnostics, *report.findings))
    mesh = Mesh(version.snapshots)
    held = judge(invariants.value, mesh, partial(_deciding, versions, version))
    return replace(report, results=(*held, *run_checks(checks, mesh), *report.results))


def _deciding(versions: Versions, version: Version, found: Counterexample) -> tuple[str, ...]:
    """The lines of the documents behind a call that is open, or is not."""
    if found.caller is None or found.service is None:
        return ()
    callers, services = (find_party(version.snapshots, name) for name in (found.caller, found.service))
    if not callers:
        return ()
    answer = may_call(versions, version, callers[0], services[0] if services else Party(found.service))
    steps = [written for trace in answer.traces for step in trace.steps for written in step.documents]
    return tuple(dict.fromkeys(str(written) for written in (*steps, *answer.documents)))


def run_route_tests(
    versions: Versions, version: Version, choose: Callable[[Fleet], Engine], *, schemas: Schemas, coverage: bool
) -> Report:
    """The route tests of the version that `versions` compiled last; `choose` gives the engine that answers them."""
    tests = read_route_tests(version.tree, schemas)
    fleet = Fleet(version.snapshots, _advertised(version))
    calls = Calls(fleet, versions.compiler.memo)
    planned = [calls.plan(test) for test in tests.value]
    findings = (*tests.diagnostics, *(found for one in planned for found in one.diagnostics))
    if any(found.level is Severity.ERROR for found in findings):
        return Report(findings=findings)
    asks = [ask for one in planned for ask in one.value.asks]
    engine = choose(fleet) if asks else None
    answers = list(engine.answer(asks)) if engine is not None else []
    deciders = Deciders(version.resources, versions.compiler.memo, versions.key_of)
    results = _judge(Judge(fleet, deciders), [one.value for one in planned], answers)
    asked = [(ask, found) for ask, found in zip(asks, answers, strict=True) if not isinstance(found, CannotTell)]
    covered = measure(fleet, asked, deciders.route) if coverage else None
    return Report(results, findings, engine.name if engine is not None else "", covered)


def _judge(
    judge: Judge, planned: Sequence[Planned], answers: Sequence[tuple[Outcome, ...] | CannotTell]
) -> tuple[Result, ...]:
    """Answers come in the order of the questions."""
    left = iter(answers)
    return tuple(judge.judge(one, [next(left) for _ in one.asks]) for one in planned)


def _advertised(version: Version) -> dict[str, str]:
    """Proxies that others reach by another address than their own, by node id."""
    found = version.resources.of_type("Dataplane")
    networks = ((one.key, cast(Dataplane, one.spec).networking.advertised_address) for one in found)
    return {f"{key.mesh}.{key.name}": address for key, address in networks if address}
