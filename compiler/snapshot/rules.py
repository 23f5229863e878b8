"""Single field constraints (`validate.rules`) as named predicates: what each holds a value to, and in which words."""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

NANOSECONDS = 10**9

_COMPARISONS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "const": (operator.eq, "must be"),
    "lt": (operator.lt, "must be less than"),
    "lte": (operator.le, "must be at most"),
    "gt": (operator.gt, "must be greater than"),
    "gte": (operator.ge, "must be at least"),
}
_MEASURES: dict[str, tuple[Callable[[Any], int], str]] = {
    "len": (len, "characters long"),
    "min_len": (len, "characters long"),
    "max_len": (len, "characters long"),
    "len_bytes": (lambda text: len(text.encode()), "bytes long"),
    "min_bytes": (lambda text: len(text.encode()), "bytes long"),
    "max_bytes": (lambda text: len(text.encode()), "bytes long"),
    "min_items": (len, "items long"),
    "max_items": (len, "items long"),
    "min_pairs": (len, "entries long"),
    "max_pairs": (len, "entries long"),
}
_CONTENTS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "prefix": (lambda text, part: text.startswith(part), "must start with"),
    "suffix": (lambda text, part: text.endswith(part), "must end with"),
    "contains": (lambda text, part: part in text, "must contain"),
    "not_contains": (lambda text, part: part not in text, "must not contain"),
    "in": (lambda value, allowed: value in allowed, "must be one of"),
    "not_in": (lambda value, refused: value not in refused, "must not be one of"),
}
_HEADER_NAME, _HEADER_VALUE = 1, 2
# The patterns of protoc-gen-validate for a header's name and value, strict and not.
_HEADER_PATTERNS = {
    (_HEADER_NAME, True): re.compile(r":?[0-9a-zA-Z!#$%&'*+-.^_|~`]+"),
    (_HEADER_NAME, False): re.compile(r"[^\x00\n\r]*"),
    (_HEADER_VALUE, True): re.compile(r"[^\x00-\x08\n-\x1f\x7f]*"),
    (_HEADER_VALUE, False): re.compile(r"[^\x00\n\r]*"),
}
_HEADER_WORDS = {_HEADER_NAME: "must be an HTTP header name", _HEADER_VALUE: "must be an HTTP header value"}
# Read by the walker or by another rule, not predicates over one value.
_ELSEWHERE = frozenset({"required", "skip", "items", "keys", "values", "ignore_empty", "strict", "defined_only"})


@dataclass(frozen=True, slots=True)
class Rule:
    """`holds` judges a value; `meaning` completes the sentence "the field …"."""

    word: str
    holds: Callable[[Any], bool]
    meaning: str


def rules_of(constraint: Message, field: FieldDescriptor) -> tuple[Rule, ...]:
    """The predicates of one typed constraint (`StringRules`, `UInt32Rules`, …) on a value of the field.

    Raises LookupError for a kind that Envoy's API had nowhere when this was written.
    """
    kind = constraint.DESCRIPTOR.name.removesuffix("Rules").lower()
    rules = tuple(_rules(kind, constraint, field))
    if getattr(constraint, "ignore_empty", False):
        return tuple(Rule(rule.word, _or_empty(rule.holds), rule.meaning) for rule in rules)
    return rules


def _rules(kind: str, constraint: Message, field: FieldDescriptor) -> Iterator[Rule]:
    for setting, bound in constraint.ListFields():
        if setting.name not in _ELSEWHERE:
            limit = tuple(bound) if setting.is_repeated else bound
            yield _rule(f"{kind}.{setting.name}", setting.name, limit, constraint)
    if getattr(constraint, "defined_only", False):
        enum: Any = field.enum_type
        numbers = frozenset(enum.values_by_number)
        yield Rule(f"{kind}.defined_only", numbers.__contains__, f"must be a value of {enum.name}")


def _rule(word: str, name: str, bound: Any, constraint: Any) -> Rule:
    if name in _MEASURES:
        return _measure(word, name, bound)
    if name in _COMPARISONS:
        return _comparison(word, name, bound)
    if name in _CONTENTS:
        test, verb = _CONTENTS[name]
        return Rule(word, lambda value: test(value, bound), f"{verb} {bound!r}")
    match name:
        case "unique":
            return Rule(word, lambda values: len(set(values)) == len(values), "must not hold a value twice")
        case "pattern":
            # RE2's `$` stands for the very end, Python's also before a last newline.
            pattern = re.compile(bound.replace("$", r"\Z"))
            return Rule(word, lambda value: pattern.search(value) is not None, f"must match {bound}")
        case "well_known_regex":
            pattern = _HEADER_PATTERNS[bound, constraint.strict]
            return Rule(word, lambda value: pattern.fullmatch(value) is not None, _HEADER_WORDS[bound])
    message = f"no reading of the constraint {word}"
    raise LookupError(message)


def _measure(word: str, name: str, bound: int) -> Rule:
    size, unit = _MEASURES[name]
    if name.startswith("min_"):
        return Rule(word, lambda value: size(value) >= bound, f"must be at least {bound} {unit}")
    if name.startswith("max_"):
        return Rule(word, lambda value: size(value) <= bound, f"must be at most {bound} {unit}")
    return Rule(word, lambda value: size(value) == bound, f"must be {bound} {unit}")


def _comparison(word: str, name: str, bound: Any) -> Rule:
    test, verb = _COMPARISONS[name]
    if not isinstance(bound, Message):
        return Rule(word, lambda value: test(value, bound), f"{verb} {bound}")
    limit = nanoseconds(bound)
    return Rule(word, lambda value: test(nanoseconds(value), limit), f"{verb} {limit / NANOSECONDS:g}s")


def nanoseconds(duration: Any) -> int:
    return int(duration.seconds) * NANOSECONDS + int(duration.nanos)


def _or_empty(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: not value or holds(value)
