"""libyaml's events, one at a time, with the types that its parser gives them."""

import json
import re
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from yaml._yaml import CParser
from yaml.events import ScalarEvent

_BOM: Final = b"\xef\xbb\xbf"
_PAIR_BEGINS: Final = re.compile(rb"\\u[dD][89abAB]")
_PAIR: Final = re.compile(rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)")
_SHIFT: Final = 0xE000 - 0xD800
_PRIVATE: Final = re.compile(rb"\\u[eE][0-7]|\xee[\x80-\x9f]")
_HIDDEN: Final = re.compile("[\ue000-\ue3ff][\ue400-\ue7ff]")
"""The halves of a pair, moved from U+D800 to U+E000, which nobody else means anything by."""


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
    readable = _without_pairs(text.removeprefix(_BOM))
    next_event = cast("Callable[[], Event]", CParser(readable or text.removeprefix(_BOM)).get_event)
    return _with_pairs(next_event) if readable else next_event


def open_tokens(text: bytes) -> Callable[[], Any]:
    """The next token at each call; of a scalar's only the place is right."""
    return cast("Callable[[], Any]", CParser(_without_pairs(text) or text).get_token)


def _without_pairs(text: bytes) -> bytes | None:
    """JSON with two characters for private use, as long as they are, for each two escapes that are one character.

    JSON alone has pairs of surrogates, which libyaml refuses: there every backslash stands in a string, whereas a
    plain scalar of YAML may hold one. None where the text has no pair, is no JSON, or uses such characters itself.
    """
    if _PAIR_BEGINS.search(text) is None or _PRIVATE.search(text) is not None:
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _PAIR.sub(_hide, text)


def _hide(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        return found[0]
    return b"".join(b"\\u%04x" % (int(half, 16) + _SHIFT) for half in found.groups())


def _with_pairs(next_event: Callable[[], Event]) -> Callable[[], Event]:
    def event_with_pairs() -> Event:
        event = next_event()
        if isinstance(event, ScalarEvent):
            event.value = _HIDDEN.sub(_show, event.value)
        return event

    return event_with_pairs


def _show(found: re.Match[str]) -> str:
    halves = [ord(half) - _SHIFT for half in found[0]]
    return b"".join(half.to_bytes(2, "big") for half in halves).decode("utf-16-be")
