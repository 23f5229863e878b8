"""Parts of a proxy that a policy changes once all policies have made them; all others are made and shared as ever.

What listeners get by RDS and ECDS is put into them first and taken out again afterwards (`compiler/envoy/inlined.py`),
so that what changes often still reaches Envoy beside its listeners.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from msgspec.structs import replace

from compiler.diagnostics import Code, Severity
from compiler.envoy.beside import direct_resources, probe_listener
from compiler.envoy.clusters import inbound_cluster
from compiler.envoy.gateways import gateway_listener, gateway_traffic
from compiler.envoy.inlined import Folding
from compiler.envoy.known import (
    gateway_listener_seen,
    inbound_cluster_seen,
    inbound_listener_seen,
    made_seen,
    outbound_cluster_seen,
    outbound_listener_seen,
    support_seen,
    transparent_seen,
)
from compiler.envoy.listeners import inbound_listener, outbound_listener
from compiler.envoy.names_table import names_listener, names_routes
from compiler.envoy.patching import Patching, Seen, Thing
from compiler.envoy.policy import HOOKS, Policies
from compiler.envoy.resources import ResourceType
from compiler.envoy.routes import outbound_routes
from compiler.envoy.translate import (
    inbound_traffic,
    name_of,
    outbound_resources,
    transparent_resources,
    upstream_resources,
)
from compiler.envoy.zone_proxies import gate_listener, opening_resources, passage_cluster
from compiler.memo import Memo, Query
from compiler.mesh.calls import Inbound, Outbound
from compiler.mesh.gateways.front import GatewayListener
from compiler.mesh.holes import has_hole
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Known, Proxy
from compiler.mesh.value import Applied, Value
from compiler.mesh.zones.passing import ZoneGate
from compiler.snapshot.cluster_names import rename_clusters
from compiler.snapshot.origins import (
    direct_origins,
    gate_origins,
    gateway_origins,
    inbound_origins,
    opening_origins,
    outbound_origins,
    transparent_origins,
    upstream_origins,
)
from compiler.snapshot.parts import (
    DIRECT,
    GATE,
    GATEWAY_LISTENER,
    GATEWAY_TRAFFIC,
    INBOUND_CLUSTER,
    INBOUND_LISTENER,
    INBOUND_TRAFFIC,
    NAMES,
    OPENING,
    OUTBOUND,
    OUTBOUND_LISTENER,
    OUTBOUND_ROUTES,
    PASSAGE,
    PROBES,
    SUPPORT,
    TRANSPARENT,
    UPSTREAM,
    PartKey,
    support_resources,
)
from compiler.snapshot.references import Reference
from compiler.snapshot.rendering import Part, Problem, join_parts, render_each

PATCH_FAILS: Final = Code(
    "patch-fails",
    Severity.ERROR,
    "a change of Envoy's configuration that cannot be made",
    "The modification is right by itself, but not for what it finds at a proxy that it selects: the filter is of "
    "another type, a JSON patch leads to nothing, the result is no message of Envoy's, or something that others refer "
    "to is gone.",
)
MATCHES_NOTHING: Final = Code(
    "matches-nothing",
    Severity.WARNING,
    "a modification that finds nothing",
    "None of the proxies that the policy selects has a listener, cluster, filter or virtual host that it matches, so "
    "it changes nothing. Compare its `match` with `meshwright inspect dataplane NAME --type config`.",
)

Built = Sequence[tuple[ResourceType, Message]]
Made = tuple[Built, Iterable[Origin]]


class Patched(Value, frozen=True):
    """A part, by the name of the query that would have made it, and the changes that may concern it.

    `clusters` are names of Kuma 2 that the changes write, each with ours.
    """

    query: str
    part: Any
    seen: tuple[Seen, ...]
    applied: Applied
    clusters: tuple[tuple[str, str], ...] = ()


class _Concern(NamedTuple):
    """The changes of a proxy, and how each of its parts is known."""

    proxy: Proxy
    applied: Applied
    patching: Patching
    ports: Mapping[str, tuple[int, ...]]
    tags: Mapping[str, tuple[tuple[str, str], ...]]


def with_patches(parts: Iterable[PartKey], proxy: Proxy, policies: Policies) -> Iterator[PartKey]:
    """Each part as it is, or with the changes that concern it; then what is added."""
    concern = _concern(proxy, policies)
    if concern is None:
        yield from parts
        return
    known = [(query, part, _SEEN[query.name](part, concern) if query.name in _SEEN else ()) for query, part in parts]
    added = tuple(concern.patching.additions(concern.applied.conf))
    clusters = _clusters(concern, [*(one for _, _, seen in known for one in seen), *(one for one, _ in added)])
    taken: set[str] = set()
    part: Any
    for query, part, seen in known:
        narrowed = concern.patching.narrow(concern.applied.conf, seen)
        if query.name in _FOLDED:
            if part.name not in taken:
                yield query, part
        elif narrowed is None:
            yield query, part
        else:
            if query.name in _FOLDING:
                taken.add(part.name)
            yield PATCHED, _changed_part(concern, query.name, part, seen, narrowed, clusters)
    for one, conf in added:
        yield PATCHED, _changed_part(concern, ADDED, None, (one,), conf, clusters)


ADDED: Final = "added"


def _concern(proxy: Proxy, policies: Policies) -> _Concern | None:
    found = ((one, policies[one.policy].hooks.patching) for one in proxy.confs)
    chosen = next(((applied, patching) for applied, patching in found if patching is not None), None)
    if chosen is None:
        return None
    known = proxy.known or Known((), ())
    return _Concern(proxy, *chosen, {name: (number,) for name, number in known.ports}, dict(known.tags))


def _clusters(concern: _Concern, seen: Iterable[Seen]) -> Mapping[str, str]:
    """What the changes write and Kuma 2 calls one cluster of the proxy, with its name; no name of a cluster itself."""
    clusters = [one for one in seen if one.type is ResourceType.CLUSTER]
    wanted = concern.patching.texts(concern.applied.conf).difference(one.name for one in clusters)
    found: dict[str, set[str]] = {}
    for one in clusters if wanted else ():
        for name in wanted.intersection(one.names):
            found.setdefault(name, set()).add(one.name)
    return {name: next(iter(meant)) for name, meant in sorted(found.items()) if len(meant) == 1}


def _changed_part(
    concern: _Concern, query: str, part: Any, seen: tuple[Seen, ...], conf: Any, clusters: Mapping[str, str]
) -> Patched:
    """With the names alone that its own changes write, so that it is shared by all whose changes mean the same."""
    texts = concern.patching.texts(conf) if clusters else ()
    named = tuple((name, ours) for name, ours in clusters.items() if name in texts)
    return Patched(query, part, seen, replace(concern.applied, conf=conf), named)


def changes_of(proxy: Proxy, parts: Sequence[Part], policies: Policies) -> tuple[tuple[Origin, bool], ...]:
    """Every change that holds for a proxy, and whether it found something there."""
    concern = _concern(proxy, policies)
    if concern is None:
        return ()
    matched = {origin for part in parts for origin in part.matched}
    return tuple((origin, origin in matched) for origin in concern.patching.places(concern.applied.conf))


def added_twice(listed: Sequence[PartKey], parts: Sequence[Part]) -> Iterator[Problem]:
    """What is added may not take the name of anything else, unless it is the same."""
    added = [part for key, part in zip(listed, parts, strict=True) if isinstance(key[1], Patched) and _is_added(key[1])]
    for part in added:
        for one in part.rendered:
            others = [other for rest in parts if rest is not part for other in rest.rendered if other.name == one.name]
            own = any(Reference(one.type, one.name) in rest.links for rest in parts if rest is not part)
            same = [other for other in others if other.type is one.type]
            if own and not (same and all(other.json == one.json for other in same)):
                text = f"the proxy has {one.type.file} with the name {one.name!r} already"
                yield Problem(PATCH_FAILS, text, part.causes)


def _is_added(patched: Patched) -> bool:
    return patched.query == ADDED


def _patched(memo: Memo, patched: Patched) -> Part:
    policies = memo.read(HOOKS, None)
    patching = policies[patched.applied.policy].hooks.patching
    built, origins = _MADE[patched.query](patched.part, policies) if patched.query != ADDED else ((), ())
    if patching is None:
        raise LookupError(f"{patched.applied.policy} patches nothing")
    folding = Folding(built)
    things = [_thing(kind, message, patched, folding) for kind, message in built if kind in _CHANGED]
    outcome = patching.apply(patched.applied.conf, things)
    _name_clusters(outcome.things, dict(patched.clusters))
    parts = [_rendered(memo, thing, folding, origins) for thing in outcome.things]
    parts.append(render_each(memo, tuple(folding.rest()), origins))
    whole = join_parts(parts)
    mistakes = [Problem(PATCH_FAILS, text, (origin,)) for origin, text in outcome.mistakes]
    return whole._replace(problems=(*mistakes, *whole.problems), matched=outcome.matched)


def _name_clusters(things: Iterable[Thing], clusters: Mapping[str, str]) -> None:
    """Only what was changed can have a name of Kuma 2."""
    for thing in things if clusters else ():
        if thing.touched and thing.message is not None:
            rename_clusters(thing.message, lambda name: clusters.get(name, name))


_CHANGED: Final = frozenset({ResourceType.LISTENER, ResourceType.CLUSTER})


def _thing(kind: ResourceType, message: Message, patched: Patched, folding: Folding) -> Thing:
    if kind is ResourceType.LISTENER:
        folding.fold(message)
    known = [one for one in patched.seen if one.type is kind and one.name in ("", name_of(message))]
    return Thing(max(known, key=lambda one: len(one.name), default=Seen(kind, name_of(message))), message)


def _rendered(memo: Memo, thing: Thing, folding: Folding, origins: Iterable[Origin]) -> Part:
    """The last change is the most telling of what is behind it."""
    message: Any = thing.message
    referred = folding.split(message) if thing.seen.type is ResourceType.LISTENER else ()
    causes = (*reversed(thing.touched), *origins)
    part = render_each(memo, ((thing.seen.type, message), *referred), causes)
    if not _has_strays(part, message):
        return part
    text = "an address that each replica has of its own is copied to a place where it cannot be filled in"
    return Part((), {}, part.causes, (Problem(PATCH_FAILS, text, causes),))


def _has_strays(part: Part, message: Message) -> bool:
    """A replica's address is filled in where a listener binds and where an endpoint is, and nowhere else."""
    places = [place for template in part.templates for place in template.places]
    return sum(place >= 0 for place in places) != _holes(message)


