"""Schema errors in our own words, by path and rule; a library's text would print the values that it refuses."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from compiler.diagnostics import Code
from compiler.resources.findings import (
    BAD_LABEL,
    BAD_NAME,
    BAD_VALUE,
    MISSING_FIELD,
    UNKNOWN_FIELD,
    WRONG_TYPE,
    Finding,
    join,
)
from compiler.resources.later import find_leak
from compiler.resources.suggest import did_you_mean, one_of

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_WORD: Final = re.compile(r"[A-Za-z0-9._/-]{1,64}")
_TYPES: Final[Mapping[str, str]] = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "an integer",
    "number": "a decimal number",
    "boolean": "true or false",
    "null": "nothing",
}
_VAGUE: Final = frozenset({"kind", "name", "type", "value"})
_MOST: Final = 100
_UNBOUNDED: Final = 2**31 - 1
_LABELS: Final = ("/labels/", "/metadata/labels/")


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a value breaks; `branches` are the ways in which it could have been kept."""

    rule: str
    wanted: Any
    schema: Mapping[str, Any]
    value: Any
    path: tuple[str | int, ...]
    is_key: bool
    depth: int
    branches: tuple[tuple["Broken", ...], ...] = ()

    @property
    def pointer(self) -> str:
        return join("", *self.path)

    def every(self) -> Iterator["Broken"]:
        """Itself, and what is broken in each of its branches."""
        yield self
        for branch in self.branches:
            for one in branch:
                yield from one.every()


def read_error(error: "ValidationError") -> Broken:
    """The library's error without its text."""
    inner: dict[int, list[Broken]] = {}
    for each in error.context or ():
        inner.setdefault(int(each.relative_schema_path[0]), []).append(read_error(each))
    path = tuple(error.absolute_path)
    return Broken(
        rule=str(error.validator),
        wanted=error.validator_value,
        schema=error.schema if isinstance(error.schema, Mapping) else {},
        value=error.instance,
        path=path,
        is_key="propertyNames" in error.absolute_schema_path,
        depth=len(error.relative_path),
        branches=tuple(tuple(inner[index]) for index in sorted(inner)),
    )


def explain(kind: str, errors: "Iterable[ValidationError]") -> tuple[Finding, ...]:
    """One mistake for each place and code, the first hundred of a document, by place."""
    every = (finding for error in errors for finding in _explain_error(kind, read_error(error)))
    first: dict[tuple[str, Code, str], Finding] = {}
    for finding in islice(every, _MOST):
        told_apart = finding.message if finding.code == MISSING_FIELD else ""
        first.setdefault((finding.pointer, finding.code, told_apart), finding)
    return tuple(sorted(first.values(), key=lambda finding: finding.pointer))


def _explain_error(kind: str, broken: Broken) -> Iterator[Finding]:
    rule = _RULES.get(broken.rule, _out_of_bounds)
    yield from rule(kind, broken)


def _unknown_fields(kind: str, broken: Broken) -> Iterator[Finding]:
    known = broken.schema["properties"]
    for name in broken.value:
        if name in known:
            continue
        pointer = join(broken.pointer, name)
        hint = did_you_mean(name, known) or f"allowed here: {one_of(sorted(known))}"
        message = f"unknown field {_quoted(name)}{_inside(broken)}"
        yield find_leak(kind, pointer) or Finding(pointer, UNKNOWN_FIELD, message, hint, on_key=True)


def _missing_fields(_: str, broken: Broken) -> Iterator[Finding]:
    for name in broken.wanted:
        if name not in broken.value:
            described = broken.schema.get("properties", {}).get(name, {})
            yield Finding(
                join(broken.pointer, name),
                MISSING_FIELD,
                f"{name} is missing{_inside(broken)}",
                _describe(name, described),
                on_key=True,
            )


def _wrong_type(_: str, broken: Broken) -> Iterator[Finding]:
    yield _type_finding(broken, [broken.wanted])


def _type_finding(broken: Broken, wanted: list[str]) -> Finding:
    texts = one_of(_TYPES[name] for name in wanted)
    pointer, field, value = broken.pointer, _field(broken), broken.value
    if value is None:
        return Finding(
            pointer, WRONG_TYPE, f"{field} is empty, {texts} is wanted", "give it a value, or take the line out"
        )
    message = f"{field} must be {texts}, not {_TYPES[_type_of(value)]}"
    if "string" in wanted and isinstance(value, int | float):
        meaning = str(broken.schema.get("patternErrorMessage", ""))
        hint = f"write {meaning}" if meaning.startswith("a duration") else "put the value in quotes"
        return Finding(pointer, WRONG_TYPE, message, hint)
    if "integer" in wanted and isinstance(value, str) and value.isdecimal():
        return Finding(pointer, WRONG_TYPE, message, "take the quotes away")
    if wanted == ["array"]:
        return Finding(pointer, WRONG_TYPE, message, "begin each entry with a dash")
    return Finding(pointer, WRONG_TYPE, message)


def _not_listed(_: str, broken: Broken) -> Iterator[Finding]:
    allowed = broken.wanted if broken.rule == "enum" else [broken.wanted]
    yield _enumeration(broken, allowed)


