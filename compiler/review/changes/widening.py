"""Where an inbound's permissions admit callers that they did not, whether or not one of them has a way there."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from compiler.envoy.resources import ResourceType
from compiler.review.access.doors import Admission, Door, find_doors, service_of, uris_of
from compiler.review.access.edge import AccessDiff, Edge
from compiler.review.access.known import Known
from compiler.review.access.rbac import Caller, Rbac
from compiler.review.access.reaching import edges_through
from compiler.review.access.views import Chain
from compiler.review.changes.groups import Grouped
from compiler.review.plan import Kind
from compiler.snapshot.snapshot import Snapshot

__all__ = ["widenings"]

_PERMITTING: Final = frozenset({ResourceType.LISTENER.file, ResourceType.EXTENSION.file})
_NOBODY: Final = "~nobody"
"""The last part of an identity that no workload has: `~` is not allowed in a name."""

Place = tuple[str, int]
"""A service, and its port."""


class _Stranger(NamedTuple):
    """Callers in words, and an identity that stands for all of them."""

    words: str
    uri: str


def widenings(one: Grouped, head: Mapping[str, Snapshot], access: AccessDiff, known: Known) -> tuple[str, ...]:
    """Sentences about proxies that stay; what `access` tells of callers that have a way is not said again."""
    if one.group.kind is not Kind.CHANGED or not any(change.type in _PERMITTING for change in one.group.changes):
        return ()
    before, after = (_inbounds(side.values(), known) for side in (one.before, one.after))
    bearers = _Bearers(head, access)
    found: dict[str, list[str]] = {}
    for place, doors in after.items():
        for words in _widened(before[place], doors, bearers) if place in before else ():
            found.setdefault(words, []).append(f"{place[0]}:{place[1]}")
    return tuple(f"{_places(places)} {words}" for words, places in sorted(found.items()))


def _places(places: list[str]) -> str:
    return f"{places[0]} newly admits" if len(places) == 1 else f"{len(places):,} inbounds newly admit"


def _inbounds(snapshots: Iterable[Snapshot], known: Known) -> dict[Place, list[Door]]:
    """Those of replicas together."""
    found: dict[Place, list[Door]] = {}
    for door in find_doors(snapshots, known).every:
        found.setdefault((door.service, door.port), []).append(door)
    return found


class _Bearers:
    """Who bears a name today, and whether more is told of them already."""

    def __init__(self, head: Mapping[str, Snapshot], access: AccessDiff) -> None:
        self._head = head
        edges = (*access.added, *(change.edge for change in access.changed if change.gained))
        self._told = {(edge.caller, edge.service, edge.port) for edge in edges}
        self._services: dict[str, str] | None = None

    def is_told(self, uri: str, place: Place) -> bool:
        if self._services is None:
            self._services = {name: service_of(one) for one in self._head.values() for name in uris_of(one)}
        return (self._services.get(uri, ""), *place) in self._told


def _widened(before: list[Door], after: list[Door], bearers: _Bearers) -> Iterator[str]:
    """Of callers that others contain only the widest are told."""
    if _guards(before) == _guards(after):
        return
    place = after[0].service, after[0].port
    for stranger in _strangers(after[0]):
        if _is_admitted_anew(stranger.uri, before, after):
            yield stranger.words
            return
    for uri in sorted(_names(after) - _names(before)):
        if _is_admitted_anew(uri, before, after) and not bearers.is_told(uri, place):
            yield f"{uri.removesuffix(_NOBODY)}*" if uri.endswith(_NOBODY) else uri


def _guards(doors: Iterable[Door]) -> set[int]:
    """Permissions that say the same were read once."""
    return {id(door.guard(guard)) for door in doors for chain in door.chains for guard in chain.guards}


def _strangers(door: Door) -> Iterator[_Stranger]:
    yield _Stranger("any caller", f"spiffe://{_NOBODY}/{_NOBODY}")
    for uri in sorted(door.uris):
        if uri.startswith("spiffe://"):
            domain = uri.split("/")[2]
            yield _Stranger(f"any caller of {domain}", f"spiffe://{domain}/{_NOBODY}")


def _is_admitted_anew(uri: str, before: Iterable[Door], after: Iterable[Door]) -> bool:
    """Where plaintext was taken everybody was let in already; that it is taken now, another risk tells."""
    were = [edge for door in before for edge in _let_in(uri, door, door.chains)]
    secured = ((door, [chain for chain in door.chains if chain.tls]) for door in after)
    now = [edge for door, chains in secured for edge in _let_in(uri, door, chains)]
    return any(not any(other.covers(edge) for other in were) for edge in now)


def _let_in(uri: str, door: Door, chains: Iterable[Chain]) -> Iterator[Edge]:
    for chain in chains:
        if chain.tls and chain.callers and not any(name.fits(frozenset({uri})) for name in chain.callers):
            continue
        caller = Caller(frozenset({uri}), True, door.port) if chain.tls else Caller(port=door.port)
        for edge in edges_through("", door, [Admission(door.terms(caller, chain), chain.tls, chain)]):
            yield replace(edge, protocol="")


def _names(doors: Iterable[Door]) -> set[str]:
    """Names that permissions ask for; a prefix stands as the name of nobody who has it."""
    guards = (door.guard(guard) for door in doors for chain in door.chains for guard in chain.guards)
    return {name for guard in guards for name in _named(guard)}


def _named(guard: Rbac) -> Iterator[str]:
    for rule in guard.rules:
        yield from rule.enough
        yield from rule.named
        for principal in rule.others:
            prefix = principal.authenticated.principal_name.prefix
            if prefix:
                yield f"{prefix}{_NOBODY}"
