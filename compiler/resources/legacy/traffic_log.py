"""TrafficLog to MeshAccessLog: the Mesh's logging backend is written into the policy."""

from collections.abc import Mapping
from typing import Any

from compiler.resources.backends import write_logging
from compiler.resources.findings import Finding
from compiler.resources.legacy.backends import find_backend, place_of, refer
from compiler.resources.legacy.conversion import Conversion, Legacy, Surroundings, unsayable
from compiler.resources.legacy.said import Said
from compiler.resources.legacy.selectors import by_source


def convert_traffic_log(legacy: Legacy, surroundings: Surroundings) -> Conversion:
    """Of outgoing traffic, which is all that the legacy one logs."""
    found: list[Finding] = []
    written = refer(legacy) if surroundings.logging is None else _write(legacy, surroundings.logging, found)
    if written is None:
        return Conversion((), tuple(found))
    conf = Said({"backends": [written]}, place_of(legacy))
    return Conversion(by_source(legacy, "MeshAccessLog", conf, found), tuple(found))


def _write(legacy: Legacy, declared: Mapping[str, Any], found: list[Finding]) -> Mapping[str, Any] | None:
    backend = find_backend(legacy, declared, "logging", found)
    if backend is None:
        return None
    kind = backend.get("type", "")
    written = write_logging(kind, backend.get("format", ""), backend.get("conf", {}))
    if written is None:
        found.append(unsayable(legacy.pointer, f"a MeshAccessLog has no backend of type {kind}"))
    return written
