"""Backends that a Mesh names and a legacy policy refers to: the newer policies hold them themselves."""

from collections.abc import Mapping
from typing import Any

from compiler.resources.backends import refer_to_mesh
from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Legacy, unsayable


def find_backend(
    legacy: Legacy, declared: Mapping[str, Any], what: str, found: list[Finding]
) -> Mapping[str, Any] | None:
    """The one that the policy names, else the Mesh's default one; None, and why, where there is none."""
    name = (legacy.content.get("conf") or {}).get("backend") or declared.get("defaultBackend")
    for backend in declared.get("backends", ()):
        if backend.get("name") == name:
            return dict(backend)
    message = f"the Mesh has no {what} backend {name}" if name else f"the Mesh has no default {what} backend"
    found.append(unsayable(place_of(legacy), message))
    return None


def refer(legacy: Legacy) -> Mapping[str, Any]:
    """The same where the Mesh is not in sight: it is looked up once all documents are."""
    return refer_to_mesh(legacy.mesh, (legacy.content.get("conf") or {}).get("backend") or "")


def place_of(legacy: Legacy) -> str:
    """Where the backend is named, as far as it is."""
    conf = legacy.content.get("conf") or {}
    return join(legacy.pointer, "conf", "backend") if "backend" in conf else legacy.pointer
