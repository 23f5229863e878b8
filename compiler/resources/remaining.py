"""What else is wrong with a document that its schema refuses: nobody mends one mistake to be told of the next."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from compiler.resources.findings import (
    DANGLING_NAME,
    DUPLICATE_NAME,
    EXCLUSIVE_FIELDS,
    LISTENER_CONFLICT,
    MISSING_FIELD,
    PORT_CONFLICT,
    UNKNOWN_FIELD,
    Finding,
    join,
)
from compiler.resources.schema import Schemas

Check = Callable[[Mapping[str, Any]], Iterable[Finding]]
Steps = tuple[str, ...]
_ROUNDS: Final = 3
"""Without what is left out, something else may lack what the schema wants of it."""
_TOO_MUCH: Final = frozenset({DUPLICATE_NAME, EXCLUSIVE_FIELDS})
"""What is less is never the reason of these."""
_BETWEEN: Final = frozenset({DANGLING_NAME, LISTENER_CONFLICT, PORT_CONFLICT})
"""About two places, one of which may have lost what makes it right."""


def find_remaining(
    kind: str, value: Mapping[str, Any], known: Iterable[Finding], schemas: Schemas, check: Check
) -> tuple[Finding, ...]:
    """Errors of the document without what is `known` to be wrong, but for those that leaving that out may have made.

    `check` is given what the schema accepts.
    """
    rest: Any = value
    gaps = set[str]()
    for _ in range(_ROUNDS):
        for finding in known:
            place = _place(rest, finding)
            if place == ():
                return ()
            if place is not None:
                rest = _without(rest, place)
                gaps |= {join("", *place)} if finding.code != UNKNOWN_FIELD else set()
        if schemas.accepts(kind, rest):
            return tuple(one for one in check(rest) if one.refuses and not _may_follow(one, gaps))
        known = schemas.explain(kind, rest)
    return ()


def _place(value: Any, finding: Finding) -> Steps | None:
    """The way to an entry of a mapping without which the mistake is gone; None where it is, () for the whole document.

    No entry of a list goes alone: those behind it would stand elsewhere.
    """
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in finding.pointer.split("/")[1:])
    if finding.code == MISSING_FIELD:
        steps = steps[:-1]
    if steps and not _has(_reach(value, steps[:-1]), steps[-1]):
        return None
    while steps and not isinstance(_reach(value, steps[:-1]), dict):
        steps = steps[:-1]
    return steps


def _reach(value: Any, steps: Steps) -> Any:
    """None where there is no such place."""
    for step in steps:
        if not _has(value, step):
            return None
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def _has(value: Any, step: str) -> bool:
    if isinstance(value, list):
        return step.isdecimal() and int(step) < len(value)
    return isinstance(value, dict) and step in value


def _without(value: Any, steps: Steps) -> Any:
    """A copy as far as it differs."""
    first, *others = steps
    if isinstance(value, list):
        index = int(first)
        return [*value[:index], _without(value[index], tuple(others)), *value[index + 1 :]]
    if not others:
        return {name: one for name, one in value.items() if name != first}
    return {**value, first: _without(value[first], tuple(others))}


def _may_follow(finding: Finding, gaps: Collection[str]) -> bool:
    """Whether what is gone stood beside something that the finding is inside of, or in its place, or far off."""
    if finding.code in _BETWEEN:
        return bool(gaps)
    beside = any(finding.pointer.startswith(f"{gap.rpartition('/')[0]}/") for gap in gaps)
    inside = any(f"{gap}/".startswith(f"{finding.pointer}/") for gap in gaps)
    return beside or (inside and finding.code not in _TOO_MUCH)
