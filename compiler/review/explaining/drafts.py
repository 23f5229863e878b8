"""A tree's documents with parts taken out or said otherwise: what `explain` and `blame` ask a compile about."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import chain
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.resources.envelope import normalise, type_of
from compiler.resources.judge import judge
from compiler.resources.schema import Schemas
from compiler.review.fields import escape, place_of
from compiler.review.variants import with_files
from compiler.source.document import Passage
from compiler.source.parse import Limits, parse_blob
from compiler.source.tree import SourceTree

_ENVELOPE: Final = frozenset({"type", "mesh", "name", "apiVersion", "kind", "metadata", "labels"})
_SELECTORS: Final = frozenset({"targetRef", "selector"})
_NUMBER: Final = re.compile(r"([0-9]{1,18})(.*)", re.DOTALL)
_WORDS: Final = (
    ("Allow", "Deny"),
    ("STRICT", "PERMISSIVE"),
    ("Strict", "Permissive"),
    ("http", "tcp"),
    ("Exact", "Prefix"),
    ("Enabled", "Disabled"),
)
_NO_WORD: Final = "\0"
_OTHER_WORD: Final = {one: other for pair in _WORDS for one, other in (pair, pair[::-1])}


@dataclass(frozen=True, slots=True, order=True)
class DocumentKey:
    """A document by its file and its place in it."""

    file: str
    index: int


@dataclass(frozen=True)
class Edit:
    """What is different in one document; pointers are those of the document as it was written, "" is the whole."""

    removed: frozenset[str] = frozenset()
    replaced: Mapping[str, Any] = field(default_factory=dict)

    def without(self, pointer: str) -> "Edit":
        """The same with one part less."""
        return Edit(self.removed | {pointer}, self.replaced)

    def saying(self, pointer: str, value: Any) -> "Edit":
        """The same with one part said otherwise."""
        return Edit(self.removed, {**self.replaced, pointer: value})


Edits = Mapping[DocumentKey, Edit]


@dataclass
class Drafts:
    """One tree and its documents, each file parsed when somebody asks for it."""

    tree: SourceTree
    schemas: Schemas
    _files: dict[str, Mapping[int, dict[str, Any]]] = field(default_factory=dict)
    _choices: dict[tuple[DocumentKey, str], tuple[str, ...]] = field(default_factory=dict)

    def documents(self, file: str) -> Mapping[int, dict[str, Any]]:
        """By their place in the file, empty ones left out."""
        if file not in self._files:
            found = next(one for one in self.tree.files if one.path == file)
            self._files[file] = dict(parse_blob(self.tree.read(found), Limits()).documents)
        return self._files[file]

    def value(self, key: DocumentKey, edit: Edit = Edit()) -> dict[str, Any] | None:
        """What a document says after an edit, None where it is taken out."""
        return apply(self.documents(key.file)[key.index], edit)

    def is_sound(self, key: DocumentKey, edit: Edit) -> bool:
        """Whether the edited document is right by itself; one that is gone is."""
        value = self.value(key, edit)
        if value is None:
            return True
        verdict = judge(value, self.schemas)
        wrong = any((one.severity or one.code.severity) is Severity.ERROR for one in verdict.findings)
        return verdict.envelope is not None and not wrong

    def saying_otherwise(self, key: DocumentKey, edit: Edit, pointer: str = "") -> Edit:
        """The same with everything in a part said otherwise, or not said, where it may be; but for whom it is said."""
        value = self.value(key)
        for leaf in list_leaves(value_at(value, pointer), pointer) if "" not in edit.removed else ():
            if is_said(leaf) and not _SELECTORS & set(steps_of(leaf)):
                others = chain((edit.saying(leaf, one) for one in self.others(key, leaf)), [edit.without(leaf)])
                edit = next((one for one in others if self.is_sound(key, one)), edit)
        return edit

    def others(self, key: DocumentKey, leaf: str) -> Iterator[Any]:
        """What may stand at a leaf instead, the likeliest to be accepted first; at last what its schema lists."""
        written = value_at(self.value(key), leaf)
        yield from list_others(written)
        match written:
            case str():
                yield from self._listed(key, leaf)
            case [str()]:
                yield from ([one] for one in self._listed(key, f"{leaf}/0"))

    def _listed(self, key: DocumentKey, leaf: str) -> tuple[str, ...]:
        """Looked for once: a question about a document says all of it otherwise, again and again."""
        if (key, leaf) not in self._choices:
            self._choices[key, leaf] = tuple(list_choices(self.documents(key.file)[key.index], leaf, self.schemas))
        return self._choices[key, leaf]

    def tree_with(self, edits: Edits) -> SourceTree:
        """The other documents of a file stay as they are, whatever their layout was."""
        return with_files(self.tree, {file: self._write(file, edits) for file in {key.file for key in edits}})

    def _write(self, file: str, edits: Edits) -> bytes:
        values = [apply(value, edits.get(DocumentKey(file, index), Edit())) for index, value in self._sorted(file)]
        return "".join(f"---\n{json.dumps(one, ensure_ascii=False)}\n" for one in values if one is not None).encode()

    def _sorted(self, file: str) -> list[tuple[int, dict[str, Any]]]:
        return sorted(self.documents(file).items())


def is_said(pointer: str) -> bool:
    """Whether a part says something, rather than who says it."""
    return bool(pointer) and steps_of(pointer)[0] not in _ENVELOPE


def key_of(passage: Passage) -> DocumentKey:
    """The document that a passage is."""
    return DocumentKey(passage.file, passage.index)


def apply(value: Mapping[str, Any], edit: Edit) -> dict[str, Any] | None:
    """A copy; of a list the last entries are removed first, so that every pointer means what it meant."""
    if "" in edit.removed:
        return None
    made = deepcopy(dict(value))
    for pointer, other in edit.replaced.items():
        _put(made, steps_of(pointer), other)
    for steps in sorted((steps_of(pointer) for pointer in edit.removed), key=_in_order, reverse=True):
        _remove(made, steps)
    return made


def steps_of(pointer: str) -> tuple[str, ...]:
    """The keys and indexes of a JSON pointer."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def value_at(value: Any, pointer: str) -> Any:
    """What a document says at a pointer into it; LookupError where it says nothing."""
    for step in steps_of(pointer):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def list_leaves(value: Any, pointer: str = "") -> Iterator[str]:
    """Pointers to everything that is said in one go: scalars, lists of them, and what is empty."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from list_leaves(part, f"{pointer}/{escape(key)}")
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        for index, part in enumerate(value):
            yield from list_leaves(part, f"{pointer}/{index}")
    else:
        yield pointer


def list_others(value: Any) -> Iterator[Any]:
    """Other values of the same sort, the likeliest to be accepted first."""
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value - 1)
        case str():
            yield from _other_texts(value)
        case [_, _, *_]:
            yield value[1:]
        case _:
            return


def list_choices(value: Mapping[str, Any], pointer: str, schemas: Schemas) -> Iterator[str]:
    """The words that a schema has for a place in a document, but the one that is there; none where it has no list.

    A word that is in no list is refused with the list that it should be in.
    """
    kind = type_of(value, schemas.known)
    wrong = apply(value, Edit().saying(pointer, _NO_WORD))
    if kind is None or kind not in schemas.known or wrong is None:
        return
    written = value_at(value, pointer)
    for found in schemas.broken(kind, normalise(kind, wrong)):
        for one in found.every():
            if one.rule == "enum" and one.value == _NO_WORD:
                yield from (word for word in one.wanted if isinstance(word, str) and word != written)


def _other_texts(text: str) -> Iterator[str]:
    if text in _OTHER_WORD:
        yield _OTHER_WORD[text]
    number = _NUMBER.fullmatch(text)
    if number is not None:
        yield from (f"{int(number[1]) + step}{number[2]}" for step in (1, -1) if int(number[1]) + step >= 0)
    try:
        yield str(ip_address(text) + 1)
    except ValueError:
        yield f"{text}x"


def _put(value: Any, steps: tuple[str, ...], other: Any) -> None:
    for step in steps[:-1]:
        value = value[int(step)] if isinstance(value, list) else value.setdefault(step, {})
    value[int(steps[-1]) if isinstance(value, list) else steps[-1]] = other


def _remove(value: Any, steps: tuple[str, ...]) -> None:
    """What is gone with something around it is gone."""
    for step in steps[:-1]:
        value = value[int(step)] if isinstance(value, list) else value.get(step, {})
    if isinstance(value, list):
        del value[int(steps[-1])]
    else:
        value.pop(steps[-1], None)


def _in_order(steps: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    places = ((place_of(step), step) for step in steps)
    return tuple((-1, step) if place is None else (place, "") for place, step in places)


__all__ = [
    "DocumentKey",
    "Drafts",
    "Edit",
    "Edits",
    "apply",
    "is_said",
    "key_of",
    "list_choices",
    "list_leaves",
    "list_others",
    "steps_of",
    "value_at",
]
