"""The page's parts, from the verdict down to the single field."""

import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.review.access.picture import draw_svg
from compiler.review.outputs import sentences
from compiler.review.plan import FieldChange, Group, Kind, Plan, ResourceChange, Risk

_FOLDER: Final = Path(__file__).parent
_SIGNS: Final = {Kind.REMOVED: "−", Kind.CHANGED: "~", Kind.ADDED: "+"}
_MOST_PROXIES: Final = 1000
_FEW: Final = 12
_OPEN: Final = 3
"""So many groups stand open at first; where there are more, a reader chooses."""


def render_html(plan: Plan) -> str:
    """One file; its policy lets nothing run or load but what stands in it."""
    style, script = ((_FOLDER / name).read_text() for name in ("style.css", "script.js"))
    body = "\n".join(_body(plan))
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    policy += f"script-src '{_hash(script)}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(sentences.headline(plan))}</title>\n<style>\n{style}</style></head>\n"
        f"<body>\n{body}\n<script>{script}</script>\n</body></html>\n"
    )


def _hash(script: str) -> str:
    return "sha256-" + b64encode(sha256(script.encode()).digest()).decode()


def _body(plan: Plan) -> Iterator[str]:
    yield "<header><div>"
    yield f"<h1>{escape(_sentence(sentences.headline(plan)))}</h1>"
    yield f'<div class="soft">{escape(sentences.revisions(plan))} · '
    yield f'<span class="mono">{escape(sentences.digests(plan))}</span></div>'
    yield '</div><button id="theme" type="button" aria-label="light or dark">◐</button></header>'
    yield from _findings(plan)
    if not plan.compared:
        return
    yield from _tiles(plan)
    yield from _risks(plan)
    yield from _access(plan)
    yield from _groups(plan)
    yield from _documents(plan)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _findings(plan: Plan) -> Iterator[str]:
    findings = tuple(sentences.findings(plan))
    if not findings and not plan.standing:
        return
    yield '<ul class="risks">'
    for side, finding in findings:
        tag = "high" if finding.level is Severity.ERROR else "medium"
        yield f'<li><span class="tag {tag}">{escape(finding.code.word)}</span>'
        yield f"<span>{side}<code>{escape(str(finding.position))}</code> {escape(finding.message)}</span></li>"
    if plan.standing:
        yield f"<li><span>{sentences.standing(plan)}</span></li>"
    yield "</ul>"


def _tiles(plan: Plan) -> Iterator[str]:
    blast, access = plan.blast, plan.access
    tiles = [
        (f"{blast.proxies.touched:,}", f"of {sentences.many(blast.proxies.total, 'proxy', 'proxies')}"),
        (f"{blast.services.touched:,}", f"of {sentences.many(blast.services.total, 'service')}"),
        (f"{blast.zones.touched:,}", f"of {sentences.many(blast.zones.total, 'zone')}"),
        (
            f"+{len(access.added)} −{len(access.removed)}" + (f" ~{len(access.changed)}" if access.changed else ""),
            f"calls permitted; {access.kept:,} stay",
        ),
        (sentences.in_bytes(plan.after.bytes), f"{sentences.in_bytes(plan.before.bytes)} before"),
    ]
    yield '<div class="tiles">'
    yield from (f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in tiles)
    yield "</div>"


def _risks(plan: Plan) -> Iterator[str]:
    if not plan.risks:
        return
    yield '<ul class="risks" aria-label="risks">'
    for risk in plan.risks:
        yield f"<li>{_tag(risk)}<span>{escape(risk.message)}</span>"
        yield f'<button type="button" data-find="{escape(risk.code)}" style="margin-left:auto">Show</button></li>'
    yield "</ul>"


def _tag(risk: Risk) -> str:
    return f'<span class="tag {risk.weight.value}" title="{risk.weight.value}">{escape(risk.code)}</span>'


def _access(plan: Plan) -> Iterator[str]:
    if not plan.access:
        return
    yield "<h2>Who may call whom</h2>"
    yield f'<div class="sheet">{draw_svg(plan.access)}</div>'
    yield '<div class="sheet" style="margin-top:8px"><table>'
    for kind, line in sentences.access_lines(plan.access):
        yield f'<tr><td class="sign {kind.value}">{_SIGNS[kind]}</td><td class="mono">{escape(line)}</td></tr>'
    yield "</table></div>"


