"""The schemas: a fast validator that accepts, and a slow one that says what a refused document has wrong."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
from jsonschema import Draft7Validator, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT7

from compiler.resources.explain import explain
from compiler.resources.findings import Finding

SHARED: Final = ("definitions", "resource", "settings")
"""Files under schemas/ that are not a type's."""

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_LINEAR: Final = jsonschema_rs.RegexOptions()


@dataclass(frozen=True)
class Schemas:
    """Compiled schemas by type; `settings` is that of meshwright.yaml."""

    fast: Mapping[str, jsonschema_rs.Validator]
    slow: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path | None = None) -> "Schemas":
        """Those that came with this package; raises OSError where they are missing."""
        files = sorted((folder or find_schemas()).glob("*.json"))
        contents = {path.stem: json.loads(path.read_bytes()) for path in files}
        checked = {name: schema for name, schema in contents.items() if name not in ("definitions", "resource")}
        known = [(schema["$id"], schema) for schema in contents.values()]
        return cls(_compile_fast(checked, known), _compile_slow(checked, known))

    @property
    def types(self) -> tuple[str, ...]:
        """The types of resources, sorted."""
        return tuple(name for name in sorted(self.fast) if name not in SHARED)

    def accepts(self, name: str, value: object) -> bool:
        """The verdict alone, in microseconds."""
        return self.fast[name].is_valid(value)

    def explain(self, name: str, value: object) -> tuple[Finding, ...]:
        """Why a value is refused; empty where it is not."""
        return explain(name, self.slow[name].iter_errors(value))


def find_schemas() -> Path:
    """Inside the package when installed, beside it in a checkout."""
    inside = _PACKAGE / "schemas"
    return inside if inside.is_dir() else _PACKAGE.parent / "schemas"


def _compile_fast(
    schemas: Mapping[str, Mapping[str, Any]], known: list[tuple[str, Any]]
) -> Mapping[str, jsonschema_rs.Validator]:
    registry = jsonschema_rs.Registry(known, draft=7)
    return {
        name: jsonschema_rs.Draft7Validator(dict(schema), registry=registry, pattern_options=_LINEAR, offline=True)
        for name, schema in schemas.items()
    }


def _compile_slow(schemas: Mapping[str, Mapping[str, Any]], known: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """Without a way to fetch anything: the registry holds all that a `$ref` may name."""
    registry: Registry[Any] = Registry().with_resources((uri, DRAFT7.create_resource(schema)) for uri, schema in known)
    extend: Any = validators.extend
    explaining = extend(Draft7Validator, {"pattern": LinearPatterns(), "items": WrongItems(known)})
    return {name: explaining(schema, registry=registry) for name, schema in schemas.items()}


class WrongItems:
    """`items` that leaves right entries to the fast validator, so that one mistake among thousands is found in time."""

    def __init__(self, known: list[tuple[str, Any]]) -> None:
        self._places = {id(items): place for uri, schema in known for place, items in _find_items(f"{uri}#", schema)}
        self._registry = jsonschema_rs.Registry(known, draft=7)
        self._compiled: dict[int, jsonschema_rs.Validator] = {}

    def __call__(self, validator: Any, items: object, instance: object, _: object) -> Iterator[ValidationError]:
        """Entries that the fast validator refuses, explained."""
        if isinstance(instance, list):
            fast = self._fast(items)
            for index, entry in enumerate(instance):
                if not fast.is_valid(entry):
                    yield from validator.descend(entry, items, path=index)

    def _fast(self, items: object) -> jsonschema_rs.Validator:
        """By identity: schemas live as long as this does, and are never copied."""
        if id(items) not in self._compiled:
            self._compiled[id(items)] = jsonschema_rs.Draft7Validator(
                {"$ref": self._places[id(items)]}, registry=self._registry, pattern_options=_LINEAR, offline=True
            )
        return self._compiled[id(items)]


def _find_items(place: str, schema: object) -> Iterator[tuple[str, object]]:
    """Every `items` inside a schema, by its URI."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            here = f"{place}/{key.replace('~', '~0').replace('/', '~1')}"
            if key == "items":
                yield here, value
            yield from _find_items(here, value)
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _find_items(f"{place}/{index}", value)


class LinearPatterns:
    """`pattern` as the fast validator reads it: Python's expressions can take minutes, and read `$` otherwise."""

    def __init__(self) -> None:
        self._compiled: dict[str, jsonschema_rs.Validator] = {}

    def __call__(self, _: Any, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
        """Patterns come from our schemas only, so there are a few dozen."""
        if pattern not in self._compiled:
            self._compiled[pattern] = _compile_pattern(pattern)
        if not self._compiled[pattern].is_valid(instance):
            yield ValidationError("pattern")


def _compile_pattern(pattern: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft7Validator({"pattern": pattern}, pattern_options=_LINEAR)
