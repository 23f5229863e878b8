"""`meshwright access`: who may call whom, told from what is compiled, and why."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.exits import FINE, FOUND, UNREADABLE, USAGE, Stop

if TYPE_CHECKING:
    from compiler.diagnostics import Checked
    from compiler.review.access.edge import AccessDiff, Edge
    from compiler.review.access.why import Answer, Party
    from compiler.review.versions import Version, Versions
    from compiler.snapshot.snapshot import Snapshot
    from compiler.source.tree import SourceTree

_MOST_NAMED = 5


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"
    MERMAID = "mermaid"
    SVG = "svg"


def access(
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    caller: Annotated[
        str | None, typer.Option("--from", help="Only this caller: a workload, mesh/workload, or a proxy.")
    ] = None,
    service: Annotated[
        str | None, typer.Option("--to", help="Only calls of this one: the same, a MeshService, or external/NAME.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Read this commit, branch or tag instead of the files.")] = None,
    base: Annotated[str | None, typer.Option(help="Show what differs from this commit, branch or tag.")] = None,
    output: Annotated[Form, typer.Option("--output", "--format", "-o", help="How it is printed.")] = Form.TEXT,
) -> int:
    """Show who may call whom. With --from and --to: why, and exit code 0 if it is allowed, 1 if it is not.

    Of a mesh that does not compile there is no answer: exit code 65. Allowed is what the caller's own proxy gets to do;
    what lies open past it, in plaintext, is a warning.
    """
    from compiler.garbage import uncollected

    with uncollected():
        shown = _look(path, (caller, service), at, base)
    typer.echo(shown.render(output).rstrip("\n"))
    return FINE if shown.answer is None or shown.answer.allowed else FOUND


@dataclass(frozen=True)
class _Shown:
    """What one invocation found out; `diff` only with a base, `answer` only for two parties."""

    edges: "frozenset[Edge]"
    diff: "AccessDiff | None"
    answer: "Answer | None"
    digest: str

    def render(self, form: Form) -> str:
        from compiler.review.access.as_json import as_json
        from compiler.review.access.edge import AccessDiff
        from compiler.review.access.picture import draw_mermaid, draw_svg

        if form is Form.TEXT:
            return "\n\n".join(self._texts())
        if form is Form.JSON:
            return json.dumps(as_json(self.edges, self.diff, self.answer, self.digest), ensure_ascii=False, indent=2)
        diff = self.diff or AccessDiff()
        draw = draw_svg if form is Form.SVG else draw_mermaid
        return draw(diff, self.edges.difference(diff.added))

    def _texts(self) -> "Iterator[str]":
        from compiler.review.access.as_text import answer_text, diff_text, edges_text

        if self.answer is not None:
            yield answer_text(self.answer, _paint)
        if self.diff is not None:
            yield diff_text(self.diff, _paint)
        elif self.answer is None:
            yield edges_text(self.edges, _paint)


def _look(path: Path, names: tuple[str | None, str | None], at: str | None, base: str | None) -> _Shown:
    """The version that is asked about is compiled last: answers look into what the compiler remembers of it."""
    from compiler.review.access.known import Known
    from compiler.review.access.reaching import diff_edges, find_edges
    from compiler.review.access.why import may_call
    from compiler.review.versions import Versions

    versions, known = Versions(), Known()
    before = _compile_base(versions, path, base) if base is not None else {}
    old = find_edges(before, known)
    head = _compile(versions, path, at)
    new = find_edges(head.snapshots, known)
    known_names = {name for edge in old | new for name in (edge.caller, edge.service)}
    callers, services = (_parties(name, head.snapshots, before, known_names) for name in names)
    old, new = (_between(edges, callers, services) for edges in (old, new))
    answer = may_call(versions, head, _one(callers), _one(services)) if callers and services else None
    digest = head.generation.digest if head.generation is not None else ""
    return _Shown(new, diff_edges(old, new) if base is not None else None, answer, digest)


def _compile(versions: "Versions", path: Path, revision: str | None) -> "Version":
    from compiler.cli.sources import open_tree, require_mesh

    version = _compiled(versions, open_tree(path, revision))
    require_mesh(path, version.resources.counts)
    return version


def _compile_base(versions: "Versions", path: Path, revision: str) -> "Mapping[str, Snapshot]":
    """A commit that lacks the folder, or has no mesh in it yet, has no calls."""
    from compiler.cli.sources import open_base

    return _compiled(versions, open_base(path, revision)).snapshots


def _compiled(versions: "Versions", tree: "Checked[SourceTree]") -> "Version":
    """With errors there is nothing to look at; they are told without their lines, which may hold what is secret."""
    version = versions.compile(tree)
    if version.generation is None:
        for finding in version.diagnostics:
            typer.echo(f"{finding.position}: {finding.level.value}[{finding.code}]: {finding.message}", err=True)
        raise typer.Exit(UNREADABLE)
    return version


def _parties(
    name: str | None, head: "Mapping[str, Snapshot]", base: "Mapping[str, Snapshot]", names: "Iterable[str]"
) -> "tuple[Party, ...]":
    """What a name means, in the base only where it is gone; raises `Stop` for a name that nobody has."""
    from compiler.resources.suggest import did_you_mean
    from compiler.review.access.edge import OUTSIDE
    from compiler.review.access.why import Party, find_party

    if name is None:
        return ()
    if name.startswith(OUTSIDE) and name in names:
        return (Party(name),)
    found = find_party(head, name) or tuple(Party(one.service) for one in find_party(base, name))
    if not found:
        snapshots = (*head.values(), *base.values())
        words = {word for one in snapshots for word in (one.node.workload, one.node.proxy)}
        guess = did_you_mean(name, {*words, *names}) or "say a workload, mesh/workload, or a proxy's name"
        raise Stop(f"there is no {name!r}; {guess}", USAGE)
    return found


def _one(parties: "Sequence[Party]") -> "Party":
    """A question is about one of each; raises `Stop` where a name is that of several."""
    if len(parties) > 1:
        names = " or ".join(party.service for party in parties[:_MOST_NAMED])
        raise Stop(f"more than one has that name: say {names}", USAGE)
    return parties[0]


def _between(edges: "frozenset[Edge]", callers: "Iterable[Party]", services: "Iterable[Party]") -> "frozenset[Edge]":
    froms, tos = ({party.service for party in parties} for parties in (callers, services))
    return frozenset(edge for edge in edges if (not froms or edge.caller in froms) and (not tos or edge.service in tos))


def _paint(text: str, colour: str) -> str:
    from compiler.cli.findings import takes_colour

    if not colour or not takes_colour():
        return text
    return typer.style(text, bold=True) if colour == "bold" else typer.style(text, fg=colour)
