"""libyaml's events, one at a time, with the types that its parser gives them."""

from collections.abc import Callable
from typing import Protocol, cast

from yaml._yaml import CParser


class Mark(Protocol):
    """A place in the text, all three from 0 and in characters."""

    line: int
    column: int
    index: int


class Event(Protocol):
    """What PyYAML's event classes hold between them; each has those attributes that its kind can have."""

    start_mark: Mark
    end_mark: Mark
    anchor: str | None
    tag: str | None
    value: str
    style: str | None


def open_events(text: bytes) -> Callable[[], Event]:
    """The next event at each call; unlike libyaml's loader, its parser keeps its stack on the heap."""
    return cast("Callable[[], Event]", CParser(text.removeprefix(b"\xef\xbb\xbf")).get_event)
