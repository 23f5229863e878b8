"""The schemas: a fast validator that accepts, and a slow one that says what a refused document has wrong."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import jsonschema_rs

from compiler.resources.explain import Broken, explain, read_error
from compiler.resources.findings import Finding

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from referencing import Registry

SHARED: Final = ("definitions", "invariants", "resource", "route-tests", "settings")
"""Files under schemas/ that are not a type's, and that are read by."""

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_LINEAR: Final = jsonschema_rs.RegexOptions()

V = TypeVar("V")


@dataclass(frozen=True)
class Schemas:
    """Compiled schemas by type; `settings` is that of meshwright.yaml, `route-tests` that of a file under tests/."""

    fast: Mapping[str, jsonschema_rs.Validator]
    slow: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path | None = None) -> "Schemas":
        """Those that came with this package; raises OSError where they are missing."""
        files = sorted(path for path in (folder or find_schemas()).glob("*.json") if _is_of_input(path.stem))
        contents = {path.stem: json.loads(path.read_bytes()) for path in files}
        checked = {name: schema for name, schema in contents.items() if name not in ("definitions", "resource")}
        known = [(schema["$id"], schema) for schema in contents.values()]
        return cls(_compile_fast(checked, known), _compile_slow(checked, known))

    @property
    def types(self) -> tuple[str, ...]:
        """The types of resources, sorted."""
        return tuple(name for name in sorted(self.fast) if name not in SHARED)

    @cached_property
    def known(self) -> frozenset[str]:
        """The same, to look one up in."""
        return frozenset(self.types)

    def accepts(self, name: str, value: object) -> bool:
        """The verdict alone, in microseconds once the type's schema is compiled; raises ValueError for a bad one."""
        return self.fast[name].is_valid(value)

    def explain(self, name: str, value: object) -> tuple[Finding, ...]:
        """Why a value is refused; empty where it is not."""
        return explain(name, self.slow[name].iter_errors(value))

    def broken(self, name: str, value: object) -> Iterator[Broken]:
        """The rules that a value breaks, unexplained."""
        return map(read_error, self.slow[name].iter_errors(value))


def _is_of_input(name: str) -> bool:
    """Types have capital letters; the other files are of what the commands print and of what only they read."""
    return name in SHARED or name[:1].isupper()


def find_schemas() -> Path:
    """Inside the package when installed, beside it in a checkout."""
    inside = _PACKAGE / "schemas"
    return inside if inside.is_dir() else _PACKAGE.parent / "schemas"


class OnDemand(Mapping[str, V]):
    """Values that are made when they are first asked for: there are some fifty types, and a command meets a few."""

    def __init__(self, names: frozenset[str], make: Callable[[str], V]) -> None:
        self._names, self._make = names, make
        self._made: dict[str, V] = {}

    def __getitem__(self, name: str) -> V:
        if name not in self._made:
            if name not in self._names:
                raise KeyError(name)
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


def _compile_fast(
    schemas: Mapping[str, Mapping[str, Any]], known: list[tuple[str, Any]]
) -> Mapping[str, jsonschema_rs.Validator]:
    registry = jsonschema_rs.Registry(known, draft=7)

    def compile_one(name: str) -> jsonschema_rs.Validator:
        schema = dict(schemas[name])
        return jsonschema_rs.Draft7Validator(schema, registry=registry, pattern_options=_LINEAR, offline=True)

    return OnDemand(frozenset(schemas), compile_one)


def _compile_slow(schemas: Mapping[str, Mapping[str, Any]], known: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """Without a way to fetch anything: the registry holds all that a `$ref` may name."""

    @cache
    def prepare() -> "tuple[Any, Registry[Any]]":
        """What only a refused document is in need of takes a twentieth of a command's start to import."""
        from jsonschema import Draft7Validator, validators
        from referencing import Registry
        from referencing.jsonschema import DRAFT7

        resources = ((uri, DRAFT7.create_resource(schema)) for uri, schema in known)
        extend: Any = validators.extend
        explaining = extend(Draft7Validator, {"pattern": LinearPatterns(), "items": WrongItems(known)})
        return explaining, Registry().with_resources(resources)

    def compile_one(name: str) -> Any:
        explaining, registry = prepare()
        return explaining(schemas[name], registry=registry)

    return OnDemand(frozenset(schemas), compile_one)


class WrongItems:
    """`items` that leaves right entries to the fast validator, so that one mistake among thousands is found in time."""

    def __init__(self, known: list[tuple[str, Any]]) -> None:
        self._places = {id(items): place for uri, schema in known for place, items in _find_items(f"{uri}#", schema)}
        self._registry = jsonschema_rs.Registry(known, draft=7)
        self._compiled: dict[int, jsonschema_rs.Validator] = {}

    def __call__(self, validator: Any, items: object, instance: object, _: object) -> "Iterator[ValidationError]":
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

    def __call__(self, _: Any, pattern: str, instance: object, __: object) -> "Iterator[ValidationError]":
        """Patterns come from our schemas only, so there are a few dozen."""
        if pattern not in self._compiled:
            self._compiled[pattern] = _compile_pattern(pattern)
        if not self._compiled[pattern].is_valid(instance):
            from jsonschema.exceptions import ValidationError

            yield ValidationError("pattern")


def _compile_pattern(pattern: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft7Validator({"pattern": pattern}, pattern_options=_LINEAR)
