"""Invariants as a repository keeps them: documents under `invariants/`, which are no part of the mesh."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from compiler.diagnostics import Checked, Diagnostic, Position, sort_diagnostics
from compiler.resources.findings import DUPLICATE_NAME, EXCLUSIVE_FIELDS, MISSING_FIELD, Finding, join
from compiler.resources.page import diagnose
from compiler.resources.schema import Schemas
from compiler.resources.settings import read_settings
from compiler.source.document import Document
from compiler.source.parse import parse
from compiler.source.tree import SourceTree

FOLDER: Final = "invariants/"
_SCHEMA: Final = "invariants"
_UNITS: Final = {"B": 1, "KB": 1_000, "MB": 1_000_000}
_KINDS: Final = ("never", "always", "only", "budget")
_ALL: Final = ", ".join(_KINDS)
_STRICT: Final = "mtls strict in mesh "


@dataclass(frozen=True, slots=True)
class Calls:
    """Services by name patterns; port 0 is every one."""

    callers: tuple[str, ...]
    services: tuple[str, ...]
    port: int = 0

    def __str__(self) -> str:
        to = ", ".join(self.services)
        return f"{', '.join(self.callers)} → {to}" + (f":{self.port}" if self.port else "")


@dataclass(frozen=True, slots=True)
class Never(Calls):
    """None of the callers may call one of the services."""


@dataclass(frozen=True, slots=True)
class Always(Calls):
    """Each of the callers may call each of the services."""


@dataclass(frozen=True, slots=True)
class Only(Calls):
    """Nobody but the callers may call one of the services."""


@dataclass(frozen=True, slots=True)
class Strict:
    """Every inbound of the mesh wants a certificate."""

    mesh: str

    def __str__(self) -> str:
        return f"mtls strict in mesh {self.mesh}"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a proxy's snapshot may come to; None where there is no bound."""

    bytes: int | None = None
    resources: int | None = None
    services: tuple[str, ...] = ("*",)

    def __str__(self) -> str:
        bounds = ((self.bytes, "bytes"), (self.resources, "resources"))
        of = "" if self.services == ("*",) else f" of {', '.join(self.services)}"
        return (
            " and ".join(f"at most {bound:,} {word}" for bound, word in bounds if bound is not None) + f" a proxy{of}"
        )


Promise = Never | Always | Only | Strict | Budget


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise and where it was written."""

    name: str
    promise: Promise
    position: Position


def read_invariants(tree: SourceTree, schemas: Schemas) -> Checked[tuple[Invariant, ...]]:
    """All of a tree in the order of their files; `paths` of meshwright.yaml is about the mesh, `ignore` holds."""
    settings = replace(read_settings(tree, schemas).value, paths=())
    files = tuple(file for file in tree.files if file.path.startswith(FOLDER) and settings.covers(file.path))
    parsed = parse(replace(tree, files=files, root=None))
    found = list(parsed.diagnostics)
    invariants: list[Invariant] = []
    for document in parsed.value:
        if {"type", "apiVersion"} & document.value.keys():
            continue
        mistakes = tuple(_check(document, schemas))
        found += [diagnose(document, one, None) for one in mistakes]
        invariants += [] if mistakes else _decode(document)
    return Checked(tuple(invariants), sort_diagnostics((*found, *_twice(invariants))))


def _check(document: Document, schemas: Schemas) -> Iterator[Finding]:
    if not schemas.accepts(_SCHEMA, document.value):
        yield from schemas.explain(_SCHEMA, document.value)
        return
    written: Any = document.value["invariants"]
    for index, one in enumerate(written):
        promises = [kind for kind in _KINDS if kind in one]
        if not promises:
            yield Finding(join("/invariants", index), MISSING_FIELD, "there is no promise in it", f"one of {_ALL}")
        for surplus in promises[1:]:
            message = f"{promises[0]} and {surplus} are two promises"
            pointer = join("/invariants", index, surplus)
            yield Finding(pointer, EXCLUSIVE_FIELDS, message, "give each an entry of its own", on_key=True)


def _twice(invariants: Sequence[Invariant]) -> Iterator[Diagnostic]:
    """Reports tell them apart by their names."""
    first: dict[str, Invariant] = {}
    for one in invariants:
        other = first.setdefault(one.name, one)
        if other is not one:
            message = f"an invariant of this name stands at {other.position}"
            yield Diagnostic(one.position, DUPLICATE_NAME, message, "say what is different here")


def _decode(document: Document) -> Iterator[Invariant]:
    written: Any = document.value["invariants"]
    for index, one in enumerate(written):
        promise = _promise(one)
        kind = next(key for key in _KINDS if key in one)
        name = one.get("name", f"{kind}: {promise}")
        yield Invariant(name, promise, document.position(join("/invariants", index)))


def _promise(one: Mapping[str, Any]) -> Promise:
    match one:
        case {"never": calls}:
            return Never(*_calls(calls))
        case {"only": calls}:
            return Only(*_calls(calls))
        case {"always": str(text)}:
            return Strict(text.removeprefix(_STRICT))
        case {"always": {"mesh": mesh}}:
            return Strict(mesh)
        case {"always": calls}:
            return Always(*_calls(calls))
        case {"budget": str(text)}:
            return Budget(_bytes(text))
        case {"budget": budget}:
            return Budget(budget.get("bytes"), budget.get("resources"), _names(budget.get("of", "*")))
    raise AssertionError(one)


def _calls(calls: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    return _names(calls["from"]), _names(calls["to"]), calls.get("port", 0)


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _bytes(text: str) -> int:
    """`200 KB a proxy`; a thousand bytes are a KB."""
    amount = text.removesuffix(" a proxy").rstrip()
    unit = next(unit for unit in ("KB", "MB", "B") if amount.endswith(unit))
    return int(float(amount.removesuffix(unit)) * _UNITS[unit])
