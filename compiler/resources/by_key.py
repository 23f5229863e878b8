"""Mappings that show themselves sorted by key, whatever order they were made in."""

from collections.abc import Hashable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from operator import itemgetter
from typing import Any, TypeVar, overload

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


class ByKey(Mapping[K, V]):
    """Sorted when somebody walks it, since most commits change what a few keys stand for and nobody walks them all."""

    __slots__ = ("_entries", "_is_sorted")

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        self._entries = dict(entries or {})
        self._is_sorted = not self._entries

    def with_changes(self, changes: Mapping[K, V], gone: Iterable[K]) -> "ByKey[K, V]":
        """A mapping of its own; this one stays as it is."""
        changed: ByKey[K, V] = ByKey()
        entries = changed._entries = dict(self._entries)
        entries |= changes
        changed._is_sorted = self._is_sorted and len(entries) == len(self._entries)
        for key in gone:
            entries.pop(key, None)
        return changed

    def __getitem__(self, key: K) -> V:
        return self._entries[key]

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | T) -> V | T: ...
    def get(self, key: K, /, default: Any = None) -> Any:
        """The mixin's would raise and catch for every missing key."""
        return self._entries.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        return iter(self._sorted())

    def keys(self) -> KeysView[K]:
        """As a dict has them, and as quick."""
        return self._sorted().keys()

    def items(self) -> ItemsView[K, V]:
        """As a dict has them, and as quick."""
        return self._sorted().items()

    def values(self) -> ValuesView[V]:
        """As a dict has them, and as quick."""
        return self._sorted().values()

    def __repr__(self) -> str:
        return f"ByKey({self._sorted()!r})"

    def _sorted(self) -> dict[K, V]:
        if not self._is_sorted:
            self._entries, self._is_sorted = dict(sorted(self._entries.items(), key=itemgetter(0))), True
        return self._entries
