"""Mappings that show themselves sorted by key, whatever order they were made in."""

from collections.abc import Hashable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from operator import itemgetter
from typing import Any, TypeVar, overload

from immutables import Map

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


class ByKey(Mapping[K, V]):
    """Never changed; one with changes shares all else with it, so that a commit pays for what it touches.

    Sorted when somebody walks it, since most commits change what a few keys stand for and nobody walks them all.
    """

    __slots__ = ("_entries", "_sorted")

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        self._entries: Map[K, V] = Map(entries or {})
        self._sorted: dict[K, V] | None = None

    def with_changes(self, changes: Mapping[K, V], gone: Iterable[K] = ()) -> "ByKey[K, V]":
        """A mapping of its own; what is gone goes first, so that a key may be among the changes too."""
        changed: ByKey[K, V] = ByKey()
        with self._entries.mutate() as entries:
            for key in gone:
                entries.pop(key, None)
            entries.update(changes)
        changed._entries = entries.finish()
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
        return iter(self._walked())

    def keys(self) -> KeysView[K]:
        """As a dict has them, and as quick."""
        return self._walked().keys()

    def items(self) -> ItemsView[K, V]:
        """As a dict has them, and as quick."""
        return self._walked().items()

    def values(self) -> ValuesView[V]:
        """As a dict has them, and as quick."""
        return self._walked().values()

    def __reduce__(self) -> tuple[object, ...]:
        return (ByKey, (self._walked(),))

    def __repr__(self) -> str:
        return f"ByKey({self._walked()!r})"

    def _walked(self) -> dict[K, V]:
        if self._sorted is None:
            self._sorted = dict(sorted(self._entries.items(), key=itemgetter(0)))
        return self._sorted
