"""Inbounds as callers meet them: which proxy stands at an address, and whom it lets in on which terms."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from compiler.envoy.resources import ResourceType
from compiler.mesh.names import SHARED
from compiler.review.access.conditions import NEVER, Formula, both
from compiler.review.access.edge import OUTSIDE
from compiler.review.access.known import Known
from compiler.review.access.rbac import Caller, Rbac
from compiler.review.access.views import Chain, Listening, Place, Slot, Upstream
from compiler.snapshot.snapshot import Snapshot

_DENYING: Final = Rbac(limited=True)
"""A slot that was never filled, and has nothing of its own, fails every request."""


def service_of(snapshot: Snapshot) -> str:
    """By which edges call it; replicas have one."""
    return f"{snapshot.node.mesh}/{snapshot.node.workload}"


def uris_of(snapshot: Snapshot) -> frozenset[str]:
    """What its certificate shows; nothing where it has none."""
    return next((frozenset(one.uris) for one in snapshot.secrets if one.uris), frozenset())


def certificate_of(snapshot: Snapshot) -> str:
    """The name of its certificate; empty where it has none."""
    return next((one.name for one in snapshot.secrets if one.uris), "")


class Admission(NamedTuple):
    """On which terms a door lets a caller in through one chain; `refusal` is why the connection itself fails."""

    terms: Formula
    identity: bool
    chain: Chain | None = None
    refusal: str = ""


@dataclass(frozen=True, eq=False)
class Door:
    """An inbound, one for all replicas where it is the same; `snapshots` are theirs."""

    service: str
    port: int
    name: str
    chains: tuple[Chain, ...]
    uris: frozenset[str]
    guards: Mapping[Slot, Rbac]
    snapshots: list[Snapshot] = field(default_factory=list)

    @property
    def mesh(self) -> str:
        return self.snapshots[0].node.mesh

    @property
    def protocol(self) -> str:
        """As the mesh's callers speak it; plaintext chains speak the same."""
        return self.chains[0].protocol if self.chains else "tcp"

    def admits(self, uris: frozenset[str], upstream: Upstream) -> tuple[Admission, ...]:
        """By the caller's own TLS where its cluster has it, and in plaintext, which needs no certificate."""
        plain = self._plainly()
        if not upstream.tls:
            return (plain,)
        secured = self._securely(uris, upstream)
        return (secured,) if plain.refusal else (secured, plain)

    def terms(self, caller: Caller, chain: Chain) -> Formula:
        """All its permissions together."""
        return both(self.guard(one).admits(caller) for one in chain.guards)

    def guard(self, guard: Rbac | Slot) -> Rbac:
        """With slots filled."""
        return self.guards[guard] if isinstance(guard, Slot) else guard

    def _plainly(self) -> Admission:
        fitting = (one for one in self.chains if one.transport in {"", "raw_buffer"} and not one.tls)
        chain = next(fitting, None)
        if chain is None:
            return Admission(NEVER, False, refusal="it takes no plaintext")
        return Admission(self.terms(Caller(port=self.port), chain), False, chain)

    def _securely(self, uris: frozenset[str], upstream: Upstream) -> Admission:
        """Envoy takes the chain that asks for the caller's protocol before one that takes any."""
        fitting = [one for one in self.chains if one.transport in {"", "tls"} and _speaks(one, upstream)]
        chain = next((one for one in sorted(fitting, key=lambda one: not one.alpn)), None)
        if chain is None or not chain.tls:
            return Admission(NEVER, False, chain, "it takes no TLS of the mesh")
        if upstream.wanted and not any(name.fits(self.uris) for name in upstream.wanted):
            return Admission(NEVER, True, chain, "it has another identity than the caller expects")
        if chain.callers and not any(name.fits(uris) for name in chain.callers):
            return Admission(NEVER, True, chain, "it does not trust the caller's certificate")
        certified = bool(upstream.secret)
        if chain.certificate and not certified:
            return Admission(NEVER, False, chain, "the caller shows no certificate")
        return Admission(self.terms(Caller(uris, certified, self.port), chain), certified, chain)


def _speaks(chain: Chain, upstream: Upstream) -> bool:
    return not chain.alpn or bool(chain.alpn & upstream.alpn)


class Gate(NamedTuple):
    """Where a zone proxy leads who asks it for a name: on to places, or by a door of its own to the outside."""

    places: tuple[Place, ...] = ()
    door: Door | None = None


