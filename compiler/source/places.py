"""Where each value of a file stands, worked out again from its text when somebody asks."""

import re
from collections.abc import Callable, Iterator
from functools import cached_property

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from compiler.source.events import Event, open_events

_HUMP = re.compile(r"([a-z0-9])([A-Z])")
# The parser refuses deeper files; this bound holds for text that never went through it.
_MAX_DEPTH = 256


class Place:
    """A value's line and column, from 1, and those of what it holds; an alias shares its anchor's children."""

    __slots__ = ("children", "column", "keys", "line")

    def __init__(self, event: Event) -> None:
        self.line: int = event.start_mark.line + 1
        self.column: int = event.start_mark.column + 1
        self.children: dict[str, Place] = {}
        self.keys: dict[str, Place] = {}

    def child(self, segment: str) -> str | None:
        """The key that a pointer's segment names; proto types accept fooBar and foo_bar for one field."""
        if segment in self.children:
            return segment
        wanted = _snake(segment)
        return next((key for key in self.children if _snake(key) == wanted), None)


_NO_KEYS: dict[str, Place] = {}


class Places:
    """The places of all documents of one file, found in one walk, shared by its documents."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    @cached_property
    def documents(self) -> tuple[Place, ...]:
        return tuple(_walk_documents(self._text))

    def find(self, index: int, pointer: str, *, key: bool) -> tuple[int, int]:
        """Line and column of the value at a JSON pointer, or its key; the nearest ancestor's if there is none."""
        found, named, _ = self._look(index, pointer)
        place = named if key else found
        return (place.line, place.column) if place is not None else (1, 1)

    def has(self, index: int, pointer: str) -> bool:
        """Whether a value stands right there."""
        return self._look(index, pointer)[2]

    def _look(self, index: int, pointer: str) -> tuple[Place | None, Place | None, bool]:
        """The nearest place, that of its key, and whether it is the pointer's own."""
        if index >= len(self.documents):
            return None, None, False
        found = named = self.documents[index]
        for segment in pointer.split("/")[1:]:
            name = found.child(segment.replace("~1", "/").replace("~0", "~"))
            if name is None:
                return found, named, False
            found, named = found.children[name], found.keys.get(name, found.children[name])
        return found, named, True

    def spell(self, index: int, pointer: str) -> str:
        """A JSON pointer with the keys that are written, where those are of another case."""
        if index >= len(self.documents):
            return pointer
        found: Place | None = self.documents[index]
        spelled = ""
        for segment in pointer.split("/")[1:]:
            name = found.child(segment.replace("~1", "/").replace("~0", "~")) if found is not None else None
            spelled += f"/{segment if name is None else name.replace('~', '~0').replace('/', '~1')}"
            found = found.children[name] if found is not None and name is not None else None
        return spelled


def _snake(name: str) -> str:
    return _HUMP.sub(r"\1_\2", name).lower()


def _walk_documents(text: bytes) -> Iterator[Place]:
    next_event = open_events(text)
    try:
        while not isinstance(event := next_event(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                yield from _walk_document(next_event)
    except yaml.YAMLError:
        return


def _walk_document(next_event: Callable[[], Event]) -> Iterator[Place]:
    """The root's place comes first, so that it stands even where the document breaks off."""
    anchors: dict[str, Place] = {}
    stack: list[tuple[Place, list[Event]]] = []
    root: Place | None = None
    while not isinstance(event := next_event(), DocumentEndEvent):
        if isinstance(event, CollectionEndEvent):
            stack.pop()
            continue
        place = _place_of(event, anchors)
        if stack:
            _add(stack[-1], event, place)
        if root is None:
            root = place
            yield root
        if isinstance(event, CollectionStartEvent):
            if len(stack) == _MAX_DEPTH:
                raise yaml.YAMLError
            stack.append((place, []))
            if isinstance(event, SequenceStartEvent):
                place.keys = _NO_KEYS


def _place_of(event: Event, anchors: dict[str, Place]) -> Place:
    place = Place(event)
    if isinstance(event, AliasEvent) and event.anchor in anchors:
        target = anchors[event.anchor]
        place.children, place.keys = target.children, target.keys
    elif event.anchor is not None:
        anchors[event.anchor] = place
    return place


def _add(frame: tuple[Place, list[Event]], event: Event, place: Place) -> None:
    parent, pending = frame
    if parent.keys is _NO_KEYS:
        parent.children[str(len(parent.children))] = place
    elif not pending:
        pending.append(event)
    else:
        key = pending.pop()
        name = key.value if isinstance(key, ScalarEvent) else ""
        parent.children.setdefault(name, place)
        parent.keys.setdefault(name, Place(key))
