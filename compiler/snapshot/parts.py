"""Parts of a proxy: each is translated, rendered and checked once, however many proxies share it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace as with_fields
from typing import Any, Final

from google.protobuf.message import Message
from msgspec.structs import replace

from compiler.envoy.beside import direct_resources, probe_listener, readiness_listener
from compiler.envoy.clusters import HTTP, inbound_cluster
from compiler.envoy.endpoints import load_assignment, spread_assignment
from compiler.envoy.gateways import gateway_listener, gateway_traffic
from compiler.envoy.listeners import inbound_listener, outbound_listener
from compiler.envoy.names_table import names_listener, names_routes
from compiler.envoy.policy import HOOKS, Policies
from compiler.envoy.resources import ResourceType
from compiler.envoy.routes import outbound_routes
from compiler.envoy.secrets import agent_cluster
from compiler.envoy.translate import (
    inbound_traffic,
    outbound_resources,
    transparent_resources,
    upstream_resources,
    uses_tls,
)
from compiler.envoy.zone_proxies import gate_listener, opening_resources, passage_cluster
from compiler.memo import Memo, Query
from compiler.mesh.calls import Inbound, Outbound, Permission, Upstream
from compiler.mesh.destination import Endpoint, Spread
from compiler.mesh.gateways.front import GatewayListener
from compiler.mesh.members import ENDPOINTS
from compiler.mesh.policy import PolicyKind
from compiler.mesh.proxy import Asked, Direct, NameRecord, Placed, Probes, Proxy, Transparent
from compiler.mesh.services import Port
from compiler.mesh.value import Applied, Owner, Value
from compiler.mesh.zones.passing import Opening, Passage, ZoneGate
from compiler.mesh.zones.views import SEEN, View
from compiler.resources.findings import BAD_TARGET
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.origins import (
    admission_origins,
    direct_origins,
    gate_origins,
    gateway_origins,
    inbound_origins,
    opening_origins,
    outbound_origins,
    tls_origins,
    transparent_origins,
    upstream_origins,
)
from compiler.snapshot.rendering import Part, Problem, blame_tls, render_each

PartKey = tuple[Query[Any, Part], Value]
"""What is asked to get a part."""


class Assignment(Value, frozen=True):
    """The endpoints of a cluster as one zone sees them; without a preferred zone all are equal.

    Where a policy spreads calls over zones, it alone decides, and the zone is the caller's.
    """

    cluster: str
    port: Port
    preferred_zone: str | None
    spread: Spread | None = None
    seen: View | None = None
    """Where zones have proxies between them, from which zone the endpoints are seen."""


class Agent(Value, frozen=True):
    """Of SPIRE, and how long it is waited for."""

    nanoseconds: int


class Names(Value, frozen=True):
    """What the names of services stand for at a proxy."""

    records: tuple[NameRecord, ...]


class Support(Value, frozen=True):
    """What a policy needs beside the resources that it decorates."""

    applied: Applied
    owner: Placed | None


def list_parts(proxy: Proxy, policies: Policies) -> Iterator[PartKey]:
    """All but the endpoints, which change more often and are not the same in every zone."""
    for inbound in proxy.inbounds:
        at_workload = replace(inbound, address="", port=0, permission=Permission(), owner=None)
        yield INBOUND_LISTENER, replace(inbound, **_NOWHERE)
        yield INBOUND_CLUSTER, at_workload
        owner = _routes_owner(inbound, policies) if inbound.owner is not None else None
        yield INBOUND_TRAFFIC, replace(at_workload, permission=inbound.permission, owner=owner, **_NOWHERE)
    for outbound in proxy.outbounds:
        yield from _list_outbound(outbound)
    yield from ((UPSTREAM, upstream) for upstream in proxy.upstreams)
    if proxy.transparent is not None:
        yield TRANSPARENT, proxy.transparent
    for gate in proxy.gates:
        yield GATE, gate
        yield from ((PASSAGE, one.unjudged) for one in gate.passages)
        yield from ((OPENING, one) for one in gate.openings)
    if proxy.names is not None:
        yield NAMES, Names(proxy.names)
    yield from _list_beside(proxy)
    for listener in proxy.gateway:
        yield GATEWAY_LISTENER, listener
        yield GATEWAY_TRAFFIC, replace(listener, address="")
    yield from ((SUPPORT, support) for support in _list_supports(proxy, policies))


def _list_beside(proxy: Proxy) -> Iterator[PartKey]:
    if proxy.certification.agent_nanoseconds and uses_tls(proxy):
        yield AGENT, Agent(proxy.certification.agent_nanoseconds)
    if proxy.asked is not None:
        yield READINESS, proxy.asked
    if proxy.probes is not None:
        yield PROBES, proxy.probes
    if proxy.direct is not None:
        yield DIRECT, proxy.direct


def _routes_owner(inbound: Inbound, policies: Policies) -> Owner | None:
    """Only where a policy names it at the routes themselves: else they are those of every workload of this shape."""
    naming = (policies[applied.policy] for applied in inbound.confs)
    return inbound.owner if any(one.kind.names_owner and one.hooks.route_filters for one in naming) else None


def _list_outbound(outbound: Outbound) -> Iterator[PartKey]:
    """Where policies name the caller, its listener is its own, and the routes are still those of every caller."""
    if outbound.owner is None or not outbound.routes:
        yield OUTBOUND, outbound
        return
    yield OUTBOUND_LISTENER, outbound
    yield OUTBOUND_ROUTES, replace(outbound, owner=None)


def _list_supports(proxy: Proxy, policies: Policies) -> Iterable[Support]:
    """Each once, however many parts of the proxy have the conf; whose it is counts only where the policy asks."""
    supporting = {name for name, policy in policies.items() if policy.hooks.resources is not None}
    found: dict[Support, None] = {}
    for applied in dict.fromkeys(_all_applied(proxy)):
        if applied.policy in supporting:
            owner = _support_owner(proxy, policies[applied.policy].kind)
            found[Support(replace(applied, matches=()), owner)] = None
    return found


def _support_owner(proxy: Proxy, kind: PolicyKind) -> Placed | None:
    """Whom to admit is told only to kinds that offer something, so that a permission changes nothing for the others."""
    owner = proxy.owner if kind.names_owner else None
    hides = owner is not None and owner.admission is not None and kind.offer is None
    return replace(owner, admission=None) if owner is not None and hides else owner


def _all_applied(proxy: Proxy) -> Iterator[Applied]:
    yield from proxy.confs
    for inbound in (*proxy.inbounds, *(one for gate in proxy.gates for one in gate.openings)):
        yield from inbound.confs
        yield from (applied for rule in inbound.source_rules for applied in rule.confs)
    yield from (applied for gate in proxy.gates for one in gate.passages for applied in one.confs)
    for outbound in proxy.outbounds:
        yield from outbound.confs
        yield from (applied for route in outbound.routes for applied in route.confs)
    yield from proxy.transparent.confs if proxy.transparent is not None else ()
    for chain in (chain for listener in proxy.gateway for chain in listener.chains):
        yield from chain.incoming + chain.outgoing
        yield from (applied for host in chain.hosts for route in host.routes for applied in route.confs)
        yield from (applied for host in chain.hosts for applied in host.confs)


def _names(memo: Memo, names: Names) -> Part:
    listener, routes = names_listener(), names_routes(names.records)
    return render_each(memo, iter([(ResourceType.LISTENER, listener), (ResourceType.ROUTE, routes)]), ())


def _support(memo: Memo, support: Support) -> Part:
    admission = support.owner.admission if support.owner is not None else None
    origins = (*support.applied.origins, *admission_origins(admission))
    part = render_each(memo, support_resources(support, memo.read(HOOKS, None)), origins)
    return blame_tls(part, tls_origins(admission.tls)) if admission is not None else part


def support_resources(support: Support, policies: Policies) -> tuple[tuple[ResourceType, Message], ...]:
    hook = policies[support.applied.policy].hooks.resources
    return tuple(hook(support.applied.conf, support.owner)) if hook is not None else ()


_NOWHERE: Final[Mapping[str, Any]] = {"workload_address": "", "workload_port": 0, "workload_version": 0}


def _inbound_listener(memo: Memo, inbound: Inbound) -> Part:
    message = inbound_listener(inbound, memo.read(HOOKS, None))
    part = render_each(memo, ((ResourceType.LISTENER, message),), inbound_origins(inbound))
    part = blame_tls(part, tls_origins(inbound.tls))
    return part._replace(problems=(*part.problems, *_without_requests(inbound)))


def _without_requests(inbound: Inbound) -> Iterator[Problem]:
    """A permission of some requests cannot be judged where Envoy sees none."""
    conditional = [entry for entry in inbound.permission.entries if entry.requests and inbound.protocol not in HTTP]
    for entry in conditional if inbound.tls is not None else ():
        message = f"{inbound.name} speaks {inbound.protocol}, so http has nothing to match there"
        yield Problem(BAD_TARGET, message, (entry.origin,))


def _inbound_cluster(memo: Memo, inbound: Inbound) -> Part:
    message = inbound_cluster(inbound, memo.read(HOOKS, None))
    return render_each(memo, ((ResourceType.CLUSTER, message),), inbound_origins(inbound))


def _inbound_traffic(memo: Memo, inbound: Inbound) -> Part:
    return render_each(memo, inbound_traffic(inbound, memo.read(HOOKS, None)), inbound_origins(inbound))


def _outbound(memo: Memo, outbound: Outbound) -> Part:
    return render_each(memo, outbound_resources(outbound, memo.read(HOOKS, None)), outbound_origins(outbound))


def _outbound_listener(memo: Memo, outbound: Outbound) -> Part:
    message = outbound_listener(outbound, memo.read(HOOKS, None))
    return render_each(memo, iter([(ResourceType.LISTENER, message)]), outbound_origins(outbound))


def _outbound_routes(memo: Memo, outbound: Outbound) -> Part:
    message = outbound_routes(outbound, memo.read(HOOKS, None))
    return render_each(memo, iter([(ResourceType.ROUTE, message)]), outbound_origins(outbound))


def _upstream(memo: Memo, upstream: Upstream) -> Part:
    part = render_each(memo, upstream_resources(upstream, memo.read(HOOKS, None)), upstream_origins(upstream))
    return blame_tls(part, tls_origins(upstream.tls))


def _agent(memo: Memo, agent: Agent) -> Part:
    return render_each(memo, iter([(ResourceType.CLUSTER, agent_cluster(agent.nanoseconds))]), ())


def _transparent(memo: Memo, transparent: Transparent) -> Part:
    built = transparent_resources(transparent, memo.read(HOOKS, None))
    return render_each(memo, built, transparent_origins(transparent))


def _gate(memo: Memo, gate: ZoneGate) -> Part:
    message = gate_listener(gate, memo.read(HOOKS, None))
    built = ((ResourceType.LISTENER, message),) if message is not None else ()
    return render_each(memo, built, gate_origins(gate))


def _passage(memo: Memo, passage: Passage) -> Part:
    return render_each(memo, iter([(ResourceType.CLUSTER, passage_cluster(passage))]), ())


def _opening(memo: Memo, opening: Opening) -> Part:
    part = render_each(memo, opening_resources(opening, memo.read(HOOKS, None)), opening_origins(opening))
    part = blame_tls(part, tls_origins(opening.tls))
    return part._replace(problems=(*part.problems, *_without_requests(opening)))


def _gateway_listener(memo: Memo, listener: GatewayListener) -> Part:
    message = gateway_listener(listener, memo.read(HOOKS, None))
    return render_each(memo, ((ResourceType.LISTENER, message),), gateway_origins(listener))


def _gateway_traffic(memo: Memo, listener: GatewayListener) -> Part:
    return render_each(memo, gateway_traffic(listener, memo.read(HOOKS, None)), gateway_origins(listener))


def _readiness(memo: Memo, asked: Asked) -> Part:
    return render_each(memo, ((ResourceType.LISTENER, readiness_listener(asked)),), ())


def _probes(memo: Memo, probes: Probes) -> Part:
    return render_each(memo, ((ResourceType.LISTENER, probe_listener(probes)),), ())


def _direct(memo: Memo, direct: Direct) -> Part:
    part = render_each(memo, direct_resources(direct, memo.read(HOOKS, None)), direct_origins(direct))
    return blame_tls(part, tls_origins(direct.tls))


def _assignment(memo: Memo, wanted: Assignment) -> Part:
    endpoints, preferred = _endpoints(memo, wanted)
    if wanted.spread is None:
        message = load_assignment(wanted.cluster, endpoints, preferred)
    else:
        message = spread_assignment(wanted.cluster, endpoints, wanted.preferred_zone or "", wanted.spread)
    part = render_each(memo, iter([(ResourceType.ENDPOINT, message)]), ())
    return part._replace(rendered=tuple(_in_localities(one) for one in part.rendered))


def _endpoints(memo: Memo, wanted: Assignment) -> tuple[tuple[Endpoint, ...], str | None]:
    """With the zone that is preferred: behind a zone proxy other zones come second (kuma-core §5.6)."""
    if wanted.seen is None:
        return memo.ask(ENDPOINTS, wanted.port), wanted.preferred_zone
    seen = memo.ask(SEEN, wanted.seen)
    second = seen.apart and wanted.port.section and not wanted.seen.side
    return seen.endpoints, wanted.seen.zone if second else wanted.preferred_zone


def _in_localities(assignment: Rendered) -> Rendered:
    """Zones prefer different endpoints and list the same ones: apart from each other, the lists are stored once."""
    member = assignment.member
    for member_of_locality in _BESIDE_LISTS:
        member = member.replace(member_of_locality, _CUT + member_of_locality)
    return with_fields(assignment, pieces=tuple(member.split(_CUT)))


_BESIDE_LISTS: Final = (b'"lbEndpoints": ', b'"locality": ')
_CUT: Final = b"\0"
"""No JSON can hold it as it is."""


_RECENT: Final = 1000
"""Some ten megabytes of each kind of part."""

INBOUND_LISTENER: Final[Query[Inbound, Part]] = Query("inbound listeners", _inbound_listener, _RECENT)
INBOUND_CLUSTER: Final[Query[Inbound, Part]] = Query("inbound clusters", _inbound_cluster, _RECENT)
INBOUND_TRAFFIC: Final[Query[Inbound, Part]] = Query("inbound traffic", _inbound_traffic, _RECENT)
OUTBOUND: Final[Query[Outbound, Part]] = Query("outbound resources", _outbound, _RECENT)
OUTBOUND_LISTENER: Final[Query[Outbound, Part]] = Query("outbound listeners", _outbound_listener, _RECENT)
OUTBOUND_ROUTES: Final[Query[Outbound, Part]] = Query("outbound routes", _outbound_routes, _RECENT)
UPSTREAM: Final[Query[Upstream, Part]] = Query("upstream resources", _upstream, _RECENT)
ASSIGNMENT: Final[Query[Assignment, Part]] = Query("load assignments", _assignment)
GATE: Final[Query[ZoneGate, Part]] = Query("zone listeners made", _gate, _RECENT)
PASSAGE: Final[Query[Passage, Part]] = Query("passage clusters", _passage, _RECENT)
OPENING: Final[Query[Opening, Part]] = Query("opening resources", _opening, _RECENT)
NAMES: Final[Query[Names, Part]] = Query("names table", _names, _RECENT)
GATEWAY_LISTENER: Final[Query[GatewayListener, Part]] = Query("gateway listeners", _gateway_listener, _RECENT)
GATEWAY_TRAFFIC: Final[Query[GatewayListener, Part]] = Query("gateway traffic", _gateway_traffic, _RECENT)
READINESS: Final[Query[Asked, Part]] = Query("readiness listeners", _readiness, _RECENT)
PROBES: Final[Query[Probes, Part]] = Query("probe listeners", _probes, _RECENT)
DIRECT: Final[Query[Direct, Part]] = Query("direct resources", _direct, _RECENT)
SUPPORT: Final[Query[Support, Part]] = Query("support resources", _support)
AGENT: Final[Query[Agent, Part]] = Query("agents", _agent, _RECENT)
TRANSPARENT: Final[Query[Transparent, Part]] = Query("transparent resources", _transparent, _RECENT)
