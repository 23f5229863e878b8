"""The difference of two JSON values as a JSON Patch that a person would write."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

Operation = dict[str, Any]


def difference(before: Any, after: Any, path: str = "") -> Iterator[Operation]:
    """Lists are compared entry by entry, equal ones first, so that a new entry is one `add` and moves nothing."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_mappings(before, after, path)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _of_lists(before, after, path)
    else:
        yield {"op": "replace", "path": path, "value": after}


def _of_mappings(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Operation]:
    for name in sorted(before.keys() | after.keys()):
        step = f"{path}/{escape(name)}"
        if name not in after:
            yield {"op": "remove", "path": step}
        elif name not in before:
            yield {"op": "add", "path": step, "value": after[name]}
        else:
            yield from difference(before[name], after[name], step)


def _of_lists(before: Sequence[Any], after: Sequence[Any], path: str) -> Iterator[Operation]:
    """Indexes are those of the list as the operations before have left it: `after`'s, up to where it is equal."""
    old, new = [_key(value) for value in before], [_key(value) for value in after]
    for _, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        common = min(last - first, end - start)
        for index in range(common):
            yield from difference(before[first + index], after[start + index], f"{path}/{start + index}")
        for _ in range(first + common, last):
            yield {"op": "remove", "path": f"{path}/{start + common}"}
        for index in range(start + common, end):
            yield {"op": "add", "path": f"{path}/{index}", "value": after[index]}


def escape(name: str) -> str:
    """One step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
