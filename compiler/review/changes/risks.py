"""What a reviewer should know of a change before it merges: a label, its weight, and a page in docs/risks/."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from compiler.envoy.resources import ResourceType
from compiler.resources.model import ResourceKey
from compiler.resources.settings import Settings
from compiler.review.access.edge import AccessDiff
from compiler.review.access.known import Known
from compiler.review.changes.causes import is_wide
from compiler.review.changes.compare import Difference, plain
from compiler.review.changes.deciders import Deciders
from compiler.review.changes.documents import Document
from compiler.review.changes.draining import Drain, drained_by
from compiler.review.changes.edges import closed_edges, opened_edges, share_edges
from compiler.review.changes.groups import Grouped
from compiler.review.changes.guards import faults, is_guarding, lost_authorizations, lost_limits
from compiler.review.changes.sizes import Scales
from compiler.review.changes.titles import subjects_of, whose
from compiler.review.changes.tls import weakenings
from compiler.review.changes.weights import WEIGHTS
from compiler.review.changes.widening import widenings
from compiler.review.plan import Kind, ResourceChange, Risk
from compiler.review.versions import Version
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.snapshot import Snapshot

__all__ = ["Evidence", "find_risks"]

_LISTENERS: Final = ResourceType.LISTENER.file
_CLUSTERS: Final = ResourceType.CLUSTER.file
_ENDPOINTS: Final = ResourceType.ENDPOINT.file
_ROUTES: Final = ResourceType.ROUTE.file
_GUARDS: Final = {"drops-authorization": lost_authorizations, "drops-limit": lost_limits, "injects-faults": faults}
_DRAINS: Final = {
    Drain.LISTENER: "all connections drain",
    Drain.CHAIN: "the connections of a filter chain drain",
}
_EVERYTHING: Final = 3
"""Fewer proxies than these are always changed together."""
_SHOWN: Final = 3


@dataclass(frozen=True)
class Evidence:
    """What risks are told from, beside a group itself."""

    base: Version
    head: Version
    documents: Sequence[Document]
    access: AccessDiff
    scales: Scales
    known: Known = field(default_factory=Known)
    """What was already read of both sides' resources."""

    @property
    def settings(self) -> Settings:
        return self.head.settings


def find_risks(groups: Sequence[Grouped], evidence: Evidence) -> tuple[tuple[Risk, ...], ...]:
    """Those of each group, the weightiest first."""
    everything = _of_everything(groups, evidence)
    deciders = Deciders(groups, evidence.base.snapshots, evidence.head.snapshots, evidence.known)
    opened = share_edges(opened_edges(evidence.access), deciders, len(groups))
    closed = share_edges(closed_edges(evidence.access), deciders, len(groups))
    found = []
    for place, one in enumerate(groups):
        risks = {
            *_of_resources(one),
            *_of_defaults(one, evidence),
            *([_every_proxy(evidence)] if place == everything else []),
            *_of_budgets(one, evidence),
            *_of_ownership(one, evidence),
            *_of_words("opens-access", opened[place]),
            *_of_words("closes-access", closed[place]),
            *_of_words("widens-permission", widenings(one, evidence.head.snapshots, evidence.access, evidence.known)),
        }
        found.append(tuple(sorted(risks, key=_order)))
    return tuple(found)


def _order(risk: Risk) -> tuple[int, str]:
    return tuple(WEIGHTS).index(risk.code), risk.message


def _risk(code: str, message: str) -> Risk:
    return Risk(code, WEIGHTS[code], message)


def _of_resources(one: Grouped) -> Iterator[Risk]:
    """What Envoy does when it is given the change."""
    if one.group.kind is Kind.REMOVED:
        yield _risk("removes-proxy", f"{_proxies(one.group.proxies)} would get no configuration any more")
    if one.group.kind is not Kind.CHANGED:
        return
    gone = [change for change in one.group.changes if _is_closed(change)]
    if gone:
        yield _risk("removes-listener", f"{_listeners(one, gone)} nobody listens any more: open connections drain")
    empty = [found.name for found in one.differences if _is_emptied(found)]
    if empty:
        yield _risk("removes-endpoint-last", f"no endpoint of {_subjects(one, empty)} is left: every call fails")
    weaker = [(words, found.name) for found in one.differences for words in _weaker(found)]
    for words, subject in _by_words(one, weaker):
        yield _risk("weakens-tls", f"{subject}: {words if not subject[0].isdigit() else f'each {words}'}")
    yield from _of_guards(one)
    yield from _of_rebuilds(one)


def _of_guards(one: Grouped) -> Iterator[Risk]:
    """What stood before a workload, or strikes its callers now."""
    sides = [
        (found, plain(found.before), plain(found.after))
        for found in one.differences
        if found.kind is Kind.CHANGED and found.type in (_LISTENERS, _ROUTES)
        if any(isinstance(side, Rendered) and is_guarding(side) for side in (found.before, found.after))
    ]
    for code, tell in _GUARDS.items():
        told = [(words, found.name) for found, before, after in sides for words in tell(found.type, before, after)]
        for words, subject in _by_words(one, told):
            yield _risk(code, f"{subject}: {words}")


