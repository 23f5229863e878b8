"""From what a person types to a field of one proxy's snapshot, and what that field is in another snapshot."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from compiler.envoy.resources import ResourceType
from compiler.resources.suggest import did_you_mean
from compiler.review.explaining.descriptions import describe
from compiler.review.explaining.drafts import steps_of
from compiler.review.fields import escape, place_of
from compiler.snapshot.snapshot import Snapshot

_FILES: Final = {kind.file: kind for kind in ResourceType}
_NAMING: Final = ("name", "clusterName", "address", "endpoint", "locality", "domains", "match")
"""Fields that tell an entry of a list from its neighbours, the most telling first."""
_SNAKE: Final = re.compile(r"_([a-z0-9])")


@dataclass(frozen=True, slots=True)
class Field:
    """A value in an Envoy resource; `pointer` leads to it in the resource's canonical JSON."""

    kind: ResourceType
    name: str
    pointer: str

    def __str__(self) -> str:
        return f"{self.kind.file}/{escape(self.name)}{self.pointer}"


@dataclass(frozen=True, slots=True)
class State:
    """What a field is in some snapshot. `stands` is whether what it is a field of is there; absent is not null."""

    stands: bool = False
    present: bool = False
    value: Any = None


def find_fields(snapshot: Snapshot, typed: str) -> tuple[Field, ...]:
    """The fields that somebody may mean: one where it is told exactly, none where nothing is near.

    A path with slashes begins with the file, a path with dots may begin with a resource's name; both may leave out
    what stands before the field, and a resource may be told by a part of its name.
    """
    exact = _read_exact(snapshot, typed.lstrip("/"))
    if exact is not None:
        return (exact,)
    return tuple(_search(snapshot, typed))


def read_state(snapshot: Snapshot | None, field: Field, model: Any) -> State:
    """A field as another snapshot of the same proxy has it.

    `model` is the resource in the first one: entries of its lists are found again by what names them. A message that is
    absent in both has absent fields; one that is gone took its fields along.
    """
    held = snapshot.resources.get(field.kind, {}).get(field.name) if snapshot is not None else None
    if held is None:
        return State()
    *above, last = steps_of(field.pointer) or ("",)
    value: Any = json.loads(held.json)
    for step in above:
        found = _step(value, model, step)
        if found is None:
            return State(stands=isinstance(value, dict) and not (isinstance(model, dict) and step in model))
        value, model = found
    if not last:
        return State(stands=True, present=True, value=value)
    found = _step(value, model, last)
    return State(stands=True, present=found is not None, value=found[0] if found is not None else None)


def guess_field(snapshot: Snapshot, typed: str) -> str | None:
    """A question that names what is nearest to the first step that nothing is called."""
    known = {*_FILES, *(name for held in snapshot.resources.values() for name in held)}
    known |= {step for field in _every(snapshot) for step in steps_of(field.pointer) if place_of(step) is None}
    steps = typed.strip("/").split("/") if "/" in typed else typed.split(".")
    unknown = [step for step in steps if place_of(step) is None and _camel(step) not in known]
    return next((guess for step in unknown if (guess := did_you_mean(step, known))), None)


def resource_json(snapshot: Snapshot, field: Field) -> Any:
    """The whole resource that a field is of."""
    return json.loads(snapshot.resources[field.kind][field.name].json)


def _step(value: Any, model: Any, step: str) -> tuple[Any, Any] | None:
    if isinstance(value, dict):
        return (value[step], model.get(step) if isinstance(model, dict) else None) if step in value else None
    index = place_of(step) if isinstance(value, list) else None
    if index is None:
        return None
    entry = model[index] if isinstance(model, list) and index < len(model) else None
    place = _find_entry(value, model, entry, index) if entry is not None else index
    return (value[place], entry) if place is not None and place < len(value) else None


