"""Values that know where in a legacy document they were said, so that a converted one leads back to its line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compiler.resources.findings import join
from compiler.resources.resource_set import Placement


@dataclass(frozen=True, slots=True)
class Said:
    """A part of a converted document, and the pointer of what it stands for; `copied` as it is, with all it holds."""

    value: Any
    pointer: str
    copied: bool = False

    def with_value(self, value: Any) -> "Said":
        """The same place, in the words of the newer policy."""
        return replace(self, value=value, copied=False)


@dataclass(frozen=True, slots=True)
class ConvertedPlacement(Placement):
    """Where a converted spec was said: what has no place of its own has that of the nearest part that holds it."""

    def locate(self, pointer: str) -> str:
        """A pointer into the converted spec as one into the legacy document."""
        while pointer not in self.elsewhere and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.elsewhere.get(pointer, self.prefix)


def pick(value: Mapping[str, Any], pointer: str, *path: str) -> Said | None:
    """What stands at a path, None where nothing is written there."""
    found: Any = value
    for segment in path:
        if not isinstance(found, Mapping) or segment not in found:
            return None
        found = found[segment]
    return Said(found, join(pointer, *path), copied=True)


def given(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that are there, and hold something."""
    return {name: part for name, part in parts.items() if part is not None and part != {}}


def plain(value: Any) -> Any:
    """Without the places."""
    match value:
        case Said(value=inner):
            return plain(inner)
        case Mapping():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value


def places(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every pointer into the converted value that has a place, with it; what was copied as it is, in full."""
    match value:
        case Said(value=inner, pointer=old, copied=copied):
            yield pointer, old
            yield from _copied(inner, pointer, old) if copied else places(inner, pointer)
        case Mapping():
            for key, each in value.items():
                yield from places(each, join(pointer, key))
        case list() | tuple():
            for index, each in enumerate(value):
                yield from places(each, join(pointer, index))
        case _:
            return


def _copied(value: Any, new: str, old: str) -> Iterator[tuple[str, str]]:
    for key, each in _entries(value):
        yield join(new, key), join(old, key)
        yield from _copied(each, join(new, key), join(old, key))


def _entries(value: Any) -> Sequence[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        return tuple(value.items())
    return tuple(enumerate(value)) if isinstance(value, list | tuple) else ()
