"""What every list of named things must hold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compiler.resources.findings import DUPLICATE_NAME, NO_EFFECT, Finding, join


def repeated(values: Sequence[str], pointer: str, what: str, field: str) -> Iterator[Finding]:
    """One finding for each entry of a list whose name an earlier one has; an empty name is none."""
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if not value:
            continue
        earlier = first.setdefault(value, index)
        if earlier != index:
            message = f"the {what} {value!r} is that of entry {earlier + 1} too"
            yield Finding(join(pointer, index, field), DUPLICATE_NAME, message)


def without_effect(values: Mapping[str, Any], pointer: str, names: Sequence[str]) -> Iterator[Finding]:
    """One warning for each of these fields that is there."""
    for name in names:
        if name in values:
            yield Finding(join(pointer, name), NO_EFFECT, f"{name} changes nothing here", "take it out", on_key=True)