def _find_entry(entries: Sequence[Any], model: Sequence[Any], wanted: Any, index: int) -> int | None:
    """By its name where it has one; else, and where it alone seems to have another name now, by its place."""
    for field in _NAMING:
        names = [_dump(one[field]) for one in model if isinstance(one, dict) and field in one]
        if names and len(set(names)) == len(model):
            now = [_dump(one.get(field)) for one in entries]
            name = _dump(wanted[field])
            renamed = len(now) == len(model) and now[index] not in names
            return now.index(name) if name in now else index if renamed else None
    return index


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _read_exact(snapshot: Snapshot, typed: str) -> Field | None:
    """A whole path: file, name, and a pointer to what is there or, by Envoy's own definition, could be."""
    file, _, rest = typed.partition("/")
    if file not in _FILES:
        return None
    held = snapshot.resources.get(_FILES[file], {})
    names = [name for name in held if rest == escape(name) or rest.startswith(f"{escape(name)}/")]
    if not names:
        names = [name for name in held if _is_called(name, rest.partition("/")[0])]
        pointers = [rest.partition("/")[1:]] * len(names)
    else:
        pointers = [("/", rest.removeprefix(escape(name)).removeprefix("/")) for name in names]
    fields = [
        Field(_FILES[file], name, "/" + _camel_path(path) if path else "")
        for name, (_, path) in zip(names, pointers, strict=True)
    ]
    known = [one for one in fields if _is_known(snapshot, one)]
    return known[0] if len(known) == 1 else None


def _camel_path(path: str) -> str:
    """Keys of proto messages may be typed in snake_case; names of filters and type URLs stay as they are."""
    return "/".join(_camel(step) for step in path.split("/"))


def _camel(step: str) -> str:
    return step if "." in step or "@" in step else _SNAKE.sub(lambda found: found[1].upper(), step)


def _is_known(snapshot: Snapshot, field: Field) -> bool:
    return describe(field.kind, resource_json(snapshot, field), steps_of(field.pointer)) is not None


def _search(snapshot: Snapshot, typed: str) -> Iterator[Field]:
    """Fields whose path ends so, in resources of that file and name where those are told."""
    for field in _every(snapshot):
        path = steps_of(field.pointer)
        for kind, name, wanted in _readings(typed):
            near = (kind is None or field.kind is kind) and (name is None or _is_called(field.name, name))
            if near and wanted and path[-len(wanted) :] == wanted:
                yield field
                break


def _readings(typed: str) -> Iterator[tuple[ResourceType | None, str | None, tuple[str, ...]]]:
    """Ways to understand a path: with a file, with a resource's name, or with neither."""
    steps = tuple(typed.strip("/").split("/")) if "/" in typed else tuple(typed.split("."))
    kind = _FILES.get(steps[0])
    rest = steps[1:] if kind is not None else steps
    for length in range(len(rest)):
        name = ("/" if "/" in typed else ".").join(rest[:length])
        yield kind, name or None, tuple(_camel(step) for step in rest[length:])


def _is_called(name: str, word: str) -> bool:
    """By its name, or whole parts of it: `backend` and `backend_8080` for kri_msvc_shop___backend_8080."""
    return bool(word) and (name == word or f"_{word}_" in f"_{name}_" or name.startswith(f"{word}."))


def _every(snapshot: Snapshot) -> Iterator[Field]:
    """Every value of every resource, what holds others included, by file, name and place."""
    for kind, held in snapshot.resources.items():
        for name, resource in held.items():
            for pointer in _pointers(json.loads(resource.json), ""):
                yield Field(kind, name, pointer)


def _pointers(value: Any, pointer: str) -> Iterator[str]:
    parts: Mapping[Any, Any] = {}
    if isinstance(value, dict):
        parts = value
    elif isinstance(value, list):
        parts = dict(enumerate(value))
    for key, part in parts.items():
        inner = f"{pointer}/{escape(str(key))}"
        yield inner
        yield from _pointers(part, inner)


__all__ = ["Field", "State", "find_fields", "guess_field", "read_state", "resource_json"]
