"""Access as a person reads it in a terminal: the verdict first, then a table, then the way and the lines behind it."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from compiler.review.access.edge import PASSTHROUGH, AccessDiff, Edge
from compiler.review.access.why import Answer, Trace

Paint = Callable[[str, str], str]
"""Text and a colour, or `bold`."""

_HEADINGS = ("CALLER", "SERVICE", "PORT", "PROTOCOL", "METHODS", "PATHS", "CONDITIONS")


def plain(text: str, _: str) -> str:
    """Without colour."""
    return text


def edges_text(edges: Iterable[Edge], paint: Paint = plain) -> str:
    """Everything there is, sorted."""
    found = sorted(edges)
    services = {name for edge in found for name in (edge.caller, edge.service)}
    past = sum(not edge.proxied for edge in found)
    more = f", {past} of them only past the caller's proxy" if past else ""
    heading = paint(f"{_count(len(found), 'edge')} between {_count(len(services), 'service')}{more}", "bold")
    return "\n".join([heading, *_table([(" ", edge) for edge in found], paint)])


def diff_text(diff: AccessDiff, paint: Paint = plain) -> str:
    """What is new comes first: it is what somebody may do who could not."""
    if not diff:
        return f"access: nothing changed, {_count(diff.kept, 'edge')} as before"
    counts = ((len(diff.added), "added"), (len(diff.removed), "removed"), (len(diff.changed), "changed"))
    parts = [f"{number} {word}" for number, word in counts if number]
    heading = paint(f"access: {', '.join(parts)}, {diff.kept} as before", "bold")
    rows = [*(("+", edge) for edge in diff.added), *(("-", edge) for edge in diff.removed)]
    changed = (f"~ {one.edge.caller} → {one.edge.place}: {one.says}" for one in diff.changed)
    return "\n".join([heading, *_table(rows, paint), *(paint(line, "yellow") for line in changed)])


def answer_text(answer: Answer, paint: Paint = plain) -> str:
    """The first line is the answer."""
    word = paint("yes", "green") if answer.allowed else paint("no", "red")
    lines = [f"{word}: {answer.reason}"]
    lines += [f"{paint('warning', 'yellow')}: {answer.warning}"] if answer.warning else []
    for trace in answer.traces:
        lines += ["", *_trace(trace, paint)]
    lines += [f"  {one}" for one in answer.documents]
    return "\n".join(lines)


def _trace(trace: Trace, paint: Paint) -> Iterator[str]:
    verdict = paint("allowed", "green") if trace.allowed else paint("refused", "red")
    yield paint(f"port {trace.port}" if trace.port else "any port", "bold") + f" {verdict}"
    for number, step in enumerate(trace.steps, 1):
        yield f"  {number}. {step.proxy} {step.type} {step.name}: {step.says}"
        yield from (f"       {one}" for one in step.documents)


def _table(rows: Sequence[tuple[str, Edge]], paint: Paint) -> Iterator[str]:
    """Columns that say nothing of any edge are left out."""
    cells = [_cells(edge) for _, edge in rows]
    used = [at for at in range(len(_HEADINGS)) if at < 4 or any(row[at] for row in cells)]
    widths = {at: max(len(one) for one in (_HEADINGS[at], *(row[at] for row in cells))) for at in used}
    if rows:
        yield paint("  " + _row(_HEADINGS, used, widths), "bold")
    for (mark, _), row in zip(rows, cells, strict=True):
        yield paint(f"{mark} {_row(row, used, widths)}", {"+": "green", "-": "red"}.get(mark, ""))


def _row(cells: Sequence[str], used: Sequence[int], widths: dict[int, int]) -> str:
    return "  ".join(cells[at].ljust(widths[at]) for at in used).rstrip()


def _cells(edge: Edge) -> tuple[str, ...]:
    """A port that is open to anyone says so beside the conditions."""
    warning = (edge.warning,) if edge.warning else ()
    return (
        edge.caller,
        "anything outside" if edge.service == PASSTHROUGH else edge.service,
        str(edge.port) if edge.port else "any",
        edge.protocol,
        ",".join(edge.methods),
        ",".join(edge.paths),
        "; ".join([*edge.conditions, *warning]),
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
