"""Services as the zones of a mesh see them: their own endpoints, and the ingresses of other zones (kuma-core §5.6)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from compiler.memo import Memo, Query
from compiler.mesh.destination import Endpoint
from compiler.mesh.gateways.crossing import OPEN, is_abroad
from compiler.mesh.gateways.routes import backends_of
from compiler.mesh.graph import KEYS, RESOURCE, ZONE_ENABLED, mesh_spec, read_proxy
from compiler.mesh.members import ENDPOINTS, MEMBERS, SECURED
from compiler.mesh.services import (
    EXTERNAL,
    MESH_SERVICE,
    MULTI_ZONE,
    OFFERED,
    PORTED_KEYS,
    SERVICE_KEYS,
    SERVICE_RESOURCE,
    TAGGED,
    TAGGED_NAMES,
    Port,
    service_key,
    service_ports,
    tag_port,
    tagged_by,
)
from compiler.mesh.value import Value
from compiler.mesh.virtual_outbounds import CALLED
from compiler.mesh.zones.gates import EGRESSES, INGRESSES, Gate
from compiler.resources.model import (
    SERVICE,
    ZONE,
    Dataplane,
    ExternalService,
    MeshGatewayRoute,
    Policy,
    Resource,
    ResourceKey,
)

BEYOND_EGRESS: Final = "_egress"
"""Stands for the zone of what is behind a zone egress, which chooses among them; no zone is called so."""
NEAR: Final = "near"
FAR: Final = "far"
PLAIN: Final = "plain"


class View(Value, frozen=True):
    """A destination from a zone: `side` is near or far for a zone proxy, which passes on one of the two.

    It is plain for a caller without a certificate, to whom no zone proxy listens.
    """

    port: Port
    zone: str
    side: str = ""


class Seen(NamedTuple):
    """`apart` where some of the endpoints are proxies of other zones: those come second."""

    endpoints: tuple[Endpoint, ...]
    apart: bool = False


def _seen(memo: Memo, view: View) -> Seen:
    mesh, port = view.port.service.mesh, view.port
    egresses = memo.ask(EGRESSES, mesh).get(view.zone, ())
    if is_outside(memo, port):
        if view.side == FAR:
            return Seen(tuple(sorted(_led_on(memo, port, view.zone))))
        return Seen(tuple(Endpoint(view.zone, gate.address, gate.port) for gate in egresses))
    endpoints = memo.ask(ENDPOINTS, port)
    near = tuple(one for one in endpoints if one.zone == view.zone)
    if view.side == NEAR:
        return Seen(near)
    others = {one.zone for one in endpoints} | memo.ask(INGRESSES, mesh).keys()
    others = {zone for zone in others if zone != view.zone and memo.ask(ZONE_ENABLED, zone)}
    ingresses = {zone: there for zone, there in memo.ask(INGRESSES, mesh).items() if zone in others}
    direct = tuple(one for one in endpoints if one.zone in others and one.zone not in ingresses)
    if view.side == PLAIN:
        return Seen(tuple(sorted((*near, *direct))))
    far = tuple(_through(memo, port, ingresses, endpoints))
    if view.side == FAR:
        return Seen(tuple(sorted((*direct, *far))))
    if egresses and (direct or far) and mesh_spec(memo, mesh).routing.zone_egress and memo.ask(SECURED, port):
        weight = _weight(port, (*direct, *far))
        far, direct = tuple(_lead(gate, BEYOND_EGRESS, weight) for gate in egresses), ()
    return Seen(tuple(sorted((*near, *direct, *far))), bool(far))


def is_outside(memo: Memo, port: Port) -> bool:
    """Whether what is called is outside of the mesh and, where its zone has an egress, called by that.

    An ExternalService of 2.x is so only where the mesh wants it, a MeshExternalService always (kuma-core §2.1).
    """
    if port.service.type == EXTERNAL:
        return True
    if port.service.type != MESH_SERVICE or not mesh_spec(memo, port.service.mesh).routing.zone_egress:
        return False
    return memo.read(RESOURCE, port.service) is None and bool(memo.ask(TAGGED, port.service))


def tags_of(tagged: Resource) -> Mapping[str, str]:
    return cast(ExternalService, tagged.spec).tags


def leaving_zones(memo: Memo, port: Port, zone: str) -> tuple[str, ...]:
    """The other zones whose egresses call what a zone's own one does not: ExternalServices of those zones alone.

    A zone without an egress is not asked to call, nor is one that is out of service.
    """
    zones = {tags_of(one).get(ZONE, zone) for one in tagged_by(memo, port)}
    if port.service.type == EXTERNAL or zone in zones:
        return ()
    egresses = memo.ask(EGRESSES, port.service.mesh)
    return tuple(sorted(one for one in zones if one in egresses and memo.ask(ZONE_ENABLED, one)))


def _led_on(memo: Memo, port: Port, zone: str) -> Iterator[Endpoint]:
    """By the ingress of such a zone, where it has one."""
    mesh = port.service.mesh
    for other in leaving_zones(memo, port, zone):
        for gate in memo.ask(INGRESSES, mesh).get(other) or memo.ask(EGRESSES, mesh)[other]:
            yield _lead(gate, other, 1)


def _through(
    memo: Memo, port: Port, ingresses: Mapping[str, tuple[Gate, ...]], endpoints: Iterable[Endpoint]
) -> Iterator[Endpoint]:
    """Nobody gets through an ingress without TLS of the mesh: by it the service is told."""
    if not ingresses or not memo.ask(SECURED, port):
        return
    instances = Counter(one.zone for one in endpoints)
    instances.update(zone for zone in memo.ask(MEMBER_ZONES, port).registered if not instances[zone])
    for zone, gates in ingresses.items():
        for gate in gates if instances[zone] else ():
            yield _lead(gate, zone, 1 if port.section else instances[zone])


def _weight(port: Port, endpoints: Iterable[Endpoint]) -> int:
    return 1 if port.section else sum(one.weight for one in endpoints)


def _lead(gate: Gate, zone: str, weight: int) -> Endpoint:
    return Endpoint(zone, gate.address, gate.port, ((ZONE, zone),) if zone != BEYOND_EGRESS else (), weight)


class MemberZones(NamedTuple):
    """The zones in which a destination has proxies, healthy or not; those in which they register themselves."""

    all: frozenset[str]
    registered: frozenset[str]


def _member_zones(memo: Memo, port: Port) -> MemberZones:
    found: dict[str, bool] = {}
    for key in {member.dataplane for member in memo.ask(MEMBERS, port)}:
        proxy = read_proxy(memo, key)
        if proxy is not None:
            found[proxy.zone] = found.get(proxy.zone, False) or key.type == "DataplaneSet"
    return MemberZones(frozenset(found), frozenset(zone for zone, registers in found.items() if registers))


def _passed(memo: Memo, view: tuple[str, str, str]) -> tuple[Port, ...]:
    """What a zone proxy passes on: near, all that has a proxy in the zone; far, all that has one elsewhere.

    An ExternalService of 2.x that is of a zone is passed on to the egress there.
    """
    mesh, zone, side = view
    zones = ((port, memo.ask(MEMBER_ZONES, port).all) for port in memo.ask(CALLED_PORTS, mesh))
    outside = memo.ask(TAGGED_PORTS, mesh)
    if side == NEAR:
        leaving = (port for port in outside if any(tags_of(one).get(ZONE) == zone for one in tagged_by(memo, port)))
        led = leaving if zone in memo.ask(EGRESSES, mesh) else ()
        return (*(port for port, found in zones if zone in found), *led)
    far = (port for port, found in zones if any(memo.ask(ZONE_ENABLED, one) for one in found - {zone}))
    return (*far, *(port for port in outside if leaving_zones(memo, port, zone)))


def _called_ports(memo: Memo, mesh: str) -> tuple[Port, ...]:
    """Every place in the mesh that some proxy may call, of this mesh or another, sorted."""
    found = {port for key in _service_keys(memo, mesh) for port in _ports_of(memo, key)}
    found.update(port for key in _referring(memo, mesh) for port in memo.ask(TAG_PORTS, key))
    found.update(port for port in memo.ask(OPEN, None) if port.service.mesh == mesh)
    if mesh_spec(memo, mesh).mesh_services.mode != "Exclusive":
        found.update(Port(key, "") for key in memo.ask(SERVICE_KEYS, mesh) if memo.ask(OFFERED, key))
        found.update(one.called for one in memo.ask(CALLED, mesh).names)
    return tuple(sorted(found, key=lambda port: (port.service, port.section, port.subset)))


def _tagged_ports(memo: Memo, mesh: str) -> tuple[Port, ...]:
    """Every place of an ExternalService of 2.x that some proxy may call, sorted; none where no egress calls it."""
    names = memo.ask(TAGGED_NAMES, mesh) if mesh_spec(memo, mesh).routing.zone_egress else ()
    keys = {service_key(mesh, name) for name in names}
    return tuple(port for port in memo.ask(CALLED_PORTS, mesh) if port.service in keys and is_outside(memo, port))


def _service_keys(memo: Memo, mesh: str) -> Iterator[ResourceKey]:
    yield from memo.ask(PORTED_KEYS, mesh)
    yield from sorted(memo.read(KEYS, (MULTI_ZONE, mesh)))


def _ports_of(memo: Memo, key: ResourceKey) -> Iterator[Port]:
    service = memo.ask(SERVICE_RESOURCE, key)
    yield from (Port(key, one.section) for one in service_ports(service)) if service is not None else ()


_ROUTES: Final = ("MeshHTTPRoute", "MeshTCPRoute", "MeshGatewayRoute")


def _referring(memo: Memo, mesh: str) -> Iterator[ResourceKey]:
    """What may name a service by its tags."""
    for kind in ("Dataplane", "DataplaneSet", *_ROUTES):
        yield from sorted(memo.read(KEYS, (kind, mesh)))


def _tag_ports(memo: Memo, key: ResourceKey) -> tuple[Port, ...]:
    """Whole services of 2.x and parts of them that a document names."""
    resource = memo.read(RESOURCE, key)
    if resource is not None and isinstance(resource.spec, Policy):
        items = [item.conf for item in resource.spec.to]
        return tuple(tag_port(key.mesh, tags) for tags in _subsets(items))
    if resource is not None and isinstance(resource.spec, MeshGatewayRoute):
        return tuple(tag_port(key.mesh, tags) for _, tags in backends_of(resource))
    proxy = read_proxy(memo, key)
    outbounds = cast(Dataplane, proxy.spec).networking.outbound if proxy is not None else ()
    return tuple(tag_port(key.mesh, one.tags) for one in outbounds if one.tags and not is_abroad(key.mesh, one.tags))


def _subsets(conf: Any) -> Iterator[Mapping[str, str]]:
    """References to part of a service, or to one whole, wherever they stand in a conf."""
    if isinstance(conf, Mapping):
        if conf.get("kind") in ("MeshServiceSubset", "MeshService") and "port" not in conf and conf.get("name"):
            yield {**(conf.get("tags") or {}), SERVICE: conf["name"]}
        for value in conf.values():
            yield from _subsets(value)
    elif isinstance(conf, list | tuple):
        for value in conf:
            yield from _subsets(value)


SEEN: Final[Query[View, Seen]] = Query("seen", _seen)
MEMBER_ZONES: Final[Query[Port, MemberZones]] = Query("member zones", _member_zones)
CALLED_PORTS: Final[Query[str, tuple[Port, ...]]] = Query("called ports", _called_ports)
TAG_PORTS: Final[Query[ResourceKey, tuple[Port, ...]]] = Query("tag ports", _tag_ports)
TAGGED_PORTS: Final[Query[str, tuple[Port, ...]]] = Query("tagged ports", _tagged_ports)
PASSED: Final[Query[tuple[str, str, str], tuple[Port, ...]]] = Query("passed on", _passed)
"""By mesh, zone and side."""
