"""Whether invariants hold of compiled snapshots; what breaks one is named, with the lines that decide."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import product
from typing import Final

from compiler.envoy.resources import ResourceType
from compiler.review.access.doors import service_of
from compiler.review.access.edge import OUTSIDE, Edge
from compiler.review.access.known import Known
from compiler.review.access.parties import services_named
from compiler.review.access.reaching import find_edges
from compiler.review.outputs.sentences import edge as say_edge
from compiler.review.outputs.sentences import in_bytes, many
from compiler.review.promises.checks import Kind, Result
from compiler.review.promises.invariants import Always, Budget, Calls, Invariant, Never, Only, Strict
from compiler.snapshot.canonical import file_bytes
from compiler.snapshot.snapshot import Snapshot

_MOST: Final = 10
"""Counter-examples of one invariant that are shown; the others are counted."""


@dataclass(frozen=True)
class Counterexample:
    """What breaks an invariant; `caller` and `service` are of a call, for whoever looks up the lines that decide."""

    sentence: str
    caller: str | None = None
    service: str | None = None

    @classmethod
    def of(cls, edge: Edge, sentence: str) -> "Counterexample":
        return cls(sentence, edge.caller, edge.service)


Locate = Callable[[Counterexample], Sequence[str]]
"""The lines that decide of a counter-example, each a sentence with file and line."""


@dataclass(frozen=True)
class Mesh:
    """The snapshots of one version, and what is asked of them by several invariants."""

    snapshots: Mapping[str, Snapshot]
    known: Known = field(default_factory=Known)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(sorted(find_edges(self.snapshots, self.known)))

    @cached_property
    def services(self) -> tuple[str, ...]:
        return tuple(sorted({service_of(one) for one in self.snapshots.values()}))

    def workloads(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """The patterns, but for names of MeshServices the workloads that they lead to."""
        found: dict[str, None] = {}
        for pattern in patterns:
            fits = any(_fits(service, (pattern,)) for service in self.services)
            found |= dict.fromkeys(() if fits else services_named(self.snapshots, pattern)) or {pattern: None}
        return tuple(found)


def judge(invariants: Iterable[Invariant], mesh: Mesh, locate: Locate = lambda _: ()) -> tuple[Result, ...]:
    """One result each, in their order."""
    return tuple(_judge(one, mesh, locate) for one in invariants)


def _judge(invariant: Invariant, mesh: Mesh, locate: Locate) -> Result:
    found = list(_counterexamples(invariant, mesh))
    shown = [(one.sentence, *(f"    {line}" for line in locate(one))) for one in found[:_MOST]]
    detail = [line for lines in shown for line in lines]
    if len(found) > _MOST:
        detail.append(f"and {many(len(found) - _MOST, 'more counter-example')}")
    place = invariant.position
    message = found[0].sentence if found else ""
    return Result(invariant.name, place.file, place.line, not found, message, tuple(detail), Kind.INVARIANT)


def _counterexamples(invariant: Invariant, mesh: Mesh) -> Iterator[Counterexample]:
    """A name that fits nothing is one too: a promise about nobody is kept by accident."""
    match invariant.promise:
        case Never(callers, services, port):
            calls = Calls(mesh.workloads(callers), mesh.workloads(services), port)
            yield from _fitting_nobody(calls, mesh)
            for edge in _edges(calls, mesh):
                yield Counterexample.of(edge, f"{say_edge(edge)} is open")
        case Only(callers, services, port):
            calls = Calls(mesh.workloads(callers), mesh.workloads(services), port)
            yield from _unknown(calls.services, mesh)
            for edge in _edges(Calls(("*",), calls.services, calls.port), mesh):
                if not _fits(edge.caller, calls.callers):
                    yield Counterexample.of(edge, f"{say_edge(edge)} is open, and {edge.caller} is none of them")
        case Always(callers, services, port):
            calls = Calls(mesh.workloads(callers), mesh.workloads(services), port)
            yield from _fitting_nobody(calls, mesh)
            yield from _closed(calls, mesh)
        case Strict(name):
            yield from _plaintext(name, mesh)
        case Budget() as budget:
            yield from _too_large(budget, mesh)


def _edges(calls: Calls, mesh: Mesh) -> Iterator[Edge]:
    """Calls of a service to itself are between its replicas, and nobody's to forbid here."""
    for edge in mesh.edges:
        if calls.port not in (0, edge.port) or edge.caller == edge.service:
            continue
        if _fits(edge.caller, calls.callers) and _fits(edge.service, calls.services):
            yield edge


def _fits(service: str, patterns: Iterable[str]) -> bool:
    """`payments` is that service of every mesh, `shop/payments` of one; `external` is all that is outside."""
    name = service.partition("/")[2]
    for pattern in patterns:
        if service.startswith(OUTSIDE):
            if pattern in ("external", "*") or fnmatchcase(service, pattern):
                return True
        elif fnmatchcase(service if "/" in pattern else name, pattern):
            return True
    return False


def _fitting_nobody(calls: Calls, mesh: Mesh) -> Iterator[Counterexample]:
    yield from _unknown(calls.callers, mesh)
    yield from _unknown(calls.services, mesh)


def _unknown(patterns: Iterable[str], mesh: Mesh) -> Iterator[Counterexample]:
    for pattern in patterns:
        outside = pattern == "external" or pattern.startswith(OUTSIDE)
        if not outside and not any(_fits(service, (pattern,)) for service in mesh.services):
            yield Counterexample(f"no service is called {pattern!r}, so nothing is promised")


def _closed(calls: Calls, mesh: Mesh) -> Iterator[Counterexample]:
    callers = [one for one in mesh.services if _fits(one, calls.callers)]
    services = [one for one in mesh.services if _fits(one, calls.services)]
    open_to = {(edge.caller, edge.service) for edge in _edges(calls, mesh) if edge.proxied}
    for caller, service in product(callers, services):
        if caller != service and (caller, service) not in open_to:
            port = f":{calls.port}" if calls.port else ""
            yield Counterexample(f"{caller} may not call {service}{port}", caller, service)


def _plaintext(name: str, mesh: Mesh) -> Iterator[Counterexample]:
    """Every chain of every inbound listener, not only those that some proxy has a way to."""
    members = [(node, one) for node, one in sorted(mesh.snapshots.items()) if one.node.mesh == name]
    if not members:
        yield Counterexample(f"there is no proxy in mesh {name!r}, so nothing is promised")
    for node, snapshot in members:
        for listener, rendered in snapshot.resources.get(ResourceType.LISTENER, {}).items():
            listening = mesh.known.listener(rendered)
            open_chains = [chain for chain in listening.chains if not (chain.tls and chain.certificate)]
            if listening.inbound and not listening.redirects and open_chains:
                yield Counterexample(f"{node}: {listener} takes plaintext")


def _too_large(budget: Budget, mesh: Mesh) -> Iterator[Counterexample]:
    """The largest first."""
    over = []
    for node, snapshot in mesh.snapshots.items():
        if _fits(service_of(snapshot), budget.services):
            size = sum(len(file_bytes(named)) for named in snapshot.resources.values())
            number = sum(map(len, snapshot.resources.values()))
            if size > (budget.bytes or size) or number > (budget.resources or number):
                over.append((-size, node, number))
    for size, node, number in sorted(over):
        yield Counterexample(f"{node} has {in_bytes(-size)} in {many(number, 'resource')}")
