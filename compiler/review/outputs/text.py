"""A plan for a terminal: the first five lines are enough to decide whether to read on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import typer

from compiler.diagnostics import Severity
from compiler.review.outputs import sentences
from compiler.review.outputs.details import field_lines, shown_fields
from compiler.review.plan import Group, Kind, Plan, ResourceChange, Risk, Weight

_COLOURS: Final = {Kind.REMOVED: "red", Kind.CHANGED: "yellow", Kind.ADDED: "green"}
_WEIGHTS: Final = {Weight.HIGH: "red", Weight.MEDIUM: "yellow", Weight.LOW: "blue"}
_MOST_RISKS: Final = 12
_MOST_EDGES: Final = 20
_MOST_FIELDS: Final = 12
_MOST_RESOURCES: Final = 12


@dataclass(frozen=True, slots=True)
class _Paint:
    on: bool

    def __call__(self, text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
        text = sentences.printable(text)
        return typer.style(text, fg=colour, bold=bold or None, dim=dim or None) if self.on else text


def render_text(plan: Plan, *, colour: bool = False) -> str:
    """Everything, with long lists cut and counted; the whole of it is in `-o json`."""
    return "\n".join(_lines(plan, _Paint(colour)))


def _lines(plan: Plan, paint: _Paint) -> Iterator[str]:
    yield f"{paint(sentences.headline(plan), bold=True)}   {paint(sentences.revisions(plan), dim=True)}"
    yield from _findings(plan, paint, errors=True)
    if plan.failed:
        yield from _findings(plan, paint, errors=False)
        return
    if not plan.compared:
        yield f"size     {sentences.size(plan)}"
        yield f"digest   {sentences.digests(plan)}"
        yield from _findings(plan, paint, errors=False)
        return
    yield from _risks(plan, paint)
    yield f"access   {sentences.access(plan.access)}"
    yield f"size     {sentences.size(plan)}"
    yield f"from     {sentences.documents(plan.documents)}"
    yield f"digest   {sentences.digests(plan)}"
    yield from _findings(plan, paint, errors=False)
    yield from _access(plan, paint)
    for group in plan.groups:
        yield ""
        yield from _group(group, paint)


def _findings(plan: Plan, paint: _Paint, *, errors: bool) -> Iterator[str]:
    for side, finding in sentences.findings(plan, errors=errors):
        colour = "red" if finding.level is Severity.ERROR else "yellow"
        level = paint(f"{finding.level.value}[{finding.code}]", colour)
        yield f"{level} {paint(f'{side}{finding.position}: {finding.message}')}"
    if not errors and plan.standing:
        yield f"and {sentences.standing(plan)}"


def _risks(plan: Plan, paint: _Paint) -> Iterator[str]:
    risks = sentences.risks(plan)
    for risk in risks[:_MOST_RISKS]:
        yield f"{paint(f'{risk.weight.value:<8}', _WEIGHTS[risk.weight], bold=True)} {paint(_risk(risk))}"
    if len(risks) > _MOST_RISKS:
        yield f"         and {sentences.many(len(risks) - _MOST_RISKS, 'more risk')}"


def _risk(risk: Risk) -> str:
    return f"{risk.code}: {risk.message}"


def _access(plan: Plan, paint: _Paint) -> Iterator[str]:
    found = sentences.access_lines(plan.access)
    if found:
        yield ""
        yield paint("Who may call whom", bold=True)
    for kind, line in found[:_MOST_EDGES]:
        yield paint(f"  {sentences.SIGNS[kind]} {line}", _COLOURS[kind])
    if len(found) > _MOST_EDGES:
        yield f"    and {len(found) - _MOST_EDGES:,} more (meshwright access --base …)"


def _group(group: Group, paint: _Paint) -> Iterator[str]:
    sign = sentences.SIGNS[group.kind]
    title = paint(f"{sign} {group.title}", _COLOURS[group.kind], bold=True)
    yield f"{title}   {paint(sentences.places(group))}"
    for risk in group.risks:
        yield f"    {paint(risk.weight.value, _WEIGHTS[risk.weight])} {paint(_risk(risk))}"
    for cause in group.causes:
        yield paint(f"    because of {sentences.cause(cause)}", dim=True)
    if len(group.proxies) > 1 or group.title != group.proxies[0]:
        yield f"    proxies: {paint(sentences.some(group.proxies))}"
    for change in group.changes[:_MOST_RESOURCES]:
        yield from _resource(change, paint)
    if len(group.changes) > _MOST_RESOURCES:
        yield f"    and {sentences.many(len(group.changes) - _MOST_RESOURCES, 'more resource')}"


def _resource(change: ResourceChange, paint: _Paint) -> Iterator[str]:
    yield paint(f"    {sentences.SIGNS[change.kind]} {sentences.resource(change)}", _COLOURS[change.kind])
    if change.alike:
        yield paint(f"        and so do {sentences.some(change.alike)}")
    shown = shown_fields(change.fields)
    for kind, line in field_lines(shown[:_MOST_FIELDS]):
        yield f"        {paint(sentences.SIGNS[kind], _COLOURS[kind])} {paint(line)}"
    if len(shown) > _MOST_FIELDS:
        yield f"          and {sentences.many(len(shown) - _MOST_FIELDS, 'more field')}"