def _holes(message: Any) -> int:
    if message.DESCRIPTOR.name == "Listener":
        return int(has_hole(message.address.socket_address.address))
    endpoints = (one for locality in message.load_assignment.endpoints for one in locality.lb_endpoints)
    return sum(has_hole(one.endpoint.address.socket_address.address) for one in endpoints)


# --- What each part is known as, and made of ----------------------------------------------------------------------


def _listener_and_traffic(inbound: Inbound, policies: Policies) -> Made:
    listener = inbound_listener(inbound, policies)
    return ((ResourceType.LISTENER, listener), *inbound_traffic(inbound, policies)), inbound_origins(inbound)


def _inbound_cluster(inbound: Inbound, policies: Policies) -> Made:
    return ((ResourceType.CLUSTER, inbound_cluster(inbound, policies)),), inbound_origins(inbound)


def _listener_and_routes(outbound: Outbound, policies: Policies) -> Made:
    """Routes do not know whose they are, so that they are those of every caller."""
    listener, routes = outbound_listener(outbound, policies), outbound_routes(replace(outbound, owner=None), policies)
    return ((ResourceType.LISTENER, listener), (ResourceType.ROUTE, routes)), outbound_origins(outbound)


def _gateway_and_traffic(listener: GatewayListener, policies: Policies) -> Made:
    traffic = gateway_traffic(replace(listener, address=""), policies)
    return ((ResourceType.LISTENER, gateway_listener(listener, policies)), *traffic), gateway_origins(listener)


