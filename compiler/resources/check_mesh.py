"""What a Mesh, a MeshService and a DataplaneSet must hold beyond their schemas (kuma-core §2.1, §2.5)."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from compiler.resources.findings import (
    BAD_VALUE,
    DANGLING_NAME,
    DUPLICATE_NAME,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    Finding,
    join,
)
from compiler.resources.suggest import did_you_mean, one_of


def check_mesh(mesh: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """The backend in force exists, and what changes nothing is said."""
    mtls = mesh.get("mtls", {})
    names = [backend["name"] for backend in mtls.get("backends", ())]
    enabled = mtls.get("enabledBackend", "")
    at = join(pointer, "mtls")
    if enabled and enabled not in names:
        hint = did_you_mean(enabled, names) or f"the backends are: {one_of(names)}"
        yield Finding(join(at, "enabledBackend"), DANGLING_NAME, f"mtls has no backend {enabled}", hint)
    if names and not enabled:
        message = "no backend is in force, so traffic is plaintext"
        yield Finding(join(at, "backends"), NO_EFFECT, message, f"set mtls.enabledBackend: {names[0]}", on_key=True)
    yield from _without_effect(mtls, at, ("skipValidation",))
    for index, backend in enumerate(mtls.get("backends", ())):
        yield from _without_effect(backend, join(at, "backends", index), ("rootChain",))
        yield from _without_effect(
            backend.get("dpCert", {}), join(at, "backends", index, "dpCert"), ("requestTimeout",)
        )
    if mesh.get("routing", {}).get("defaultForbidMeshExternalServiceAccess"):
        yield from _without_effect(
            mesh["routing"], join(pointer, "routing"), ("defaultForbidMeshExternalServiceAccess",)
        )


def check_mesh_service(service: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Every port has a number and a name of its own."""
    ports = service.get("ports", ())
    at = join(pointer, "ports")
    yield from repeated([str(port["port"]) for port in ports], at, "port", "port")
    yield from repeated([port.get("name") or str(port["port"]) for port in ports], at, "name", "name")
    if not service.get("selector"):
        yield Finding(pointer, NO_EFFECT, "the service has no selector, so no Dataplane serves it", "add a selector")
    if not ports:
        yield Finding(pointer, NO_EFFECT, "the service has no ports, so nobody can call it", "add ports")


def check_dataplane_set(dataplanes: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Either instances or registration; instances have names and addresses of their own."""
    instances = dataplanes.get("instances", ())
    registration = dataplanes.get("registration")
    if instances and registration is not None:
        message = "instances and registration exclude each other"
        yield Finding(join(pointer, "registration"), EXCLUSIVE_FIELDS, message, "keep one of them", on_key=True)
    if not instances and registration is None:
        yield Finding(pointer, MISSING_FIELD, "the set has neither instances nor registration", "list its instances")
    at = join(pointer, "instances")
    yield from repeated([instance["name"] for instance in instances], at, "name", "name")
    yield from repeated([instance["address"] for instance in instances], at, "address", "address")
    for index, cidr in enumerate((registration or {}).get("cidrs", ())):
        if not _is_network(cidr):
            message = "a range of addresses must be written like 10.0.0.0/16, with no bits set after its prefix"
            yield Finding(join(pointer, "registration", "cidrs", index), BAD_VALUE, message)


def repeated(values: Sequence[str], pointer: str, what: str, field: str) -> Iterator[Finding]:
    """One finding for each entry of a list whose name an earlier one has."""
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        earlier = first.setdefault(value, index)
        if earlier != index:
            message = f"the {what} {value!r} is that of entry {earlier + 1} too"
            yield Finding(join(pointer, index, field), DUPLICATE_NAME, message)


def _without_effect(values: Mapping[str, Any], pointer: str, names: Sequence[str]) -> Iterator[Finding]:
    for name in names:
        if name in values:
            yield Finding(join(pointer, name), NO_EFFECT, f"{name} changes nothing here", "take it out", on_key=True)


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return "/" in text
