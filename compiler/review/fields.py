"""How one JSON value becomes another: field by field for people, and as a JSON Patch for machines.

Entries of a list are paired by what names them (a name, an address, a match), so that one endpoint more among forty is
one change and not twenty. A patch made of places alone would rewrite every entry behind it.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple

import orjson

from compiler.review.plan import FieldChange, Kind

__all__ = ["Edit", "compare_json", "escape", "patch_of", "place_of"]

_NAMING: Final = ("name", "clusterName", "routeConfigName", "address", "endpoint", "locality", "domains", "match")
"""Fields that tell an entry of a list from its neighbours, the most telling first."""


_MOST_DIGITS: Final = 9


class Edit(NamedTuple):
    """A field that differs; `place` is where a JSON Patch finds it when the edits before it were made."""

    change: FieldChange
    place: str


def compare_json(before: Any, after: Any) -> tuple[Edit, ...]:
    """In the order in which a patch must make them: entries of a list from the last to the first."""
    return tuple(_compare(before, after, "", ""))


def patch_of(edits: Sequence[Edit]) -> tuple[Mapping[str, Any], ...]:
    """The operations (RFC 6902) that turn the one into the other."""
    return tuple(_operation(edit) for edit in edits)


def escape(key: str) -> str:
    """A key as a step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def place_of(step: str) -> int | None:
    """A step of a JSON pointer as a place in a list, None where it is none; `²` is a digit that no number has."""
    return int(step) if step.isascii() and step.isdigit() and len(step) <= _MOST_DIGITS else None


def _operation(edit: Edit) -> Mapping[str, Any]:
    match edit.change.kind:
        case Kind.REMOVED:
            return {"op": "remove", "path": edit.place}
        case Kind.ADDED:
            return {"op": "add", "path": edit.place, "value": edit.change.after}
        case Kind.CHANGED:
            return {"op": "replace", "path": edit.place, "value": edit.change.after}


def _compare(before: Any, after: Any, shown: str, place: str) -> Iterator[Edit]:
    """`shown` is the path on the side that has the field, the head's where both do."""
    match before, after:
        case dict(), dict():
            yield from _compare_objects(before, after, shown, place)
        case list(), list():
            yield from _compare_lists(before, after, shown, place)
        case _ if not _is_same(before, after):
            yield Edit(FieldChange(Kind.CHANGED, shown, before, after), place)


def _compare_objects(before: Mapping[str, Any], after: Mapping[str, Any], shown: str, place: str) -> Iterator[Edit]:
    for key in sorted({**before, **after}):
        if key in before and key in after and _is_same(before[key], after[key]):
            continue
        step = f"/{escape(key)}"
        if key not in after:
            yield Edit(FieldChange(Kind.REMOVED, shown + step, before=before[key]), place + step)
        elif key not in before:
            yield Edit(FieldChange(Kind.ADDED, shown + step, after=after[key]), place + step)
        else:
            yield from _compare(before[key], after[key], shown + step, place + step)


def _compare_lists(before: Sequence[Any], after: Sequence[Any], shown: str, place: str) -> Iterator[Edit]:
    """From the end, so that an index of `before` still holds when its turn comes."""
    field = _naming_field(before, after)
    old_names, new_names = ([_dump(one[field] if field else one) for one in side] for side in (before, after))
    for tag, start, end, first, last in reversed(_match(old_names, new_names)):
        paired = min(end - start, last - first) if tag == "equal" or not field else 0
        for index in reversed(range(start + paired, end)):
            yield Edit(FieldChange(Kind.REMOVED, f"{shown}/{index}", before=before[index]), f"{place}/{index}")
        for index in reversed(range(first + paired, last)):
            yield Edit(FieldChange(Kind.ADDED, f"{shown}/{index}", after=after[index]), f"{place}/{start + paired}")
        for offset in reversed(range(paired)):
            old, new = start + offset, first + offset
            if not _is_same(before[old], after[new]):
                yield from _compare(before[old], after[new], f"{shown}/{new}", f"{place}/{old}")


def _match(before: Sequence[bytes], after: Sequence[bytes]) -> Sequence[tuple[str, int, int, int, int]]:
    """Which parts of two lists are one: mostly all of both."""
    if before == after:
        return [("equal", 0, len(before), 0, len(after))]
    return SequenceMatcher(None, before, after, autojunk=False).get_opcodes()


def _is_same(before: Any, after: Any) -> bool:
    """Python takes 1, 1.0 and true for one another, which are three things in JSON."""
    if before != after or type(before) is not type(after):
        return False
    return not isinstance(before, dict | list) or _dump(before) == _dump(after)


def _naming_field(before: Sequence[Any], after: Sequence[Any]) -> str | None:
    """One that tells the entries of each side apart; None where only an entry as a whole does."""
    return next((field for field in _NAMING if all(_names_apart(field, side) for side in (before, after))), None)


def _names_apart(field: str, entries: Sequence[Any]) -> bool:
    names = {_dump(one[field]) for one in entries if isinstance(one, dict) and field in one}
    return len(names) == len(entries)


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
