"""The fields of a change as people read them: where an entry was replaced, what differs in it, not the whole twice."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from compiler.review.fields import compare_json
from compiler.review.outputs import sentences
from compiler.review.plan import FieldChange, Kind

__all__ = ["field_lines", "shown_fields", "sides_of", "value_lines"]

_PLACES: Final = ("address", "endpoint", "locality")
"""Entries in which one of these differs are two."""
_NAMES: Final = ("name", "clusterName", "routeConfigName")
"""And those in which one of these differs, unless little else does."""
_MOST_EDITS: Final = 3
_MOST_LINES: Final = 12
_LONGEST_LINE: Final = 160
_LONGEST_TEXT: Final = 1_000
_ONE_LINE: Final = 100


def shown_fields(fields: Sequence[FieldChange]) -> tuple[FieldChange, ...]:
    """In their order, but for an entry that goes where another one comes: those are what differs between the two."""
    gone = {one.path: one for one in fields if one.kind is Kind.REMOVED}
    come = {one.path: one for one in fields if one.kind is Kind.ADDED}
    pairs = {path for path in gone.keys() & come.keys() if _is_one(gone[path].before, come[path].after)}
    found: list[FieldChange] = []
    for one in fields:
        if one.path not in pairs:
            found.append(one)
        elif one.kind is Kind.REMOVED:
            found += _within(one.path, one.before, come[one.path].after)
    return tuple(found)


def field_lines(fields: Sequence[FieldChange]) -> Iterator[tuple[Kind, str]]:
    """Each with what happened to it; a long value stands on lines of its own, which begin with spaces."""
    for one in fields:
        if one.kind is Kind.CHANGED and not _is_cut(one):
            yield one.kind, sentences.field_change(one)
            continue
        for kind, value in sides_of(one):
            first, *others = value_lines(value)
            yield kind, f"{one.path}: {first}"
            yield from ((kind, f"  {line}") for line in others)


def sides_of(one: FieldChange) -> Iterator[tuple[Kind, Any]]:
    """What goes, then what comes."""
    if one.kind is not Kind.ADDED:
        yield Kind.REMOVED, one.before
    if one.kind is not Kind.REMOVED:
        yield Kind.ADDED, one.after


def value_lines(value: Any) -> list[str]:
    """One line where it is short, else some; JSON escapes whatever a terminal would act on."""
    if not isinstance(value, dict | list):
        return [sentences.value(value, _LONGEST_TEXT)]
    whole = sentences.value(value, _ONE_LINE + 1)
    if len(whole) <= _ONE_LINE:
        return [whole]
    lines = [_cut(line) for line in json.dumps(value, indent=1).splitlines()]
    left = len(lines) - _MOST_LINES
    return lines if left <= 0 else [*lines[:_MOST_LINES], f"… and {sentences.many(left, 'more line')}"]


def _within(path: str, before: Any, after: Any) -> tuple[FieldChange, ...]:
    edits = (edit.change for edit in compare_json(before, after))
    inner = sorted((replace(one, path=path + one.path) for one in edits), key=lambda one: one.path)
    return shown_fields(inner)


def _is_one(before: Any, after: Any) -> bool:
    """Whether both are an entry that changed rather than two."""
    if isinstance(before, list) and isinstance(after, list):
        return True
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    if any(before.get(name) != after.get(name) for name in _PLACES):
        return False
    named = all(before.get(name) == after.get(name) for name in _NAMES)
    return named or len(compare_json(before, after)) <= _MOST_EDITS


def _is_cut(one: FieldChange) -> bool:
    return any(sentences.value(side) != sentences.value(side, _LONGEST_TEXT) for side in (one.before, one.after))


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
