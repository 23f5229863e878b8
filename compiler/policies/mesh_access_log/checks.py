"""What is wrong in a MeshAccessLog beyond what its schema can say."""

from collections.abc import Iterator
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.mesh.collectors import check_blocks, check_collectors, confs_of
from compiler.policies.mesh_access_log.placeholders import problems_of
from compiler.resources.backends import DECLARED
from compiler.resources.findings import BAD_VALUE, DUPLICATE_NAME, MISSING_FIELD, NO_EFFECT, Finding, join
from compiler.resources.model import Conf, Policy
from compiler.resources.values import Duration

_BLOCKS: Final = {"File": "file", "Tcp": "tcp", "OpenTelemetry": "openTelemetry", DECLARED: "mesh"}
_LARGEST_PORT: Final = 65535


def check(policy: Policy) -> Iterator[Finding]:
    yield from check_blocks(policy, _BLOCKS)
    yield from check_collectors(policy)
    for pointer, conf in confs_of(policy):
        for index, backend in enumerate(conf.get("backends") or ()):
            yield from _check_backend(backend, join(pointer, "backends", index))
    for index, rule in enumerate(policy.rules):
        for place, match in enumerate(rule.matches):
            if "sni" in match:
                message = "no caller of a sidecar is told apart by SNI: the match changes nothing"
                at = f"/rules/{index}/matches/{place}/sni"
                yield Finding(at, NO_EFFECT, message, "name callers by spiffeID")


def _check_backend(backend: Conf, pointer: str) -> Iterator[Finding]:
    for name in ("file", "tcp"):
        block = backend.get(name) or {}
        if block.get("format"):
            yield from _check_format(block["format"], join(pointer, name, "format"))
    yield from _check_address((backend.get("tcp") or {}).get("address"), join(pointer, "tcp", "address"))
    telemetry, at = backend.get("openTelemetry") or {}, join(pointer, "openTelemetry")
    yield from _check_attributes(telemetry.get("attributes") or (), join(at, "attributes"))
    yield from _check_texts(telemetry.get("body"), join(at, "body"))
    yield from _check_bounds(backend.get("filters") or {}, join(pointer, "filters"))


def _check_format(written: Conf, pointer: str) -> Iterator[Finding]:
    wanted, other = ("json", "plain") if written["type"] == "Json" else ("plain", "json")
    if not written.get(wanted):
        yield Finding(pointer, MISSING_FIELD, f"a format of type {written['type']} needs {wanted}", on_key=True)
    if written.get(other):
        message = f"{other} is not looked at in a format of type {written['type']}"
        yield Finding(join(pointer, other), NO_EFFECT, message, on_key=True)
    yield from _check_texts(written.get("plain"), join(pointer, "plain"))
    seen: set[str] = set()
    for index, entry in enumerate(written.get("json") or ()):
        yield from _check_texts(entry["value"], join(pointer, "json", index, "value"))
        if entry["key"] in seen:
            message = f"the key {entry['key']!r} is used twice: the last value counts"
            at = join(pointer, "json", index, "key")
            yield Finding(at, DUPLICATE_NAME, message, severity=Severity.WARNING)
        seen.add(entry["key"])


def _check_texts(value: Any, pointer: str) -> Iterator[Finding]:
    """Envoy would refuse the whole listener."""
    match value:
        case str():
            yield from (Finding(pointer, BAD_VALUE, f"the format {sentence}") for sentence in problems_of(value))
        case dict():
            for name, part in value.items():
                yield from _check_texts(part, join(pointer, name))
        case list() | tuple():
            for index, part in enumerate(value):
                yield from _check_texts(part, join(pointer, index))


def _check_attributes(attributes: Any, pointer: str) -> Iterator[Finding]:
    for index, entry in enumerate(attributes):
        if any(entry["key"] == later["key"] for later in attributes[index + 1 :]):
            message = f"the attribute {entry['key']!r} is given again below: collectors keep one of the two"
            yield Finding(join(pointer, index, "key"), DUPLICATE_NAME, message, severity=Severity.WARNING)
        if entry["key"].startswith("otel."):
            at = join(pointer, index, "key")
            yield Finding(at, BAD_VALUE, "keys that begin with otel. belong to OpenTelemetry", "choose another key")
        yield from _check_texts(entry["value"], join(pointer, index, "value"))


def _check_address(address: str | None, pointer: str) -> Iterator[Finding]:
    port = int(address.rpartition(":")[2]) if address else 1
    if not 0 < port <= _LARGEST_PORT:
        yield Finding(pointer, BAD_VALUE, f"{port} is no port")


def _check_bounds(filters: Conf, pointer: str) -> Iterator[Finding]:
    for name, bounds in (("status", filters.get("status")), ("duration", filters.get("duration"))):
        if bounds and "min" in bounds and "max" in bounds and _number(bounds["min"]) > _number(bounds["max"]):
            yield Finding(join(pointer, name), BAD_VALUE, "min is more than max: nothing would ever be logged")


def _number(bound: int | str) -> int:
    return Duration.parse(bound) if isinstance(bound, str) else bound
