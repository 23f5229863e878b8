"""Services that would be taken for one another: by a virtual address, by a host name."""

from collections.abc import Iterator
from typing import Final

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.graph import KEYS
from compiler.mesh.hostnames import HOSTNAMES, generated, is_meant
from compiler.mesh.services import (
    OTHER_KEYS,
    SERVICE_KEYS,
    SERVICE_RESOURCE,
    VIRTUAL_ADDRESS,
)
from compiler.resources.findings import DUPLICATE_NAME, NO_EFFECT, Finding
from compiler.resources.model import (
    DISPLAY_NAME,
    Resource,
    ResourceKey,
)

HOSTNAME_COLLISION: Final = Code(
    "hostname-collision",
    Severity.ERROR,
    "one host name for two services",
    "Two services of a mesh would be called by one name, and calls would reach the wrong one of them. The template of "
    "the HostnameGenerator has to say what tells them apart, such as `{{ .Zone }}`, `{{ .Namespace }}` or a label.",
)
ADDRESS_CLASH: Final = Code(
    "address-clash",
    Severity.WARNING,
    "two services with one virtual address",
    "A service's virtual address is a hash of its identity, so that it never moves. Two services of this mesh have the "
    "same one: a transparent proxy that reaches both of them on one port could not tell them apart, and is refused. "
    "Rename one of them. The same is told of a name that a VirtualOutbound makes, as an error where the two are called "
    "on one port.",
)


def check_virtual_addresses(memo: Memo, mesh: str) -> Iterator[Finding]:
    """Services that nobody wrote have no place of their own, so the Mesh is where a clash is reported."""
    keys = (*memo.ask(OTHER_KEYS, mesh), *memo.ask(SERVICE_KEYS, mesh))
    services = [found for key in keys if (found := memo.ask(SERVICE_RESOURCE, key)) is not None]
    first: dict[str, Resource] = {}
    for service in services:
        address = memo.ask(VIRTUAL_ADDRESS, service.key)
        earlier = first.setdefault(address, service)
        if earlier is not service:
            yield _clash(earlier, service, address)


def check_hostnames(memo: Memo, generator: Resource) -> Iterator[Finding]:
    """One name stands for one service of a mesh; of several the first by kind and name has it."""
    for mesh in sorted(key.name for key in memo.read(KEYS, ("Mesh", ""))):
        owners: dict[str, ResourceKey] = {}
        for key in (*memo.ask(OTHER_KEYS, mesh), *memo.ask(SERVICE_KEYS, mesh)):
            service = memo.ask(SERVICE_RESOURCE, key)
            if service is None:
                continue
            for name in memo.ask(HOSTNAMES, key):
                owner = owners.setdefault(name, key)
                if owner != key and generated(generator, service) == name:
                    message = f"{name} would stand for {owner.type} {owner.name!r} and {key.type} {key.name!r}"
                    yield Finding("/template", HOSTNAME_COLLISION, message, "put what tells them apart in the template")
            if is_meant(generator, service) and generated(generator, service) is None:
                message = (
                    f"it gives no name for {key.type} {key.name!r}: a label is missing, or the text is no host name"
                )
                yield Finding("/template", NO_EFFECT, message)


def _clash(earlier: Resource, service: Resource, address: str) -> Finding:
    """With one identifier they would be one cluster: calls to the one would reach the other."""
    names = f"services {earlier.key.name!r} and {service.key.name!r}"
    if earlier.kri() == service.kri():
        return Finding("", DUPLICATE_NAME, f"{names} both go by the name {service.name!r}", f"see {DISPLAY_NAME}")
    return Finding("", ADDRESS_CLASH, f"{names} have the virtual address {address}", "rename one of them")
