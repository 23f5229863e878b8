"""A plan as one comment of a pull request: the verdict open, the details folded, never longer than a comment may be."""

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice
from typing import Final

from compiler.diagnostics import Severity
from compiler.review.outputs import sentences
from compiler.review.outputs.details import shown_fields, sides_of, value_lines
from compiler.review.plan import Group, Kind, Plan, ResourceChange, Weight

LONGEST: Final = 65_000
"""Characters. A comment may have 65,536; whoever posts it adds a mark by which it is found again."""
_IN_DIFF: Final = {Kind.REMOVED: "-", Kind.CHANGED: "!", Kind.ADDED: "+"}
"""What GitHub colours in a fence of a diff."""
_MARKS: Final = {Weight.HIGH: "🟥", Weight.MEDIUM: "🟨", Weight.LOW: "🟦"}
_MOST_RISKS: Final = 20
_MOST_EDGES: Final = 30
_MOST_LINES: Final = 200
_MOST_PROXIES: Final = 50
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~])")


def render_markdown(plan: Plan, *, longest: int = LONGEST) -> str:
    """Groups are left out from the end where it grows too long, and it says how many."""
    start = "\n".join(_summary(plan)) + "\n"
    folded = ["\n".join(_group(group)) + "\n" for group in plan.groups]
    return start + _fit(folded, longest - len(start))


def _fit(parts: Sequence[str], room: int) -> str:
    """As many as there is room for, the sentence about the others counted in."""
    kept: list[str] = []
    for index, part in enumerate(parts):
        left = len(parts) - index
        note = f"\n_{sentences.many(left, 'more change')}: too long for a comment, see the artifact of this run._\n"
        if len(part) + len(note) > room:
            return "".join((*kept, note))[: max(0, room + sum(map(len, kept)))]
        kept.append(part)
        room -= len(part)
    return "".join(kept)


def _summary(plan: Plan) -> Iterator[str]:
    yield f"### {_text(sentences.headline(plan))}"
    yield f"{_text(sentences.revisions(plan))} · {sentences.digests(plan)}"
    yield ""
    yield from _findings(plan, errors=True)
    if plan.failed:
        yield from _findings(plan, errors=False)
        return
    if not plan.compared:
        yield f"- **size**: {sentences.size(plan)}"
        yield from _findings(plan, errors=False)
        return
    yield from _risks(plan)
    yield from _findings(plan, errors=False)
    yield f"- **access**: {sentences.access(plan.access)}"
    yield f"- **size**: {sentences.size(plan)}"
    yield f"- **from**: {sentences.documents(plan.documents)}"
    yield ""
    yield from _access(plan)


def _findings(plan: Plan, *, errors: bool) -> Iterator[str]:
    for side, finding in islice(sentences.findings(plan, errors=errors), _MOST_RISKS):
        mark = "🟥" if finding.level is Severity.ERROR else "🟨"
        yield f"- {mark} {side}`{_code(str(finding.position))}` **{finding.code}** {_text(finding.message)}"
    if not errors and plan.standing:
        yield f"- {sentences.standing(plan)}"


def _risks(plan: Plan) -> Iterator[str]:
    risks = sentences.risks(plan)
    for risk in risks[:_MOST_RISKS]:
        yield f"- {_MARKS[risk.weight]} **{risk.code}** ({risk.weight.value}): {_text(risk.message)}"
    if len(risks) > _MOST_RISKS:
        yield f"- and {sentences.many(len(risks) - _MOST_RISKS, 'more risk')}"


def _access(plan: Plan) -> Iterator[str]:
    """A table for the eye, and the picture that GitHub and GitLab draw from Mermaid."""
    found = sentences.access_lines(plan.access)
    if not found:
        return
    yield "<details open><summary>Who may call whom</summary>\n"
    yield "```diff"
    for kind, line in found[:_MOST_EDGES]:
        yield _fenced(f"{_IN_DIFF[kind]} {line}")
    if len(found) > _MOST_EDGES:
        yield f"  and {len(found) - _MOST_EDGES:,} more"
    yield "```"
    yield from _picture(plan)
    yield "</details>\n"


def _picture(plan: Plan) -> Iterator[str]:
    from compiler.review.access.picture import draw_mermaid

    yield "\n```mermaid"
    yield draw_mermaid(plan.access).strip()
    yield "```"


def _group(group: Group) -> Iterator[str]:
    sign = sentences.SIGNS[group.kind].replace("-", "−")
    marks = "".join(dict.fromkeys(_MARKS[risk.weight] for risk in group.risks))
    title = _html(f"{sign} {group.title}")
    yield f"<details><summary>{marks} <b>{title}</b>, {_html(sentences.places(group))}</summary>\n"
    for risk in group.risks:
        yield f"- {_MARKS[risk.weight]} **{risk.code}**: {_text(risk.message)}"
    for cause in group.causes:
        yield f"- because of `{_code(sentences.cause(cause))}`"
    yield f"- proxies: {_text(sentences.some(group.proxies, _MOST_PROXIES))}"
    lines = [line for change in group.changes for line in _resource(change)]
    yield "\n```diff"
    yield from (_fenced(line) for line in lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        yield f"  and {len(lines) - _MOST_LINES:,} more lines"
    yield "```\n</details>\n"


def _resource(change: ResourceChange) -> Iterator[str]:
    """As a diff: a field that changed is a line that goes and one that comes."""
    sign = {Kind.REMOVED: "-", Kind.ADDED: "+", Kind.CHANGED: "@@"}[change.kind]
    name = sentences.resource(change)
    yield f"@@ {name} @@" if sign == "@@" else f"{sign} {name}"
    if change.alike:
        yield f"  and so do {sentences.some(change.alike)}"
    for one in shown_fields(change.fields):
        for kind, value in sides_of(one):
            first, *others = value_lines(value)
            yield f"{_IN_DIFF[kind]} {one.path}: {first}"
            yield from (f"{_IN_DIFF[kind]}   {line}" for line in others)
    if change.kind is Kind.ADDED and change.after is not None:
        yield from (f"+   {line}" for line in json.dumps(change.after, indent=1).splitlines()[1:-1])


def _text(text: str) -> str:
    """Nothing in it is markup, a mention or a link."""
    return _SPECIAL.sub(r"\\\1", sentences.printable(text)).replace("@", "@\u200b")


def _html(text: str) -> str:
    """Inside a tag, where neither markup nor Markdown starts."""
    return escape(sentences.printable(text)).replace("`", "ˋ").replace("@", "@\u200b")


def _code(text: str) -> str:
    """Inside a code span, which it cannot leave."""
    return _fenced(text).replace("@", "@\u200b")


def _fenced(text: str) -> str:
    """Inside a fence, which it cannot leave; nobody is mentioned there, and what is copied from it is as it was."""
    return sentences.printable(text).replace("`", "ˋ")
