"""Envoy's own messages inside of a document, which are texts of YAML."""

from typing import Any

from compiler.source.parse import parse_file


def read_mapping(text: str) -> dict[str, Any] | None:
    """What one document of YAML says; None where it is none, or more than one."""
    parsed = parse_file("", "", text.encode())
    return dict(parsed.value[0].value) if len(parsed.value) == 1 and not parsed.failed else None