@dataclass(frozen=True)
class Doors:
    """Every inbound of a generation: by the place where it listens, and by who stands behind it."""

    at: Mapping[Place, Sequence[Door]]
    behind: Mapping[str, Sequence[Door]]
    """By each SPIFFE id of the certificate."""
    shared: Mapping[str, Sequence[Door]]
    """By mesh: those of proxies that register themselves; their endpoints are in no snapshot (design D9)."""
    gates: Mapping[str, Sequence[Gate]] = field(default_factory=dict)
    """Of zone proxies, by the name that is asked for."""
    keepers: frozenset[str] = frozenset()
    """The services of those zone proxies."""

    @property
    def every(self) -> tuple[Door, ...]:
        """Each once."""
        parts = (self.at, self.shared)
        return tuple(dict.fromkeys(door for part in parts for there in part.values() for door in there))

    def open_to(
        self, upstream: Upstream, places: Iterable[Place], mesh: str
    ) -> tuple[tuple[Door, ...], tuple[Place, ...]]:
        """The doors where a cluster leads, and the places that are no proxy's."""
        found: dict[Door, None] = {}
        outside = []
        for place in places:
            there = self.at.get(place) or self._led(upstream) or tuple(self._advertised(upstream, place[1], mesh))
            found |= dict.fromkeys(there)
            if not there:
                outside.append(place)
        if upstream.assignment:
            found |= dict.fromkeys(self._registered(upstream, mesh))
        return tuple(found), tuple(outside)

    def _led(self, upstream: Upstream) -> tuple[Door, ...]:
        """Behind zone proxies, in whatever zone: where none of them is advertised, a place is its proxy's own."""
        found: dict[Door, None] = {}
        for gate in self.gates.get(upstream.asks, ()) if upstream.asks else ():
            found |= dict.fromkeys(door for place in gate.places for door in self.at.get(place, ()))
            found |= {gate.door: None} if gate.door is not None else {}
        return tuple(found)

    def _advertised(self, upstream: Upstream, port: int, mesh: str) -> Iterator[Door]:
        """An address that no listener has may be one at which a proxy is advertised: it is told by whom it shows."""
        wanted = (door for name in upstream.wanted for door in self.behind.get(name.value, ()))
        return (door for door in wanted if door.port == port and door.mesh == mesh)

    def _registered(self, upstream: Upstream, mesh: str) -> list[Door]:
        """By identity, else by name; of their inbounds the one that the cluster is about, where its name says so."""
        found = [door for door in self.shared.get(mesh, ()) if _is_behind(door, upstream, mesh)]
        if not found:
            return []
        section = upstream.name.rpartition("_")[2].partition("-")[0]
        exact = [door for door in found if door.name == f"self_inbound_dp_{section}"]
        return exact or found


def _is_behind(door: Door, upstream: Upstream, mesh: str) -> bool:
    """Clusters of the mesh are named by the identifier of their service (kuma-core §5.3)."""
    if upstream.wanted:
        return any(name.fits(door.uris) for name in upstream.wanted)
    service = upstream.name.rpartition("_")[0]
    return service.startswith(f"kri_msvc_{mesh}_") and service.endswith(f"_{door.snapshots[0].node.workload}")


def find_doors(snapshots: Iterable[Snapshot], known: Known) -> Doors:
    """The inbounds of all of them."""
    index = _Index()
    for snapshot in snapshots:
        index.add(snapshot, known)
    return Doors(index.at, index.behind, index.shared, index.gates, frozenset(index.keepers))


@dataclass
class _Index:
    at: dict[Place, list[Door]] = field(default_factory=lambda: defaultdict(list))
    behind: dict[str, list[Door]] = field(default_factory=lambda: defaultdict(list))
    shared: dict[str, list[Door]] = field(default_factory=lambda: defaultdict(list))
    gates: dict[str, list[Gate]] = field(default_factory=lambda: defaultdict(list))
    keepers: set[str] = field(default_factory=set)
    alike: dict[object, Door] = field(default_factory=dict)
    """By all that decides whom they admit."""

    def add(self, snapshot: Snapshot, known: Known) -> None:
        for rendered in snapshot.resources.get(ResourceType.LISTENER, {}).values():
            listening = known.listener(rendered)
            if not listening.inbound or listening.redirects:
                continue
            if any(chain.names for chain in listening.chains):
                self._add_gates(snapshot, listening, known)
                continue
            door = self._door(snapshot, listening, _filled(snapshot, listening, known))
            for place in listening.places if snapshot.node.proxy != SHARED else ():
                self.at[place].append(door)

    def _add_gates(self, snapshot: Snapshot, listening: Listening, known: Known) -> None:
        guards = _filled(snapshot, listening, known)
        self.keepers.add(service_of(snapshot))
        for chain in listening.chains:
            gate = _gate(snapshot, listening, chain, guards, known)
            for name in chain.names:
                self.gates[name].append(gate)

    def _door(self, snapshot: Snapshot, listening: Listening, guards: Mapping[Slot, Rbac]) -> Door:
        service, port = service_of(snapshot), listening.places[0][1]
        key = (service, port, snapshot.secrets, id(listening.chains), *map(id, guards.values()))
        if key not in self.alike:
            door = Door(service, port, listening.name, listening.chains, uris_of(snapshot), guards)
            self.alike[key] = door
            for uri in door.uris:
                if uri.startswith("spiffe://"):
                    self.behind[uri].append(door)
            if snapshot.node.proxy == SHARED:
                self.shared[snapshot.node.mesh].append(door)
        self.alike[key].snapshots.append(snapshot)
        return self.alike[key]


def _gate(snapshot: Snapshot, listening: Listening, chain: Chain, guards: Mapping[Slot, Rbac], known: Known) -> Gate:
    """What ends the caller's TLS judges the call, and makes it: the door is called like what is called there."""
    assignments = snapshot.resources.get(ResourceType.ENDPOINT, {})
    if not chain.tls:
        return Gate(tuple(place for name in chain.clusters for place in known.assigned(assignments[name])))
    uris = frozenset(uri for one in snapshot.secrets for uri in one.uris)
    outside = known.cluster(snapshot.resources[ResourceType.CLUSTER][chain.name])
    port = next((port for _, port in outside.places), listening.places[0][1])
    return Gate(door=Door(f"{OUTSIDE}{chain.name}", port, listening.name, (chain,), uris, guards, [snapshot]))


def _filled(snapshot: Snapshot, listening: Listening, known: Known) -> dict[Slot, Rbac]:
    """What stands in the slots of a listener's chains."""
    extensions = snapshot.resources.get(ResourceType.EXTENSION, {})
    slots = dict.fromkeys(one for chain in listening.chains for one in chain.guards if isinstance(one, Slot))
    found = {}
    for slot in slots:
        there = extensions.get(slot.extension)
        guard = known.extension(there).guard if there is not None else slot.default
        found[slot] = guard if guard is not None else _DENYING
    return found
