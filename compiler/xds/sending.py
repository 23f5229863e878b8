"""A response is made and its flight noted: from here on the client is believed to hold what it was sent."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from compiler.xds.events import FRESH_MARK, Response
from compiler.xds.opening import format_marks
from compiler.xds.served import Resource
from compiler.xds.type_state import Flight, TypeState

_PORTION: Final = 128 * 1024
"""Bytes of resources; one that is larger goes alone."""

_NOTHING: Final[frozenset[str]] = frozenset()
_NOTHING_HELD: Final[Mapping[str, Resource]] = {}


def take_portion(state: TypeState, names: Iterable[str]) -> tuple[Resource, ...]:
    """What of these goes into one response: all, since messages cost more than what they carry.

    Envoy applies a response of named resources until the first bad one. All of a refused response is in doubt and is
    sent again, in halves until the bad one is alone; its size is bounded for the sake of clients that do not read.
    """
    taken: list[Resource] = []
    size = 0
    for name in islice(names, state.batch):
        resource = state.target[name]
        size += len(resource.body)
        if taken and size > _PORTION:
            break
        taken.append(resource)
    return tuple(taken)


def launch(
    state: TypeState,
    trial: tuple[Resource, ...],
    removals: tuple[str, ...],
    *,
    nonce: str,
    digest: str,
    full_state: bool,
) -> tuple[Flight, Response]:
    """`trial` is what is to be added now; a full-state answer carries all the rest with it."""
    additions = trial
    if full_state and state.whole:
        additions, removals = _cover_unsure(state, additions, removals)
    names = (*[resource.name for resource in additions], *removals)
    before = {name: state.held[name] for name in names if name in state.held} if state.held else _NOTHING_HELD
    repairs = frozenset(state.unsure).intersection(names) if state.unsure else _NOTHING
    _believe(state, additions, names, removals, nonce, is_owed=additions is trial and not removals)
    marks = state.marks if full_state else 0
    version = format_marks(marks) if full_state else digest
    flight = Flight(nonce, digest, version, additions, removals, before, marks, trial, repairs, names)
    state.flights[nonce] = flight
    return flight, _write(state, flight, full_state=full_state)


def resend_endpoints(endpoints: TypeState, clusters: Flight) -> None:
    """Envoy warms a changed cluster until its load assignment comes again, and asks for it only if it is new."""
    changed = clusters.before.keys() | clusters.repairs
    again = sorted(name for name in clusters.names if name in changed and name in endpoints.names)
    for name in again:
        endpoints.let_go(name)
    endpoints.judge(again)


def _believe(
    state: TypeState,
    additions: tuple[Resource, ...],
    names: tuple[str, ...],
    removals: tuple[str, ...],
    nonce: str,
    *,
    is_owed: bool,
) -> None:
    """`is_owed`: all of it is the target's, as it was owed."""
    state.hold(*additions)
    for name in removals:
        state.let_go(name)
        state.denied.pop(name, None)
    state.last_touch.update(dict.fromkeys(names, nonce))
    state.greeting_due, state.sent = False, True
    if is_owed:
        state.settle(names)
    else:
        state.judge(names)


def _cover_unsure(
    state: TypeState, additions: tuple[Resource, ...], removals: tuple[str, ...]
) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
    """A full-state answer decides every name: what is unsure gets its former content, or is left out."""
    decided = {resource.name for resource in additions}.union(removals)
    undecided = [name for name in state.unsure if name not in decided]
    former = tuple(state.replaced[name] for name in undecided if name in state.replaced)
    return (*additions, *former), (*removals, *(name for name in undecided if name not in state.replaced))


def _write(state: TypeState, flight: Flight, *, full_state: bool) -> Response:
    if not full_state:
        additions = tuple(_refresh(each, flight) for each in flight.additions) if flight.repairs else flight.additions
        return Response(state.type_url, flight.nonce, flight.version, additions, flight.removals)
    resources = tuple(state.held[name] for name in sorted(state.held)) if state.whole else flight.additions
    suffix = f"{FRESH_MARK}{flight.nonce}" if flight.repairs else ""
    return Response(state.type_url, flight.nonce, flight.version + suffix, resources)


def _refresh(resource: Resource, flight: Flight) -> Resource:
    """Older Envoys ignore content that comes back under the very version that they refused it with."""
    if resource.name not in flight.repairs:
        return resource
    return resource.under_version(f"{resource.version}{FRESH_MARK}{flight.nonce}")
