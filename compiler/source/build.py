"""Events to values, a document at a time: YAML 1.2, with every limit kept while it is read."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from compiler.diagnostics import Code, Diagnostic, Position, Severity
from compiler.source.events import Event, open_events
from compiler.source.scalars import CORE, CUSTOM_TAG, Refusal, refuse_tag, resolve_plain, resolve_tagged, shorten
from compiler.source.text import check_string

YAML_SYNTAX = Code(
    "yaml-syntax",
    Severity.ERROR,
    "a file is not YAML",
    "Reading stops at the first syntax error of a file; the documents before it were read.",
)
TOO_DEEP = Code(
    "too-deep",
    Severity.ERROR,
    "a document is nested too deeply",
    "Mappings and lists may stand 64 deep in each other, aliases counted as what they stand for.",
)
TOO_MANY_NODES = Code(
    "too-many-nodes",
    Severity.ERROR,
    "a file holds too many values",
    "A file may hold 50,000 keys and values, over all its documents; an alias counts as what it stands for.",
)
TOO_MANY_FINDINGS = Code(
    "too-many-findings",
    Severity.ERROR,
    "reading stopped after too many findings in one file",
    "After 100 findings in one file its remainder is not read.",
)
DUPLICATE_KEY = Code(
    "duplicate-key",
    Severity.ERROR,
    "a key is given twice in a mapping",
    "One of the two values would be lost in silence.",
)
NON_STRING_KEY = Code(
    "non-string-key",
    Severity.ERROR,
    "a key is not a string",
    "Keys are field names and labels; a key that reads as a number, a boolean or null is quoted.",
)
MERGE_KEY = Code(
    "merge-key",
    Severity.ERROR,
    "the merge key `<<` is used",
    "Merge keys are no part of YAML 1.2 and readers disagree on them.",
)
UNKNOWN_ALIAS = Code(
    "unknown-alias",
    Severity.ERROR,
    "an alias has no anchor before it in its document",
    "An alias stands for a value that was completed earlier in the same document; it cannot stand inside its own.",
)
ALIASES_TOO_LARGE = Code(
    "aliases-too-large",
    Severity.ERROR,
    "aliases make a file larger than a file may be",
    "What an alias stands for counts each time: together no more values and characters than one file may hold.",
)
NOT_A_MAPPING = Code(
    "not-a-mapping",
    Severity.ERROR,
    "a document is not a mapping",
    "Every document is one resource: a mapping with a `type` or a `kind`.",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take; depth and nodes count aliases as what they stand for."""

    max_bytes: int = 1024 * 1024
    max_depth: int = 64
    max_nodes: int = 50_000
    max_findings: int = 100


class Stopped(Exception):
    """Nothing after this finding can be read."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A value that aliases stand for, and what each of them costs."""

    value: object
    nodes: int
    height: int
    characters: int


class _Mark:
    """A key that is still awaited, one whose value is dropped, or what stands for a key in a list."""


_AWAITED = _Mark()
_DROPPED = _Mark()
_ENTRY = _Mark()


class _Frame:
    """An open mapping or list."""

    __slots__ = ("expanded", "height", "key", "keys", "nodes", "start", "value")

    def __init__(self, value: dict[str, object] | list[object], start: Event, nodes: int, expanded: int) -> None:
        self.value = value
        self.start = start
        self.key: str | _Mark = _ENTRY if isinstance(value, list) else _AWAITED
        self.keys: list[Event] = []
        self.height = 1
        self.nodes = nodes
        self.expanded = expanded

    def grow(self, height: int) -> None:
        """Holds something of that height now."""
        self.height = max(self.height, height + 1)

    @property
    def segment(self) -> str:
        """The JSON pointer's step to what is being read."""
        if isinstance(self.value, list):
            return f"/{len(self.value)}"
        return "/" + self.key.replace("~", "~0").replace("/", "~1") if isinstance(self.key, str) else ""


_TAG_DIRECTIVE = re.compile("^%TAG", re.MULTILINE)
_NO_TABS = "indent with spaces, not tabs"
_SYNTAX_HINTS = (
    ("a tab character", _NO_TABS),
    ("cannot start any token", "quote values that begin with a special character"),
    ("found unexpected end of stream", "close the quote that opens here"),
    ("found unexpected document indicator", "close the quote that opens here"),
    ("mapping values are not allowed", "quote values that hold ': ', and look at the indentation"),
    ("could not find expected ':'", "write `key: value`, with a space after the colon"),
    ("block", "look at the indentation of this line and those before it"),
    ("Unicode character escape", "write the character itself; a lone \\ud… escape is none"),
)
_COLLECTION_TAGS = frozenset({"!", CORE + "map", CORE + "seq"})


