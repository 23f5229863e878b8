"""VirtualOutbounds of Kuma 2: names and ports that are made of the tags of what offers a service (kuma-policies §4.2).

Each name has an address of its own, on which proxies take calls to whatever has the tags that its parameters name.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, cast

from msgspec.structs import replace

from compiler.memo import Memo, Query
from compiler.mesh.external import split_address
from compiler.mesh.graph import KEYS, NAMES, RESOURCE, proxy_keys, read_proxy
from compiler.mesh.services import (
    LEGACY_BLOCK,
    SERVICE_RESOURCE,
    TAGGED,
    Port,
    hashed_address,
    service_key,
    tag_port,
    virtual_address,
)
from compiler.mesh.value import Value
from compiler.resources.model import SERVICE, Dataplane, ExternalService, Resource, ResourceKey, VirtualOutbound
from compiler.resources.templates import fill_template

VIRTUAL_OUTBOUND: Final = "VirtualOutbound"
_ANY: Final = "*"
_PORTS: Final = range(1, 65536)
_DIGITS: Final = 5


class Named(Value, frozen=True):
    """A name and a port, what is called by them, the VirtualOutbound that says so, and the address once it is known."""

    host: str
    port: int
    called: Port
    origin: ResourceKey
    address: str = ""


class Called(NamedTuple):
    """All names of a mesh: of several that want one name and port the first by name has it; the others are `lost`.

    Proxies lean on those of the services that they reach, and not on this: it is another one with each new service.
    """

    names: tuple[Named, ...]
    lost: tuple[Named, ...]


def _named_by(memo: Memo, key: ResourceKey) -> tuple[Named, ...]:
    """What the VirtualOutbounds of a mesh make of the tags of one proxy, or of one ExternalService."""
    tag_sets = tuple(_tag_sets(memo, key))
    outbounds = (memo.read(RESOURCE, one) for one in sorted(memo.read(KEYS, (VIRTUAL_OUTBOUND, key.mesh))))
    found = (name(one, tags) for one in outbounds if one is not None for tags in tag_sets)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _tag_sets(memo: Memo, key: ResourceKey) -> Iterator[Mapping[str, str]]:
    proxy = read_proxy(memo, key)
    if proxy is not None:
        inbounds = cast(Dataplane, proxy.spec).networking.inbound
        yield from (one.tags for one in inbounds if one.is_offered)
        return
    resource = memo.read(RESOURCE, key)
    if resource is not None and isinstance(resource.spec, ExternalService):
        yield resource.spec.tags


def name(outbound: Resource, tags: Mapping[str, str]) -> Named | None:
    """None where it selects no such tags, or a parameter asks for a tag that is not there, as in Kuma."""
    spec = cast(VirtualOutbound, outbound.spec)
    if SERVICE not in tags or not any(_selects(one.match, tags) for one in spec.selectors):
        return None
    asked = {one.name: tags[one.tag] for one in spec.conf.parameters if one.tag in tags}
    host, port = (fill_template(text, asked, {}) for text in (spec.conf.host, spec.conf.port))
    if not host or port is None or not (port.isdecimal() and len(port) <= _DIGITS and int(port) in _PORTS):
        return None
    chosen = {one.tag: tags[one.tag] for one in spec.conf.parameters if one.tag in tags}
    called = tag_port(outbound.key.mesh, {**chosen, SERVICE: tags[SERVICE]})
    return Named(host.lower(), int(port), called, outbound.key)


def _selects(wanted: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    return all(tags.get(key) == value if value != _ANY else bool(tags.get(key)) for key, value in wanted.items())


def _called(memo: Memo, mesh: str) -> Called:
    """All proxies of a mesh are looked at for it, where it has a VirtualOutbound."""
    if not memo.read(KEYS, (VIRTUAL_OUTBOUND, mesh)):
        return Called((), ())
    keys = sorted((*proxy_keys(memo, mesh), *memo.read(KEYS, ("ExternalService", mesh))))
    found = {one: None for key in keys for one in memo.ask(NAMED_BY, key)}
    taken: dict[tuple[str, int], Named] = {}
    for one in sorted(found, key=lambda one: (one.host, one.port, one.origin, one.called.service, one.called.subset)):
        taken.setdefault((one.host, one.port), one)
    names = tuple(replace(one, address=_address(memo, mesh, one.host)) for one in taken.values())
    return Called(names, tuple(one for one in found if one is not taken[one.host, one.port]))


def _address(memo: Memo, mesh: str, host: str) -> str:
    """Of its own, unless it is a name that all of a service has anyway: that has one address."""
    holder = memo.ask(HOLDERS, mesh).get(host)
    service = memo.ask(SERVICE_RESOURCE, holder) if holder is not None else None
    if service is None:
        return hashed_address(f"{mesh}/{host}", LEGACY_BLOCK)
    return virtual_address(service, LEGACY_BLOCK)


def names_of(memo: Memo, mesh: str, services: Iterable[str]) -> tuple[Named, ...]:
    """What some services are called, by host and port."""
    if not memo.read(KEYS, (VIRTUAL_OUTBOUND, mesh)):
        return ()
    found = (one for service in services for one in memo.ask(NAMES_OF, service_key(mesh, service)))
    return tuple(sorted(found, key=lambda one: (one.host, one.port)))


def hosts_at(memo: Memo, mesh: str, address: str) -> tuple[str, ...]:
    """What VirtualOutbounds call an address."""
    return memo.ask(HOSTS_AT, (mesh, address)) if memo.read(KEYS, (VIRTUAL_OUTBOUND, mesh)) else ()


def _by_service(memo: Memo, mesh: str) -> Mapping[ResourceKey, tuple[Named, ...]]:
    found: dict[ResourceKey, list[Named]] = {}
    for one in memo.ask(CALLED, mesh).names:
        found.setdefault(one.called.service, []).append(one)
    return {service: tuple(names) for service, names in found.items()}


def _by_address(memo: Memo, mesh: str) -> Mapping[str, tuple[Named, ...]]:
    found: dict[str, list[Named]] = {}
    for one in memo.ask(CALLED, mesh).names:
        found.setdefault(one.address, []).append(one)
    return {address: tuple(names) for address, names in found.items()}


def _hosts_at(memo: Memo, asked: tuple[str, str]) -> tuple[str, ...]:
    mesh, address = asked
    return tuple(dict.fromkeys(one.host for one in memo.ask(BY_ADDRESS, mesh).get(address, ())))


def whole_names(memo: Memo, service: ResourceKey) -> tuple[str, ...]:
    """What all of a service of 2.x is called without anybody's asking for it (kuma-core §5.1)."""
    names = dict.fromkeys((f"{service.name}.mesh", f"{service.name.replace('_', '.')}.mesh"))
    for tagged in memo.ask(TAGGED, service):
        networking = cast(ExternalService, tagged.spec).networking
        if not networking.disable_host_dns_entry:
            names[split_address(networking.address)[0]] = None
    return tuple(names)


