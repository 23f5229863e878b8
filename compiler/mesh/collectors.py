"""Collectors of OpenTelemetry: confs name an endpoint, or a MeshOpenTelemetryBackend (kuma-policies §1.9)."""

from collections.abc import Iterator
from typing import Any, Final, cast

from compiler.mesh.policy import FindResource
from compiler.resources.findings import BAD_TARGET, BAD_VALUE, EXCLUSIVE_FIELDS, MISSING_FIELD, Finding, join
from compiler.resources.model import Conf, MeshOpenTelemetryBackend, Policy, Resource, Spec

DEFAULT_PORT: Final = 4317
NODE: Final = "127.0.0.1"
"""Where the collector of the proxy's own node is taken to be: a commit does not know the node's address."""
_BLOCK: Final = "openTelemetry"
_LARGEST_PORT: Final = 65535
_TLS_PORT: Final = 443


class Collector(Spec, frozen=True):
    """`protocol` is grpc or http; `path` stands before the paths of the signals, with http only.

    What belongs to it is called by `name`, which for a MeshOpenTelemetryBackend says nothing of where that is: when it
    moves, clusters change and no listener does.
    """

    name: str
    address: str
    port: int = DEFAULT_PORT
    path: str = ""
    protocol: str = "grpc"

    @property
    def encrypted(self) -> bool:
        """Nothing says so in a document (kuma-policies §1.9)."""
        return self.protocol == "http" and self.port == _TLS_PORT


class OpenTelemetry(Spec, frozen=True):
    """Of a backend of this type; without a collector nothing is sent."""

    collector: Collector | None = None


def resolve_collectors(conf: Conf, find: FindResource) -> Conf:
    """With a `collector` in every OpenTelemetry backend; without what may be sent to, one is left out."""
    if not any(_BLOCK in backend for backend in conf.get("backends") or ()):
        return conf
    resolved = (_resolve(backend, find) for backend in conf["backends"])
    return {**conf, "backends": [backend for backend in resolved if backend is not None]}


def _resolve(backend: Conf, find: FindResource) -> Conf | None:
    block = backend.get(_BLOCK)
    if block is None:
        return backend
    collector = _collector(block, find)
    return {**backend, _BLOCK: {**block, "collector": collector}} if collector is not None else None


def _collector(block: Conf, find: FindResource) -> Conf | None:
    if block.get("endpoint"):
        host, written = split_endpoint(block["endpoint"])
        port = written if written is not None else DEFAULT_PORT
        return {"name": f"{host.replace(':', '_')}-{port}", "address": host, "port": port}
    resource = find(block["backendRef"]) if block.get("backendRef") else None
    if resource is None:
        return None
    spec = cast(MeshOpenTelemetryBackend, resource.spec)
    if spec.silent:
        return None
    endpoint = spec.endpoint
    return {
        "name": resource.kri(),
        "address": endpoint.address or NODE,
        "port": endpoint.port,
        "path": endpoint.path,
        "protocol": spec.protocol,
    }


def split_endpoint(endpoint: str) -> tuple[str, int | None]:
    """Host and port; an IPv6 address without brackets has no port."""
    if endpoint.startswith("["):
        host, _, rest = endpoint[1:].partition("]")
        return host, int(rest[1:]) if rest else None
    if endpoint.count(":") > 1:
        return endpoint, None
    host, _, port = endpoint.partition(":")
    return host, int(port) if port else None


def collector_references(policy: Policy) -> Iterator[tuple[str, Conf]]:
    """Every `backendRef` of a policy's backends, with its pointer."""
    for pointer, block in _blocks(policy):
        if block.get("backendRef"):
            yield join(pointer, "backendRef"), block["backendRef"]


def check_collectors(policy: Policy, *, needs_port: bool = False) -> Iterator[Finding]:
    """Exactly one way to name the collector, and a port that there is."""
    for pointer, block in _blocks(policy):
        named = [name for name in ("endpoint", "backendRef") if block.get(name)]
        if len(named) > 1:
            message = "endpoint and backendRef exclude each other"
            yield Finding(join(pointer, "endpoint"), EXCLUSIVE_FIELDS, message, "keep backendRef", on_key=True)
        elif not named:
            yield Finding(pointer, MISSING_FIELD, "no collector is named", "add backendRef, or endpoint", on_key=True)
        elif block.get("endpoint"):
            yield from _check_endpoint(block["endpoint"], join(pointer, "endpoint"), needs_port=needs_port)
        yield from _check_reference(block.get("backendRef"), join(pointer, "backendRef"))


def _check_endpoint(endpoint: str, pointer: str, *, needs_port: bool) -> Iterator[Finding]:
    _, port = split_endpoint(endpoint)
    if port is None and needs_port:
        yield Finding(pointer, BAD_VALUE, "the endpoint has no port", f"write {endpoint}:{DEFAULT_PORT}")
    elif port is not None and not 0 < port <= _LARGEST_PORT:
        yield Finding(pointer, BAD_VALUE, f"{port} is no port")


def _check_reference(reference: Conf | None, pointer: str) -> Iterator[Finding]:
    if not reference:
        return
    if "name" in reference and reference.get("labels"):
        message = "name and labels exclude each other"
        yield Finding(join(pointer, "labels"), EXCLUSIVE_FIELDS, message, "keep one of them", on_key=True)
    elif "name" not in reference and not reference.get("labels"):
        yield Finding(pointer, MISSING_FIELD, "the reference names nothing", "add labels, or a name", on_key=True)


def _blocks(policy: Policy) -> Iterator[tuple[str, Conf]]:
    for pointer, conf in confs_of(policy):
        for index, backend in enumerate(conf.get("backends") or ()):
            if backend.get("type") == "OpenTelemetry" and backend.get(_BLOCK) is not None:
                yield join(pointer, "backends", index, _BLOCK), backend[_BLOCK]


def confs_of(policy: Policy) -> Iterator[tuple[str, Conf]]:
    """Every conf that a policy holds, with its pointer."""
    if policy.default is not None:
        yield "/default", policy.default
    for side, items in (("to", policy.to), ("from", policy.from_), ("rules", policy.rules)):
        for index, item in enumerate(items):
            yield f"/{side}/{index}/default", item.conf


def check_blocks(policy: Policy, blocks: dict[str, str]) -> Iterator[Finding]:
    """A backend has the block that its type says, and no other; by type the name of its block."""
    for pointer, conf in confs_of(policy):
        for index, backend in enumerate(conf.get("backends") or ()):
            at, wanted = join(pointer, "backends", index), blocks[backend["type"]]
            if backend.get(wanted) is None:
                yield Finding(join(at, wanted), MISSING_FIELD, f"a backend of type {backend['type']} needs {wanted}")
            for name in blocks.values():
                if name != wanted and backend.get(name) is not None:
                    message = f"{name} is not for a backend of type {backend['type']}"
                    yield Finding(join(at, name), EXCLUSIVE_FIELDS, message, f"take it out, or {wanted}", on_key=True)


def refuse_http(resource: Resource, _: Conf) -> Finding | None:
    """Why a signal that Envoy sends by gRPC only cannot go there; None where it can."""
    spec: Any = resource.spec
    if spec.protocol != "http":
        return None
    return Finding("", BAD_TARGET, "access logs are sent by gRPC, and this backend speaks http")
