"""A document's text with some of its values changed, and everything else of it byte for byte as it was."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.inject.emit import emit_block, emit_entry, emit_item, emit_json, emit_scalar
from compiler.source.parse import Limits, parse_blob
from compiler.source.spans import Span, find_spans

_BOM: Final = b"\xef\xbb\xbf"
_STEP: Final = 2
_KEEPS: Final = re.compile(r"(?:[!&]\S*\s+)*[|>](?:[0-9]?\+|\+[0-9])")
_TO_VALUE: Final = re.compile(r"[ \t]*:(?:\s|#[^\n]*\n)*")
"""What may stand between a key without quotes and its value."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters from `start` up to `end` become `text`."""

    start: int
    end: int
    text: str


class _Beyond(Exception):
    """A change that no edit of the text can make: the whole document is written anew."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file after its change; `anew` are the indexes of documents whose comments and layout could not be kept."""

    content: bytes
    anew: tuple[int, ...] = ()


def rewrite(content: bytes, before: Mapping[int, Any], after: Mapping[int, Any], limits: Limits) -> Rewritten:
    """The file in which the documents of `after` have those values; `before` holds all its documents.

    What comes out is read again: a document that does not say what it must (it shares a changed value by an alias,
    say) is written anew as a whole.
    """
    wanted = {**before, **after}
    anew: list[int] = []
    for _ in range(len(after) + 1):
        made = _rewrite(content, before, after, anew)
        read = dict(parse_blob(made, limits).documents)
        wrong = [index for index in wanted if read.get(index) != wanted[index] and index not in anew]
        if not wrong:
            break
        anew += [index for index in wrong if index in after] or [index for index in after if index not in anew]
    return Rewritten(made, tuple(sorted(anew)))


def _rewrite(content: bytes, before: Mapping[int, Any], after: Mapping[int, Any], anew: list[int]) -> bytes:
    mark = _BOM if content.startswith(_BOM) else b""
    text = content.removeprefix(_BOM).decode()
    spans = find_spans(content)
    edits: list[Edit] = []
    for index, value in sorted(after.items()):
        found: list[Edit] | None = None
        if index not in anew:
            try:
                found = list(_changes(text, spans[index], before[index], value, None))
            except _Beyond:
                anew.append(index)
        edits += [_anew(text, spans[index], value)] if found is None else found
    line_end = "\r\n" if "\r\n" in text else "\n"
    return mark + _apply(text, edits, line_end).encode()


def _anew(text: str, span: Span, value: object) -> Edit:
    """JSON stays JSON."""
    if span.is_flow:
        return Edit(span.start, span.end, emit_json(value))
    return Edit(span.start, _content_end(text, span), emit_block(value, span.column))


def _apply(text: str, edits: Iterable[Edit], line_end: str) -> str:
    """From the last place to the first; of those at one place, the later ones first."""
    ordered = sorted(enumerate(edits), key=lambda pair: (pair[1].start, pair[0]), reverse=True)
    for _, edit in ordered:
        new = edit.text.replace("\n", line_end) if line_end != "\n" else edit.text
        text = text[: edit.start] + new + text[edit.end :]
    return text


def _changes(text: str, span: Span, old: object, new: object, parent: Span | None) -> Iterator[Edit]:
    """The smallest edits of a value's text; `parent` is what holds it."""
    if old == new and type(old) is type(new):
        return
    if isinstance(old, dict) and isinstance(new, dict) and _is_mapping(span) and old.keys() <= new.keys() and old:
        yield from _change_mapping(text, span, old, new)
    elif isinstance(old, dict) and isinstance(new, dict) and (place := _renamed(text, span, old, new)) is not None:
        lost, gained, start = place
        yield Edit(start, start + len(lost), emit_scalar(gained))
        yield from _changes(text, span.children[lost], old[lost], new[gained], span)
        rest = {key: value for key, value in new.items() if key != gained}
        yield from _changes(text, span, old, {**rest, lost: old[lost]}, parent)
    elif isinstance(old, list) and isinstance(new, list) and span.is_list and old:
        yield from _change_list(text, span, old, new, parent)
    else:
        yield _replace(text, span, new, parent)