def _holders(memo: Memo, mesh: str) -> Mapping[str, ResourceKey]:
    """Of several the first by name."""
    keys = [service_key(mesh, name) for name in sorted(memo.read(NAMES, mesh))]
    return {host: key for key in reversed(keys) for host in whole_names(memo, key)}


NAMED_BY: Final[Query[ResourceKey, tuple[Named, ...]]] = Query("named by tags", _named_by)
CALLED: Final[Query[str, Called]] = Query("called by tags", _called)
BY_SERVICE: Final[Query[str, Mapping[ResourceKey, tuple[Named, ...]]]] = Query("names by service", _by_service)
BY_ADDRESS: Final[Query[str, Mapping[str, tuple[Named, ...]]]] = Query("names by address", _by_address)
"""By mesh: what VirtualOutbounds name, by its virtual address."""
NAMES_OF: Final[Query[ResourceKey, tuple[Named, ...]]] = Query(
    "names of a service", lambda memo, key: memo.ask(BY_SERVICE, key.mesh).get(key, ())
)
HOSTS_AT: Final[Query[tuple[str, str], tuple[str, ...]]] = Query("hosts at an address", _hosts_at)
"""By mesh and address."""
HOLDERS: Final[Query[str, Mapping[str, ResourceKey]]] = Query("hosts of whole services", _holders)
"""By mesh: the services of 2.x, by the names that each has anyway."""
