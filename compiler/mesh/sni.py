"""What a caller says in its TLS handshake, by which a zone proxy knows the service that is called (kuma-core §5.4)."""

import hashlib
import re
from typing import Final

from compiler.resources.model import SHORT_NAMES, Resource

_LABEL: Final = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST: Final = 253
_WHOLE: Final = "service"
"""Stands for the type where all of a service of 2.x is meant, and not one port: no type has this short name."""


def server_name(service: Resource, section: str, subset: tuple[tuple[str, str], ...]) -> str:
    """`sni.<type>.<mesh>[.<zone>[.<namespace>]].<name>.<section>`; what is no DNS label is told by a digest of it.

    All of a service, or the part of it that has some tags, has no section: it is a name of ours.
    """
    kind = SHORT_NAMES[service.key.type] if section else _WHOLE
    tags = _digest(",".join(f"{key}={value}" for key, value in subset)) if subset else ""
    words = [kind, service.key.mesh, *_place(service), section or tags]
    name = ".".join(["sni", *(_label(word) for word in words if word)])
    return name if len(name) <= _LONGEST else f"sni.{kind}.{_digest(name)}"


def _place(service: Resource) -> tuple[str, ...]:
    """A namespace of no zone stands with the name, where no zone can be mistaken for it."""
    if service.namespace and not service.zone:
        return (f"{service.name}.{service.namespace}",)
    return service.zone, service.namespace, service.name


def _label(word: str) -> str:
    """Different words stay different: a part of a service's name is readable, the digest tells it from others."""
    if _LABEL.fullmatch(word):
        return word
    readable = re.sub("[^a-z0-9]+", "-", word.lower()).strip("-")[:40].rstrip("-")
    return f"{readable}-{_digest(word)}" if readable else _digest(word)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
