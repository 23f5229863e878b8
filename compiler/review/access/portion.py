"""What of a graph is drawn: all of it where it is small, else what a change concerns, with what is next to it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compiler.review.access.edge import PASSTHROUGH, AccessDiff, Change, Edge

MOST_SERVICES = 60
MOST_LINES = 300


@dataclass(frozen=True, slots=True)
class Line:
    """All edges between two services that were kept, added, removed or changed, as `mark` (` `, `+`, `−`, `~`) says."""

    caller: str
    service: str
    mark: str
    edges: tuple[Edge, ...]
    said: tuple[str, ...] = ()
    """Instead of the edges' own terms, what is other in them."""

    @property
    def label(self) -> str:
        """What may be called; a reader finds the rest in the table."""
        terms = list(dict.fromkeys(self.said or (edge.terms for edge in self.edges)))
        more = f" and {len(terms) - 2} more" if len(terms) > 2 else ""
        return f"{self.mark} {'; '.join(terms[:2])}{more}".strip()


@dataclass(frozen=True, slots=True)
class Portion:
    """The services and lines that are drawn, and sentences about what is not."""

    services: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def choose(diff: AccessDiff, kept: Iterable[Edge], most: int = MOST_SERVICES) -> Portion:
    """With a change, its services come first and their neighbours next; without one, those with most edges."""
    kept = tuple(sorted(kept))
    altered = {edge for one in diff.changed for edge in one.after}
    kept = tuple(edge for edge in kept if edge not in altered)
    drawn = [edge for edge in kept if edge.service != PASSTHROUGH]
    lines = [*_lines(diff.removed, "−"), *_changed(diff), *_lines(diff.added, "+"), *_lines(drawn, " ")]
    total = {name for line in lines for name in (line.caller, line.service)}
    services = set(_first(lines, total, most)) if len(total) > most else total
    chosen = [line for line in lines if line.caller in services and line.service in services]
    shown = tuple(chosen[:MOST_LINES])
    notes = tuple(_notes(diff, lines, shown, len(services), len(total), len(kept) - len(drawn)))
    return Portion(tuple(sorted(services)), shown, notes)


def _lines(edges: Iterable[Edge], mark: str) -> Iterator[Line]:
    pairs: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges:
        pairs.setdefault((edge.caller, edge.service), []).append(edge)
    return (Line(caller, service, mark, tuple(found)) for (caller, service), found in sorted(pairs.items()))


def _changed(diff: AccessDiff) -> Iterator[Line]:
    pairs: dict[tuple[str, str], list[Change]] = {}
    for one in diff.changed:
        pairs.setdefault((one.edge.caller, one.edge.service), []).append(one)
    for (caller, service), found in sorted(pairs.items()):
        said = tuple(f":{one.edge.port} {one.says}" if one.edge.port else one.says for one in found)
        yield Line(caller, service, "~", tuple(edge for one in found for edge in one.after), said)


def _first(lines: Iterable[Line], total: Iterable[str], most: int) -> list[str]:
    lines = list(lines)
    weight = Counter(name for line in lines for name in (line.caller, line.service))
    changed = {name for line in lines if line.mark != " " for name in (line.caller, line.service)}
    beside = {name for line in lines if {line.caller, line.service} & changed for name in (line.caller, line.service)}
    if changed:
        total = changed | beside
    return sorted(total, key=lambda name: (name not in changed, -weight[name], name))[:most]


def _notes(
    diff: AccessDiff, lines: list[Line], shown: tuple[Line, ...], services: int, total: int, unlimited: int
) -> Iterator[str]:
    """Nothing is left out silently."""
    if services < total:
        what = "the change and its neighbours" if diff else "those with most edges"
        yield f"{services} of {total} services are drawn: {what}"
    lost = sum(line.mark != " " for line in lines) - sum(line.mark != " " for line in shown)
    if lost:
        yield f"{lost} more lines changed than are drawn: the table has them all"
    if len(shown) - len(lines) + lost < 0 and services == total:
        yield f"{len(lines) - len(shown) - lost} lines that did not change are not drawn"
    if diff.kept and not any(line.mark == " " for line in lines) and not unlimited:
        yield "what stayed as it was is not drawn"
    if unlimited:
        who = "1 service" if unlimited == 1 else f"{unlimited} services"
        yield f"not drawn: {who} may call anything outside of the mesh, as before"
