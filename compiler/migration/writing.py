"""Plain values as YAML that every reader reads alike."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*")
_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|m|h))+")
_OTHERWISE: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"})
_BLOCK: Final = re.compile(r"[^\s#][^\t\r\x85\u2028\u2029]*[^\s]\n?", re.DOTALL)
_PRINTABLE: Final = re.compile(
    "[\\n\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]*"
)
_HIDDEN: Final = re.compile("[\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff]")


def write_yaml(value: Mapping[str, Any]) -> str:
    """A document without its marker, in blocks, two spaces deep."""
    return "".join(f"{line}\n" for line in _mapping(value))


def _mapping(value: Mapping[str, Any]) -> Iterator[str]:
    for key, each in value.items():
        yield from _entry(f"{_scalar(key)}:", each)


def _entry(name: str, value: Any) -> Iterator[str]:
    """Lists stand as deep as their key, as Kubernetes writes them."""
    match value:
        case Mapping() if value:
            yield name
            yield from (_indented(line) for line in _mapping(value))
        case list() | tuple() if value:
            yield name
            yield from _items(value)
        case str() if _is_block(value):
            yield f"{name} |{'' if value.endswith(chr(10)) else '-'}"
            yield from (_indented(line) for line in value.removesuffix("\n").split("\n"))
        case _:
            yield f"{name} {_scalar(value)}"


def _items(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        nested = value if isinstance(value, Mapping | list | tuple) and value else None
        lines = list(
            _mapping(nested) if isinstance(nested, Mapping) else _items(nested) if nested else [_scalar(value)]
        )
        yield f"- {lines[0]}"
        yield from (_indented(line) for line in lines[1:])


def _indented(line: str) -> str:
    return f"  {line}" if line else line


def _is_block(text: str) -> bool:
    return "\n" in text and bool(_BLOCK.fullmatch(text)) and bool(_PRINTABLE.fullmatch(text))


def _scalar(value: Any) -> str:
    """Quoted wherever a reader of YAML 1.1 or 1.2 might take it for something else."""
    if (
        isinstance(value, str)
        and value.lower() not in _OTHERWISE
        and (_PLAIN.fullmatch(value) or _DURATION.fullmatch(value))
    ):
        return value
    written = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and "." not in written:
        written = written.replace("e", ".0e")
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", written)