def _enumeration(broken: Broken, allowed: list[object]) -> Finding:
    value, pointer = broken.value, broken.pointer
    shown = f" {value!r}" if isinstance(value, str) and _WORD.fullmatch(value) else ""
    words = ["true" if word is True else "false" if word is False else word for word in allowed]
    near = did_you_mean(value, map(str, words)) if isinstance(value, str) else None
    return Finding(pointer, BAD_VALUE, f"{_field(broken)} must be {one_of(words, 20)}{shown and ', not' + shown}", near)


def _bad_text(_: str, broken: Broken) -> Iterator[Finding]:
    """A pattern's meaning stands beside it in the schema, where editors find it too."""
    meaning = broken.schema.get("patternErrorMessage", "written otherwise")
    pointer = broken.pointer
    if broken.is_key:
        code = BAD_LABEL if (pointer + "/").startswith(_LABELS) else BAD_VALUE
        yield Finding(join(pointer, broken.value), code, f"{_quoted(broken.value)} is not {meaning}", on_key=True)
        return
    yield Finding(pointer, _code_of_text(pointer), f"{_field(broken)} must be {meaning}", _hint_for_text(broken))


def _code_of_text(pointer: str) -> Code:
    if pointer in ("/name", "/metadata/name"):
        return BAD_NAME
    return BAD_LABEL if pointer.startswith(_LABELS) else BAD_VALUE


def _hint_for_text(broken: Broken) -> str | None:
    text = broken.value
    if text.strip() != text:
        return "take the spaces around it away"
    if text != text.lower() and "lower" in broken.schema.get("patternErrorMessage", ""):
        return "write it in lower case"
    return None


def _out_of_bounds(_: str, broken: Broken) -> Iterator[Finding]:
    """Numbers, lengths and counts; the message gives both ends where the schema does."""
    if broken.is_key:
        yield Finding(join(broken.pointer, broken.value), BAD_LABEL, "the key is too long", on_key=True)
        return
    yield Finding(broken.pointer, _code_of_text(broken.pointer), f"{_field(broken)} {_bound(broken)}")


def _bound(broken: Broken) -> str:
    wanted, fields = broken.wanted, one_of(broken.schema.get("properties", ()))
    match broken.rule:
        case "minLength" | "minItems":
            text = "must not be empty" if wanted == 1 else f"must have {wanted} characters or more"
        case "maxLength":
            text = f"is longer than {wanted} characters"
        case "maxItems":
            text = f"can have {'one entry' if wanted == 1 else f'{wanted} entries'} at most"
        case "minProperties":
            text = f"is empty; give {fields}" if fields else "must not be empty"
        case "maxProperties":
            text = f"can have only one of {fields}"
        case _:
            text = _range(broken.schema)
    return text


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema["minimum"], schema["maximum"]
    return f"must be from {low} to {high}" if high < _UNBOUNDED else f"must be {low} or more"


def _best_branch(kind: str, broken: Broken) -> Iterator[Finding]:
    """Of several ways to be right, the one that the value comes nearest to."""
    fitting = [branch for branch in broken.branches if not any(_is_other_type(each) for each in branch)]
    if not fitting:
        yield _type_finding(
            broken, [each.wanted for branch in broken.branches for each in branch if each.rule == "type"]
        )
        return
    *_, best = sorted(fitting, key=lambda branch: (max(each.depth for each in branch), _is_told(branch)))
    lists = (each for branch in fitting for each in branch if each.rule == "enum")
    hint = next((text for each in lists if (text := _enumeration(each, each.wanted).hint)), None)
    for finding in (found for each in best for found in _explain_error(kind, each)):
        yield finding if hint is None else replace(finding, hint=hint)


def _is_other_type(broken: Broken) -> bool:
    if broken.depth:
        return False
    return broken.rule == "type" or (broken.rule == "enum" and type(broken.value) not in map(type, broken.wanted))


def _is_told(branch: tuple[Broken, ...]) -> bool:
    return any("patternErrorMessage" in each.schema for each in branch)


def _field(broken: Broken) -> str:
    """What the value is called: its key, or the list that it is an entry of."""
    path = list(broken.path)
    if not path:
        return "the document"
    if isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of {next((name for name in reversed(path) if isinstance(name, str)), 'the list')}"
    name = str(path[-1]) if _WORD.fullmatch(str(path[-1])) else "the value"
    return f"{path[-2]}.{name}" if name in _VAGUE and len(path) > 1 and isinstance(path[-2], str) else name


def _inside(broken: Broken) -> str:
    return f" in {_field(broken)}" if broken.path else ""


def _quoted(name: str) -> str:
    """The author's own word, as far as it is one."""
    return repr(name if len(name) <= 64 else name[:61] + "...")


def _type_of(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _describe(name: str, schema: Mapping[str, Any]) -> str | None:
    """What the schema says of a field, with its example where that is short enough to show."""
    described = str(schema.get("description", "")).partition(". ")[0].rstrip(".")
    example = next(iter(schema.get("examples", ())), None)
    shown = isinstance(example, str | int) and not isinstance(example, bool)
    text = f"{name}: {described[:1].lower()}{described[1:]}"
    return (f"{text}, such as {example}" if shown else text) if described else None


_RULES: Final[Mapping[str, Callable[[str, Broken], Iterator[Finding]]]] = {
    "additionalProperties": _unknown_fields,
    "required": _missing_fields,
    "type": _wrong_type,
    "enum": _not_listed,
    "const": _not_listed,
    "pattern": _bad_text,
    "anyOf": _best_branch,
}