def _gate(gate: ZoneGate, policies: Policies) -> Made:
    listener = gate_listener(gate, policies)
    return ((ResourceType.LISTENER, listener),) if listener is not None else (), gate_origins(gate)


_FOLDING: Final = frozenset({INBOUND_LISTENER.name, OUTBOUND_LISTENER.name, GATEWAY_LISTENER.name})
_FOLDED: Final = frozenset({INBOUND_TRAFFIC.name, OUTBOUND_ROUTES.name, GATEWAY_TRAFFIC.name})
"""Parts that are changed with the listeners that refer to them, which come before them."""
_SEEN: Final[Mapping[str, Callable[[Any, _Concern], tuple[Seen, ...]]]] = {
    INBOUND_LISTENER.name: lambda part, concern: (inbound_listener_seen(part, concern.tags.get(part.section, ())),),
    INBOUND_CLUSTER.name: lambda part, _: (inbound_cluster_seen(part),),
    OUTBOUND.name: lambda part, _: outbound_listener_seen(part),
    OUTBOUND_LISTENER.name: lambda part, _: outbound_listener_seen(part),
    UPSTREAM.name: lambda part, concern: (
        outbound_cluster_seen(
            part.destination, concern.ports.get(part.destination.name, ()), by_gateway=bool(concern.proxy.gateway)
        ),
    ),
    TRANSPARENT.name: lambda part, _: transparent_seen(part),
    GATE.name: lambda *_: made_seen("ingress", "egress"),
    PASSAGE.name: lambda *_: made_seen("ingress", "egress"),
    OPENING.name: lambda *_: made_seen("egress"),
    GATEWAY_LISTENER.name: lambda part, _: (gateway_listener_seen(part),),
    NAMES.name: lambda *_: made_seen("dns"),
    PROBES.name: lambda *_: made_seen("probe"),
    DIRECT.name: lambda *_: made_seen("direct-access"),
    SUPPORT.name: lambda part, _: support_seen(part.applied.policy),
}
_MADE: Final[Mapping[str, Callable[[Any, Policies], Made]]] = {
    INBOUND_LISTENER.name: _listener_and_traffic,
    INBOUND_CLUSTER.name: _inbound_cluster,
    OUTBOUND.name: lambda part, policies: (tuple(outbound_resources(part, policies)), outbound_origins(part)),
    OUTBOUND_LISTENER.name: _listener_and_routes,
    UPSTREAM.name: lambda part, policies: (tuple(upstream_resources(part, policies)), upstream_origins(part)),
    TRANSPARENT.name: lambda part, policies: (tuple(transparent_resources(part, policies)), transparent_origins(part)),
    GATE.name: _gate,
    PASSAGE.name: lambda part, _: (((ResourceType.CLUSTER, passage_cluster(part)),), ()),
    OPENING.name: lambda part, policies: (tuple(opening_resources(part, policies)), opening_origins(part)),
    GATEWAY_LISTENER.name: _gateway_and_traffic,
    NAMES.name: lambda part, _: (
        ((ResourceType.LISTENER, names_listener()), (ResourceType.ROUTE, names_routes(part.records))),
        (),
    ),
    PROBES.name: lambda part, _: (((ResourceType.LISTENER, probe_listener(part)),), ()),
    DIRECT.name: lambda part, policies: (tuple(direct_resources(part, policies)), direct_origins(part)),
    SUPPORT.name: lambda part, policies: (support_resources(part, policies), part.applied.origins),
}
"""All but the listener by which Envoy's own health is asked: that is no patch's concern."""

_RECENT: Final = 1000
PATCHED: Final[Query[Patched, Part]] = Query("patched parts", _patched, _RECENT)
