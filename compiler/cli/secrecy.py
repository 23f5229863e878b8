"""Which of a user's files are not quoted: those whose lines may hold what is secret."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from compiler.resources.findings import join
from compiler.source.parse import parse_file

_SECRET: Final = re.compile(r"secret|inline|private key|certificate", re.IGNORECASE)
"""Words that stand near what is secret: in a Secret, in a DataSource, in PEM."""
_NAME: Final = r"secret: [a-z0-9][-a-z0-9.]{0,62}"
_CERTIFICATES: Final = re.compile(
    rf"\bcertificates:(?: \[\{{{_NAME}\}}\]|\n( *)- {_NAME}(?:\n\1- {_NAME})*(?=\n(?!\1[ -]| *(?:#|\n))|\Z))"
)
"""What a gateway's listener says of its certificates where that is their names and nothing else."""
_CONF: Final = re.compile(r"\bconf\b", re.IGNORECASE)
"""Where a Mesh keeps the certificate and the key of its own authority, and legacy policies what they are about."""
_AUTHORITY: Final = re.compile(r"\b[mM][tT][lL][sS]\b|\bMesh\b")
_GIVEN: Final = re.compile(r"\b(?:provided|vault|acmpca)\b", re.IGNORECASE)
"""The types of authorities that are given a key, a token or a password, under whatever name it may stand."""
_HARMLESS: Final = re.compile(r"(/spec)?(/(logging|tracing|metrics)/backends/\d+)?/conf")
"""Of a Mesh those of its backends alone that are no authorities."""


@lru_cache(maxsize=1)
def may_hold_secret(lines: tuple[str, ...]) -> bool:
    """Whether a file speaks of secrets anywhere: of broken YAML nobody knows what a line belongs to."""
    text = "\n".join(lines)
    if _SECRET.search(_CERTIFICATES.sub("", text)):
        return True
    if not _AUTHORITY.search(text):
        return False
    said = len(_CONF.findall(text))
    return _GIVEN.search(text) is not None or (said > 0 and said != _count_harmless(text))


def _count_harmless(text: str) -> int:
    """The `conf` that no authority has, none where the file cannot be read or one of them is anything else."""
    parsed = parse_file("", "", text.encode(errors="replace"))
    if parsed.diagnostics:
        return 0
    places = [(document.value, pointer) for document in parsed.value for pointer in _confs(document.value, "")]
    return len(places) if all(_is_harmless(value, pointer) for value, pointer in places) else 0


def _is_harmless(document: Mapping[str, object], pointer: str) -> bool:
    found = _HARMLESS.fullmatch(pointer)
    kind = document.get("kind" if "apiVersion" in document else "type")
    return found is not None and (found[2] is not None if kind == "Mesh" else isinstance(kind, str))


def _confs(value: object, pointer: str) -> Iterator[str]:
    """A file that was read is not deep."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if _CONF.search(str(key)):
                yield join(pointer, key)
            yield from _confs(each, join(pointer, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _confs(each, join(pointer, index))
