"""Why a field of a compiled snapshot has its value: the chain of documents that set it, the winner last.

Nothing is traced while compiling. The documents that hold for the proxy are said otherwise, one after the other, and
the proxy is compiled again: whoever changes the field sets it. The winner is then taken out, which shows who is next,
until nobody is left and a default remains. Every answer is what a compile gave.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as with_default
from typing import Any, Final

from compiler.mesh.selection import all_selected
from compiler.mesh.shape import REPLICA
from compiler.resources.model import SPECS, ResourceKey
from compiler.review.authors import Authored
from compiler.review.explaining.addresses import Field, State, read_state, resource_json
from compiler.review.explaining.candidates import list_candidates
from compiler.review.explaining.defaults import Default, find_default
from compiler.review.explaining.drafts import DocumentKey, Drafts, Edit, Edits, key_of, value_at
from compiler.review.explaining.probing import Question, Setting, find_setting
from compiler.review.explaining.trial import Trial
from compiler.review.variants import with_root
from compiler.snapshot.snapshot import Snapshot
from compiler.source.document import Passage
from compiler.source.tree import SourceTree

__all__ = ["Explained", "Place", "Step", "explain"]

FindAuthor = Callable[[str, int], Authored | None]
"""By file and line."""

_LONGEST_CHAIN: Final = 32
_Found = tuple[DocumentKey, Setting]


@dataclass(frozen=True, slots=True)
class Place:
    """Something in a document; `pointer` is the document's, empty for all of it."""

    resource: ResourceKey
    file: str
    line: int
    column: int
    pointer: str


@dataclass(frozen=True, slots=True)
class Step:
    """A document that sets the field where none after it in the chain does: `written` is what stands there, `value`
    what the field becomes by it, `without` what it would be; `authored` is who wrote the line last.
    """

    place: Place
    written: Any
    value: State
    without: State
    authored: Authored | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """`chain` has its winner last; `grounds` are documents without which there would be nothing that has this field.

    `default` is what holds where nobody says anything, None where something around the field must be said.
    """

    node: str
    field: Field
    state: State
    chain: tuple[Step, ...]
    default: Default | None
    grounds: tuple[Place, ...] = ()


@dataclass
class _Search:
    """What is asked again and again about one field."""

    trial: Trial
    drafts: Drafts
    proxy: ResourceKey
    field: Field
    model: Any
    find_author: FindAuthor
    passages: Mapping[DocumentKey, tuple[ResourceKey, Passage]]
    edits: dict[DocumentKey, Edit] = with_default(default_factory=dict)
    _states: dict[str, State] = with_default(default_factory=dict)
    """By the id of a tree: a question comes back to the same one, and a compile of it is what an answer costs."""

    def state(self, edits: Edits) -> State:
        tree = self.tree(edits)
        if tree.tree not in self._states:
            snapshot = self.trial.snapshot(tree, self.proxy)
            self._states[tree.tree] = read_state(snapshot, self.field, self.model)
        return self._states[tree.tree]

    def tree(self, edits: Edits) -> SourceTree:
        return self.drafts.tree_with(edits) if edits else self.drafts.tree

    def is_policy(self, key: DocumentKey) -> bool:
        return self.passages[key][0].type not in SPECS

    def place(self, key: DocumentKey, pointer: str) -> Place:
        resource, passage = self.passages[key]
        position = passage.position(pointer)
        return Place(resource, position.file, position.line, position.column, pointer)


def explain(
    trial: Trial, tree: SourceTree, proxy: ResourceKey, field: Field, find_author: FindAuthor = lambda *_: None
) -> Explained:
    """Of a field of a proxy that compiles in this tree; what is absent can be explained like what is there."""
    tree = with_root(tree)
    snapshot = trial.snapshot(tree, proxy)
    if snapshot is None:
        raise LookupError(f"{proxy} is no proxy")
    search = _begin(trial, tree, snapshot, proxy, field, find_author)
    state = search.state({})
    steps: list[Step] = []
    grounds: dict[DocumentKey, Place] = {}
    while len(steps) < _LONGEST_CHAIN and (found := _find_setters(search, grounds)):
        before = dict(search.edits)
        steps += _take_out(search, found)
        if not search.state(search.edits).stands:
            _note(search, _ask_others(replace(search, edits=before)), found, grounds)
            break
    left = search.state(search.edits)
    default = find_default(trial, search.tree(search.edits), proxy, field, search.model) if left.stands else None
    return Explained(str(snapshot.node), field, state, tuple(reversed(steps)), default, tuple(grounds.values()))


