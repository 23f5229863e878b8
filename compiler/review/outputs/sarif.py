"""Findings and risks as SARIF 2.1.0, for code scanning: a result for each, at its line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from compiler import __version__
from compiler.diagnostics import Diagnostic, Severity
from compiler.review.plan import Cause, Plan, Risk, Weight

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final[Mapping[Weight, str]] = {Weight.HIGH: "warning", Weight.MEDIUM: "warning", Weight.LOW: "note"}
Json = dict[str, Any]


def render_sarif(plan: Plan) -> str:
    """What the head's compile found, and the risks of each group at the lines that cause them."""
    risks = {
        (risk.code, cause.file, cause.line): _risk(plan, risk, cause)
        for group in plan.groups
        for risk in group.risks
        for cause in group.causes
    }
    return _log([*_findings(plan.findings, plan.prefix), *risks.values()], plan.head.commit)


def findings_as_sarif(findings: Iterable[Diagnostic], prefix: str = "") -> str:
    """What `validate` found; `prefix` is the folder in the repository to which files are relative."""
    return _log(list(_findings(findings, prefix)), None)


def _log(results: list[tuple[Json, Json]], commit: str | None) -> str:
    rules = {rule["id"]: rule for rule, _ in results}
    order = {code: index for index, code in enumerate(sorted(rules))}
    run: Json = {
        "tool": {
            "driver": {"name": "meshwright", "version": __version__, "rules": [rules[code] for code in sorted(rules)]}
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"REPOSITORY": {"description": {"text": "The root of the mesh repository."}}},
        "results": [{**result, "ruleIndex": order[result["ruleId"]]} for _, result in results],
    }
    if commit:
        run["automationDetails"] = {"id": f"meshwright/plan/{commit}"}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _findings(findings: Iterable[Diagnostic], prefix: str) -> Iterator[tuple[Json, Json]]:
    for finding in findings:
        code, place = finding.code, finding.position
        rule = _rule(code.word, code.summary, code.explanation)
        text = finding.message + (f" ({finding.hint})" if finding.hint else "")
        level = "error" if finding.level is Severity.ERROR else "warning"
        file = f"{prefix}/{place.file}" if prefix else place.file
        yield rule, _result(code.word, level, text, file, place.line, place.column)


def _risk(plan: Plan, risk: Risk, cause: Cause) -> tuple[Json, Json]:
    rule = _rule(risk.code, f"a change that a reviewer should know of: {risk.code}", f"See docs/risks/{risk.code}.md.")
    line = cause.line if cause.side == "head" else 1
    return rule, _result(risk.code, _LEVELS[risk.weight], risk.message, plan.place(cause.file), line, 1)


def _rule(code: str, summary: str, explanation: str) -> Json:
    return {"id": code, "shortDescription": {"text": summary}, "fullDescription": {"text": explanation}}


def _result(code: str, level: str, message: str, file: str, line: int, column: int) -> Json:
    """Lines and columns count from 1; a finding about a whole file has none."""
    place: Json = {"artifactLocation": {"uri": _uri(file), "uriBaseId": "REPOSITORY"}}
    if line:
        place["region"] = {"startLine": line, "startColumn": max(column, 1)}
    return {"ruleId": code, "level": level, "message": {"text": message}, "locations": [{"physicalLocation": place}]}


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
