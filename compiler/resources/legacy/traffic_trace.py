"""TrafficTrace to MeshTrace: the Mesh's tracing backend, with its share of requests, is written into the policy."""

from collections.abc import Mapping
from typing import Any

from compiler.resources.backends import write_sampling, write_tracing
from compiler.resources.findings import Finding
from compiler.resources.legacy.backends import find_backend, place_of, refer
from compiler.resources.legacy.conversion import Conversion, Legacy, Policy, Surroundings, number, unsayable
from compiler.resources.legacy.said import Said
from compiler.resources.legacy.selectors import read_proxies


def convert_traffic_trace(legacy: Legacy, surroundings: Surroundings) -> Conversion:
    """One policy for each group of proxies."""
    found: list[Finding] = []
    declared = surroundings.tracing
    conf = {"backends": [refer(legacy)]} if declared is None else _write(legacy, declared, found)
    if conf is None:
        return Conversion((), tuple(found))
    said, proxies = Said(conf, place_of(legacy)), read_proxies(legacy, "selectors", found)
    policies = [Policy("MeshTrace", {"targetRef": target, "default": said}) for target in proxies]
    return Conversion(number(policies), tuple(found))


def _write(legacy: Legacy, declared: Mapping[str, Any], found: list[Finding]) -> Mapping[str, Any] | None:
    backend = find_backend(legacy, declared, "tracing", found)
    if backend is None:
        return None
    kind = backend.get("type", "")
    written = write_tracing(kind, backend.get("conf", {}))
    if written is None:
        found.append(unsayable(legacy.pointer, f"a MeshTrace has no backend of type {kind}"))
        return None
    return {"backends": [written], **write_sampling(backend.get("sampling"))}
