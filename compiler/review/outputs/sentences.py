"""What a plan says, in words: the sentences that every output of it shares."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from compiler.diagnostics import Diagnostic, Severity
from compiler.review.access.edge import AccessDiff, Edge
from compiler.review.plan import Cause, Count, FieldChange, Group, Kind, Plan, ResourceChange, Revision, Risk, Size

SIGNS: Final[Mapping[Kind, str]] = {Kind.REMOVED: "-", Kind.CHANGED: "~", Kind.ADDED: "+"}
_LONGEST_VALUE: Final = 100
_GOING: Final = "removes-proxy"
_FEW: Final = 3
_UNITS: Final = ("B", "KB", "MB", "GB")


def headline(plan: Plan) -> str:
    """The blast radius, first of all."""
    if plan.failed:
        errors = sum(one.level is Severity.ERROR for one in plan.findings)
        return f"does not compile: {many(errors, 'error')}"
    if not plan.compared:
        return "the base does not compile; the head does: what changes is not known"
    blast = plan.blast
    if not blast.proxies.touched:
        return "no proxy changes"
    parts = [f"{_of(blast.proxies, 'proxy', 'proxies')} change" + ("s" if blast.proxies.touched == 1 else "")]
    parts += [many(one.touched, word) for one, word in ((blast.services, "service"), (blast.zones, "zone"))]
    if blast.meshes.total > 1:
        parts.append(_of(blast.meshes, "mesh", "meshes"))
    come_and_gone = [
        f"{number:,} {word}" for number, word in ((blast.removed, "removed"), (blast.added, "added")) if number
    ]
    return ", ".join(parts) + (f" ({', '.join(come_and_gone)})" if come_and_gone else "")


def findings(plan: Plan, *, errors: bool | None = None) -> Iterator[tuple[str, Diagnostic]]:
    """Those of the base, and said to be; then what the change brought. Errors alone, or what is none, or all."""
    standing = set(plan.standing)
    found = [("in the base: ", finding) for finding in plan.base_findings]
    found += [("", finding) for finding in plan.findings if finding not in standing]
    return (one for one in found if errors in (None, one[1].level is Severity.ERROR))


def standing(plan: Plan) -> str:
    """Of warnings that say nothing of the change; empty where there are none."""
    count = len(plan.standing)
    return f"{many(count, 'warning')} {'was' if count == 1 else 'were'} there before" if count else ""


def risks(plan: Plan) -> tuple[Risk, ...]:
    """The weightiest first; proxies that go are counted together, whatever services they are of."""
    going = [risk for risk in plan.risks if risk.code == _GOING]
    if len(going) < _FEW:
        return plan.risks
    names = sorted({name for group in plan.groups if {*group.risks} & {*going} for name in group.proxies})
    message = f"{many(len(names), 'proxy', 'proxies')} would get no configuration any more: {some(names, _FEW)}"
    rest = [risk for risk in plan.risks if risk.code != _GOING]
    place = plan.risks.index(going[0])
    return (*rest[:place], replace(going[0], message=message), *rest[place:])


def revisions(plan: Plan) -> str:
    """What is compared with what."""
    return f"{revision(plan.base)} → {revision(plan.head)}"


def revision(one: Revision) -> str:
    """A name, and the commit where the name does not say it."""
    if one.commit is None:
        return one.name
    short = one.commit[:10]
    return short if one.commit.startswith(one.name) else f"{one.name} ({short})"


def digests(plan: Plan) -> str:
    """The same one twice is a change that no proxy will see."""
    if plan.compared and plan.base.digest == plan.head.digest:
        return f"same digest {plan.head.digest}"
    none = "nothing" if plan.compared else "no digest"
    return f"{plan.base.digest or none} → {plan.head.digest or none}"


def size(plan: Plan) -> str:
    """Bytes and resources, before and after; of the head alone where the base does not compile."""
    before, after = plan.before if plan.compared else plan.after, plan.after
    counts = (
        f"{_total(before):,} → {_total(after):,} resources"
        if _total(before) != _total(after)
        else f"{_total(after):,} resources"
    )
    if before.bytes == after.bytes:
        return f"{in_bytes(after.bytes)}, {counts}"
    if abs(after.bytes - before.bytes) < before.bytes / 1000:
        return f"{in_bytes(after.bytes)} ({after.bytes - before.bytes:+,} B), {counts}"
    return f"{in_bytes(before.bytes)} → {in_bytes(after.bytes)} ({_percent(before.bytes, after.bytes)}), {counts}"


def access(diff: AccessDiff) -> str:
    """How many may newly call, may no longer, and may on other terms."""
    if not diff:
        return "who may call whom stays as it is"
    changed = f"{len(diff.changed):,} changed, " if diff.changed else ""
    return f"{len(diff.added):,} opened, {len(diff.removed):,} closed, {changed}{diff.kept:,} stay"


def access_lines(diff: AccessDiff) -> list[tuple[Kind, str]]:
    """What may newly be called first: a list that is cut shows the worst of it."""
    changed = sorted(diff.changed, key=lambda one: not one.gained)
    return [
        *((Kind.ADDED, edge(one)) for one in diff.added),
        *((Kind.CHANGED, f"{one.edge.caller} → {one.edge.place}: {one.says}") for one in changed),
        *((Kind.REMOVED, edge(one)) for one in diff.removed),
    ]


def edge(one: Edge) -> str:
    """A caller, a service and its port, and what it may ask there."""
    what = [",".join(one.methods), " ".join(one.paths)]
    asked = " ".join(part for part in what if part)
    warning = f" ({one.warning})" if one.warning else ""
    return f"{one.caller} → {one.place}" + (f" {asked}" if asked else "") + warning


def place(cause: Cause) -> str:
    """File and line; those of the base for what was removed."""
    where = f"{cause.file}:{cause.line}" if cause.line else cause.file
    return where + (" (as it was)" if cause.side == "base" else "")


def cause(one: Cause) -> str:
    """A document, where it stands and whose it is."""
    subject = one.subject
    who = ", ".join(part for part in (one.commit[:10] if one.commit else "", one.author or "") if part)
    return f"{place(one)} {subject.type} {subject.name} {one.kind.value}" + (f" by {who}" if who else "")


def field_change(one: FieldChange) -> str:
    """A field, before and after."""
    match one.kind:
        case Kind.ADDED:
            return f"{one.path}: {value(one.after)}"
        case Kind.REMOVED:
            return f"{one.path}: {value(one.before)}"
        case Kind.CHANGED:
            return f"{one.path}: {value(one.before)} → {value(one.after)}"


def resource(one: ResourceChange) -> str:
    """A resource by its file and name."""
    return f"{one.type}/{one.name}"


def value(anything: Any, longest: int = _LONGEST_VALUE) -> str:
    """A value on one line; JSON escapes whatever a terminal would act on."""
    text = anything if isinstance(anything, str) and _is_plain(anything) else json.dumps(anything, ensure_ascii=True)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _is_plain(text: str) -> bool:
    return bool(text) and text.isprintable() and text.isascii() and '"' not in text and text.strip() == text


def printable(text: str) -> str:
    """On one line, with nothing that a terminal would act on."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "·" for one in text)