def _by_words(one: Grouped, told: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Each sentence once, with all that it is said of."""
    for words in sorted({words for words, _ in told}):
        yield words, _subjects(one, [name for other, name in told if other == words])


def _of_rebuilds(one: Grouped) -> Iterator[Risk]:
    changed = [change for change in one.group.changes if change.kind is Kind.CHANGED]
    for drain, words in _DRAINS.items():
        some = [change for change in changed if change.type == _LISTENERS and drained_by(change.fields) is drain]
        if some:
            yield _risk("rebuilds-listener", f"{_listeners(one, some)} {words}, TCP is closed")
    clusters = [change for change in changed if change.type == _CLUSTERS]
    if clusters:
        words = "connections are made anew, ejected endpoints come back"
        yield _risk("rebuilds-cluster", f"to {whose(clusters, _nodes(one))} {words}")


def _is_closed(change: ResourceChange) -> bool:
    """A socket in the proxy's own directory is for what runs beside it: nobody calls it from elsewhere."""
    if change.kind is not Kind.REMOVED or change.type != _LISTENERS:
        return False
    return "pipe" not in (change.before or {}).get("address", {})


def _listeners(one: Grouped, changes: Sequence[ResourceChange]) -> str:
    """A listener is a proxy's own inbound, or its way to a service."""
    subject = whose(changes, _nodes(one))
    at_inbounds = all(name.startswith("self_inbound_") for one in changes for name in (one.name, *one.alike))
    return f"at {subject}" if at_inbounds else f"on the way to {subject}"


def _subjects(one: Grouped, names: Iterable[str]) -> str:
    return subjects_of(names, _nodes(one))


def _nodes(one: Grouped) -> Sequence[Snapshot]:
    return tuple((one.after or one.before).values())


def _is_emptied(found: Difference) -> bool:
    """A load assignment that stays, of nobody."""
    if found.type != _ENDPOINTS or found.kind is not Kind.CHANGED:
        return False
    return _has_endpoints(plain(found.before)) and not _has_endpoints(plain(found.after))


def _has_endpoints(assignment: Any) -> bool:
    return any(locality.get("lbEndpoints") for locality in assignment.get("endpoints", ()))


def _weaker(found: Difference) -> Iterator[str]:
    if found.kind is Kind.CHANGED and found.type in (_LISTENERS, _CLUSTERS):
        yield from weakenings(found.type, plain(found.before), plain(found.after))


def _of_defaults(one: Grouped, evidence: Evidence) -> Iterator[Risk]:
    """Of a proxy that is new nothing changed: it has the defaults from the start."""
    if one.group.kind is Kind.ADDED:
        return
    for place in sorted(one.behind):
        document = evidence.documents[place]
        if any(is_wide(evidence.base, evidence.head, key) for key in document.keys):
            subject = document.cause.subject
            yield _risk("changes-default", f"{subject.type} {subject.name} holds wherever nothing more specific does")


def _of_everything(groups: Sequence[Grouped], evidence: Evidence) -> int | None:
    """The largest of the groups that together change every proxy that stays."""
    staying = evidence.base.snapshots.keys() & evidence.head.snapshots.keys()
    changed = [(place, one) for place, one in enumerate(groups) if one.group.kind is Kind.CHANGED]
    touched = {name for _, one in changed for name in one.group.proxies}
    if len(staying) < _EVERYTHING or touched != staying:
        return None
    return max(changed, key=lambda found: (len(found[1].group.proxies), -found[0]))[0]


def _of_budgets(one: Grouped, evidence: Evidence) -> Iterator[Risk]:
    """Of proxies that grew beyond a bound, or further beyond it."""
    budgets = evidence.settings.budgets
    measures = (
        (budgets.bytes_per_proxy, evidence.scales.bytes_of, "bytes"),
        (budgets.resources_per_proxy, _count, "resources"),
    )
    for bound, measure, unit in measures:
        over = _beyond(one, bound, measure) if bound is not None else []
        if over:
            most = max(measure(one.after[name]) for name in over)
            words = f"{_proxies(over)} beyond the budget of {bound:,} {unit} a proxy, up to {most:,}"
            yield _risk("exceeds-budget", words)


def _beyond(one: Grouped, bound: int, measure: Any) -> list[str]:
    grown = ((name, measure(now), one.before.get(name)) for name, now in one.after.items())
    return [name for name, size, was in grown if size > bound and (was is None or size > measure(was))]


def _count(snapshot: Snapshot) -> int:
    return sum(len(named) for named in snapshot.resources.values())


def _of_ownership(one: Grouped, evidence: Evidence) -> Iterator[Risk]:
    """A file of one team changes proxies that another team wrote."""
    if not evidence.settings.ownership:
        return
    theirs = {owners for name in one.group.proxies for owners in [_owners_of(evidence, name)] if owners}
    for place in sorted(one.behind):
        cause = evidence.documents[place].cause
        ours = evidence.settings.owners(cause.file, cause.subject.type, cause.subject.mesh)
        others = sorted({owner for owners in theirs if not set(owners) & set(ours) for owner in owners})
        if ours and others:
            yield _risk("crosses-ownership", f"{cause.file} of {_some(ours)} changes proxies of {_some(others)}")


def _owners_of(evidence: Evidence, node: str) -> tuple[str, ...]:
    for version in (evidence.head, evidence.base):
        snapshot = version.snapshots.get(node)
        if snapshot is not None:
            key = ResourceKey("Dataplane", snapshot.node.mesh, snapshot.node.proxy)
            source = version.resources.sources.get(key)
            if source is not None:
                return evidence.settings.owners(source.passage.file, key.type, key.mesh)
    return ()


def _of_words(code: str, words: Sequence[str]) -> Iterator[Risk]:
    if words:
        yield _risk(code, _some([*dict.fromkeys(words)]))


def _every_proxy(evidence: Evidence) -> Risk:
    staying = evidence.base.snapshots.keys() & evidence.head.snapshots.keys()
    return _risk("touches-every-proxy", f"all {len(staying)} proxies change at once")


def _proxies(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} proxies"


def _some(names: Sequence[str]) -> str:
    """The first few, and how many there are beside them."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
