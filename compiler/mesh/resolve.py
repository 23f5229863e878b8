"""Everything one proxy must do: its inbounds, its outbounds, whom it may reach, and the confs that hold for a call."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeVar, cast

from msgspec.structs import replace

from compiler.memo import Memo, Query
from compiler.mesh.beside import asked, direct, probes
from compiler.mesh.calls import Admission, Inbound, Outbound, Tls, Upstream
from compiler.mesh.confs import MESH_CONF, PERMISSION, WHOLE_CONF, Held
from compiler.mesh.gateways.gateway import Gateway, read_gateway
from compiler.mesh.graph import KEYS, mesh_spec
from compiler.mesh.holes import owner_of
from compiler.mesh.hostnames import name_records
from compiler.mesh.identity import BELIEVED, EVERYBODY, credentials
from compiler.mesh.inbounds import list_inbounds, read_inbound
from compiler.mesh.kinds import SPEAKING, find_kind
from compiler.mesh.proxy import Bundle, Known, Placed, Proxy, Transparent
from compiler.mesh.routing import Caller, caller, outbounds
from compiler.mesh.selection import HOLDER, PERMISSIONS, Holder, incoming_everywhere, outgoing, whole
from compiler.mesh.services import (
    SERVICE_RESOURCE,
)
from compiler.mesh.shape import Shape, shape_of, workload
from compiler.mesh.sockets import list_sockets, port_number
from compiler.mesh.upstreams import joined, list_destinations, list_upstreams, spoken, spread
from compiler.mesh.value import Applied, Confs, Owner
from compiler.mesh.zones.gates import stand_in
from compiler.mesh.zones.passing import ZoneGate
from compiler.mesh.zones.proxies import Guard, join_meshes, through_egress, zone_gate
from compiler.resources.model import (
    Dataplane,
    Mesh,
    Networking,
    Resource,
    TransparentProxying,
)
from compiler.resources.model import Inbound as WrittenInbound

P = TypeVar("P", Inbound, Outbound, Transparent)


def _proxy(memo: Memo, shape: Shape) -> Proxy:
    resource = shape.resource
    if not resource.key.mesh:
        return _zone_proxy(memo, resource)
    mesh = mesh_spec(memo, resource.key.mesh)
    networking = cast(Dataplane, resource.spec).networking
    holder = memo.ask(HOLDER, shape)
    own = credentials(memo, resource)
    calling = caller(memo, holder)
    theirs = _theirs(memo, resource, holder)
    calls = tuple(_owned(one, theirs) for one in outbounds(memo, list_sockets(memo, resource, mesh), calling))
    gateway = read_gateway(memo, shape, holder, theirs.confs, theirs.owner if theirs.naming else None)
    upstreams = (*list_upstreams(memo, calls, calling, theirs.confs), *gateway.upstreams)
    transparent = _transparent(memo, networking.transparent_proxying, mesh, holder)
    passed = _owned(transparent, theirs) if transparent is not None else None
    inbounds = tuple(_owned(one, theirs) for one in list_inbounds(memo, resource, own.tls, holder))
    spoken_here = next((one.tls for one in inbounds), own.tls)
    return Proxy(
        mesh=resource.key.mesh,
        workload=workload(resource),
        tls=own.tls,
        identities=own.uris,
        certification=own.certification,
        trusted=own.trusted,
        inbounds=inbounds,
        outbounds=calls,
        upstreams=tuple(
            spread(memo, spoken(one, own.tls, inbounds, resource), resource)
            for one in through_egress(memo, joined(upstreams), own.tls, resource.zone)
        ),
        transparent=_let_through(memo, passed, theirs) if passed is not None else None,
        confs=theirs.confs + theirs.beside,
        owner=_placed(theirs.owner, networking, _admission(memo, holder, theirs, spoken_here))
        if theirs.owned
        else None,
        names=name_records(memo, resource.key.mesh, resource.zone, calls)
        if networking.transparent_proxying is not None
        else None,
        gates=tuple(_gates(memo, resource, own.tls, calling, theirs, calls)) if networking.listeners else (),
        asked=asked(networking),
        probes=probes(cast(Dataplane, resource.spec), inbounds),
        direct=direct(memo, resource, spoken_here, calls, passed),
        known=_known(memo, resource, calls)
        if any(find_kind(memo, one.policy).patches for one in theirs.beside)
        else None,
        gateway=gateway.listeners,
        bundles=tuple(_bundles(memo, resource.key.mesh, upstreams, gateway)),
    )


def _bundles(memo: Memo, mesh: str, upstreams: Sequence[Upstream], gateway: Gateway) -> Iterator[Bundle]:
    """Of each other mesh that is called; a gateway that other meshes call is told of all."""
    if any(one.tls is not None for one in gateway.listeners):
        yield Bundle("", memo.ask(EVERYBODY, None))
    for other in sorted({one.destination.mesh for one in upstreams} - {mesh}):
        yield Bundle(other, memo.ask(BELIEVED, other))


def _zone_proxy(memo: Memo, resource: Resource) -> Proxy:
    """A zone proxy of 2.x is of no mesh: it serves them all, and has a certificate of each."""
    meshes = sorted(key.name for key in memo.read(KEYS, ("Mesh", "")))
    found = [memo.ask(PROXY, shape_of(stand_in(resource, mesh))) for mesh in meshes]
    return join_meshes(workload(resource), asked(cast(Dataplane, resource.spec).networking), found)


def _gates(
    memo: Memo, resource: Resource, tls: Tls | None, calling: Caller, theirs: "_Theirs", calls: Sequence[Outbound]
) -> Iterator[ZoneGate]:
    """What policies say of an inbound they say of a listener of the zone, too."""
    holder = memo.ask(HOLDER, shape_of(resource))
    for listener in cast(Dataplane, resource.spec).networking.listeners:
        if listener.state != "Ignored":
            written = WrittenInbound(port=listener.port, name=listener.name, address=listener.address)
            like = _owned(read_inbound(memo, resource, written, tls, holder), theirs)
            guard = Guard(holder, calling, like, lambda part: _owned(part, theirs))
            yield zone_gate(memo, resource, listener, guard, beside=bool(calls))


def _let_through(memo: Memo, transparent: Transparent, theirs: "_Theirs") -> Transparent:
    """Calls to the outside as policies want them; the policy that says so stays beside what it decides."""
    for applied in theirs.beside:
        shape = find_kind(memo, applied.policy).shape_transparent
        if shape is not None:
            transparent = replace(shape(applied.conf, transparent), origins=applied.origins)
    return transparent


def _known(memo: Memo, resource: Resource, calls: Sequence[Outbound]) -> Known:
    """A tag of an inbound comes before a label of the same name."""
    written = cast(Dataplane, resource.spec).networking.inbound
    named = {destination.name: destination for destination in list_destinations(calls)}
    services = ((name, one, memo.ask(SERVICE_RESOURCE, one.service)) for name, one in sorted(named.items()))
    numbers = ((name, port_number(service, one.section)) for name, one, service in services)
    return Known(
        tuple((one.section, tuple(sorted({**resource.labels, **one.tags}.items()))) for one in written),
        tuple((name, number) for name, number in numbers if number is not None),
    )


def _placed(owner: Owner, networking: Networking, admission: Admission | None) -> Placed:
    return Placed(
        owner.mesh,
        owner.zone,
        owner.service,
        owner.workload,
        address=networking.address,
        redirected=networking.transparent_proxying is not None,
        gateway=networking.gateway is not None,
        admission=admission,
    )


def _admission(memo: Memo, holder: Holder, theirs: "_Theirs", tls: Tls | None) -> Admission | None:
    """Only where a policy asks for it; what is offered beside the inbounds is never optional, and in no service."""
    if tls is None or not any(_asks(memo, applied) for applied in theirs.beside):
        return None
    permissions = incoming_everywhere(memo, holder, PERMISSIONS)
    mesh = holder.profile.resource.key.mesh
    return Admission(replace(tls, permissive=False), memo.ask(PERMISSION, (mesh, permissions)))


def _asks(memo: Memo, applied: Applied) -> bool:
    offer = find_kind(memo, applied.policy).offer
    return offer is not None and offer.asks(applied.conf)


class _Theirs(NamedTuple):
    """What all parts of a proxy have of it: confs of policies that hold for all of it, and to some policies its name.

    `beside` are confs that no part has; `naming` are the kinds that want to know it of a part, `owned` whether any kind
    does at all.
    """

    confs: Confs
    beside: Confs
    owner: Owner
    naming: frozenset[str]
    owned: bool


def _theirs(memo: Memo, resource: Resource, holder: Holder) -> _Theirs:
    kinds = memo.ask(SPEAKING, resource.key.mesh)
    found = (memo.ask(WHOLE_CONF, Held(kind.type, whole(memo, holder, kind.type))) for kind in kinds if kind.whole)
    held = tuple(_specialised(memo, applied, resource) for applied in found if applied is not None)
    apart = frozenset(kind.type for kind in kinds if kind.beside)
    naming = frozenset(kind.type for kind in kinds if kind.names_owner)
    return _Theirs(
        confs=tuple(applied for applied in held if applied.policy not in apart),
        beside=tuple(applied for applied in held if applied.policy in apart),
        owner=owner_of(resource),
        naming=naming - apart,
        owned=bool(naming),
    )


def _specialised(memo: Memo, applied: Applied, resource: Resource) -> Applied:
    """With what the proxy's own document says of it."""
    specialise = find_kind(memo, applied.policy).specialise
    if specialise is None:
        return applied
    return replace(applied, conf=specialise(applied.conf, cast(Dataplane, resource.spec)))


