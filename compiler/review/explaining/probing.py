"""Which part of a document sets a field, found by saying each of its parts otherwise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

from compiler.review.explaining.addresses import State
from compiler.review.explaining.drafts import (
    DocumentKey,
    Drafts,
    Edit,
    Edits,
    is_said,
    list_leaves,
    steps_of,
    value_at,
)

_CONFS: Final = frozenset({"default", "conf"})
_SELECTORS: Final = frozenset({"targetRef", "selector"})
_MOST_OTHERS: Final = 4
"""Beside the first: so many words mean different things for one field."""


@dataclass(frozen=True)
class Question:
    """Does this document, as it stands after the edits, set what is asked for? `state` compiles and looks."""

    drafts: Drafts
    edits: Edits
    document: DocumentKey
    type: str
    before: State
    state: Callable[[Edits], State]

    @property
    def edit(self) -> Edit:
        return self.edits.get(self.document, Edit())

    def ask(self, edit: Edit) -> State:
        return self.state({**self.edits, self.document: edit})

    def accepts(self, edit: Edit) -> bool:
        return self.drafts.is_sound(self.document, edit)


@dataclass(frozen=True, slots=True)
class Setting:
    """The part that matters. `sets` is False where without it nothing would be there that has the field at all.

    `removal` takes that part out, or the least around it that may be left out; None where nothing may.
    """

    pointer: str
    sets: bool
    removal: Edit | None


def find_setting(question: Question) -> Setting | None:
    """None where the field does not care about this document."""
    value = question.drafts.value(question.document, question.edit)
    if value is None or not _matters(question):
        return None
    for group in _by_promise([leaf for leaf in list_leaves(value) if is_said(leaf)]):
        if setting := _among(question, group):
            return setting
    found = _by_removal(question, value)
    return _narrowed(question, found) if found is not None and not found.sets else found


def _matters(question: Question) -> bool:
    """Cheaply: everything said otherwise at once, or nothing said at all. A Mesh is never taken away."""
    otherwise = question.drafts.saying_otherwise(question.document, question.edit)
    if question.ask(otherwise) != question.before:
        return True
    return question.type != "Mesh" and question.ask(question.edit.without("")) != question.before


def _others(question: Question, leaf: str, edit: Edit) -> Iterator[Edit]:
    return (edit.saying(leaf, other) for other in question.drafts.others(question.document, leaf))


def _written(question: Question, pointer: str) -> Any:
    return value_at(question.drafts.value(question.document), pointer)


def _by_promise(leaves: Sequence[str]) -> Iterator[list[str]]:
    """What a policy says, then what a document says of itself, then for whom it says it."""
    confs = [leaf for leaf in leaves if _CONFS & set(steps_of(leaf))]
    rest = [leaf for leaf in leaves if leaf not in set(confs) and not _SELECTORS & set(steps_of(leaf))]
    yield confs
    yield rest


def _among(question: Question, leaves: Sequence[str]) -> Setting | None:
    """The leaves that change the field while what has it stands; of several the one that says its value, or what holds
    them all.
    """
    found = _deciding(question, leaves, [leaf for leaf in leaves if _sets(question, leaf)])
    if not found:
        return None
    said = [leaf for leaf in found if _is_copied(question, leaf)]
    pointer = next((some[0] for some in (found, said) if len(some) == 1), _common(found))
    return Setting(pointer, sets=True, removal=_removal(question, pointer))


def _deciding(question: Question, leaves: Sequence[str], found: Sequence[str]) -> Sequence[str]:
    """Of a Mesh what could be said otherwise, where that matters: what can only be left out is what it is said on."""
    if question.type != "Mesh" or not found:
        return found
    worded = ((leaf, next(filter(question.accepts, _others(question, leaf, question.edit)), None)) for leaf in leaves)
    return [leaf for leaf, edit in worded if edit is not None and question.ask(edit) != question.before] or found


def _sets(question: Question, leaf: str) -> bool:
    """Said otherwise where that is allowed: a value may be the same as the one that it overrides. Else left out.

    Something else is said where the first takes away what has the field: a word may mean that nothing is.
    """
    for after in _answers(question, leaf):
        if after == question.before:
            return False
        if after.stands or _is_copied(question, leaf):
            return True
    return False


def _answers(question: Question, leaf: str) -> Iterator[State]:
    accepted = (one for one in _others(question, leaf, question.edit) if question.accepts(one))
    tried = [*islice(accepted, 1)]
    removal = question.edit.without(leaf)
    if not tried and question.accepts(removal):
        tried = [removal]
    return map(question.ask, chain(tried, islice(accepted, _MOST_OTHERS)))


def _is_copied(question: Question, leaf: str) -> bool:
    """Where two documents must agree, as on a port, neither can be changed alone; both say the value itself."""
    return question.before.present and _written(question, leaf) == question.before.value


def _common(pointers: Sequence[str]) -> str:
    split = [pointer.split("/") for pointer in pointers]
    shared = [steps[0] for steps in zip(*split, strict=False) if len(set(steps)) == 1]
    length = next((i for i, steps in enumerate(zip(*split, strict=False)) if len(set(steps)) > 1), len(shared))
    return "/".join(split[0][:length])


def _removal(question: Question, pointer: str) -> Edit | None:
    """From the part outwards, never more than the document."""
    steps = pointer.split("/")
    for length in range(len(steps), 0, -1):
        edit = question.edit.without("/".join(steps[:length]))
        if question.accepts(edit):
            return edit if length > 1 or question.type not in _NEEDED else None
    return None


_NEEDED: Final = frozenset({"Mesh", "Dataplane", "DataplaneSet"})
"""Without them there is no proxy to look at."""


def _by_removal(question: Question, value: dict[str, Any]) -> Setting | None:
    """The smallest entry of a list that matters, else the document."""
    if question.type == "Mesh":
        return None
    entries = [pointer for pointer in _list_entries(value, "") if is_said(pointer)]
    for pointer in sorted(entries, key=lambda one: -one.count("/")):
        edit = question.edit.without(pointer)
        if question.accepts(edit) and (after := question.ask(edit)) != question.before:
            return Setting(pointer, after.stands, edit)
    edit = question.edit.without("")
    after = question.ask(edit)
    return Setting("", after.stands, edit) if after != question.before else None


def _narrowed(question: Question, ground: Setting) -> Setting:
    """One value that decides whether what has the field is there tells more than all that it stands among."""
    value = question.drafts.value(question.document, question.edit)
    inner = f"{ground.pointer}/"
    leaves = [leaf for leaf in list_leaves(value) if leaf.startswith(inner) and _CONFS & set(steps_of(leaf))]
    telling = [leaf for leaf in leaves if next(_answers(question, leaf), question.before) != question.before]
    return Setting(telling[0], sets=False, removal=_removal(question, telling[0])) if len(telling) == 1 else ground


def _list_entries(value: Any, pointer: str) -> Iterator[str]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        inner = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, list) and isinstance(part, dict):
            yield inner
        yield from _list_entries(part, inner)


__all__ = ["Question", "Setting", "find_setting"]