def _groups(plan: Plan) -> Iterator[str]:
    if not plan.groups:
        return
    yield "<h2>What changes</h2>"
    yield '<div class="bar"><input id="search" type="search" aria-label="search"'
    yield ' placeholder="Search proxies, resources, fields, values ( / )">'
    yield '<span id="count" class="soft" aria-live="polite"></span>'
    yield '<button id="unfold" type="button">Unfold all</button></div>'
    for group in plan.groups:
        yield from _group(group, is_open=len(plan.groups) <= _OPEN)
    yield '<p id="none" class="none" hidden>Nothing here has all these words.</p>'


def _group(group: Group, *, is_open: bool) -> Iterator[str]:
    proxies = escape(" ".join(group.proxies))
    yield f'<details class="group" data-proxies="{proxies}"{" open" if is_open else ""}><summary>'
    yield f'<span class="sign {group.kind.value}">{_SIGNS[group.kind]}</span>'
    yield f'<span class="title">{escape(group.title)}</span>'
    yield "".join(_tag(risk) for risk in group.risks)
    yield f'<span class="places">{escape(sentences.places(group))}</span></summary><div class="inside">'
    if group.risks:
        yield "<ul>" + "".join(f"<li>{escape(risk.message)}</li>" for risk in group.risks) + "</ul>"
    for cause in group.causes:
        yield f"<p>because of <code>{escape(sentences.cause(cause))}</code></p>"
    yield from _proxies(group)
    for change in group.changes:
        yield from _resource(change)
    yield "</div></details>"


def _proxies(group: Group) -> Iterator[str]:
    """Some are shown at once; more are folded, and searched all the same."""
    names = escape(sentences.some(group.proxies, _MOST_PROXIES))
    if len(group.proxies) <= _FEW:
        yield f'<p class="soft">{names}</p>'
    else:
        count = sentences.many(len(group.proxies), "proxy", "proxies")
        yield f'<details class="soft names"><summary>{count}</summary>{names}</details>'


def _resource(change: ResourceChange) -> Iterator[str]:
    name = f'<span class="sign {change.kind.value}">{_SIGNS[change.kind]}</span> {escape(sentences.resource(change))}'
    if change.alike:
        name += f' <span class="soft">and so do {escape(sentences.some(change.alike))}</span>'
    if change.fields:
        yield f'<div class="resource"><div class="name">{name}</div><div class="fields">'
        for one in change.fields:
            yield from _field(one)
        yield "</div></div>"
        return
    if change.before is None and change.after is None:
        yield f'<div class="resource"><div class="name">{name}</div></div>'
        return
    whole, kind = (change.before, "before") if change.kind is Kind.REMOVED else (change.after, "after")
    yield f'<details class="resource"><summary>{name}</summary><pre class="{kind}">{_json(whole)}</pre></details>'


def _field(one: FieldChange) -> Iterator[str]:
    yield f'<div class="path">{escape(one.path)}</div>'
    if one.kind is not Kind.ADDED:
        yield f'<pre class="before">{_json(one.before)}</pre>'
    if one.kind is not Kind.REMOVED:
        yield f'<pre class="after">{_json(one.after)}</pre>'


def _json(value: Any) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=True))


def _documents(plan: Plan) -> Iterator[str]:
    if not plan.documents:
        return
    yield f'<h2>Documents</h2><p class="soft">{escape(_sentence(sentences.documents(plan.documents)))}</p>'
    yield '<div class="sheet"><table>'
    for one in plan.documents:
        sign = f'<td class="sign {one.kind.value}">{_SIGNS[one.kind]}</td>'
        who = escape(", ".join(part for part in (one.author, (one.commit or "")[:10]) if part))
        name = escape(f"{one.subject.type} {one.subject.name}")
        where = f'<td class="mono">{escape(sentences.place(one))}</td>'
        yield f'<tr>{sign}{where}<td>{name}</td><td class="soft">{who}</td></tr>'
    yield "</table></div>"