def _renamed(text: str, span: Span, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """The one mapping in a block that has another name now, as a probe's has, and where its old name stands."""
    lost, gained = old.keys() - new.keys(), new.keys() - old.keys()
    if span.is_flow or len(lost) != 1 or not gained:
        return None
    key = next(iter(lost))
    named = next((name for name in new if name in gained and isinstance(new[name], dict)), None)
    child = span.children.get(key)
    if child is None or named is None or not isinstance(old[key], dict):
        return None
    start = text.rfind(key, 0, child.start)
    if start < 0 or not _TO_VALUE.fullmatch(text, start + len(key), child.start):
        return None
    return key, named, start


def _is_mapping(span: Span) -> bool:
    return span.is_collection and not span.is_list


def _change_mapping(text: str, span: Span, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Edit]:
    for key, value in old.items():
        if key not in span.children:
            raise _Beyond
        yield from _changes(text, span.children[key], value, new[key], span)
    added = [(key, value) for key, value in new.items() if key not in old]
    if span.is_flow:
        texts = [f", {_flow_key(text, span, key)}: {emit_json(value)}" for key, value in added]
        yield from _after(span, "".join(texts))
    else:
        lines = [f"\n{' ' * span.column}{emit_entry(key, value, span.column)}" for key, value in added]
        yield from _below(text, span, "".join(lines))


def _flow_key(text: str, span: Span, key: str) -> str:
    """Quoted where its neighbours are, as in JSON."""
    return emit_json(key) if text[span.start + 1 : span.end].lstrip()[:1] == '"' else emit_scalar(key)


def _change_list(text: str, span: Span, old: Sequence[Any], new: Sequence[Any], parent: Span | None) -> Iterator[Edit]:
    """Entries are found again by name; those that are new stand before the next known one, or at the end."""
    places = _find_again(old, new)
    if places is None:
        yield _replace(text, span, list(new), parent)
        return
    start = 0
    for index, place in enumerate(places):
        yield from _insert_before(text, span, index, new[start:place])
        yield from _changes(text, span.children[str(index)], old[index], new[place], span)
        start = place + 1
    last = new[start:]
    if span.is_flow:
        yield from _after(span, "".join(f", {emit_json(value)}" for value in last))
    else:
        yield from _below(
            text, span, "".join(f"\n{' ' * span.column}{emit_item(value, span.column)}" for value in last)
        )


def _find_again(old: Sequence[Any], new: Sequence[Any]) -> Sequence[int] | None:
    """Where each old entry is in the new list, in order; None where one is gone."""
    places: list[int] = []
    start = 0
    for value in old:
        place = next((at for at in range(start, len(new)) if _is_same(value, new[at])), None)
        if place is None:
            return None
        places.append(place)
        start = place + 1
    return places


def _is_same(old: object, new: object) -> bool:
    if isinstance(old, dict) and isinstance(new, dict) and "name" in old:
        return bool(old["name"] == new.get("name"))
    return old == new


def _insert_before(text: str, span: Span, index: int, values: Sequence[Any]) -> Iterator[Edit]:
    if not values:
        return
    child = span.children[str(index)]
    if span.is_flow:
        yield Edit(child.start, child.start, "".join(f"{emit_json(value)}, " for value in values))
        return
    dash = text.rfind("-", 0, child.start)
    line = text.rfind("\n", 0, dash) + 1
    if text[line:dash].strip():
        raise _Beyond
    yield Edit(dash, dash, "".join(f"{emit_item(value, span.column)}\n{' ' * span.column}" for value in values))


def _after(span: Span, added: str) -> Iterator[Edit]:
    """Behind the last entry of a flow collection."""
    if added:
        end = max(child.end for child in span.children.values())
        yield Edit(end, end, added)


def _below(text: str, span: Span, added: str) -> Iterator[Edit]:
    """On new lines behind the line on which the last entry ends, its comment too.

    A block that keeps its line breaks ends behind them.
    """
    if not added:
        return
    last = _last_of(span)
    if _KEEPS.match(text, last.start) and text[last.end - 1] == "\n":
        yield Edit(last.end, last.end, added[1:] + added[0])
        return
    end = _content_end(text, span)
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    if text[line_end - 1 : line_end] == "\r":
        line_end -= 1
    yield Edit(line_end, line_end, added)


def _last_of(span: Span) -> Span:
    while span.children:
        span = max(span.children.values(), key=lambda child: child.end)
    return span


def _content_end(text: str, span: Span) -> int:
    """A literal block ends in line breaks, which stay behind what is added."""
    return span.start + len(text[span.start : span.end].rstrip("\r\n "))


def _replace(text: str, span: Span, new: object, parent: Span | None) -> Edit:
    """A value that had no entries, or lost one: its text goes, in block style unless it stands in a flow."""
    if parent is None:
        raise _Beyond
    end = _content_end(text, span) if span.end > span.start else span.end
    if parent.is_flow:
        return Edit(span.start, end, emit_json(new))
    if not isinstance(new, (dict, list)) or not new:
        return Edit(span.start, end, _spaced(text, span, emit_block(new, 0)))
    if span.is_collection and not span.is_flow:
        return Edit(span.start, end, emit_block(new, span.column))
    if parent.is_list:
        return Edit(span.start, end, _spaced(text, span, emit_block(new, span.column)))
    indent = parent.column + _STEP
    start = span.start - (span.start - len(text[: span.start].rstrip(" ")))
    return Edit(start, end, f"\n{' ' * indent}{emit_block(new, indent)}")


def _spaced(text: str, span: Span, new: str) -> str:
    """An empty value stands right behind its colon."""
    return new if text[span.start - 1 : span.start] in (" ", "\n", "") else f" {new}"
