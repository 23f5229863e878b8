"""Where certificates and keys are kept; a key in a repository is a leak."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.resources.findings import (
    BAD_VALUE,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    SECRET_IN_GIT,
    Finding,
    join,
)

_ELSEWHERE: Final = ("file", "envVar")
_CONTENTS: Final = ("inline", "inlineString", "insecureInline")
_FIELDS: Final[Mapping[str, str]] = {
    "Secret": "secretRef",
    "File": "file",
    "EnvVar": "envVar",
    "InsecureInline": "insecureInline",
}
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")


def check_source(source: Mapping[str, Any], pointer: str, *, private: bool = False) -> Iterator[Finding]:
    """In the form of 2.x, or of 3.0, which has a type; `private` where whoever reads it could use it."""
    if "type" in source:
        yield from _check_type(source, pointer)
    if not _BASE64.fullmatch(source.get("inline", "")):
        yield Finding(join(pointer, "inline"), BAD_VALUE, "inline must be written in base64", "or use inlineString")
    for name in _CONTENTS if private else ():
        if name in source:
            message = "a key does not belong in Git"
            yield Finding(join(pointer, name), SECRET_IN_GIT, message, "refer to a secret by its name", on_key=True)


def check_pair(
    sources: Mapping[str, Any], pointer: str, names: tuple[str, str] = ("clientCert", "clientKey")
) -> Iterator[Finding]:
    """A certificate and its key, which go together."""
    certificate, key = names
    if (certificate in sources) is not (key in sources):
        absent, present = (key, certificate) if certificate in sources else (certificate, key)
        yield Finding(pointer, MISSING_FIELD, f"{absent} is missing beside {present}", "the two go together")
    yield from check_source(sources.get(certificate, {}), join(pointer, certificate))
    yield from check_source(sources.get(key, {}), join(pointer, key), private=True)


def only_secrets(sources: Mapping[str, Any], pointer: str, names: tuple[str, str]) -> Iterator[Finding]:
    """Parts of an authority, which the server knows by the names of Secrets, or is started with."""
    certificate, key = names
    for name, places in ((certificate, (*_ELSEWHERE, *_CONTENTS)), (key, _ELSEWHERE)):
        source = sources.get(name, {})
        if "secret" not in source and any(place in source for place in places):
            message = "the server reads no authority from here"
            hint = "name a Secret, or give the authority to serve with --ca"
            yield Finding(join(pointer, name), NO_EFFECT, message, hint, on_key=True)


def refuse_places(source: Mapping[str, Any], pointer: str, places: Sequence[str]) -> Iterator[Finding]:
    """Kinds of places that cannot be looked at from here."""
    if source.get("type") in places:
        allowed = " or ".join(place for place in _FIELDS if place not in places)
        yield Finding(join(pointer, "type"), BAD_VALUE, f"type must be {allowed} here, not {source['type']}")


def _check_type(source: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    wanted = _FIELDS[source["type"]]
    if wanted not in source:
        yield Finding(pointer, MISSING_FIELD, f"{wanted} is missing for type {source['type']}", on_key=True)
    for name in _FIELDS.values():
        if name in source and name != wanted:
            message = f"{name} does not go with type {source['type']}"
            yield Finding(join(pointer, name), EXCLUSIVE_FIELDS, message, f"keep {wanted}", on_key=True)