def _owned(part: P, theirs: _Theirs) -> P:
    """A part with what it has of its proxy; itself where that is nothing, so that others share it."""
    if not theirs.confs and not theirs.naming:
        return part
    named = not theirs.naming.isdisjoint(_applied(part, theirs.confs))
    if not named and not theirs.confs:
        return part
    return replace(part, confs=part.confs + theirs.confs, owner=theirs.owner if named else None)


def _applied(part: Inbound | Outbound | Transparent, whole: Confs) -> Iterator[str]:
    """The kinds whose policies say something of it, those of the whole proxy first: what they name, all parts do."""
    yield from (applied.policy for applied in (*whole, *part.confs))
    if isinstance(part, Inbound):
        yield from (applied.policy for rule in part.source_rules for applied in rule.confs)
    if isinstance(part, Outbound):
        yield from (applied.policy for route in part.routes for applied in route.confs)


def _transparent(memo: Memo, proxying: TransparentProxying | None, mesh: Mesh, holder: Holder) -> Transparent | None:
    if proxying is None:
        return None
    return Transparent(
        inbound_port=proxying.redirect_port_inbound,
        outbound_port=proxying.redirect_port_outbound,
        ipv6=proxying.ip_family_mode != "IPv4",
        passthrough=mesh.networking.outbound.passthrough,
        confs=tuple(_mesh_confs(memo, holder.profile.resource.key.mesh, holder)),
    )


def _mesh_confs(memo: Memo, mesh: str, holder: Holder) -> Iterator[Applied]:
    for kind in memo.ask(SPEAKING, mesh):
        if kind.outbound:
            held = Held(kind.type, outgoing(memo, holder.profile, holder.outgoing, kind.type, ()))
            applied = memo.ask(MESH_CONF, held)
            if applied is not None:
                yield applied


PROXY: Final[Query[Shape, Proxy]] = Query("proxy", _proxy)
