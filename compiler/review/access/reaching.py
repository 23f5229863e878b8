"""Who can reach whom: from each proxy's outbounds along routes, clusters and endpoints to the inbounds that admit it.

A caller without a way to a port has no edge, though the port would admit it. What a workload sends past its proxy is
seen in one respect only: a port that takes plaintext is open, without identity, to whoever has a way to it; where its
own proxy, which speaks TLS, is refused there, the edge is not `proxied`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from compiler.envoy.resources import ResourceType
from compiler.review.access.conditions import NEVER, grants
from compiler.review.access.doors import Admission, Door, Doors, find_doors, service_of, uris_of
from compiler.review.access.edge import OUTSIDE, PASSTHROUGH, AccessDiff, Change, Edge
from compiler.review.access.known import Known
from compiler.review.access.views import Chain, Place, Upstream
from compiler.snapshot.snapshot import Snapshot


class Way(NamedTuple):
    """How traffic leaves a proxy: by a listener, through a route or an extension where one decides, to a cluster."""

    listener: str
    protocol: str
    through: tuple[ResourceType, str] | None
    upstream: Upstream


class Access(NamedTuple):
    """Every edge, and what tells whose edges a change can concern."""

    edges: frozenset[Edge]
    ends: Mapping[str, frozenset[str]]
    """By caller: the services of all doors at which its ways end, whether they open or not."""
    keepers: frozenset[str]
    """The services whose proxies lead others on (`Doors.keepers`)."""


class Moved(NamedTuple):
    """Services whose doors let in others than before, and those whose ways out are others."""

    doors: frozenset[str]
    callers: frozenset[str]


class Reached(NamedTuple):
    """A door at the end of a way, and on which terms it lets the caller in."""

    way: Way
    door: Door
    admissions: tuple[Admission, ...]


def find_edges(snapshots: Mapping[str, Snapshot], known: Known | None = None) -> frozenset[Edge]:
    """Every edge between services of all meshes, and to the outside; `known` is what was read of other snapshots."""
    return find_access(snapshots, known).edges


def find_access(snapshots: Mapping[str, Snapshot], known: Known | None = None) -> Access:
    """The same, and what `renew` needs."""
    known = known or Known()
    return _search(snapshots.values(), find_doors(snapshots.values(), known), known)


def renew(before: Access, after: Mapping[str, Snapshot], moved: Moved, known: Known) -> frozenset[Edge]:
    """Every edge of snapshots that are those of before but for what `moved` tells: all doors stand where they stood.

    Only callers are looked at whose own ways are others now, or end at a door that lets in others.
    """
    if not before.keepers.isdisjoint(moved.doors | moved.callers):
        return find_edges(after, known)
    callers = moved.callers.union(caller for caller, ends in before.ends.items() if not moved.doors.isdisjoint(ends))
    there: Iterable[Snapshot] = after.values()
    if not moved.callers:  # they end where they ended
        reached = before.keepers.union(*(before.ends[caller] for caller in callers))
        there = (one for one in there if service_of(one) in reached)
    found = _search((one for one in after.values() if service_of(one) in callers), find_doors(there, known), known)
    return found.edges.union(edge for edge in before.edges if edge.caller not in callers)


def _search(callers: Iterable[Snapshot], doors: Doors, known: Known) -> Access:
    found: dict[tuple[str, str, int], set[Edge]] = defaultdict(set)
    ends: dict[str, set[str]] = defaultdict(set)
    for caller in _distinct(callers, known):
        for edge in _edges_of(caller, doors, known, ends[service_of(caller)]):
            found[edge.caller, edge.service, edge.port].add(edge)
    return Access(
        frozenset(edge for edges in found.values() for edge in widest(edges)),
        {caller: frozenset(services) for caller, services in ends.items()},
        doors.keepers,
    )


def diff_edges(before: frozenset[Edge], after: frozenset[Edge]) -> AccessDiff:
    """What is gone, what is new, what is on other terms, and how many are as they were."""
    differing = {_pair(edge) for edge in before ^ after}
    was, now = (_by_pair(edge for edge in side if _pair(edge) in differing) for side in (before, after))
    both = [Change(was[pair], now[pair]) for pair in was.keys() & now.keys()]
    changed = [one for one in both if one.gained or one.lost]
    come = tuple(sorted(edge for pair in now.keys() - was.keys() for edge in now[pair]))
    return AccessDiff(
        come,
        tuple(sorted(edge for pair in was.keys() - now.keys() for edge in was[pair])),
        len(after) - len(come) - sum(len(one.after) for one in changed),
        tuple(sorted(changed)),
    )


def _pair(edge: Edge) -> tuple[str, str, int]:
    return edge.caller, edge.service, edge.port


def _by_pair(edges: Iterable[Edge]) -> dict[tuple[str, str, int], tuple[Edge, ...]]:
    """Of each caller and port all edges, sorted."""
    found: dict[tuple[str, str, int], tuple[Edge, ...]] = {}
    for edge in sorted(edges):
        found[_pair(edge)] = (*found.get(_pair(edge), ()), edge)
    return found


def ways_of(caller: Snapshot, known: Known) -> Iterator[Way]:
    """All ways out of one proxy, each once."""
    clusters = caller.resources.get(ResourceType.CLUSTER, {})
    seen = set()
    for rendered in caller.resources.get(ResourceType.LISTENER, {}).values():
        listening = known.listener(rendered)
        for chain in () if listening.inbound else listening.chains:
            for through, cluster in _leading(caller, chain, known):
                for name in _leaves(caller, cluster, known):
                    way = Way(listening.name, chain.protocol, through, known.cluster(clusters[name]))
                    if (way.listener, through, name) not in seen:
                        seen.add((way.listener, through, name))
                        yield way


def places_of(caller: Snapshot, upstream: Upstream, known: Known) -> tuple[Place, ...]:
    """The endpoints of a cluster as this proxy has them."""
    assignment = caller.resources.get(ResourceType.ENDPOINT, {}).get(upstream.assignment)
    return known.assigned(assignment) if assignment is not None else upstream.places


def reach(caller: Snapshot, way: Way, doors: Doors, known: Known) -> tuple[list[Reached], tuple[Place, ...]]:
    """The doors at the end of a way, whether they open or not, and the places outside of the mesh."""
    uris = uris_of(caller) if way.upstream.secret else frozenset()
    places = places_of(caller, way.upstream, known)
    there, outside = doors.open_to(way.upstream, places, caller.node.mesh)
    return [Reached(way, door, door.admits(uris, way.upstream)) for door in there], outside


def _leading(caller: Snapshot, chain: Chain, known: Known) -> Iterator[tuple[tuple[ResourceType, str] | None, str]]:
    """The clusters to which a chain leads, and by what."""
    yield from ((None, cluster) for cluster in chain.clusters)
    for name in chain.routes:
        rendered = caller.resources.get(ResourceType.ROUTE, {}).get(name)
        for cluster in known.routed(rendered) if rendered is not None else ():
            yield (ResourceType.ROUTE, name), cluster
    for name in chain.slots:
        rendered = caller.resources.get(ResourceType.EXTENSION, {}).get(name)
        for cluster in known.extension(rendered).clusters if rendered is not None else ():
            yield (ResourceType.EXTENSION, name), cluster


def _leaves(caller: Snapshot, name: str, known: Known, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """An aggregate stands for its members; a name that is no cluster here, for nothing."""
    rendered = caller.resources.get(ResourceType.CLUSTER, {}).get(name)
    if rendered is None or name in above:
        return
    members = known.cluster(rendered).clusters
    if not members:
        yield name
    for member in members:
        yield from _leaves(caller, member, known, above | {name})


def _distinct(snapshots: Iterable[Snapshot], known: Known) -> Iterator[Snapshot]:
    """Replicas that hold the very same resources for their calls have the same edges: one of them is enough."""
    seen = set()
    for snapshot in snapshots:
        listeners = snapshot.resources.get(ResourceType.LISTENER, {}).values()
        calls = tuple(one.version for one in listeners if not known.listener(one).inbound)
        clusters = snapshot.resources.get(ResourceType.CLUSTER, {})
        shared = tuple(id(snapshot.resources.get(kind)) for kind in _SHARED)
        leading = tuple(id(one) for name, one in clusters.items() if not name.startswith("self_inbound_"))
        key = (service_of(snapshot), snapshot.secrets, calls, leading, shared)
        if key not in seen:
            seen.add(key)
            yield snapshot


_SHARED = (ResourceType.ROUTE, ResourceType.EXTENSION, ResourceType.ENDPOINT)


def _edges_of(caller: Snapshot, doors: Doors, known: Known, ends: set[str]) -> Iterator[Edge]:
    """`ends` are added to."""
    service = service_of(caller)
    seen: set[str] = set()
    for way in ways_of(caller, known):
        if way.upstream.anywhere:
            yield Edge(service, PASSTHROUGH, 0, way.protocol, identity=False)
        if way.upstream.name not in seen:
            seen.add(way.upstream.name)
            reached, outside = reach(caller, way, doors, known)
            ends.update(one.door.service for one in reached)
            yield from _edges_along(service, reached, outside, way)


def _edges_along(service: str, reached: Iterable[Reached], outside: Iterable[Place], way: Way) -> Iterator[Edge]:
    for _, door, admissions in reached:
        yield from edges_through(service, door, admissions)
    for _, port in outside:
        identity = bool(way.upstream.secret)
        yield Edge(service, f"{OUTSIDE}{way.upstream.name}", port, way.protocol, identity=identity)


def edges_through(service: str, door: Door, admissions: Iterable[Admission]) -> Iterator[Edge]:
    """One for each set of requests that is let through; of admissions after the first the proxy makes no use."""
    for place, admission in enumerate(admissions):
        for methods, paths, conditions in grants(admission.terms) if admission.terms != NEVER else ():
            what = (service, door.service, door.port, door.protocol, methods, paths)
            yield Edge(*what, admission.identity, conditions, proxied=place == 0)


def widest(edges: Iterable[Edge]) -> Iterator[Edge]:
    """An edge that another one covers says nothing new; of two that cover each other the first stays.

    What some edge lets the caller's proxy do, it can do, though another lets anyone.
    """
    edges = set(edges)
    if len(edges) == 1:
        return iter(edges)
    proxied = [replace(edge, identity=False) for edge in edges if edge.proxied]
    some = {replace(edge, proxied=any(one.covers(edge) for one in proxied)) for edge in edges}
    kept: list[Edge] = []
    for edge in sorted(some, key=_narrowness):
        if not any(other.covers(edge) for other in kept):
            kept.append(edge)
    return iter(kept)


def _narrowness(edge: Edge) -> tuple[bool, int, int, int, Edge]:
    return edge.identity, len(edge.conditions), len(edge.methods), len(edge.paths), edge
