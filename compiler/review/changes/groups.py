"""Changes that are one change to a reviewer, together: equal ones of many proxies, and what one edit does elsewhere.

Two changes belong together where the same documents led to both, and either they say the same (the fields, before and
after; a resource's own name apart) or they concern the same proxies.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from compiler.envoy.resources import ResourceType
from compiler.review.changes.causes import Behind, Causes
from compiler.review.changes.compare import Comparison, Difference, Key
from compiler.review.changes.titles import moved_endpoints, title_of, title_of_proxies
from compiler.review.plan import FieldChange, Group, Kind, ResourceChange
from compiler.snapshot.snapshot import Snapshot

__all__ = ["Grouped", "group", "service_of", "zone_of"]

Signature = tuple[object, ...]


@dataclass(frozen=True)
class Grouped:
    """A group before anybody judged it: the documents behind it, its differences, its proxies on both sides."""

    group: Group
    behind: Behind
    before: Mapping[str, Snapshot]
    after: Mapping[str, Snapshot]
    differences: tuple[Difference, ...] = ()


@dataclass
class _Class:
    """Changes that say the same, by key, with the proxies of each."""

    behind: Behind
    keys: dict[Key, None] = field(default_factory=dict)
    proxies: dict[str, None] = field(default_factory=dict)


def group(comparison: Comparison, causes: Causes) -> tuple[Grouped, ...]:
    """Removed proxies, then changed ones, then added ones; of each the most proxies first."""
    gone = _of_proxies(Kind.REMOVED, comparison.removed, causes, comparison)
    come = _of_proxies(Kind.ADDED, comparison.added, causes, comparison)
    changed = (_of_changes(one, comparison) for one in _joined(_classify(comparison, causes).values()))
    return (*_ordered(gone), *_ordered(changed), *_ordered(come))


def service_of(snapshot: Snapshot) -> str:
    """`mesh/workload`, as an access edge names it."""
    return f"{snapshot.node.mesh}/{snapshot.node.workload}"


def zone_of(snapshot: Snapshot) -> str:
    return snapshot.node.zone or "default"


def _ordered(groups: Iterable[Grouped]) -> list[Grouped]:
    return sorted(groups, key=lambda one: (-len(one.group.proxies), one.group.title, one.group.proxies))


def _of_proxies(kind: Kind, snapshots: Iterable[Snapshot], causes: Causes, comparison: Comparison) -> Iterator[Grouped]:
    """Those of a service together, told by the names of what they hold."""
    found: dict[object, list[Snapshot]] = {}
    for snapshot in snapshots:
        holds = tuple(sorted((held.file, *named) for held, named in snapshot.resources.items()))
        behind = causes.proxies[str(snapshot.node)]
        found.setdefault((service_of(snapshot), behind, holds), []).append(snapshot)
    for (_, behind, _), some in found.items():  # type: ignore[misc]  # the key as it was made
        names = tuple(str(one.node) for one in some)
        changes = tuple(
            ResourceChange(kind, held.file, name) for held, named in some[0].resources.items() for name in named
        )
        title = title_of_proxies(kind, some)
        yield _grouped(Group(kind, title, names, (), (), changes), behind, comparison)


def _classify(comparison: Comparison, causes: Causes) -> dict[object, _Class]:
    classes: dict[object, _Class] = {}
    belongs: dict[Key, _Class] = {}
    for proxy in comparison.changed:
        for difference in proxy.differences:
            key = difference.key
            one = belongs.get(key)
            if one is None:
                behind = causes.changes[key]
                signature = (behind, *signature_of(comparison.change(key)))
                one = belongs[key] = classes.setdefault(signature, _Class(behind))
                one.keys[key] = None
            one.proxies[proxy.node] = None
    return classes


def signature_of(change: ResourceChange) -> Signature:
    """What a change says, whichever resource it is made to; a resource that comes or goes says no more than that.

    Of endpoints that come and go their addresses: each zone puts them elsewhere.
    """
    if change.kind is not Kind.CHANGED:
        return (change.kind,)
    if change.type == ResourceType.ENDPOINT.file and (moved := moved_endpoints(change)):
        return change.type, moved
    return change.type, frozenset(_signature_of_field(one, change.name) for one in change.fields)


def _signature_of_field(one: FieldChange, name: str) -> Signature:
    steps = tuple("*" if step.isdigit() else step.replace(name, "\0") for step in one.path.split("/"))
    return one.kind, steps, _without(one.before, name), _without(one.after, name)


def _without(value: Any, name: str) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).replace(name.encode(), b"\0")


def _joined(classes: Iterable[_Class]) -> Iterator[_Class]:
    """Of the same proxies, with a document in common, one."""
    found: dict[frozenset[str], list[_Class]] = {}
    for one in classes:
        same = found.setdefault(frozenset(one.proxies), [])
        bound = [other for other in same if other.behind & one.behind or other.behind == one.behind]
        whole = _Class(one.behind.union(*(other.behind for other in bound)), {}, one.proxies)
        for other in (*bound, one):
            whole.keys |= other.keys
        same[:] = [other for other in same if other not in bound] + [whole]
    return (one for same in found.values() for one in same)


def _of_changes(one: _Class, comparison: Comparison) -> Grouped:
    changes = tuple(_fold([comparison.change(key) for key in one.keys]))
    nodes = [comparison.after[name] for name in sorted(one.proxies)]
    made = Group(Kind.CHANGED, title_of(changes, nodes), tuple(sorted(one.proxies)), (), (), changes)
    differences = tuple(comparison.carriers[key][1] for key in one.keys)
    return replace(_grouped(made, one.behind, comparison), differences=differences)


def _fold(changes: Sequence[ResourceChange]) -> Iterator[ResourceChange]:
    """One of those that say the same of several resources, with the names of the others; deletions first."""
    found: dict[object, list[ResourceChange]] = {}
    order = (Kind.REMOVED, Kind.CHANGED, Kind.ADDED)
    for one in sorted(changes, key=lambda change: (order.index(change.kind), change.type, change.name)):
        alone = one.kind is not Kind.CHANGED
        found.setdefault((one.type, one.name, one.kind) if alone else signature_of(one), []).append(one)
    for first, *others in found.values():
        yield replace(first, alike=tuple(sorted({one.name for one in others} - {first.name})))


def _grouped(made: Group, behind: Behind, comparison: Comparison) -> Grouped:
    before = {name: comparison.before[name] for name in made.proxies if name in comparison.before}
    after = {name: comparison.after[name] for name in made.proxies if name in comparison.after}
    snapshots = (*before.values(), *after.values())
    services, zones = ({of(one) for one in snapshots} for of in (service_of, zone_of))
    whole = replace(made, services=tuple(sorted(services)), zones=tuple(sorted(zones)))
    return Grouped(whole, behind, before, after)
