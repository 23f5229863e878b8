"""What a proxy does by which a zone is entered or left (kuma-core §2.4, §5.7).

An ingress passes on connections to the zone's own proxies and opens none. An egress ends the TLS of calls to external
services, judges them, and calls for them; calls to other zones it passes on, where the mesh wants them to go that way.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, cast

from msgspec.structs import replace

from compiler.memo import Memo
from compiler.mesh.calls import Inbound, Permission, PermissionEntry, Principal, Tls, Upstream
from compiler.mesh.confs import ITEMS
from compiler.mesh.destination import Destination
from compiler.mesh.external import outside_of_tagged
from compiler.mesh.graph import KEYS, mesh_spec
from compiler.mesh.identity import IDENTITIES_OF
from compiler.mesh.inbounds import read_inbound
from compiler.mesh.members import DESTINATION
from compiler.mesh.order import Origin, Side
from compiler.mesh.permission import ALLOW, permission_by_name
from compiler.mesh.proxy import Asked, Certification, Proxy
from compiler.mesh.routing import CONFS, Caller, routing_to
from compiler.mesh.selection import HOLDER, PERMISSIONS, Holder, incoming
from compiler.mesh.services import EXTERNAL, SERVICE_RESOURCE, TAGGED, Port, service_ports, tagged_by
from compiler.mesh.shape import shape_of
from compiler.mesh.sni import server_name
from compiler.mesh.upstreams import destination_port, looked_up
from compiler.mesh.zones.gates import EGRESS, EGRESSES, INGRESS
from compiler.mesh.zones.passing import Opening, Passage, ZoneGate
from compiler.mesh.zones.views import FAR, NEAR, PASSED, TAGGED_PORTS, is_outside, leaving_zones, tags_of
from compiler.resources.model import ZONE, Dataplane, Networking, Resource, ResourceKey
from compiler.resources.model import Inbound as WrittenInbound
from compiler.resources.specs.dataplane import ZoneListener

_SIDES: Final[tuple[Side, Side]] = ("rules", "from")
_NAMES: Final = {INGRESS: "self_zoneingress_dp_", EGRESS: "self_zoneegress_dp_"}


class Guard(NamedTuple):
    """Whom a zone proxy's policies hold for; `like` is what they say of its listener as of an inbound.

    `owned` gives an inbound what policies say of all of the proxy.
    """

    holder: Holder
    calling: Caller
    like: Inbound
    owned: Callable[[Inbound], Inbound]


def zone_gate(memo: Memo, proxy: Resource, listener: ZoneListener, guard: Guard, *, beside: bool) -> ZoneGate:
    """`beside` where the proxy makes calls of its own, whose clusters have the names that these would have.

    An ingress needs no certificate, as it opens nothing; without one an egress is led nowhere (`gates.EGRESSES`).
    """
    suffix, leaves = f".{listener.section}" if beside else "", listener.type == EGRESS
    passing = guard.like.tls is not None or (not leaves and bool(memo.ask(IDENTITIES_OF, proxy.key.mesh)))
    passages = (_judged(one, proxy, guard.like) for one in _passages(memo, proxy, FAR if leaves else NEAR, suffix))
    return ZoneGate(
        name=f"{_NAMES[listener.type]}{listener.section}",
        address=guard.like.address,
        port=listener.port,
        passages=tuple({one.server_name: one for one in passages}.values()) if passing else (),
        openings=tuple(_openings(memo, proxy, guard, suffix)) if leaves and guard.like.tls is not None else (),
    )


def _judged(passage: Passage, proxy: Resource, like: Inbound) -> Passage:
    """With what somebody says of the listener; a zone proxy of 2.x has policies for what it opens alone."""
    confs = tuple(one for one in like.confs if one.origins) if proxy.key.type == "Dataplane" else ()
    return replace(passage, confs=confs, owner=like.owner) if confs else passage


def join_meshes(workload: str, ready: Asked | None, found: Sequence[Proxy]) -> Proxy:
    """One listener for several meshes: the names that callers ask for say the mesh."""
    gates = [gate for proxy in found for gate in proxy.gates]
    passages = tuple(one for gate in gates for one in gate.passages)
    openings = tuple(one for gate in gates for one in gate.openings)
    return Proxy(
        mesh="",
        workload=workload,
        tls=None,
        identities=(),
        certification=Certification(),
        trusted=(),
        inbounds=(),
        outbounds=(),
        upstreams=(),
        transparent=None,
        asked=ready,
        gates=(replace(gates[0], passages=passages, openings=openings),) if gates else (),
        memberships=tuple(replace(proxy, owner=None) for proxy in found if proxy.tls is not None),
    )


def _passages(memo: Memo, proxy: Resource, side: str, suffix: str) -> Iterator[Passage]:
    mesh = proxy.key.mesh
    if side == FAR and not mesh_spec(memo, mesh).routing.zone_egress:
        return
    for port in memo.ask(PASSED, (mesh, proxy.zone, side)):
        called = memo.ask(DESTINATION, port)
        name = _asked_for(memo, port, called) if called is not None else ""
        if called is not None and name:
            yield Passage(name, f"{called.name}{suffix}", called.service, called.section, called.subset, side)


def _asked_for(memo: Memo, port: Port, called: Destination) -> str:
    """Empty for what is called without TLS of the mesh."""
    service = memo.ask(SERVICE_RESOURCE, port.service) if called.outside is not None else None
    return server_name(service, port.section, port.subset) if service is not None else called.server_name


def _openings(memo: Memo, proxy: Resource, guard: Guard, suffix: str) -> Iterator[Opening]:
    for port in _outside_ports(memo, proxy.key.mesh):
        service, called = memo.ask(SERVICE_RESOURCE, port.service), memo.ask(DESTINATION, port)
        if called is not None and service is not None:
            name = server_name(service, port.section, port.subset)
            if port.service.type == EXTERNAL:
                like = replace(guard.like, permission=_permission(memo, proxy, guard, name))
            elif leaving_zones(memo, port, proxy.zone):
                continue
            else:
                like = guard.owned(_as_inbound(memo, port, guard.like))
                called = _from_zone(memo, port, called, proxy.zone)
            called = looked_up(replace(called, kri=f"{called.kri}{suffix}"), proxy)
            yield _opening(memo, like, guard.calling, called, name)


def _outside_ports(memo: Memo, mesh: str) -> Iterator[Port]:
    for key in sorted(memo.read(KEYS, (EXTERNAL, mesh))):
        service = memo.ask(SERVICE_RESOURCE, key)
        yield from (Port(key, one.section) for one in service_ports(service)) if service is not None else ()
    yield from memo.ask(TAGGED_PORTS, mesh)


def _as_inbound(memo: Memo, port: Port, like: Inbound) -> Inbound:
    """Of several ExternalServices of a name the first counts."""
    proxy = tagged_proxy((tagged_by(memo, port) or memo.ask(TAGGED, port.service))[0], like)
    (inbound,) = cast(Dataplane, proxy.spec).networking.inbound
    return read_inbound(memo, proxy, inbound, like.tls, memo.ask(HOLDER, shape_of(proxy)))


def tagged_proxy(tagged: Resource, like: Inbound | None = None) -> Resource:
    """For policies an egress is the proxy of an ExternalService, whose tags are those of its inbound (2.x)."""
    address, port, name = (like.address, like.port, like.section) if like is not None else ("", 0, "")
    inbound = WrittenInbound(port=port, name=name, tags=dict(tags_of(tagged)))
    networking = Networking(address=address, inbound=(inbound,))
    return Resource(ResourceKey("Dataplane", tagged.key.mesh, ""), {}, Dataplane(networking))


def _from_zone(memo: Memo, port: Port, called: Destination, zone: str) -> Destination:
    """What is of another zone is left to that, where there is something else by the name, or that has no egress."""
    near = [one for one in tagged_by(memo, port) if tags_of(one).get(ZONE, zone) == zone]
    return replace(called, outside=outside_of_tagged(near)) if near else called


def _opening(memo: Memo, like: Inbound, calling: Caller, called: Destination, name: str) -> Opening:
    routing = routing_to(memo, calling, destination_port(called))
    return Opening(
        section=like.section,
        address="",
        port=0,
        workload_address="",
        workload_port=0,
        workload_version=0,
        protocol=called.protocol,
        transparent=False,
        tls=replace(like.tls, permissive=False) if like.tls is not None else None,
        permission=like.permission,
        confs=like.confs,
        source_rules=like.source_rules,
        owner=like.owner,
        server_name=name,
        upstream=Upstream(called, memo.ask(CONFS, routing)),
    )


def _permission(memo: Memo, proxy: Resource, guard: Guard, name: str) -> Permission:
    """What rules say of this service and of all; a ZoneEgress of 2.x lets everyone through unless the mesh forbids."""
    mesh = proxy.key.mesh
    if proxy.key.type == EGRESS and not mesh_spec(memo, mesh).routing.default_forbid_mesh_external_service_access:
        origin = Origin(f"kri_m____{mesh}_", ResourceKey("Mesh", "", mesh), "/routing")
        return Permission((PermissionEntry(Principal(), ALLOW, origin),))
    policies = incoming(memo, guard.holder, PERMISSIONS, guard.like.section)
    rules, sources = (memo.ask(ITEMS, (policies, (side,))) for side in _SIDES)
    return permission_by_name(mesh, rules, sources, name)


def through_egress(memo: Memo, upstreams: Iterable[Upstream], own: Tls | None, zone: str) -> Iterator[Upstream]:
    """Services outside of the mesh are called by the zone's egress, if both it and the caller have certificates."""
    for upstream in upstreams:
        called = upstream.destination
        port = destination_port(called)
        outside = called.outside is not None and own is not None and is_outside(memo, port)
        gates = memo.ask(EGRESSES, called.mesh).get(zone, ()) if outside else ()
        service = memo.ask(SERVICE_RESOURCE, called.service) if gates else None
        if service is None:
            yield upstream
            continue
        ending = leaving_zones(memo, port, zone)
        gates = tuple(gate for one in ending for gate in memo.ask(EGRESSES, called.mesh)[one]) or gates
        shown = tuple(sorted({uri for gate in gates for uri in gate.identities}))
        name = server_name(service, port.section, port.subset)
        led = replace(called, outside=None, secured=True, identities=shown, server_name=name)
        yield replace(upstream, destination=led)
