"""A plan as GitHub annotations: each risk at the line that causes it, within what GitHub shows of one step."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from compiler.diagnostics import Diagnostic, Severity
from compiler.review.outputs import sentences
from compiler.review.plan import Cause, Plan, Risk, Weight

MOST: Final = 10
"""GitHub shows ten errors, ten warnings and ten notices of a step, and drops the others without a word."""
_LONGEST: Final = 4000


def render_github(plan: Plan) -> str:
    """Workflow commands, then the headline for whoever reads the log."""
    found = list(_annotations(plan))
    lines: list[str] = []
    for level in ("error", "warning", "notice"):
        of_level = [line for each, line in found if each == level]
        lines += of_level[:MOST]
        if len(of_level) > MOST:
            lines.append(f"{len(of_level) - MOST} more at level {level}, which GitHub would not show: see the summary")
    verdict = f"{sentences.headline(plan)} ({sentences.digests(plan)})" if plan.compared else sentences.headline(plan)
    return "\n".join((*lines, verdict))


def _annotations(plan: Plan) -> Iterator[tuple[str, str]]:
    standing = set(plan.standing)
    for finding in (one for one in plan.findings if one not in standing):
        yield _finding(plan, finding, "error" if finding.level is Severity.ERROR else "warning")
    for finding in plan.base_findings:
        yield _finding(plan, replace(finding, message=f"{finding.message} (in the base)"), "notice")
    seen: set[tuple[str, str, int]] = set()
    for group in plan.groups:
        for risk in group.risks:
            for cause in group.causes:
                if (key := (risk.code, cause.file, cause.line)) not in seen:
                    seen.add(key)
                    yield _risk(plan, risk, cause)


def _finding(plan: Plan, finding: Diagnostic, level: str) -> tuple[str, str]:
    """Those of the base are no mistake of the change."""
    place = finding.position
    file = plan.place(place.file)
    return level, command(level, file, place.line, finding.code.word, finding.message, column=place.column)


def _risk(plan: Plan, risk: Risk, cause: Cause) -> tuple[str, str]:
    """A place that is gone is said in words: there is no line to show it at."""
    level = "notice" if risk.weight is Weight.LOW else "warning"
    message = f"{risk.message} ({sentences.cause(cause)})"
    line = cause.line if cause.side == "head" else 1
    return level, command(level, plan.place(cause.file), line, risk.code, message)


def command(level: str, file: str, line: int, title: str, message: str, *, column: int = 1) -> str:
    """A workflow command; what would end it early is escaped."""
    place = f"file={_property(file)},line={line or 1},col={column or 1},title={_property(title)}"
    return f"::{level} {place}::{_escape(message[:_LONGEST])}"


def _escape(text: str) -> str:
    return sentences.printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
