"""What is secret in an export: left out, and put down by name, so that the server can be given it."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.importing.stream import Exported
from compiler.resources.envelope import read_envelope

_CONTENTS: Final = ("inline", "inlineString", "insecureInline")
_SECRET_FIELD: Final = re.compile(r"key|secret|token|password|credential", re.IGNORECASE)
_PRIVATE: Final = "PRIVATE KEY-----"
_NAME_PARTS: Final = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class Withheld:
    """A secret by name; `field` is where its content stood, empty for a Secret of its own."""

    type: str
    mesh: str
    name: str
    field: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """The reference that takes its place; what it holds is kept outside of Git."""
        return {"type": self.type, **({"mesh": self.mesh} if self.mesh else {}), "name": self.name}


@dataclass(frozen=True, slots=True)
class Bared:
    """A document without its secrets; `value` is None where one stands that no reference can take the place of."""

    value: dict[str, Any] | None
    withheld: tuple[Withheld, ...] = ()


def withhold(secret: Exported) -> Withheld:
    """Of a Secret: its name, and nothing of what it holds."""
    envelope = read_envelope(secret.type, secret.value)
    return Withheld(secret.type, "" if secret.type == "GlobalSecret" else envelope.mesh or "default", envelope.name)


def bare(resource: Exported, value: Mapping[str, Any]) -> Bared:
    """Contents in fields of keys, tokens and passwords, and private keys wherever they stand."""
    envelope = read_envelope(resource.type, value)
    mesh = envelope.name if resource.type == "Mesh" else envelope.mesh
    walk = _Walk(resource.type, envelope.name, mesh)
    bared = walk.take_out(value, ())
    if walk.stuck or not isinstance(bared, dict):
        return Bared(None, tuple(walk.found))
    return Bared(bared, tuple(walk.found))


class _Walk:
    def __init__(self, kind: str, name: str, mesh: str) -> None:
        self._of = f"{kind} {name}"
        self._mesh = mesh
        self.found: list[Withheld] = []
        self.stuck = False

    def take_out(self, value: object, path: tuple[str, ...]) -> object:
        if isinstance(value, dict):
            if _is_secret_source(value, path):
                return self._refer(value, path)
            return {name: self.take_out(each, (*path, str(name))) for name, each in value.items()}
        if isinstance(value, list):
            return [self.take_out(each, (*path, str(index))) for index, each in enumerate(value)]
        if isinstance(value, str) and _holds_private_key(value):
            self.stuck = True
            self.found.append(Withheld("", self._mesh, "", f"{self._of} {'/'.join(path)}"))
        return value

    def _refer(self, source: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        """The same kind of source, by a secret's name; what is in no mesh can name none."""
        where = f"{self._of} {'/'.join(path)}"
        name = _NAME_PARTS.sub("-", where.lower()).strip("-")[:_LONGEST_NAME]
        self.stuck = self.stuck or not self._mesh
        self.found.append(Withheld("Secret", self._mesh, name, where))
        if "insecureInline" in source:
            return {"type": "Secret", "secretRef": {"kind": "Secret", "name": name}}
        return {"secret": name}


def _is_secret_source(value: Mapping[str, Any], path: Sequence[str]) -> bool:
    contents = [value[name] for name in _CONTENTS if name in value]
    if not contents or not path:
        return False
    field = next((part for part in reversed(path) if not part.isdigit()), "")
    return bool(_SECRET_FIELD.search(field)) or any(_holds_private_key(_text(content)) for content in contents)


def _text(content: object) -> str:
    text = content.get("value") if isinstance(content, dict) else content
    return text if isinstance(text, str) else ""


def _holds_private_key(text: str) -> bool:
    """As text, or in base64."""
    if _PRIVATE in text:
        return True
    try:
        return _PRIVATE.encode() in base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
