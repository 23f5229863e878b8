"""Where each value of a file begins and ends, for whoever changes a part of it and keeps the rest byte for byte."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from compiler.source.events import Event, open_events


@dataclass(slots=True)
class Span:
    """A value's characters, from 0; of a block collection, `end` is where its last value ends, before any comment.

    `children` are by key, or by index as text; `column` is that of the first key or dash.
    """

    start: int
    end: int
    column: int
    is_flow: bool = True
    is_collection: bool = False
    is_list: bool = False
    children: dict[str, "Span"] = field(default_factory=dict)


class _Open:
    """A collection that is being read."""

    __slots__ = ("key", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.key: str | None = None


def find_spans(content: bytes) -> Mapping[int, Span]:
    """The root of every document by its index, as far as the file can be read."""
    spans: dict[int, Span] = {}
    with suppress(yaml.YAMLError):
        spans.update(enumerate(_walk(content)))
    return spans


def _walk(content: bytes) -> Iterator[Span]:
    next_event = open_events(content)
    while not isinstance(event := next_event(), StreamEndEvent):
        if not isinstance(event, DocumentStartEvent):
            continue
        stack: list[_Open] = []
        root: Span | None = None
        while not isinstance(event := next_event(), DocumentEndEvent):
            if isinstance(event, CollectionEndEvent):
                _close(stack.pop().span, event)
                continue
            span = _span_of(event)
            root = root or span
            if stack:
                _add(stack[-1], event, span)
            if span.is_collection:
                stack.append(_Open(span))
        yield root or Span(0, 0, 0)


def _span_of(event: Event) -> Span:
    start, end = event.start_mark, event.end_mark
    if isinstance(event, (ScalarEvent, AliasEvent)):
        return Span(start.index, end.index, start.column)
    return Span(
        start.index,
        end.index,
        start.column,
        is_flow=bool(getattr(event, "flow_style", False)),
        is_collection=isinstance(event, (MappingStartEvent, SequenceStartEvent)),
        is_list=isinstance(event, SequenceStartEvent),
    )


def _add(parent: _Open, event: Event, span: Span) -> None:
    if parent.span.is_list:
        parent.span.children[str(len(parent.span.children))] = span
    elif parent.key is None:
        parent.key = event.value if isinstance(event, ScalarEvent) else ""
    else:
        parent.span.children[parent.key] = span
        parent.key = None


def _close(span: Span, event: Event) -> None:
    """The parser ends a block collection only where the next thing begins."""
    if span.is_flow:
        span.end = event.end_mark.index
    else:
        span.end = max((child.end for child in span.children.values()), default=span.end)
