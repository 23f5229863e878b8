"""Where a change of access was decided: at the callee's inbound, or on the caller's way there."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from compiler.envoy.resources import ResourceType
from compiler.envoy.secrets import ALPN
from compiler.review.access.doors import Door, Doors, certificate_of, find_doors, service_of, uris_of
from compiler.review.access.edge import Edge
from compiler.review.access.known import Known
from compiler.review.access.reaching import edges_through, reach, ways_of
from compiler.review.access.views import Slot, Upstream
from compiler.review.changes.groups import Grouped
from compiler.review.plan import Kind
from compiler.snapshot.snapshot import Snapshot

__all__ = ["Deciders"]

Named = tuple[str, str]
"""The file of a resource, and its name."""
_CLUSTERS = ResourceType.CLUSTER.file


@dataclass
class _Side:
    """One version, asked about few of its services."""

    snapshots: Mapping[str, Snapshot]
    known: Known
    doors_of: dict[str, tuple[Door, ...]] = field(default_factory=dict)
    ways_of: dict[str, dict[tuple[str, int], set[Named]]] = field(default_factory=dict)

    @cached_property
    def proxies(self) -> Mapping[str, Sequence[Snapshot]]:
        found: dict[str, list[Snapshot]] = defaultdict(list)
        for snapshot in self.snapshots.values():
            found[service_of(snapshot)].append(snapshot)
        return found

    @cached_property
    def everywhere(self) -> Doors:
        return find_doors(self.snapshots.values(), self.known)

    def doors(self, service: str, port: int) -> list[Door]:
        if service not in self.doors_of:
            self.doors_of[service] = find_doors(self.proxies.get(service, ()), self.known).every
        return [door for door in self.doors_of[service] if door.port == port]

    def admitted(self, edge: Edge) -> frozenset[Edge]:
        """What the callee would let through, had the caller a way there."""
        uris, secret = frozenset[str](), ""
        for caller in self.proxies.get(edge.caller, ())[:1]:
            uris = uris_of(caller)
            secret = certificate_of(caller)
        upstream = Upstream("", tls=bool(secret), secret=secret, alpn=frozenset({ALPN}))
        doors = self.doors(edge.service, edge.port)
        return frozenset(one for door in doors for one in edges_through(edge.caller, door, door.admits(uris, upstream)))

    def ways(self, edge: Edge) -> set[Named]:
        """The caller's resources through which its calls pass."""
        if edge.caller not in self.ways_of:
            found = self.ways_of[edge.caller] = defaultdict(set)
            for caller in self.proxies.get(edge.caller, ())[:1]:
                for way in ways_of(caller, self.known):
                    through = [(way.through[0].file, way.through[1])] if way.through is not None else []
                    passed = (ResourceType.LISTENER.file, way.listener), *through, (_CLUSTERS, way.upstream.name)
                    for one in reach(caller, way, self.everywhere, self.known)[0]:
                        found[one.door.service, one.door.port].update(passed)
        return self.ways_of[edge.caller].get((edge.service, edge.port), set())


class Deciders:
    """Finds the group of changes that an edge's coming or going is the doing of."""

    def __init__(
        self,
        groups: Sequence[Grouped],
        before: Mapping[str, Snapshot],
        after: Mapping[str, Snapshot],
        known: Known | None = None,
    ) -> None:
        known = known or Known()
        self._groups = groups
        self._sides = _Side(before, known), _Side(after, known)
        self._places: dict[str, list[int]] = defaultdict(list)
        for place in sorted(range(len(groups)), key=lambda at: len(groups[at].group.proxies)):
            for service in groups[place].group.services:
                self._places[service].append(place)

    def place(self, edge: Edge) -> int | None:
        """Of several groups that may have decided, the one of fewest proxies; None where nothing nearby changed."""
        callees = [place for place in self._places.get(edge.service, ()) if self._is_at_door(place, edge)]
        callers = [place for place in self._places.get(edge.caller, ()) if self._is_calling(place)]
        if callees and callers and self._sides[0].admitted(edge) == self._sides[1].admitted(edge):
            callees = []
        if callees:
            return callees[0]
        if len(callers) > 1:
            callers = sorted(callers, key=lambda place: self._is_off_way(place, edge))
        nearest = (*callers, *self._places.get(edge.service, ()), *self._places.get(edge.caller, ()))
        return next(iter(nearest), None)

    def _is_at_door(self, place: int, edge: Edge) -> bool:
        """Whether the group changes what decides whom the port lets in; a proxy that comes or goes does."""
        one = self._groups[place].group
        if one.kind is not Kind.CHANGED:
            return True
        doors = (door for side in self._sides for door in side.doors(edge.service, edge.port))
        names = {name for door in doors for name in (door.name, *_slots(door))}
        return any(not names.isdisjoint((change.name, *change.alike)) for change in one.changes)

    def _is_calling(self, place: int) -> bool:
        """Whether it changes something that is not an inbound's."""
        one = self._groups[place].group
        names = (name for change in one.changes for name in (change.name, *change.alike))
        return one.kind is not Kind.CHANGED or any(not name.startswith("self_inbound_") for name in names)

    def _is_off_way(self, place: int, edge: Edge) -> tuple[bool, bool]:
        """Where the way itself is new or gone, clusters are the last to look at; where it stays, the first."""
        before, after = (side.ways(edge) for side in self._sides)
        changes = self._groups[place].group.changes
        changed = {(one.type, name) for one in changes for name in (one.name, *one.alike)} & (before | after)
        first = any((kind == _CLUSTERS) == bool(before and after) for kind, _ in changed)
        return not changed, not first


def _slots(door: Door) -> set[str]:
    return {guard.extension for chain in door.chains for guard in chain.guards if isinstance(guard, Slot)}
