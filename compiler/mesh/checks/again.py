"""Things that several checks go through, found as far as somebody goes."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Again(Generic[T]):
    """To go through more than once; none is looked for before somebody wants it, for who looks leans on it."""

    def __init__(self, found: Iterable[T]) -> None:
        self._found = iter(found)
        self._known: list[T] = []

    def __iter__(self) -> Iterator[T]:
        yield from self._known
        for one in self._found:
            self._known.append(one)
            yield one

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(True for _ in self)


__all__ = ["Again"]
