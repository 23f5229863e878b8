"""What follows from some lines of a document: the fields of every proxy that would differ without them.

The lines are taken out and the tree is compiled again; what must not be left out alone is taken out with the least
around it, and the answer says so.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from compiler.resources.model import ResourceKey
from compiler.review.authors import Authored
from compiler.review.changes.compare import Comparison, compare
from compiler.review.explaining.drafts import DocumentKey, Drafts, Edit, key_of
from compiler.review.explaining.lines import ALL, Lines, Part, find_lines, find_parts
from compiler.review.explaining.trial import Trial
from compiler.review.plan import Kind
from compiler.review.variants import with_root
from compiler.snapshot.snapshot import Snapshot
from compiler.source.document import Passage
from compiler.source.tree import SourceTree

__all__ = ["Blamed", "Effect", "Said", "blame"]

FindAuthor = Callable[[str, Lines], Authored | None]
"""By file and lines."""
_INDEX: Final = re.compile(r"(?<=/)\d+(?=/|$)")


@dataclass(frozen=True, slots=True)
class Said:
    """A part of a document that stands on the lines. `taken` is what was taken out: the part, or the least around it.

    `resource` is the first that the document defines.
    """

    resource: ResourceKey
    file: str
    line: int
    column: int
    pointer: str
    taken: str
    authored: Authored | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """One difference, alike in all these resources of all these proxies: `before` is without the lines, `after` with.

    Of resources that are there only with the lines, or only without them, the path is empty.
    """

    kind: Kind
    type: str
    names: tuple[str, ...]
    path: str
    before: Any
    after: Any
    proxies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Blamed:
    """`proxies` are those that differ, of `total`; the `appearing` are there only with the lines, the `vanishing` only
    without them.

    `echoed` counts the proxies for which the lines say what would hold without them too: they have no effect, but if
    they said something else it would be seen there.
    """

    said: tuple[Said, ...]
    effects: tuple[Effect, ...] = ()
    proxies: tuple[str, ...] = ()
    appearing: tuple[str, ...] = ()
    vanishing: tuple[str, ...] = ()
    total: int = 0
    echoed: int = 0


def blame(
    trial: Trial, tree: SourceTree, file: str, lines: Lines = ALL, find_author: FindAuthor = lambda *_: None
) -> Blamed:
    """Of a file of a tree that compiles; what in it is not the mesh's is passed over."""
    tree = with_root(tree)
    drafts = Drafts(tree, trial.schemas)
    before = _by_node(trial, tree)
    known = _list_documents(trial, file)
    parts = [part for part in _parts(drafts, file, lines) if part.document in known]
    edits = _take_out(drafts, parts)
    said = tuple(_describe(part, edits[part.document], *known[part.document], find_author) for part in parts)
    if not parts:
        return Blamed((), total=len(before))
    comparison = compare(_by_node(trial, drafts.tree_with(edits)), before)
    echoed = 0 if comparison else _count_echoes(trial, drafts, parts, before)
    return Blamed(
        said,
        tuple(_effects(comparison)),
        tuple(one.node for one in comparison.changed),
        tuple(str(one.node) for one in comparison.added),
        tuple(str(one.node) for one in comparison.removed),
        len(before),
        echoed,
    )


def _by_node(trial: Trial, tree: SourceTree) -> Mapping[str, Snapshot]:
    return {str(snapshot.node): snapshot for snapshot in trial.snapshots(tree).values()}


def _list_documents(trial: Trial, file: str) -> Mapping[DocumentKey, tuple[ResourceKey, Passage]]:
    sources = trial.resources.sources.items()
    found = [(key_of(one.passage), (key, one.passage)) for key, one in sources if one.passage.file == file]
    return dict(reversed(found))


def _parts(drafts: Drafts, file: str, lines: Lines) -> tuple[Part, ...]:
    documents = sorted(drafts.documents(file))
    if lines.whole:
        return tuple(Part(DocumentKey(file, index), "") for index in documents)
    listed = next(one for one in drafts.tree.files if one.path == file)
    return find_parts(file, drafts.tree.read(listed).decode(), documents, lines)


def _take_out(drafts: Drafts, parts: Sequence[Part]) -> Mapping[DocumentKey, Edit]:
    edits: dict[DocumentKey, Edit] = {}
    for part in parts:
        edit = edits.get(part.document, Edit())
        edits[part.document] = _least(drafts, part, edit)
    return edits


def _least(drafts: Drafts, part: Part, edit: Edit) -> Edit:
    """The part itself, else what is around it: never more than the document."""
    steps = part.pointer.split("/")
    wider = (edit.without("/".join(steps[:length])) for length in range(len(steps), 0, -1))
    return next(one for one in wider if drafts.is_sound(part.document, one))


def _describe(part: Part, edit: Edit, resource: ResourceKey, passage: Passage, find_author: FindAuthor) -> Said:
    position = passage.position(part.pointer, key=True)
    taken = max((one for one in edit.removed if part.pointer.startswith(one)), key=len)
    author = find_author(position.file, find_lines(passage.places, passage.index, part.pointer))
    return Said(resource, position.file, position.line, position.column, part.pointer, taken, author)


def _count_echoes(trial: Trial, drafts: Drafts, parts: Sequence[Part], before: Mapping[str, Snapshot]) -> int:
    """How many proxies would differ if the lines said something else."""
    edits: dict[DocumentKey, Edit] = {}
    for part in parts:
        edit = edits.get(part.document, Edit())
        edits[part.document] = drafts.saying_otherwise(part.document, edit, part.pointer)
    return len(compare(_by_node(trial, drafts.tree_with(edits)), before).changed)


def _effects(comparison: Comparison) -> Iterator[Effect]:
    """Those that concern the most proxies first; an index stands as * where only it differs."""
    names: dict[bytes, dict[str, None]] = {}
    paths: dict[bytes, dict[str, None]] = {}
    proxies: dict[bytes, dict[str, None]] = {}
    first: dict[bytes, tuple[Kind, str, Any, Any]] = {}
    for proxy in comparison.changed:
        for difference in proxy.differences:
            change = comparison.change(difference.key)
            fields = [(one.kind, one.path, one.before, one.after) for one in change.fields]
            for kind, path, old, new in fields or [(change.kind, "", None, None)]:
                key = _dump([change.type, kind, _INDEX.sub("*", path), old, new])
                first.setdefault(key, (kind, change.type, old, new))
                names.setdefault(key, {})[change.name] = None
                paths.setdefault(key, {})[path] = None
                proxies.setdefault(key, {})[proxy.node] = None
    for key in sorted(first, key=lambda one: (-len(proxies[one]), one)):
        kind, file, old, new = first[key]
        path = next(iter(paths[key])) if len(paths[key]) == 1 else _INDEX.sub("*", next(iter(paths[key])))
        yield Effect(kind, file, tuple(sorted(names[key])), path, old, new, tuple(proxies[key]))


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
