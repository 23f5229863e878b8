"""How a file is written, not what it means: nodes, entries and comments with their offsets, for whoever rewrites it."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)
from yaml.tokens import (
    BlockEntryToken,
    DocumentStartToken,
    FlowEntryToken,
    KeyToken,
    ScalarToken,
    StreamEndToken,
    StreamStartToken,
)

from compiler.source.events import Event, open_events, open_tokens

_COMMENT = re.compile(r"#[^\r\n]*")
_LINE_END = re.compile(r"\r?\n")


class Kind(StrEnum):
    """What YAML is made of."""

    SCALAR = "scalar"
    ALIAS = "alias"
    MAPPING = "mapping"
    SEQUENCE = "sequence"


@dataclass(frozen=True, slots=True)
class Comment:
    """`after` is the offset at which what stands before it ends, a comma not counted."""

    offset: int
    column: int
    text: str
    own_line: bool
    blank_before: bool
    after: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A pair of a mapping or an entry of a list; `number` is its own in the document, `start` that of a dash or key."""

    number: int
    start: int
    key: "Node | None"
    value: "Node"
    blank_before: bool

    @property
    def end(self) -> int:
        return self.value.end


@dataclass(frozen=True, slots=True)
class Node:
    """`text` is a scalar's value or an alias' name; `column` is where the entries of a block stand."""

    kind: Kind
    start: int
    end: int
    column: int = 0
    anchor: str | None = None
    tag: str | None = None
    text: str = ""
    style: str = ""
    flow: bool = False
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentSyntax:
    """A document from `start` to that of the next one; `root` is None where it is empty."""

    start: int
    end: int
    root: Node | None
    comments: tuple[Comment, ...]


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Offsets of what events do not tell of."""

    dashes: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


def read_syntax(text: str) -> tuple[DocumentSyntax, ...]:
    """Of a text without byte order mark that was parsed without a finding; raises yaml.YAMLError for any other."""
    tokens = _read_tokens(text)
    return _Reader(text, tokens).documents()


def _read_tokens(text: str) -> _Tokens:
    """Between two tokens stand only blanks and comments; a block scalar's header may hold one too."""
    next_token, found, before, after = open_tokens(text.encode()), _Tokens(), 0, 0
    while True:
        token = next_token()
        start, end = token.start_mark.index, token.end_mark.index
        if not isinstance(token, StreamStartToken):
            found.comments.extend(_comments(text, before, start, after))
            before = max(before, end)
        match token:
            case StreamEndToken():
                found.comments.extend(_comments(text, before, len(text), after))
                return found
            case BlockEntryToken():
                found.dashes.append(start)
            case KeyToken():
                found.keys.append(start)
            case ScalarToken(style="|" | ">"):
                found.comments.extend(_header_comment(text, start))
            case _:
                pass
        if isinstance(token, DocumentStartToken):
            after = 0
        elif not isinstance(token, FlowEntryToken) and end > start:
            after = len(text[:end].rstrip()) if isinstance(token, ScalarToken) and token.style in ("|", ">") else end


def _comments(text: str, start: int, end: int, after: int) -> Iterator[Comment]:
    if "#" not in text[start:end]:
        return
    for found in _COMMENT.finditer(text, start, end):
        yield _comment(text, found.start(), found[0], after)


def _header_comment(text: str, start: int) -> Iterator[Comment]:
    """After `|-`, say; it belongs to what the block does, whose end is not known here."""
    line_end = _LINE_END.search(text, start)
    header = text[start : line_end.start() if line_end else len(text)]
    if found := _COMMENT.search(header):
        yield _comment(text, start + found.start(), found[0], start)


def _comment(text: str, offset: int, words: str, after: int) -> Comment:
    line = text.rfind("\n", 0, offset) + 1
    own_line = not text[line:offset].strip()
    return Comment(offset, offset - line, words.rstrip(), own_line, own_line and _is_blank_before(text, line), after)


