"""Host names of services, and the addresses that they have at a proxy (kuma-core §2.8, §5.2)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast

from compiler.memo import Memo, Query
from compiler.mesh.calls import Outbound
from compiler.mesh.gateways.crossing import HAS_ABROAD, address_of, host_of
from compiler.mesh.generators import BY_ORIGIN, GENERATORS, as_labelled, is_meant
from compiler.mesh.graph import KEYS
from compiler.mesh.proxy import NameRecord
from compiler.mesh.services import (
    EXTERNAL,
    LEGACY_BLOCK,
    MESH_GATEWAY,
    MESH_SERVICE,
    MULTI_ZONE,
    OTHER_KEYS,
    SERVICE_RESOURCE,
    TAGGED_NAMES,
    VIRTUAL_ADDRESS,
    virtual_address,
)
from compiler.mesh.upstreams import destination_port
from compiler.mesh.virtual_outbounds import VIRTUAL_OUTBOUND, hosts_at, whole_names
from compiler.resources.model import HostnameGenerator, Resource, ResourceKey
from compiler.resources.templates import fill_template

_HOSTNAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_HEADLESS: Final = "k8s.kuma.io/is-headless-service"
_POD_LABELS: Final = ("statefulset.kubernetes.io/pod-name", "k8s.kuma.io/service-name")
_SUFFIXES: Final[Mapping[str, str]] = {MESH_SERVICE: "svc", EXTERNAL: "extsvc", MULTI_ZONE: "mzsvc"}


def hostnames(memo: Memo, key: ResourceKey, zone: str) -> tuple[str, ...]:
    """The names of a service for those who call it from a zone; most generators do not look at that."""
    return memo.ask(HOSTNAMES, (key, zone if memo.ask(BY_ORIGIN, None) else ""))


def _hostnames(memo: Memo, asked: tuple[ResourceKey, str]) -> tuple[str, ...]:
    """In the order of what makes them; where nobody wrote a generator, the name that Kuma's own ones give."""
    key, zone = asked
    service = memo.ask(SERVICE_RESOURCE, key)
    if service is None:
        return ()
    generators = memo.ask(GENERATORS, None)
    if not generators:
        return _usual(service)
    labelled = as_labelled(memo, service)
    found = (generated(generator, labelled, zone) for generator in generators)
    return tuple(dict.fromkeys(name for name in found if name is not None))


def generated(generator: Resource, service: Resource, zone: str) -> str | None:
    """The name that a generator makes for a service; None where it is not about it, or has nothing to make it of."""
    if not is_meant(generator, service, zone):
        return None
    name = fill_template(cast(HostnameGenerator, generator.spec).template, _words(service), service.labels)
    return name if name is not None and _HOSTNAME.fullmatch(name) else None


def _words(service: Resource) -> Mapping[str, str]:
    return {
        "Name": service.key.name,
        "DisplayName": service.name,
        "Namespace": service.namespace,
        "Mesh": service.key.mesh,
        "Zone": service.zone,
    }


def _usual(service: Resource) -> tuple[str, ...]:
    """With its zone where it has one, since another zone may have a service of the same name.

    Namespaces tell MeshServices apart; other services all stand in the system's.
    """
    own = (*_pod_of(service), service.namespace) if service.key.type == MESH_SERVICE else (service.name,)
    parts = (*own, _SUFFIXES[service.key.type], service.zone, "mesh.local")
    name = ".".join(part for part in parts if part)
    return (name,) if _HOSTNAME.fullmatch(name) else ()


def _pod_of(service: Resource) -> tuple[str, ...]:
    """A headless Service has a MeshService for each of its pods, which go by the name of the pod (kuma-core §2.8)."""
    names = tuple(service.labels.get(label, "") for label in _POD_LABELS)
    return names if service.labels.get(_HEADLESS) == "true" and all(names) else (service.name,)


def name_records(memo: Memo, mesh: str, zone: str, calls: Iterable[Outbound]) -> tuple[NameRecord, ...] | None:
    """What a redirected proxy's names stand for; None where a mesh has nothing that is called by such a name."""
    others = bool(memo.ask(OTHER_KEYS, mesh)) or bool(memo.ask(TAGGED_NAMES, mesh))
    others = others or bool(memo.read(KEYS, (VIRTUAL_OUTBOUND, mesh))) or memo.ask(HAS_ABROAD, mesh)
    if not memo.ask(GENERATORS, None) and not others:
        return None
    found: dict[str, str] = {}
    for call in sorted(calls, key=_named_first):
        for name in _names_at(memo, zone, call):
            found.setdefault(name, call.address)
    return tuple(NameRecord(name, address) for name, address in sorted(found.items()))


def _named_first(call: Outbound) -> tuple[bool, ResourceKey, str]:
    """Of two that want one name a service of 2.x comes last."""
    return call.address.startswith(f"{LEGACY_BLOCK}."), call.destination.service, call.address


def _names_at(memo: Memo, zone: str, call: Outbound) -> Iterator[str]:
    """Of the service whose virtual address it is; one of Kuma 2 is called by its tag."""
    service = call.destination.service
    if service.type == MESH_GATEWAY:
        port = destination_port(call.destination)
        yield from (host_of(port),) if call.address == address_of(port) else ()
        return
    if call.address == memo.ask(VIRTUAL_ADDRESS, service):
        yield from hostnames(memo, service, zone)
        return
    yield from hosts_at(memo, service.mesh, call.address)
    resource = memo.ask(SERVICE_RESOURCE, service)
    if resource is not None and call.address == virtual_address(resource, LEGACY_BLOCK):
        names = whole_names(memo, service)
        yield from (name for name in names if _HOSTNAME.fullmatch(name) and not name.replace(".", "").isdigit())


HOSTNAMES: Final[Query[tuple[ResourceKey, str], tuple[str, ...]]] = Query("hostnames", _hostnames)
"""By service and the zone of who calls; `hostnames` asks."""
