"""Values as YAML that every reader takes for the same: what YAML 1.1 or 1.2 might read otherwise is quoted."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_PLAIN: Final = re.compile(
    r"[A-Za-z/]([A-Za-z0-9_./:@-]*[A-Za-z0-9_/-])?|--[a-z][A-Za-z0-9_.,/=-]*|[0-9]{1,9}(m|M|Mi|G|Gi|s)", re.ASCII
)
"""Words, paths, images, flags and quantities, which no reader takes for anything but texts."""

_NO_TEXT: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
_BLOCK_LINE: Final = re.compile(r"[!-~]([ -~]*[!-~])?", re.ASCII)


def emit_scalar(value: object) -> str:
    """JSON is YAML, so whatever is no plain word is written as JSON."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT:
        return value
    return emit_json(value)


def emit_json(value: object) -> str:
    """On one line; what a terminal might hide is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    """JSON would write what is beyond the basic plane as two escapes, which YAML reads as two characters."""
    return character if character.isprintable() or ord(character) > 0xFFFF else f"\\u{ord(character):04x}"


def emit_item(value: object, indent: int) -> str:
    """An entry of a list whose dash stands at that column."""
    return emit_block([value], indent)


def emit_block(value: object, indent: int) -> str:
    """A value in block style, without the indentation of its first line and without a last line end."""
    return "\n".join(_lines(value)).replace("\n", "\n" + " " * indent)


def emit_entry(key: str, value: object, indent: int) -> str:
    """An entry of a mapping at that column."""
    return emit_block({key: value}, indent)


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _entry(emit_scalar(key), part)
    elif isinstance(value, (list, tuple)) and value:
        for part in value:
            first, *others = _lines(part)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
    elif isinstance(value, Mapping):
        yield "{}"
    else:
        yield "[]" if isinstance(value, (list, tuple)) else emit_scalar(value)


def _entry(key: str, value: object) -> Iterator[str]:
    if isinstance(value, str) and _is_block(value):
        yield f"{key}: |"
        yield from (f"  {line}" for line in value.splitlines())
        return
    if not _is_nested(value):
        yield f"{key}: {next(_lines(value))}"
        return
    yield f"{key}:"
    indent = "" if isinstance(value, (list, tuple)) else "  "
    yield from (f"{indent}{line}" for line in _lines(value))


def _is_nested(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple)) and bool(value)


def _is_block(text: str) -> bool:
    """Lines that a literal block keeps as they are, such as a certificate's."""
    lines: Sequence[str] = text.split("\n")
    return len(lines) > 2 and lines[-1] == "" and all(_BLOCK_LINE.fullmatch(line) for line in lines[:-1])
