"""One spelling for each scalar: plain where every reader takes it for the same, else in quotes."""

import json
import re
from typing import Final

from compiler.source.scalars import CORE, resolve_plain, resolve_tagged
from compiler.source.syntax import Node

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
"""What YAML 1.1 and 1.2 and JSON read as one number; such a one keeps its digits."""

_OTHER_IN_1_1: Final = re.compile(
    r"[yYnN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|=|<<"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*|[0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?)"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*",
    re.ASCII,
)
"""Strings that readers of YAML 1.1 (PyYAML, older kubectl) take for something else."""

_PLAIN: Final = re.compile(r"(?:[^\s\-?:,\[\]{}#&*!|>'\"%@`]|-(?=[^\s\-,\[\]{}])).*")
_BREAKS_PLAIN: Final = re.compile(r":(?:\s|$)|\s#|[^\S ]|\s$")
_BREAKS_IN_FLOW: Final = re.compile(r"[,?\[\]{}]|:$")
_BLOCK_STYLES: Final = ("|", ">")


def write_scalar(node: Node, *, flow: bool) -> str:
    """On one line; a block scalar is asked for with `block_lines`."""
    value = _value(node)
    if isinstance(value, str):
        return write_string(value, flow=flow)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return node.text if node.tag is None and _NUMBER.fullmatch(node.text) else _number(value)


def write_string(text: str, *, flow: bool) -> str:
    """Double quotes, but single ones where they spare escapes."""
    if _is_plain(text, flow=flow):
        return text
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=False)


def is_block(node: Node) -> bool:
    """Whether a scalar is written in lines of its own, which its author chose; an empty one is not worth it."""
    return node.style in _BLOCK_STYLES and bool(node.text.strip("\n")) and isinstance(_value(node), str)


def block_lines(node: Node, source: str, indent: str) -> tuple[str, list[str]]:
    """The header of a block scalar and its lines."""
    folded = _folded_lines(_with_blanks(node, source)) if node.style == ">" else None
    header, lines = _literal(node.text) if folded is None else (">" + _chomping(node.text), folded)
    return header, [indent + line if line else "" for line in lines]


def text_lines(text: str) -> tuple[str, list[str]] | None:
    """A text of several lines as a literal block; None for one that is better written in quotes."""
    if text.count("\n") < (2 if text.endswith("\n") else 1) or not text.strip():
        return None
    if not all(line.isprintable() for line in text.replace("\t", " ").split("\n")):
        return None
    return _literal(text)


def _value(node: Node) -> object:
    if node.tag is not None:
        return resolve_tagged(node.tag, node.text)
    return resolve_plain(node.text) if node.style == "" else node.text


def _number(value: object) -> str:
    """`0o7`, `+5` and `1e3` as all readers know them; an exponent of YAML 1.1 needs a dot and a sign."""
    text = json.dumps(value)
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return text
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}"


def _is_plain(text: str, *, flow: bool) -> bool:
    if not _PLAIN.fullmatch(text) or not text.isprintable() or _BREAKS_PLAIN.search(text):
        return False
    if (flow and _BREAKS_IN_FLOW.search(text)) or text.startswith(("---", "...")):
        return False
    return not _OTHER_IN_1_1.fullmatch(text) and resolve_tagged(CORE + "str", text) == resolve_plain(text)


def _literal(text: str) -> tuple[str, list[str]]:
    lines = text.removesuffix("\n").split("\n")
    return "|" + _indicator(lines) + _chomping(text), lines


def _indicator(lines: list[str]) -> str:
    """Where the text begins with blanks or a tab, how far it is indented must be said."""
    for line in lines:
        if line.startswith((" ", "\t")):
            return "2"
        if line:
            return ""
    return ""


def _chomping(text: str) -> str:
    if not text.endswith("\n"):
        return "-"
    return "+" if text.endswith("\n\n") else ""


def _with_blanks(node: Node, source: str) -> str:
    """A node ends with its last word; the blanks behind it are part of its last line."""
    line_end = source.find("\n", node.end)
    return source[node.start : len(source) if line_end < 0 else line_end].rstrip("\r")


def _folded_lines(source: str) -> list[str] | None:
    """The author's own lines, for where to break them is the author's; None where that cannot be told from the text."""
    header, _, body = source.replace("\r\n", "\n").partition("\n")
    if not re.fullmatch(r"(?:[&!]\S+\s+)*>-?(?:\s*#.*)?\s*", header):
        return None
    lines = body.split("\n")
    first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip(" "))]
    if any(not line.startswith(indent) if line.strip() else len(line) > len(indent) for line in lines):
        return None
    return [line.removeprefix(indent) if line.strip() else "" for line in lines]
