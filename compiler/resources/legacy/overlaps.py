"""Legacy policies for the same calls: the most specific one held alone, and the newer ones are merged."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice, product
from typing import Any, Final, NamedTuple, cast

from compiler.diagnostics import Diagnostic, Subject
from compiler.resources.findings import join
from compiler.resources.legacy.conversion import LEGACY_DIFFERENCE
from compiler.resources.legacy.said import ConvertedPlacement
from compiler.resources.model import SERVICE, Policy, PolicyItem, Resource, TargetRef
from compiler.resources.page import Page, name_subject
from compiler.resources.resource_set import Source

Group = tuple[str, str]
"""A mesh and the type of a newer policy."""
Ends = tuple[str, str]
Tags = tuple[tuple[str, str], ...]
_ALL: Final = ""
_PERMISSION: Final = "MeshTrafficPermission"
_EVERYBODY: Final[Tags] = ()
_MOST_PAIRS: Final = 20_000


class Member(NamedTuple):
    """A newer policy, and the legacy one that stands in the document: its author knows no other."""

    resource: Resource
    source: Source
    written: Subject


@dataclass(slots=True)
class Overlaps:
    """What is found between the legacy policies of a mesh and type; a group is looked at again when it changes."""

    _members: dict[Group, dict[tuple[str, int, int], Member]] = field(default_factory=dict)
    _found: dict[Group, tuple[Diagnostic, ...]] = field(default_factory=dict)

    @property
    def found(self) -> Iterator[Diagnostic]:
        """Of all groups."""
        return (finding for group in sorted(self._found) for finding in self._found[group])

    def update(self, gone: Iterable[Page], come: Iterable[Page]) -> None:
        """Pages that went away, and those that took their place."""
        touched: set[Group] = set()
        for group, member in _converted(gone):
            self._members[group].pop(member.source.order, None)
            touched.add(group)
        for group, member in _converted(come):
            self._members.setdefault(group, {})[member.source.order] = member
            touched.add(group)
        for group in touched:
            self._found.pop(group, None)
            if found := tuple(_compare(self._members[group])):
                self._found[group] = found


def _converted(pages: Iterable[Page]) -> Iterator[tuple[Group, Member]]:
    for page in pages:
        made = [each for each in page.definitions if isinstance(each[1].placement, ConvertedPlacement)]
        envelopes = dict(page.envelopes) if made else {}
        for resource, source in made:
            written = name_subject(envelopes[source.passage])
            yield (resource.key.mesh, resource.key.type), Member(resource, source, written)


def _compare(members: Mapping[tuple[str, int, int], Member]) -> Iterator[Diagnostic]:
    """The first pairs alone where a great many policies meet: by then it is known that they do."""
    by_ends: dict[Ends, list[Member]] = {}
    for order in sorted(members):
        for ends in sorted(set(_ends(members[order].resource))):
            by_ends.setdefault(ends, []).append(members[order])
    told: set[tuple[Any, Any]] = set()
    for one, other in islice(_pairs(by_ends), _MOST_PAIRS):
        pair = (one.source.order, other.source.order)
        if pair not in told and one.source.passage != other.source.passage:
            told.add(pair)
            yield from _judge(one, other)


def _pairs(by_ends: Mapping[Ends, Sequence[Member]]) -> Iterator[tuple[Member, Member]]:
    """Those that can meet: at both ends they name one service, or one of them names none."""
    for ends, group in by_ends.items():
        yield from combinations(group, 2)
        source, destination = ends
        wider = {(source, _ALL), (_ALL, destination), (_ALL, _ALL)} - {ends}
        yield from ((one, other) for each in sorted(wider) for one in group for other in by_ends.get(each, ()))
    by_source = [group for (source, destination), group in by_ends.items() if source and not destination]
    by_destination = [group for (source, destination), group in by_ends.items() if destination and not source]
    for groups in product(by_source, by_destination):
        yield from product(*groups)


def _judge(one: Member, other: Member) -> Iterator[Diagnostic]:
    """A finding at the policy that used to hold, where it is not certain that it still does, and alone."""
    if not _meet(one.resource, other.resource) or _allow_the_same(one.resource, other.resource):
        return
    used, now = (_order(one.resource, other.resource, measure) for measure in (_specific, _rank))
    first, second = sorted((one, other), key=lambda member: member.source.order) if not used else (one, other)
    winner, loser = (first, second) if used >= 0 else (second, first)
    lost = sorted(_fields(loser.resource).keys() - _fields(winner.resource)) if _spec(winner.resource).to else []
    if used == now != 0 and not lost:
        return
    named = f"{loser.written.type} {loser.written.name} ({loser.source.position()})"
    if used == now and lost:
        fields = ", ".join(dict.fromkeys(_as_written(loser, field) for field in lost[:3]))
        message = f"{fields} of {named}, which is for some of the same traffic, holds here too now"
    else:
        message = f"{named} is for some of the same traffic, and another of the two than before may hold"
    yield _finding(winner, message)


def _finding(member: Member, message: str) -> Diagnostic:
    source = member.source
    hint = "write the newer policies, with one targetRef each that says what is meant"
    return Diagnostic(source.position(), LEGACY_DIFFERENCE, message, hint, member.written, source.path())


def _as_written(member: Member, field: str) -> str:
    """A field of the newer policy as the legacy one calls it, unless that is what other fields are parts of."""
    places = {name: member.source.path(pointer) for name, pointer in _fields(member.resource).items()}
    pointer = places[field]
    path = member.source.passage.spell(pointer).split("/")
    if "conf" not in path[:-1] or any(place.startswith(f"{pointer}/") for place in places.values()):
        return field
    return ".".join(path[path.index("conf") + 1 :])


def _spec(resource: Resource) -> Policy:
    return cast("Policy", resource.spec)


def _places(resource: Resource) -> Sequence[TargetRef]:
    """What a policy is for: services where it is of outgoing traffic, else inbounds."""
    spec = _spec(resource)
    return [item.target_ref for item in spec.to] or [spec.target_ref]


def _ends(resource: Resource) -> Iterator[Ends]:
    """Who calls and who is called, by service; a policy of incoming traffic is told apart by the latter."""
    spec = _spec(resource)
    source = spec.target_ref.tags.get(SERVICE, _ALL) if spec.to else _ALL
    return ((source, target.name or target.tags.get(SERVICE, _ALL)) for target in _places(resource))


def _meet(one: Resource, other: Resource) -> bool:
    mine, its = _spec(one), _spec(other)
    if not _compatible(mine.target_ref.tags, its.target_ref.tags):
        return False
    return not mine.to or any(
        first.target_ref.name in ("", second.target_ref.name) or not second.target_ref.name
        for first in mine.to
        for second in its.to
    )


def _allow_the_same(one: Resource, other: Resource) -> bool:
    """Of two permissions for the same callers it does not matter which one holds."""
    return one.key.type == _PERMISSION == other.key.type and _allowed(one) == _allowed(other)


def _allowed(permission: Resource) -> frozenset[Tags]:
    """The tags of those whom it lets in; one that lets everybody in need not name others."""
    items = [item for item in _spec(permission).from_ if item.conf.get("action") == "Allow"]
    callers = frozenset(tuple(sorted(item.target_ref.tags.items())) for item in items)
    return frozenset({_EVERYBODY}) if _EVERYBODY in callers else callers


def _compatible(mine: Mapping[str, str], its: Mapping[str, str]) -> bool:
    return all(its.get(key, value) == value for key, value in mine.items())


def _order(one: Resource, other: Resource, measure: Callable[[Resource], Any]) -> int:
    mine, its = measure(one), measure(other)
    return int(mine > its) - int(mine < its)


def _specific(resource: Resource) -> int:
    """How many values the legacy policy asks for."""
    return max(len(_spec(resource).target_ref.tags) + bool(item.target_ref.name) for item in _items(resource))


def _rank(resource: Resource) -> tuple[bool, bool]:
    """As the newer policies are compared; their names decide after it, which had no say before."""
    return bool(_spec(resource).target_ref.tags), max(bool(item.target_ref.name) for item in _items(resource))


def _items(resource: Resource) -> Sequence[PolicyItem]:
    return _spec(resource).to or (PolicyItem(),)


def _fields(resource: Resource) -> Mapping[str, str]:
    """The leaves of what it says, by which two confs are merged, and a pointer to each."""
    return {
        ".".join(path): join(f"/to/{index}/default", *path)
        for index, item in enumerate(_spec(resource).to)
        for path in _leaves(item.conf, ())
    }


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    else:
        yield path
