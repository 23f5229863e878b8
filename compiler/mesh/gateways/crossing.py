"""Listeners of builtin gateways that are for proxies of other meshes: who may call them, and how (kuma-policies §4.1).

For those a MeshGateway is a service with a port for each such listener; redirected proxies of its own mesh call it too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from compiler.memo import Memo, Query
from compiler.mesh.graph import CROSSING, read_proxy
from compiler.mesh.identity import BELIEVED, has_tls
from compiler.mesh.members import IDENTITIES, MEMBERS, SECURED, crossing_inbounds
from compiler.mesh.services import LEGACY_BLOCK, MESH_GATEWAY, SERVICE_RESOURCE, Port, hashed_address, service_ports
from compiler.resources.model import MESH, PROTOCOL, SERVICE, Resource, ResourceKey

Tags = tuple[tuple[str, str], ...]
Ports = tuple[Port, ...]
_SCHEME: Final = "spiffe://"


def host_of(port: Port) -> str:
    """What a listener is called."""
    return port.section.partition(":")[2].lower()


def address_of(port: Port) -> str:
    """One for each host name of a mesh, wherever it is called from: its ports are listeners of that name."""
    return hashed_address(f"{port.service.mesh}/{host_of(port)}", LEGACY_BLOCK)


def number_of(port: Port) -> int:
    return int(port.section.partition(":")[0])


def may_cross(memo: Memo, proxy: Resource) -> bool:
    """Whether gateways of other meshes let a proxy in: it has a certificate, and they are told how to check it."""
    return has_tls(memo, proxy) and bool(memo.ask(BELIEVED, proxy.key.mesh))


def reachable_abroad(memo: Memo, mesh: str, names: Sequence[str] | None) -> Ports:
    """What proxies of a mesh call; of a list of services, as in `reachableServices`, what has those names."""
    if not memo.ask(HAS_ABROAD, mesh):
        return ()
    if names is None:
        return memo.ask(ABROAD, mesh)
    found = {port for name in set(names) for port in memo.ask(NAMED_ABROAD, (mesh, name))}
    return tuple(sorted(found, key=_by_name))


def is_abroad(mesh: str, tags: Mapping[str, str]) -> bool:
    """Whether an outbound with these tags is one to another mesh."""
    return tags.get(MESH, mesh) != mesh


def tagged_abroad(memo: Memo, mesh: str, tags: Mapping[str, str]) -> Ports:
    """The listeners of another mesh that an outbound's tags may mean: those of some proxy that has all of them."""
    wanted = frozenset((key, value) for key, value in tags.items() if key not in (MESH, PROTOCOL))
    there = tags[MESH]
    found = (port for port in memo.ask(OPEN, None) if port.service.mesh == there != mesh)
    return tuple(port for port in found if any(wanted.issubset(one) for one in memo.ask(SHOWN_TAGS, port)))


def meant_abroad(memo: Memo, mesh: str, tags: Mapping[str, str], number: int) -> Port | None:
    """Of several the one of the outbound's own port, else the first: a diagnostic says so."""
    return memo.ask(MEANT_ABROAD, (mesh, tuple(sorted(tags.items())), number))


def crossing_ports(memo: Memo, key: ResourceKey) -> Ports:
    """The listeners of a MeshGateway that are for other meshes, whether they can be called or not."""
    gateway = memo.ask(SERVICE_RESOURCE, key) if key.type == MESH_GATEWAY else None
    return tuple(Port(key, one.section) for one in service_ports(gateway)) if gateway is not None else ()


def _open(memo: Memo, _: None) -> Ports:
    found = {port for key in memo.read(CROSSING, None) for port in crossing_ports(memo, key)}
    return tuple(sorted((port for port in found if memo.ask(IS_OPEN, port)), key=_by_name))


def _is_open(memo: Memo, port: Port) -> bool:
    return bool(memo.ask(MEMBERS, port)) and memo.ask(SECURED, port) and not unchecked_domains(memo, port)


def unchecked_domains(memo: Memo, port: Port) -> tuple[str, ...]:
    """Trust domains of a gateway's proxies of which no other mesh is told an authority."""
    known = {one.domain for one in memo.ask(BELIEVED, port.service.mesh)}
    shown = {uri.removeprefix(_SCHEME).partition("/")[0] for uri in memo.ask(IDENTITIES, port)}
    return tuple(sorted(shown - known))


def _shown_tags(memo: Memo, port: Port) -> frozenset[Tags]:
    """The tags of a listener, at each of its proxies."""
    return frozenset(tuple(sorted(tags.items())) for tags in _tags(memo, port))


def _tags(memo: Memo, port: Port) -> Iterator[Mapping[str, str]]:
    for member in memo.ask(MEMBERS, port):
        proxy = read_proxy(memo, member.dataplane)
        for inbound in crossing_inbounds(memo, proxy) if proxy is not None else ():
            if inbound.section == port.section:
                yield inbound.tags


def _abroad(memo: Memo, mesh: str) -> Ports:
    """None for a mesh whose proxies these gateways do not believe."""
    found = memo.ask(OPEN, None)
    believed = bool(memo.ask(BELIEVED, mesh)) if found else False
    return found if believed else ()


def _named_abroad(memo: Memo, asked: tuple[str, str]) -> Ports:
    mesh, name = asked
    ports = memo.ask(ABROAD, mesh)
    return tuple(port for port in ports if any((SERVICE, name) in tags for tags in memo.ask(SHOWN_TAGS, port)))


def _meant_abroad(memo: Memo, asked: tuple[str, Tags, int]) -> Port | None:
    mesh, tags, number = asked
    found = tagged_abroad(memo, mesh, dict(tags))
    return next((port for port in found if number_of(port) == number), next(iter(found), None))


def _by_name(port: Port) -> tuple[ResourceKey, str]:
    return port.service, port.section


OPEN: Final[Query[None, Ports]] = Query("open to other meshes", _open)
IS_OPEN: Final[Query[Port, bool]] = Query("is open to other meshes", _is_open)
SHOWN_TAGS: Final[Query[Port, frozenset[Tags]]] = Query("tags of a crossing listener", _shown_tags)
ABROAD: Final[Query[str, Ports]] = Query("called in other meshes", _abroad)
"""By mesh."""
HAS_ABROAD: Final[Query[str, bool]] = Query("calls other meshes", lambda memo, mesh: bool(memo.ask(ABROAD, mesh)))
"""What proxies ask first, so that a new listener is no concern of those that do not call it."""
NAMED_ABROAD: Final[Query[tuple[str, str], Ports]] = Query("called in other meshes by name", _named_abroad)
"""By mesh and `kuma.io/service` of the gateway's proxies."""
MEANT_ABROAD: Final[Query[tuple[str, Tags, int], Port | None]] = Query("meant in other meshes", _meant_abroad)
"""By mesh, and by the tags and the port of an outbound."""
