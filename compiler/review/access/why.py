"""May A call B, and why: the way through the compiled resources, and the lines of the documents that decide.

The verdict is the snapshots' alone, the same as that of the edges; documents only say where it comes from.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from compiler.envoy.resources import ResourceType
from compiler.envoy.secrets import ALPN
from compiler.review.access.conditions import NEVER
from compiler.review.access.doors import Admission, Door, Doors, certificate_of, find_doors, service_of, uris_of
from compiler.review.access.edge import OUTSIDE, PASSTHROUGH, Edge
from compiler.review.access.evidence import Evidence, Written
from compiler.review.access.known import Known
from compiler.review.access.parties import Party, find_party, service_named_by, services_named
from compiler.review.access.rbac import Caller
from compiler.review.access.reaching import Reached, Way, edges_through, reach, ways_of, widest
from compiler.review.access.views import Upstream
from compiler.review.versions import Version, Versions
from compiler.snapshot.snapshot import Snapshot

__all__ = ["Answer", "Party", "Step", "Trace", "find_party", "may_call"]

_MOST_OTHERS = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One resource on the way: `type` is its file in the snapshot of `proxy`, `says` what it does with the call."""

    proxy: str
    type: str
    name: str
    says: str
    documents: tuple[Written, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """One port as the caller meets it, from its outbound to the verdict; `edges` are those that lie open."""

    port: int
    reason: str
    edges: tuple[Edge, ...]
    steps: tuple[Step, ...]
    open: tuple[str, ...] = ()
    """What lies open in plaintext beside the TLS that the caller's proxy speaks."""

    @property
    def allowed(self) -> bool:
        """Whether the caller's proxy gets in: what is open only past it is not how the mesh calls."""
        return any(edge.proxied for edge in self.edges)


@dataclass(frozen=True, slots=True)
class Answer:
    """Allowed where at least one port lets some request in; `documents` are of a caller that has no way at all.

    `warning` is what lies open beside that: calls in plaintext, which need no certificate.
    """

    caller: str
    service: str
    allowed: bool
    reason: str
    traces: tuple[Trace, ...] = ()
    documents: tuple[Written, ...] = ()
    warning: str = ""


def may_call(versions: Versions, version: Version, caller: Party, callee: Party) -> Answer:
    """`version` is the one that was compiled last: the lines are looked up in what its compiler remembers."""
    gone = [one.service for one in (caller, callee) if not one.nodes and not one.service.startswith(OUTSIDE)]
    if gone or not caller.nodes:
        reason = f"{caller.service} may not call {callee.service}: there is no {(gone or [caller.service])[0]} any more"
        return Answer(caller.service, callee.service, False, reason)
    return _Question(Evidence.of(versions, version), version.snapshots, caller, callee, Known()).answer()


@dataclass(frozen=True)
class _Question:
    evidence: Evidence
    snapshots: Mapping[str, Snapshot]
    caller: Party
    callee: Party
    known: Known

    def answer(self) -> Answer:
        doors = find_doors(self.snapshots.values(), self.known)
        traces = _best(self._traces(doors))
        if not traces:
            return self._without_way(doors)
        allowed = [trace for trace in traces if trace.allowed]
        who = f"{self._said(self.caller)} {'may' if allowed else 'may not'} call {self._said(self.callee)}"
        reasons = "; ".join(dict.fromkeys(trace.reason for trace in allowed or traces))
        sides = self.caller.service, self.callee.service
        reason = f"{who}{' on ' if reasons.startswith(':') else ': '}{reasons}"
        return Answer(*sides, bool(allowed), reason, traces, warning=_warning(traces))

    def _said(self, party: Party) -> str:
        """By its proxies where it was asked about some of a service's."""
        if party.service == PASSTHROUGH:
            return "anything outside"
        every = {node for node, one in self.snapshots.items() if service_of(one) == party.service}
        return party.service if not party.nodes or party.nodes == every else " or ".join(sorted(party.nodes))

    def _traces(self, doors: Doors) -> Iterator[Trace]:
        """Replicas are asked too, since they may differ."""
        for node in sorted(self.caller.nodes):
            caller = self.snapshots[node]
            for way in ways_of(caller, self.known):
                reached, outside = reach(caller, way, doors, self.known)
                for one in reached:
                    if self._is_asked_about(one.door):
                        yield self._trace(caller, one)
                ports = [0] if way.upstream.anywhere else [port for _, port in outside]
                name = PASSTHROUGH if way.upstream.anywhere else f"{OUTSIDE}{way.upstream.name}"
                if name == self.callee.service:
                    yield from (self._beyond(caller, way, port) for port in ports)

    def _is_asked_about(self, door: Door) -> bool:
        return door.service == self.callee.service and any(str(one.node) in self.callee.nodes for one in door.snapshots)

    def _beyond(self, caller: Snapshot, way: Way, port: int) -> Trace:
        identity = bool(way.upstream.secret)
        edge = Edge(self.caller.service, self.callee.service, port, way.protocol, identity=identity)
        steps = tuple(self._leaving(caller, way))
        return Trace(port, "nothing of the mesh stands before what is outside of it", (edge,), steps)

    def _trace(self, caller: Snapshot, reached: Reached) -> Trace:
        way, door, admissions = reached
        callee = self._replica(door)
        edges = tuple(sorted(widest(edges_through(self.caller.service, door, admissions))))
        verdicts = [self._verdict(caller, callee, door, one) for one in admissions]
        known = [replace(edge, identity=True) for edge in edges] if way.upstream.tls else edges
        reason = _told(door, verdicts[0], [edge.terms for edge in known if edge.proxied])
        plain = sorted({replace(edge, identity=True).terms for edge in edges if not edge.identity})
        arriving = Step(
            str(callee.node), "listeners", door.name, f"takes the call at :{door.port}",
            tuple(self.evidence.inbound(callee, door.port)),
        )  # fmt: skip
        steps = (*self._leaving(caller, way), arriving, *verdicts)
        return Trace(door.port, reason, edges, steps, tuple(plain) if way.upstream.tls else ())

    def _replica(self, door: Door) -> Snapshot:
        return next(one for one in door.snapshots if str(one.node) in self.callee.nodes)

    def _leaving(self, caller: Snapshot, way: Way) -> Iterator[Step]:
        """From the workload to the cluster."""
        listening = self.known.listener(caller.resources[ResourceType.LISTENER][way.listener])
        address, port = listening.places[0]
        node = str(caller.node)
        calls = tuple(self.evidence.call(caller, address, port))
        yield Step(node, "listeners", way.listener, f"takes the workload's calls at {address}:{port}", calls)
        if way.through is not None:
            kind, name = way.through
            routes = tuple(self.evidence.routes(caller, kind, name))
            yield Step(node, kind.file, name, f"sends them to {way.upstream.name}", routes)
        mesh = tuple(self.evidence.security(caller.node.mesh)) if way.upstream.secret else ()
        yield Step(node, "clusters", way.upstream.name, f"connects {_how(way.upstream)}", mesh)

    def _verdict(self, caller: Snapshot, callee: Snapshot, door: Door, admission: Admission) -> Step:
        node = str(callee.node)
        if admission.refusal or admission.chain is None:
            mesh = tuple(self.evidence.optional(callee, door.name))
            return Step(node, "listeners", door.name, f"refuses the connection: {admission.refusal}", mesh)
        guards = [name for guard in admission.chain.guards if (name := getattr(guard, "extension", ""))]
        kind, name = ("extensions", guards[0]) if guards else ("listeners", door.name)
        if not admission.chain.guards:
            mesh = tuple(self.evidence.optional(callee, door.name))
            by_certificate = "asks for a certificate of whatever mesh, and for no permission"
            says = by_certificate if admission.chain.certificate else "takes plaintext from anyone, whoever calls"
            return Step(node, kind, name, says, mesh)
        says, documents = self._judged(uris_of(caller) if admission.identity else frozenset(), callee, door, admission)
        return Step(node, kind, name, says, documents)

    def _judged(
        self, uris: frozenset[str], callee: Snapshot, door: Door, admission: Admission
    ) -> tuple[str, tuple[Written, ...]]:
        """By the permissions in the snapshot; the documents say which line that is."""
        deciding = self.evidence.deciding(callee, door.name, uris)
        lines = (deciding[0],) if deciding is not None else ()
        if admission.terms != NEVER:
            policies = _policies(uris, door, admission) or ("its rules",)
            return f"lets it in by {', '.join(policies)}", lines
        if lines:
            return f"refuses it: {_by(lines[0])}", lines
        others = tuple(dict.fromkeys(self.evidence.admitting_others(callee, door.name)))
        return f"refuses it: {_unmentioned(uris, others)}", others[:_MOST_OTHERS]

    def _without_way(self, doors: Doors) -> Answer:
        """Whether the callee would admit it does not help a caller that cannot send anything there."""
        caller = self.snapshots[min(self.caller.nodes)]
        sentence, documents = self._dead_end(caller, doors) or self.evidence.missing_way(caller, caller.node.mesh)
        every = (door for part in (doors.at, doors.shared) for each in part.values() for door in each)
        there = [door for door in dict.fromkeys(every) if self._is_asked_about(door)]
        secret = certificate_of(caller)
        made_up = Upstream("", tls=bool(secret), secret=secret, alpn=frozenset({ALPN}))
        admitted = [
            self._judged(uris_of(caller), self._replica(door), door, one)[1]
            for door in there
            for one in door.admits(uris_of(caller), made_up)
            if one.terms != NEVER
        ]
        judged = ", though it would be admitted" if admitted else ", and no permission admits it" if there else ""
        reason = f"{self._said(self.caller)} may not call {self._said(self.callee)}: {sentence}{judged}"
        lines = tuple(dict.fromkeys((*documents, *(line for each in admitted for line in each))))
        return Answer(self.caller.service, self.callee.service, False, reason, (), lines)

    def _dead_end(self, caller: Snapshot, doors: Doors) -> tuple[str, tuple[Written, ...]] | None:
        """Of a caller that has an outbound for the callee, which leads nowhere or elsewhere."""
        for rendered in caller.resources.get(ResourceType.LISTENER, {}).values():
            listening = self.known.listener(rendered)
            if listening.inbound or not self._is_named(listening.name):
                continue
            outbound = tuple(self.evidence.call(caller, *listening.places[0]))
            names = [name for chain in listening.chains for name in chain.routes]
            routes = tuple(one for name in names for one in self.evidence.routes(caller, ResourceType.ROUTE, name))
            ways = [way for way in ways_of(caller, self.known) if way.listener == listening.name]
            if not ways:
                return f"its calls end at {listening.name}, whose routes lead to no cluster", (*outbound, *routes)
            ends = [reach(caller, way, doors, self.known) for way in ways]
            services = sorted({one.door.service for reached, _ in ends for one in reached})
            if services:
                return f"its calls are routed to {', '.join(services)}", (*outbound, *routes)
            if not any(outside for _, outside in ends):
                return "its outbound leads to no endpoint", outbound
        return None

    def _is_named(self, listener: str) -> bool:
        """Whether a listener is for calls of the callee: its service is called as the workload, or leads there."""
        name = service_named_by(listener)
        mesh, _, workload = self.callee.service.partition("/")
        if not name or listener.split("_")[2] != mesh:
            return False
        identities = {uri for node in self.callee.nodes for uri in uris_of(self.snapshots[node])}
        known = name == workload or f"spiffe://{mesh}/{name}" in identities
        return known or self.callee.service in services_named(self.snapshots, f"{mesh}/{name}")


def _best(traces: Iterable[Trace]) -> tuple[Trace, ...]:
    """Of replicas and ways that come to the same, one is told: by port and verdict, the shortest."""
    found: dict[tuple[int, str, tuple[Edge, ...]], Trace] = {}
    for trace in traces:
        key = (trace.port, trace.reason, trace.edges)
        if key not in found or len(trace.steps) < len(found[key].steps):
            found[key] = trace
    return tuple(found[key] for key in sorted(found, key=lambda one: (not one[2], one[0], one[1])))


def _how(upstream: Upstream) -> str:
    if not upstream.tls:
        return "in plaintext"
    wanted = " or ".join(name.value + "*" * name.prefix for name in upstream.wanted) or "anyone"
    return f"by {'mutual ' if upstream.secret else ''}TLS, to {wanted}"


def _policies(uris: frozenset[str], door: Door, admission: Admission) -> tuple[str, ...]:
    guards = [door.guard(one) for one in admission.chain.guards] if admission.chain is not None else []
    caller = Caller(uris, admission.identity, door.port)
    return tuple(dict.fromkeys(name for guard in guards for name in guard.deciding(caller)))


def _unmentioned(uris: frozenset[str], others: tuple[Written, ...]) -> str:
    name = min((uri for uri in uris if uri.startswith("spiffe://")), default="a caller without a certificate")
    if not others:
        return f"no MeshTrafficPermission admits anyone, so not {name}"
    names = list(dict.fromkeys(one.name for one in others))
    more = f" and {len(names) - _MOST_OTHERS} more" if len(names) > _MOST_OTHERS else ""
    verb = "admits" if len(names) == 1 else "admit"
    return f"no MeshTrafficPermission admits {name} ({', '.join(names[:_MOST_OTHERS])}{more} {verb} others)"


def _told(door: Door, verdict: Step, terms: Sequence[str]) -> str:
    """The verdict on the proxy's calls with what they may be, by the document that decides where there is one."""
    if not terms:
        return f"port {door.port} {verdict.says}"
    decided = _by(verdict.documents[0]) if verdict.documents else verdict.says
    return f"{' or '.join(dict.fromkeys(terms))} ({decided})"


def _warning(traces: Iterable[Trace]) -> str:
    """What needs no certificate, though the caller's proxy would show one."""
    traces = tuple(traces)
    terms = sorted({one for trace in traces for one in trace.open})
    if not terms:
        return ""
    said = f"{' and '.join(terms)} {'is' if len(terms) == 1 else 'are'} open in plaintext, to anyone"
    return said if any(trace.allowed for trace in traces) else f"only past its own proxy does it get in: {said}"


def _by(document: Written) -> str:
    return f"{document.type} {document.name} {document.says}".strip()
