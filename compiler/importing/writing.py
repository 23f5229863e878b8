"""A value as canonical YAML: over lines first, then as `meshwright fmt` has it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.formatting.canonical import Formatter
from compiler.formatting.scalars import text_lines, write_string
from compiler.source.tree import MAX_FILE_BYTES

LARGEST_FILE: Final = MAX_FILE_BYTES * 9 // 10
"""In bytes, before the canonical form: what a repository reads, and some room."""
_STEP = "  "


def write_documents(values: Sequence[Mapping[str, Any]], formatter: Formatter) -> str:
    """The text of a file; a value that cannot be written as YAML is a mistake of ours, and raised as one."""
    text = "---\n".join(map(_text, values))
    formatted = formatter.format("", text.encode())
    if formatted.value is None:
        raise ValueError(f"an imported document cannot be written: {formatted.diagnostics[0].message}")
    return formatted.value.text


def size_of(value: Mapping[str, Any]) -> int:
    """In bytes, of a document alone."""
    return len(_text(value).encode())


def _text(value: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for line in _mapping(value, ""))


def _mapping(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, each in value.items():
        yield from _field(f"{indent}{write_string(name, flow=False)}:", each, indent)


def _field(head: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, str) and (lines := text_lines(value)) is not None:
        header, text = lines
        yield f"{head} {header}"
        yield from (f"{indent}{_STEP}{line}" if line else "" for line in text)
    elif isinstance(value, dict) and value:
        yield head
        yield from _mapping(value, indent + _STEP)
    elif isinstance(value, list) and value:
        yield head
        yield from _entries(value, indent + _STEP)
    else:
        yield f"{head} {write_string(value, flow=False) if isinstance(value, str) else json.dumps(value)}"


def _entries(values: Iterable[object], indent: str) -> Iterator[str]:
    for value in values:
        yield from _field(f"{indent}-", value, indent)