def _begin(
    trial: Trial,
    tree: SourceTree,
    snapshot: Snapshot,
    proxy: ResourceKey,
    field: Field,
    find_author: FindAuthor,
) -> _Search:
    replica = trial.memo.ask(REPLICA, proxy)
    selected = [one.policy for one in all_selected(trial.memo, replica.shape)] if replica is not None else []
    chosen = list_candidates(trial, proxy, field, resource_json(snapshot, field), selected)
    sources = trial.resources.sources
    passages = {key_of(sources[key].passage): (key, sources[key].passage) for key in reversed(chosen)}
    ordered = dict(reversed(passages.items()))
    drafts = Drafts(tree, trial.schemas)
    return _Search(trial, drafts, proxy, field, resource_json(snapshot, field), find_author, ordered)


def _find_setters(search: _Search, grounds: dict[DocumentKey, Place]) -> Sequence[_Found]:
    """Those that set the field as the documents stand now; more than one where it is put together from several.

    Policies come first, for they override what a Dataplane, a service or the Mesh says.
    """
    asked = list(_ask_each(search, _sift(search, [key for key in search.passages if search.is_policy(key)])))
    setters, others = _setters(asked), []
    if not setters:
        others = _ask_others(search)
        setters = [one for one in asked if _acts_by(search, one, _setters(others))] or _setters(others)
    _note(search, [*(asked if not search.edits else ()), *others], setters, grounds)
    return setters


def _ask_others(search: _Search) -> list[_Found]:
    """What is no policy."""
    return list(_ask_each(search, [key for key in search.passages if not search.is_policy(key)]))


def _setters(asked: Sequence[_Found]) -> list[_Found]:
    return [one for one in asked if one[1].sets]


def _note(
    search: _Search, asked: Sequence[_Found], setters: Sequence[_Found], grounds: dict[DocumentKey, Place]
) -> None:
    for key, setting in asked:
        if not setting.sets and (key, setting) not in setters and search.passages[key][0].type != "Mesh":
            grounds.setdefault(key, search.place(key, setting.pointer))


def _acts_by(search: _Search, ground: _Found, others: Sequence[_Found]) -> bool:
    """Whether a policy that the field is there by only makes more of what others say: without them it says nothing."""
    removals = {key: setting.removal for key, setting in (*others, ground)}
    taken = {key: removal for key, removal in removals.items() if removal is not None}
    if not others or len(taken) < len(removals):
        return False
    before = {key: edit for key, edit in taken.items() if key != ground[0]}
    without = search.state({**search.edits, **before})
    return without.stands and without == search.state({**search.edits, **taken})


def _sift(search: _Search, policies: Sequence[DocumentKey]) -> Sequence[DocumentKey]:
    """Without the kinds of which nobody matters, asked all at once: there may be dozens for other destinations."""
    before = search.state(search.edits)
    by_kind: dict[str, list[DocumentKey]] = {}
    for key in policies:
        by_kind.setdefault(search.passages[key][0].type, []).append(key)
    idle: set[DocumentKey] = set()
    for keys in by_kind.values():
        edits = {key: search.edits.get(key, Edit()) for key in keys}
        otherwise = {key: search.drafts.saying_otherwise(key, edit) for key, edit in edits.items()}
        without = {key: edit.without("") for key, edit in edits.items()}
        if len(keys) > 1 and all(search.state({**search.edits, **some}) == before for some in (otherwise, without)):
            idle.update(keys)
    return [key for key in policies if key not in idle]


def _ask_each(search: _Search, documents: Sequence[DocumentKey]) -> Iterator[_Found]:
    before = search.state(search.edits)
    for key in documents:
        kind = search.passages[key][0].type
        setting = find_setting(Question(search.drafts, search.edits, key, kind, before, search.state))
        if setting is not None:
            yield key, setting


def _take_out(search: _Search, found: Sequence[_Found]) -> Iterator[Step]:
    """Each is told by itself; then all of them are gone."""
    before, edits = search.state(search.edits), dict(search.edits)
    for key, setting in found:
        removal = setting.removal
        without = search.state({**edits, key: removal}) if removal is not None else State()
        written = value_at(search.drafts.value(key), setting.pointer) if setting.pointer else None
        place = search.place(key, setting.pointer)
        yield Step(place, written, before, without, search.find_author(place.file, place.line))
        search.edits[key] = removal if removal is not None else Edit(frozenset({""}))