def some(names: Sequence[str], most: int = 6) -> str:
    """The first of them, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def places(group: Group) -> str:
    """How many proxies, and of what."""
    parts = [many(len(group.proxies), "proxy", "proxies"), some(group.services, 3)]
    if group.zones and group.zones != ("",):
        parts.append(some([zone or "default" for zone in group.zones], 3))
    return "; ".join(part for part in parts if part)


def many(number: int, one: str, more: str | None = None) -> str:
    """A number with its word."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def in_bytes(number: float) -> str:
    """A size as people say it."""
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError(number)


def documents(causes: Iterable[Cause]) -> str:
    """How many documents differ, and how."""
    found = list(causes)
    kinds = [(kind, sum(one.kind is kind for one in found)) for kind in Kind]
    return (
        ", ".join(f"{many(number, 'document')} {kind.value}" for kind, number in kinds if number)
        or "no document differs"
    )


def _of(count: Count, one: str, more: str) -> str:
    return f"{count.touched:,} of {many(count.total, one, more)}"


def _total(one: Size) -> int:
    return sum(one.resources.values())


def _percent(before: int, after: int) -> str:
    if not before:
        return "all new"
    part = (after - before) / before * 100
    return f"{part:+.1f} %" if abs(part) < 10 else f"{part:+.0f} %"
