"""The order of a document's fields: the envelope first, then as the schema of its type lists them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from compiler.resources.schema import find_schemas

_ENVELOPE: Final = ("type", "mesh", "name", "labels", "apiVersion", "kind", "metadata", "spec")
_METADATA: Final = ("name", "namespace", "labels", "annotations")
_SNAKE: Final = re.compile(r"_([a-z0-9])")
_NESTED: Final = ("allOf", "anyOf", "oneOf")
_BRANCHES: Final = ("then", "else")


@dataclass(frozen=True)
class Fields:
    """What a schema says of one place in a document: all alternatives together, for only their order is asked."""

    orders: "FieldOrders"
    parts: tuple[tuple[str, Mapping[str, Any]], ...]

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Each field by its place; a field of several alternatives stands where the first one lists it."""
        names = (name for _, schema in self.parts for name in schema.get("properties", ()))
        return {name: place for place, name in enumerate(dict.fromkeys(names))}

    @cached_property
    def _known(self) -> dict[str, "Fields | None"]:
        return {}

    def sort(self, names: Sequence[str]) -> list[int]:
        """Indices in canonical order; what no schema names, labels say, stays in the author's order."""
        last = len(self.places)
        return sorted(range(len(names)), key=lambda index: (self._place(names[index], last), index))

    def field(self, name: str) -> "Fields | None":
        """What is known of a field's own fields; of an entry of a list by the empty name."""
        if name not in self._known:
            self._known[name] = self._entries() if not name else self._field(name)
        return self._known[name]

    def _place(self, name: str, last: int) -> int:
        return self.places.get(name, self.places.get(_camel(name), last))

    def _field(self, name: str) -> "Fields | None":
        listed = name if name in self.places else _camel(name)
        found = [(file, schema["properties"][listed]) for file, schema in self.parts if _lists(schema, listed)]
        if not found:
            found = [
                (file, schema["additionalProperties"])
                for file, schema in self.parts
                if isinstance(schema.get("additionalProperties"), dict)
            ]
        return self.orders.fields(found)

    def _entries(self) -> "Fields | None":
        return self.orders.fields(
            [(file, schema["items"]) for file, schema in self.parts if isinstance(schema.get("items"), dict)]
        )


class FieldOrders:
    """The schemas that came with this package, read as they are asked for."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or find_schemas()
        self._files: dict[str, Mapping[str, Any]] = {}
        self._roots: dict[tuple[str, bool], Fields | None] = {}

    def of(self, kind: str, *, kubernetes: bool) -> Fields | None:
        """The fields of a document of this type, in one of the two forms."""
        if (kind, kubernetes) not in self._roots:
            self._roots[kind, kubernetes] = self._root(kind, kubernetes=kubernetes)
        return self._roots[kind, kubernetes]

    def fields(self, schemas: Sequence[tuple[str, Mapping[str, Any]]]) -> Fields | None:
        """All alternatives of these schemas, references followed."""
        parts = tuple(part for file, schema in schemas for part in self._parts(file, schema, ()))
        return Fields(self, parts) if parts else None

    def _root(self, kind: str, *, kubernetes: bool) -> Fields | None:
        metadata: dict[str, Any] = {"properties": {name: {} for name in _METADATA}}
        envelope = {"properties": {name: metadata if name == "metadata" else {} for name in _ENVELOPE}}
        schema = self._read(f"{kind}.json") if (self._folder / f"{kind}.json").is_file() else {}
        form = schema.get("definitions", {}).get("kubernetes" if kubernetes else "universal", schema)
        return self.fields([("", envelope), (f"{kind}.json", form)])

    def _parts(
        self, file: str, schema: Mapping[str, Any], above: tuple[int, ...]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """A schema that names itself again says nothing new."""
        if not isinstance(schema, dict) or id(schema) in above:
            return
        above = (*above, id(schema))
        if "$ref" in schema:
            yield from self._parts(*self._follow(file, schema["$ref"]), above)
        if schema.keys() & {"properties", "items", "additionalProperties"}:
            yield file, schema
        nested = [part for name in _NESTED for part in schema.get(name, ())]
        for part in (*nested, *(schema[name] for name in _BRANCHES if name in schema)):
            yield from self._parts(file, part, above)

    def _follow(self, file: str, reference: str) -> tuple[str, Mapping[str, Any]]:
        name, _, pointer = reference.partition("#")
        file = name or file
        found: Any = self._read(file)
        for segment in pointer.split("/")[1:]:
            found = found[segment.replace("~1", "/").replace("~0", "~")]
        return file, found

    def _read(self, file: str) -> Mapping[str, Any]:
        if file not in self._files:
            self._files[file] = json.loads((self._folder / file).read_bytes())
        return self._files[file]


def _lists(schema: Mapping[str, Any], name: str) -> bool:
    return name in schema.get("properties", ())


def _camel(name: str) -> str:
    """Types that are proto messages accept both spellings, and the schema lists one."""
    return _SNAKE.sub(lambda found: found[1].upper(), name)
