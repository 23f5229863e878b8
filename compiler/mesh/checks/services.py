"""Services that would be taken for one another: by a virtual address, by a host name."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.generators import BY_ORIGIN, as_labelled, is_meant, selector_for
from compiler.mesh.graph import KEYS
from compiler.mesh.hostnames import generated, hostnames
from compiler.mesh.services import (
    OTHER_KEYS,
    PORTED_KEYS,
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
_USUAL: Final = frozenset(
    {
        "local-mesh-external-service",
        "local-universal-mesh-service",
        "synced-headless-kube-mesh-service",
        "synced-kube-mesh-service",
        "synced-mesh-external-service",
        "synced-mesh-multi-zone-service",
        "synced-universal-mesh-service",
    }
)
"""Those that Kuma makes for whatever there may be, as they are exported."""


def check_virtual_addresses(memo: Memo, mesh: str) -> Iterator[Finding]:
    """Services that nobody wrote have no place of their own, so the Mesh is where a clash is reported."""
    keys = (*memo.ask(OTHER_KEYS, mesh), *memo.ask(PORTED_KEYS, mesh))
    services = [found for key in keys if (found := memo.ask(SERVICE_RESOURCE, key)) is not None]
    first: dict[str, Resource] = {}
    for service in services:
        address = memo.ask(VIRTUAL_ADDRESS, service.key)
        earlier = first.setdefault(address, service)
        if earlier is not service:
            yield _clash(earlier, service, address)


def check_hostnames(memo: Memo, generator: Resource) -> Iterator[Finding]:
    """One name stands for one service of a mesh; of several the first by kind and name has it."""
    told = set[Finding]()
    known = meant = False
    for mesh in sorted(key.name for key in memo.read(KEYS, ("Mesh", ""))):
        services = [as_labelled(memo, one) for one in _services(memo, mesh)]
        for zone in _views(memo, services):
            told.update(_collisions(memo, generator, services, zone))
            here = [one for one in services if is_meant(generator, one, zone)]
            told.update(_nameless(generator, here, zone))
            meant = meant or bool(here)
        known = known or any(selector_for(generator, one.key.type) is not None for one in services)
    yield from sorted(told, key=lambda finding: finding.message)
    if known and not meant and generator.name not in _USUAL:
        hint = "compare the labels with those of the services: meshwright inspect"
        yield Finding("/selector", NO_EFFECT, "no service of any mesh has these labels", hint, on_key=True)


def _services(memo: Memo, mesh: str) -> Iterator[Resource]:
    for key in (*memo.ask(OTHER_KEYS, mesh), *memo.ask(PORTED_KEYS, mesh)):
        service = memo.ask(SERVICE_RESOURCE, key)
        if service is not None:
            yield service


def _views(memo: Memo, services: Sequence[Resource]) -> Sequence[str]:
    """The zones from which names may differ."""
    if not memo.ask(BY_ORIGIN, None):
        return ("",)
    return sorted({key.name for key in memo.read(KEYS, ("Zone", ""))} | {one.zone for one in services} - {""}) or ("",)


def _collisions(memo: Memo, generator: Resource, services: Iterable[Resource], zone: str) -> Iterator[Finding]:
    owners: dict[str, ResourceKey] = {}
    for service in services:
        for name in hostnames(memo, service.key, zone):
            owner = owners.setdefault(name, service.key)
            if owner != service.key and generated(generator, service, zone) == name:
                both = f"{owner.type} {owner.name!r} and {service.key.type} {service.key.name!r}"
                hint = "put what tells them apart in the template"
                yield Finding("/template", HOSTNAME_COLLISION, f"{name} would stand for {both}", hint)


def _nameless(generator: Resource, services: Sequence[Resource], zone: str) -> Iterator[Finding]:
    """One that nobody wrote is for all zones: where one is written for each, those have the name."""
    named = {one.name for one in services if generated(generator, one, zone) is not None}
    for service in services:
        if service.name not in named:
            key = service.key
            message = f"it gives no name for {key.type} {key.name!r}: a label is missing, or the text is no host name"
            yield Finding("/template", NO_EFFECT, message)


def _clash(earlier: Resource, service: Resource, address: str) -> Finding:
    """With one identifier they would be one cluster: calls to the one would reach the other."""
    names = f"services {earlier.key.name!r} and {service.key.name!r}"
    if earlier.kri() == service.kri():
        return Finding("", DUPLICATE_NAME, f"{names} both go by the name {service.name!r}", f"see {DISPLAY_NAME}")
    return Finding("", ADDRESS_CLASH, f"{names} have the virtual address {address}", "rename one of them")