def build_documents(
    text: str, content: bytes, limits: Limits, findings: list[Diagnostic]
) -> Iterator[tuple[int, dict[str, object]]]:
    """Index and value of every document that is a mapping; findings are added as they come, `Stopped` ends it."""
    _refuse_tag_directives(text)
    builder = _Builder(text, content, limits, findings)
    try:
        yield from builder.documents()
    except yaml.MarkedYAMLError as error:
        raise Stopped(_syntax_error(error, text)) from error
    except yaml.YAMLError as error:
        raise Stopped(Diagnostic(Position("", 1, 1), YAML_SYNTAX, shorten(str(error)), "save it as UTF-8")) from error


class _Builder:
    """One walk over a file's events; the counters hold for the file, anchors for a document."""

    def __init__(self, text: str, content: bytes, limits: Limits, findings: list[Diagnostic]) -> None:
        self._text = text
        self._limits = limits
        self._findings = findings
        self._hidden = bool(findings)
        self._is_ascii = text.isascii()
        self._next = open_events(content)
        self._anchors: dict[str, _Anchored] = {}
        self._stack: list[_Frame] = []
        self._nodes = 0
        self._expanded = 0

    def documents(self) -> Iterator[tuple[int, dict[str, object]]]:
        """A document is handed out when it is complete, so one that breaks off is not read."""
        index = 0
        while not isinstance(event := self._next(), StreamEndEvent):
            if not isinstance(event, DocumentStartEvent):
                continue
            self._anchors = {}
            first = self._next()
            value = self._node(first)
            if isinstance(value, dict):
                yield index, value
            elif value is not None:
                self._find(first, NOT_A_MAPPING, "the document is not a mapping", "begin it with `type:` or `kind:`")
            index += 1

    def _node(self, event: Event) -> object:
        """The value that begins with this event; an explicit stack stands for recursion.

        Most of a file's time is spent here, so what happens to each value is written out.
        """
        stack, next_event = self._stack, self._next
        while True:
            kind: type = event.__class__
            value: object
            if kind is ScalarEvent:
                value = self._scalar(event)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value, event = self._close(event)
            elif kind is AliasEvent:
                value = self._alias(event)
            else:
                self._open(event)
                event = next_event()
                continue
            if not stack:
                return value
            frame = stack[-1]
            container: Any = frame.value
            key = frame.key
            if key is _AWAITED:
                frame.key = self._key(frame, container, event, value)
            elif key is _ENTRY:
                container.append(value)
            else:
                if key is not _DROPPED:
                    container[key] = value
                frame.key = _AWAITED
            event = next_event()

    def _scalar(self, event: Event) -> object:
        """A refused scalar stays as its text, so that the rest of the file can be judged."""
        self._nodes += 1
        if self._nodes > self._limits.max_nodes:
            raise Stopped(self._too_many(event))
        text, style = event.value, event.style
        value: object = text
        if event.tag is not None:
            value = resolve_tagged(event.tag, text)
        elif style == "":
            value = resolve_plain(text)
        if value.__class__ is str:
            if style == '"' or not (self._is_ascii or text.isascii()):
                self._check_string(event, text)
        elif value.__class__ is Refusal:
            value = self._refuse(event, value)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, 0, event.end_mark.index - event.start_mark.index)
        return value

    def _open(self, event: Event) -> None:
        if len(self._stack) >= self._limits.max_depth:
            raise Stopped(self._too_deep(event))
        frame = _Frame({} if isinstance(event, MappingStartEvent) else [], event, self._nodes, self._expanded)
        self._nodes += 1
        if self._nodes > self._limits.max_nodes:
            raise Stopped(self._too_many(event))
        if event.tag is not None and event.tag not in _COLLECTION_TAGS:
            self._refuse(event, refuse_tag())
        self._stack.append(frame)

    def _close(self, event: Event) -> tuple[object, Event]:
        """The value, and the event that began it, whose place is the value's."""
        frame = self._stack.pop()
        if self._stack:
            self._stack[-1].grow(frame.height)
        if frame.start.anchor is not None:
            characters = event.end_mark.index - frame.start.start_mark.index + self._expanded - frame.expanded
            self._anchors[frame.start.anchor] = _Anchored(
                frame.value, self._nodes - frame.nodes, frame.height, characters
            )
        return frame.value, frame.start

    def _alias(self, event: Event) -> object:
        anchored = self._anchors.get(event.anchor or "")
        if anchored is None:
            self._find(event, UNKNOWN_ALIAS, "no anchor of that name stands before this alias", "write the value out")
            return None
        if len(self._stack) + anchored.height > self._limits.max_depth:
            raise Stopped(self._too_deep(event))
        self._nodes += anchored.nodes
        self._expanded += anchored.characters
        if self._nodes > self._limits.max_nodes or self._expanded + len(self._text) > self._limits.max_bytes:
            message = "the aliases up to this one make the file too large"
            raise Stopped(
                self._diagnostic(event, ALIASES_TOO_LARGE, message, "write the values out, or split the file")
            )
        if self._stack:
            self._stack[-1].grow(anchored.height)
        return anchored.value

    def _key(self, frame: _Frame, container: dict[str, object], event: Event, value: object) -> str | _Mark:
        """Field names repeat in every document, so they are interned."""
        if isinstance(value, str) and value not in container and value != "<<":
            frame.keys.append(event)
            return sys.intern(value)
        return self._check_key(frame, container, event, value)

    def _check_key(self, frame: _Frame, container: dict[str, object], event: Event, value: object) -> str | _Mark:
        """Of the keys that are not plainly right; a refused one drops its value."""
        if not isinstance(value, str):
            self._find(event, NON_STRING_KEY, f"the key {shorten(str(value))} is not a string", "quote it")
        elif value == "<<" and getattr(event, "style", None) == "":
            self._find(event, MERGE_KEY, "the merge key << is not supported", "write the fields out")
        elif value in container:
            first = frame.keys[list(container).index(value)].start_mark
            place = f"line {first.line + 1}, column {first.column + 1}"
            message = f"the key {shorten(value)} stands already at {place}"
            self._find(event, DUPLICATE_KEY, message, "remove one of the two")
        else:
            frame.keys.append(event)
            return value
        return _DROPPED

    def _check_string(self, event: Event, text: str) -> None:
        if wrong := check_string(text, escapes=getattr(event, "style", None) == '"' and not self._hidden):
            self._find(event, *wrong)

    def _refuse(self, event: Event, refusal: Refusal) -> str:
        self._find(event, refusal.code, refusal.message, refusal.hint)
        return getattr(event, "value", "")

    def _too_deep(self, event: Event) -> Diagnostic:
        message = f"values are nested more than {self._limits.max_depth} deep"
        return self._diagnostic(event, TOO_DEEP, message, "flatten the document")

    def _too_many(self, event: Event) -> Diagnostic:
        message = f"the file holds more than {self._limits.max_nodes:,} keys and values"
        return self._diagnostic(event, TOO_MANY_NODES, message, "split the file")

    def _find(self, event: Event, code: Code, message: str, hint: str) -> None:
        self._findings.append(self._diagnostic(event, code, message, hint))
        if len(self._findings) >= self._limits.max_findings:
            message = f"reading stopped here after {len(self._findings)} findings"
            raise Stopped(self._diagnostic(event, TOO_MANY_FINDINGS, message, "mend these first"))

    def _diagnostic(self, event: Event, code: Code, message: str, hint: str) -> Diagnostic:
        mark = event.start_mark
        pointer = "".join(frame.segment for frame in self._stack)
        return Diagnostic(Position("", mark.line + 1, mark.column + 1), code, message, hint, path=pointer)


def _refuse_tag_directives(text: str) -> None:
    """They take libyaml quadratic time, and no tag of theirs would be accepted."""
    if match := _TAG_DIRECTIVE.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise Stopped(Diagnostic(Position("", line, 1), CUSTOM_TAG, "a %TAG directive means nothing here", "remove it"))


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> Diagnostic:
    """A quote that is never closed is found where the document ends, and looked for where it opens."""
    problem = error.problem or "this is not YAML"
    unclosed = error.context == "while scanning a quoted scalar" and "found unexpected" in problem
    mark = (unclosed and error.context_mark) or error.problem_mark or error.context_mark
    position = Position("", mark.line + 1, mark.column + 1) if mark else Position("", 1, 1)
    hint = next(
        (hint for words, hint in _SYNTAX_HINTS if words in problem), "look at the brackets and quotes before it"
    )
    if mark and text[mark.index : mark.index + 1] == "\t":
        hint = _NO_TABS
    return Diagnostic(position, YAML_SYNTAX, f"{error.context}: {problem}" if error.context else problem, hint)