def _is_blank_before(text: str, line: int) -> bool:
    """Whether the line that ends where this one begins is empty."""
    return line > 1 and not text[text.rfind("\n", 0, line - 1) + 1 : line - 1].strip()


class _Reader:
    """One walk over the events; an explicit stack is not needed, for the parser bounded the depth."""

    def __init__(self, text: str, tokens: _Tokens) -> None:
        self._text = text
        self._tokens = tokens
        self._next = open_events(text.encode())
        self._number = 0
        self._offsets = [comment.offset for comment in tokens.comments]

    def documents(self) -> tuple[DocumentSyntax, ...]:
        found: list[tuple[int, Node | None]] = []
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                start = event.start_mark.index if found else 0
                root = self._node(self._next())
                found.append((start, None if _is_nothing(root) else root))
                while not isinstance(self._next(), DocumentEndEvent):
                    pass
        ends = [start for start, _ in found[1:]] + [len(self._text)]
        return tuple(
            DocumentSyntax(start, end, root, self._comments_in(start, end))
            for (start, root), end in zip(found, ends, strict=True)
        )

    def _comments_in(self, start: int, end: int) -> tuple[Comment, ...]:
        found = self._tokens.comments
        return tuple(found[bisect_left(self._offsets, start) : bisect_left(self._offsets, end)])

    def _node(self, event: Event) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        match event:
            case AliasEvent():
                return Node(Kind.ALIAS, start, end, text=event.anchor or "")
            case ScalarEvent():
                style = event.style or ""
                end = start + len(self._text[start:end].rstrip()) if style in ("|", ">") else end
                return Node(Kind.SCALAR, start, end, 0, event.anchor, event.tag, event.value, style)
            case MappingStartEvent():
                return self._collection(event, Kind.MAPPING)
            case _:
                return self._collection(event, Kind.SEQUENCE)

    def _collection(self, event: Event, kind: Kind) -> Node:
        flow = bool(getattr(event, "flow_style", False))
        start = event.start_mark.index
        entries: list[Entry] = []
        before = start
        while not isinstance(inner := self._next(), CollectionEndEvent):
            entry = self._pair(inner, before) if kind is Kind.MAPPING else self._item(inner, before, flow=flow)
            before = max(entry.end, entry.start + 1)
            entries.append(entry)
        end = inner.end_mark.index if flow or not entries else entries[-1].end
        column = self._column(entries[0].start) if entries else self._column(start)
        return Node(kind, start, end, column, event.anchor, event.tag, "", "", flow, tuple(entries))

    def _pair(self, event: Event, before: int) -> Entry:
        number = self._take_number()
        asked = _first_from(self._tokens.keys, before)
        start = event.start_mark.index
        start = min(start, asked) if asked is not None else start
        key = self._node(event)
        return Entry(number, start, key, self._node(self._next()), self._blank_before(start))

    def _item(self, event: Event, before: int, *, flow: bool) -> Entry:
        number = self._take_number()
        dash = None if flow else _first_from(self._tokens.dashes, before)
        start = event.start_mark.index if dash is None else dash
        return Entry(number, start, None, self._node(event), self._blank_before(start))

    def _take_number(self) -> int:
        self._number += 1
        return self._number

    def _column(self, offset: int) -> int:
        return offset - (self._text.rfind("\n", 0, offset) + 1)

    def _blank_before(self, offset: int) -> bool:
        line = self._text.rfind("\n", 0, offset) + 1
        return not self._text[line:offset].strip() and _is_blank_before(self._text, line)


def _first_from(offsets: Sequence[int], least: int) -> int | None:
    place = bisect_left(offsets, least)
    return offsets[place] if place < len(offsets) else None


def _is_nothing(root: Node) -> bool:
    """A document without a value, or with a null, which is the same."""
    return root.kind is Kind.SCALAR and root.start == root.end
