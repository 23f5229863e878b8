"""Typed resources straight from YAML, for tests of what happens after the documents were read."""

from collections.abc import Mapping
from typing import Any

import yaml

from compiler.resources.model import DISPLAY_NAME, SPECS, Policy, Resource, ResourceKey
from compiler.resources.values import decode

_ENVELOPE = {"type", "mesh", "name", "labels", "spec"}


def read(text: str) -> tuple[Resource, ...]:
    """Every document of the text, in order."""
    return tuple(resource(document) for document in yaml.safe_load_all(text) if document)


def read_one(text: str) -> Resource:
    (found,) = read(text)
    return found


def resource(document: Mapping[str, Any]) -> Resource:
    """The display name is the name unless a label says otherwise; no other label is computed."""
    kind, name = document["type"], document["name"]
    mesh = "" if kind in ("Mesh", "Zone") else document.get("mesh", "default")
    labels = {DISPLAY_NAME: name, **(document.get("labels") or {})}
    body = document.get("spec") or {field: value for field, value in document.items() if field not in _ENVELOPE}
    return Resource(ResourceKey(kind, mesh, name), labels, decode(SPECS.get(kind, Policy), body))
