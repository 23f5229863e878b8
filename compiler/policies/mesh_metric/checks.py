"""What is wrong in a MeshMetric beyond what its schema can say."""

from collections.abc import Iterator
from typing import Final

from compiler.mesh.collectors import check_blocks, check_collectors, confs_of
from compiler.policies.mesh_metric.conf import MUTUAL
from compiler.policies.mesh_metric.declared import declared_mode, mode_field
from compiler.resources.expressions import refuse_expression
from compiler.resources.findings import (
    BAD_VALUE,
    DUPLICATE_NAME,
    PORT_CONFLICT,
    Finding,
    join,
)
from compiler.resources.model import Conf, Policy
from compiler.resources.specs.mesh import Prometheus as Declared
from compiler.resources.values import decode

_BLOCKS: Final = {"Prometheus": "prometheus", "OpenTelemetry": "openTelemetry"}
_PORT: Final = 5670


def check(policy: Policy) -> Iterator[Finding]:
    yield from check_blocks(policy, _BLOCKS)
    yield from check_collectors(policy, needs_port=True)
    for pointer, conf in confs_of(policy):
        yield from _check_selectors(conf, join(pointer, "sidecar", "profiles"))
        yield from _check_prometheus(conf, join(pointer, "backends"))
        yield from _check_pushed(conf, join(pointer, "backends"))


def _check_selectors(conf: Conf, pointer: str) -> Iterator[Finding]:
    profiles = (conf.get("sidecar") or {}).get("profiles") or {}
    for name in ("exclude", "include"):
        for index, selector in enumerate(profiles.get(name) or ()):
            refusal = refuse_expression(selector["match"]) if selector["type"] == "Regex" else None
            if refusal is not None:
                at = join(pointer, name, index, "match")
                yield Finding(at, BAD_VALUE, f"the regular expression cannot be read: {refusal}")


def _check_prometheus(conf: Conf, pointer: str) -> Iterator[Finding]:
    clients: set[str] = set()
    ports: set[int] = set()
    for index, backend in enumerate(conf.get("backends") or ()):
        prometheus, at = backend.get("prometheus"), join(pointer, index, "prometheus")
        if prometheus is None:
            continue
        client, port = prometheus.get("clientId", ""), prometheus.get("port", _PORT)
        if client in clients:
            message = f"two backends have the clientId {client!r}" if client else "two backends have no clientId"
            yield Finding(at, DUPLICATE_NAME, message, "give each a clientId of its own")
        elif port in ports:
            yield Finding(at, PORT_CONFLICT, f"two backends listen on port {port}", "give each a port of its own")
        clients.add(client)
        ports.add(port)


def _check_pushed(conf: Conf, pointer: str) -> Iterator[Finding]:
    """To one collector metrics go once."""
    known: list[tuple[object, object]] = []
    for index, backend in enumerate(conf.get("backends") or ()):
        written = backend.get("openTelemetry") or {}
        collector = (written.get("endpoint"), written.get("backendRef"))
        if any(collector) and collector in known:
            at = join(pointer, index, "openTelemetry")
            yield Finding(at, DUPLICATE_NAME, "an earlier backend sends to this collector already", "keep one of them")
        known.append(collector)


def mutual_places(policy: Policy) -> Iterator[str]:
    """Where it is written that who scrapes shows a certificate of the mesh."""
    for pointer, conf in confs_of(policy):
        if "declared" in conf:
            declared = decode(Declared, conf["declared"])
            yield from [join(pointer, "declared", mode_field(declared))] if declared_mode(declared) == MUTUAL else ()
        for index, backend in enumerate(conf.get("backends") or ()):
            if ((backend.get("prometheus") or {}).get("tls") or {}).get("mode") == MUTUAL:
                yield join(pointer, "backends", index, "prometheus", "tls", "mode")
