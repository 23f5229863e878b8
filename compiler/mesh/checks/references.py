"""References between resources: to services and routes that must be there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.gateways.routes import backends_of
from compiler.mesh.graph import KEYS, RESOURCE
from compiler.mesh.match import picks
from compiler.mesh.members import MEMBERS
from compiler.mesh.routing import HTTP, backend_port, referenced, resolve_reference
from compiler.mesh.rules import refers
from compiler.mesh.services import (
    MESH_SERVICE,
    OTHER_KEYS,
    PORT_PROTOCOL,
    SERVICE_KEYS,
    SERVICE_RESOURCE,
    SERVICE_TYPES,
    Port,
    service_ports,
    tag_port,
)
from compiler.resources.findings import DANGLING_REF, Finding
from compiler.resources.model import SERVICE, BackendReference, Resource, ResourceKey, TargetRef
from compiler.resources.values import decode

NO_HTTP: Final = Code(
    "no-http",
    Severity.WARNING,
    "a route sends requests to what speaks no HTTP",
    "By a MeshHTTPRoute a sidecar sends requests on to ports that speak http, http2 or grpc. The share of a backend of "
    "another protocol is answered with 500, and nothing is mirrored to it. Say what the port speaks by its "
    "`appProtocol`, or by the inbound's `protocol` or `kuma.io/protocol`; connections are split by a MeshTCPRoute.",
)
_SPOKEN: Final = "give the port its protocol, or send connections by a MeshTCPRoute"


def check_target(memo: Memo, policy: Resource, target: TargetRef, pointer: str) -> Iterator[Finding]:
    """What a policy's item is about."""
    if target.kind == "MeshHTTPRoute":
        routes = (memo.read(RESOURCE, key) for key in memo.read(KEYS, (target.kind, policy.key.mesh)))
        found = any(route is not None and picks(target, policy, route) for route in routes)
    elif target.kind in SERVICE_TYPES:
        found = any(_means(memo, policy, target, key) for key in services_of(memo, policy, target))
    else:
        return
    if not found:
        yield _missed(memo, policy, target, pointer)


def _missed(memo: Memo, policy: Resource, target: TargetRef, pointer: str) -> Finding:
    """The service may be there without the section."""
    whole = replace(target, section_name="")
    keys = services_of(memo, policy, target) if target.section_name and target.kind in SERVICE_TYPES else ()
    meant = [memo.ask(SERVICE_RESOURCE, key) for key in keys if _means(memo, policy, whole, key)]
    services = [service for service in meant if service is not None]
    if services:
        return _portless(services, target.section_name, pointer)
    return dangling(target.kind, target.name, target.labels or {}, pointer, policy.key.mesh)


def services_of(memo: Memo, policy: Resource, target: TargetRef) -> tuple[ResourceKey, ...]:
    """Those that a target may mean. A name leads straight to one, but on Kubernetes, where it may have another form."""
    mesh = policy.key.mesh
    if target.kind == "Mesh":
        return (*memo.ask(OTHER_KEYS, mesh), *memo.ask(SERVICE_KEYS, mesh))
    direct = ResourceKey(target.kind, mesh, target.name)
    if target.name and memo.ask(SERVICE_RESOURCE, direct) is not None:
        return (direct,)
    if target.kind == MESH_SERVICE:
        return memo.ask(SERVICE_KEYS, mesh)
    return tuple(key for key in memo.ask(OTHER_KEYS, mesh) if key.type == target.kind)


def _means(memo: Memo, policy: Resource, target: TargetRef, key: ResourceKey) -> bool:
    service = memo.ask(SERVICE_RESOURCE, key)
    if service is None:
        return False
    sections = [port.section for port in service_ports(service)] if target.section_name else [""]
    return any(refers(target, policy, service, section, key.name) is not None for section in sections)


def check_reference(
    memo: Memo, policy: Resource, written: Mapping[str, Any], pointer: str, *, http: bool = False
) -> Iterator[Finding]:
    """With `http` the reference must lead to what a sidecar sends requests to; a gateway sends them anywhere."""
    fields = set(BackendReference.__struct_fields__)
    reference = decode(BackendReference, {name: value for name, value in written.items() if name in fields})
    port = backend_port(memo, reference, policy.key.mesh, policy.namespace)
    ports = resolve_reference(memo, reference, policy.key.mesh, policy.namespace) or ((port,) if port else ())
    if not any(exists(memo, port) for port in ports):
        yield missing(memo, reference, policy, pointer)
    elif port is None:
        yield Finding(pointer, DANGLING_REF, "the service has several ports and none of them is named", "add a port")
    elif http and (protocol := memo.ask(PORT_PROTOCOL, port)) not in HTTP:
        yield Finding(pointer, NO_HTTP, f"it speaks {protocol}: requests for it are answered with 500", _SPOKEN)


def check_sent(memo: Memo, route: Resource) -> Iterator[Finding]:
    mesh = route.key.mesh
    for pointer, tags in backends_of(route):
        if not exists(memo, tag_port(mesh, tags)):
            others = {key: value for key, value in tags.items() if key != SERVICE}
            yield dangling("service", "" if others else tags.get(SERVICE, ""), tags if others else {}, pointer, mesh)


def exists(memo: Memo, port: Port) -> bool:
    """Part of a service is there where some proxy has its tags."""
    if memo.ask(SERVICE_RESOURCE, port.service) is None:
        return False
    return not port.subset or bool(memo.ask(MEMBERS, port))


def missing(memo: Memo, reference: BackendReference, referring: Resource, pointer: str) -> Finding:
    """Of a reference that leads nowhere: nothing has the name or the labels, or what has them lacks port or tags."""
    mesh = referring.key.mesh
    part = tag_port(mesh, {**reference.tags, SERVICE: reference.name})
    if reference.kind == "MeshServiceSubset" and memo.ask(SERVICE_RESOURCE, part.service) is not None:
        message = f"mesh {mesh!r} has no service {reference.name!r} with {_listed(dict(part.subset))}"
        return Finding(pointer, DANGLING_REF, message)
    services = referenced(memo, reference, mesh, referring.namespace)
    if services:
        return _portless(services, str(reference.port) if reference.port is not None else "", pointer)
    return dangling(reference.kind, reference.name, reference.labels, pointer, mesh)


def _portless(services: Sequence[Resource], port: str, pointer: str) -> Finding:
    """Of several services by labels the first is named; without a port any would have done."""
    first = services[0]
    ports = [f"{one.port} ({one.name})" if one.name else str(one.port) for one in service_ports(first)]
    lack = f" and {len(services) - 1} more have" if len(services) > 1 else " has"
    if not port:
        hint = "add ports to it, or inbounds to its proxies"
        return Finding(pointer, DANGLING_REF, f"{first.key.type} {first.name!r}{lack} no ports", hint)
    message = f"{first.key.type} {first.name!r}{lack} no port {port}"
    return Finding(pointer, DANGLING_REF, message, f"it has {', '.join(ports) or 'no ports at all'}")


def dangling(kind: str, name: str, labels: Mapping[str, str], pointer: str, mesh: str) -> Finding:
    what = repr(name) if name else f"with {_listed(labels)}"
    return Finding(pointer, DANGLING_REF, f"mesh {mesh!r} has no {kind} {what}")


def _listed(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
