"""A document as canonical text: two blanks a level, lists indented, brackets where they fit, comments with it all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from compiler.formatting.order import Fields
from compiler.formatting.remarks import Line, Remarks
from compiler.formatting.scalars import block_lines, is_block, write_scalar
from compiler.source.syntax import Entry, Kind, Node

WIDTH: Final = 120
"""Brackets that would end beyond it are written over lines; the text of a scalar is never broken."""

_STEP: Final = "  "
_BESIDE: Final = "  "


@dataclass(frozen=True, slots=True)
class Printer:
    """`source` is the text that the nodes' offsets are of."""

    source: str
    remarks: Remarks
    flat: dict[int, str | None] = field(default_factory=dict, repr=False)
    """What brackets hold, by the identity of their nodes: each level above asks for it again."""

    def print_document(self, root: Node, fields: Fields | None) -> list[str]:
        """Head, entries and foot; the root is always written over lines."""
        lines: list[str] = []
        _add_comments(lines, self.remarks.head, "", first=True)
        if lines and root.entries and _sorted(root, fields)[0].blank_before:
            lines.append("")
        lines += self._entries(root, fields, "", hoisted=False) or ["{}"]
        _add_comments(lines, self.remarks.foot, "", first=False)
        return lines

    def _entries(self, node: Node, fields: Fields | None, indent: str, *, hoisted: bool) -> list[str]:
        """`hoisted` where the comments before the first entry stand already before what holds it."""
        lines: list[str] = []
        below: list[Line] = []
        for place, entry in enumerate(_sorted(node, fields)):
            inner = _fields_of(entry, fields)
            silent = hoisted and not place
            leading = () if silent else self.remarks.leading.get(entry.number, ())
            _add_comments(lines, leading, indent, first=not place)
            if entry.blank_before and (place or leading):
                _add_blank(lines)
            _add_comments(lines, () if silent else self._hoisted(entry, inner, indent), indent, first=True)
            lines += self._entry(entry, inner, indent)
            below += self.remarks.below.get(entry.number, ())
        _add_comments(lines, below, indent, first=False)
        return lines

    def _hoisted(self, entry: Entry, fields: Fields | None, indent: str) -> Sequence[Line]:
        """A dash and what follows it share a line, so comments between the two stand before both."""
        if entry.key is not None or not self._is_compact(entry.value, fields, f"{indent}- "):
            return ()
        beside = self.remarks.beside.get(entry.number)
        first = _sorted(entry.value, fields)[0]
        own = self.remarks.leading.get(first.number, ())
        further = self._hoisted(first, _fields_of(first, fields), indent + _STEP)
        return (*((Line(beside),) if beside else ()), *own, *further)

    def _entry(self, entry: Entry, fields: Fields | None, indent: str) -> list[str]:
        if entry.key is None:
            return self._item(entry, fields, indent)
        key = self._inline(entry.key, None, flow=False)
        return self._value(entry, fields, f"{indent}{key}{_colon(entry.key)}", indent)

    def _item(self, entry: Entry, fields: Fields | None, indent: str) -> list[str]:
        if not self._is_compact(entry.value, fields, f"{indent}- "):
            return self._value(entry, fields, f"{indent}-", indent)
        first, *rest = self._entries(entry.value, fields, indent + _STEP, hoisted=True)
        return [f"{indent}- {first.removeprefix(indent + _STEP)}", *rest]

    def _value(self, entry: Entry, fields: Fields | None, head: str, indent: str) -> list[str]:
        """What follows a colon or a dash."""
        node = entry.value
        comment = self.remarks.beside.get(entry.number)
        beside = f"{_BESIDE}{comment}" if comment else ""
        anchor = f" {_anchor(node)}".rstrip()
        if node.kind is Kind.SCALAR and is_block(node):
            header, lines = block_lines(node, self.source, indent + _STEP)
            return [f"{head}{anchor} {header}{beside}", *lines]
        if self._is_on_one_line(node, fields, head):
            return [f"{head} {self._inline(node, fields, flow=False)}{beside}"]
        return [f"{head}{anchor}{beside}", *self._entries(node, fields, indent + _STEP, hoisted=False)]

    def _is_compact(self, node: Node, fields: Fields | None, head: str) -> bool:
        """Whether an entry of a list begins in the line of its dash: a block does, but for one with an anchor."""
        return node.anchor is None and bool(node.entries) and not self._is_on_one_line(node, fields, head)

    def _is_on_one_line(self, node: Node, fields: Fields | None, head: str) -> bool:
        """Scalars and empty collections are; brackets that the author chose are where they fit."""
        if not node.entries:
            return True
        flat = self._flat(node, fields) if node.flow else None
        return flat is not None and len(head) + 1 + len(flat) <= WIDTH

    def _inline(self, node: Node, fields: Fields | None, *, flow: bool) -> str:
        """What stands on one line, whatever its length."""
        match node.kind:
            case Kind.ALIAS:
                return f"*{node.text}"
            case Kind.SCALAR:
                return _anchor(node) + write_scalar(node, flow=flow)
            case _:
                return self._flat(node, fields) or _anchor(node) + ("{}" if node.kind is Kind.MAPPING else "[]")

    def _flat(self, node: Node, fields: Fields | None) -> str | None:
        """A collection in brackets; None where it is too long for any line, or something is said inside."""
        if id(node) not in self.flat:
            self.flat[id(node)] = self._make_flat(node, fields)
        return self.flat[id(node)]

    def _make_flat(self, node: Node, fields: Fields | None) -> str | None:
        parts, room = [], WIDTH
        for entry in _sorted(node, fields):
            part = None if self.remarks.are_about(entry) else self._flat_entry(entry, _fields_of(entry, fields))
            room -= WIDTH if part is None else len(part) + 2
            if part is None or room < 0:
                return None
            parts.append(part)
        opening, closing = "{}" if node.kind is Kind.MAPPING else "[]"
        return f"{_anchor(node)}{opening}{', '.join(parts)}{closing}"

    def _flat_entry(self, entry: Entry, fields: Fields | None) -> str | None:
        value = self._flat(entry.value, fields) if entry.value.entries else self._inline(entry.value, fields, flow=True)
        if value is None or entry.key is None:
            return value
        return f"{self._inline(entry.key, None, flow=True)}{_colon(entry.key)} {value}"


def _anchor(node: Node) -> str:
    return f"&{node.anchor} " if node.anchor else ""


def _colon(key: Node) -> str:
    """A colon may be part of an alias' name."""
    return " :" if key.kind is Kind.ALIAS else ":"


def _sorted(node: Node, fields: Fields | None) -> Sequence[Entry]:
    if fields is None or node.kind is not Kind.MAPPING:
        return node.entries
    return [node.entries[index] for index in fields.sort([_name(entry) for entry in node.entries])]


def _fields_of(entry: Entry, fields: Fields | None) -> Fields | None:
    return fields.field(_name(entry)) if fields else None


def _name(entry: Entry) -> str:
    """Empty for an entry of a list."""
    return entry.key.text if entry.key is not None else ""


def _add_comments(lines: list[str], comments: Sequence[Line], indent: str, *, first: bool) -> None:
    """One empty line where there were any, but none at the beginning."""
    for place, comment in enumerate(comments):
        if comment.blank_before and (place or not first):
            _add_blank(lines)
        lines.append(indent + comment.text)


def _add_blank(lines: list[str]) -> None:
    """Where a text ends in empty lines that it keeps, there is one."""
    if not lines or lines[-1]:
        lines.append("")
