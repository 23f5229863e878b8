"""Which parts of a file's documents stand on some of its lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from compiler.review.explaining.drafts import DocumentKey
from compiler.review.fields import escape
from compiler.source.places import Place, Places

__all__ = ["ALL", "Lines", "Part", "find_lines", "find_parts"]

_EVERYTHING: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Lines:
    """From the first to the last, counted from 1; all of a file where nothing else is said."""

    first: int = 1
    last: int = _EVERYTHING

    @property
    def whole(self) -> bool:
        return self.last == _EVERYTHING


ALL: Final = Lines()


@dataclass(frozen=True, slots=True)
class Part:
    """Something in a document by its pointer, "" for all of it."""

    document: DocumentKey
    pointer: str


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where a value begins, with its key, and where the last thing in it begins."""

    pointer: str
    first: int
    last: int


def find_parts(file: str, text: str, documents: Sequence[int], lines: Lines) -> tuple[Part, ...]:
    """The largest parts that stand on these lines alone; of a line that only begins something, what it begins.

    Blank lines and comments are part of nothing.
    """
    places = Places(text.encode()).documents
    wanted = {number for number, line in enumerate(text.splitlines(), 1) if _says_something(line, number, lines)}
    extents = [(DocumentKey(file, index), extent) for index in documents for extent in _extents(places[index], "", 0)]
    found = [(key, one) for key, one in extents if _is_within(one, wanted, lines)]
    if not found and wanted:
        return _find_begun(extents, min(wanted))
    return tuple(
        Part(key, one.pointer)
        for key, one in found
        if not any(key == other and _holds(above.pointer, one.pointer) for other, above in found)
    )


def find_lines(places: Places, index: int, pointer: str) -> Lines:
    """Where a part of a document begins, with its key, and where the last thing in it does."""
    extents = _extents(places.documents[index], "", 0)
    return next((Lines(max(1, one.first), one.last) for one in extents if one.pointer == pointer), Lines(1, 1))


def _says_something(line: str, number: int, lines: Lines) -> bool:
    said = line.strip()
    return lines.first <= number <= lines.last and bool(said) and not said.startswith(("#", "---", "..."))


def _is_within(extent: _Extent, wanted: set[int], lines: Lines) -> bool:
    return lines.first <= extent.first and extent.last <= lines.last and extent.first in wanted


def _find_begun(extents: Sequence[tuple[DocumentKey, _Extent]], line: int) -> tuple[Part, ...]:
    """The innermost that begins on the line or, inside of a long text, last before it."""
    before = [(key, one) for key, one in extents if one.first <= line]
    if not before:
        return ()
    key, extent = max(before, key=lambda one: (one[1].first, one[1].pointer.count("/")))
    return (Part(key, extent.pointer),)


def _extents(place: Place, pointer: str, line: int) -> Iterator[_Extent]:
    inner = [one for key in place.children for one in _extents(*_child(place, pointer, key))]
    yield _Extent(pointer, line or place.line, max([place.line, *(one.last for one in inner)]))
    yield from inner


def _child(place: Place, pointer: str, key: str) -> tuple[Place, str, int]:
    child = place.children[key]
    return child, f"{pointer}/{escape(key)}", place.keys.get(key, child).line


def _holds(above: str, pointer: str) -> bool:
    return pointer != above and (not above or pointer.startswith(f"{above}/"))
