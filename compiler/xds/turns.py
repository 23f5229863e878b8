"""Whose turn it is: additions in delivery order, removals only when nothing that was added is still unanswered."""

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.xds.served import CDS, ECDS, EDS, LDS, RDS, SDS
from compiler.xds.type_state import ANY_KEY, TypeState

Types = Mapping[str, TypeState]


@dataclass(frozen=True, slots=True)
class Handover:
    """Names that come and go in one response of their own.

    In two, the address would be closed in between; in one with others, a bad neighbour would close it for good.
    """

    additions: tuple[str, ...]
    removals: tuple[str, ...]


_LIVE = frozenset({EDS, SDS})
"""Their ACKs hold nobody up: a cluster's own ACK waits for its endpoints, and endpoints change all the time."""

_GOES_AFTER: Mapping[str, tuple[str, ...]] = {
    CDS: (),
    EDS: (),
    SDS: (),
    ECDS: (CDS, EDS, SDS),
    LDS: (CDS, EDS, SDS, ECDS),
    RDS: (CDS, EDS, SDS, ECDS, LDS),
}
_NAMED_BY: Mapping[str, tuple[str, ...]] = {EDS: (CDS,), SDS: (CDS, LDS), ECDS: (LDS,), RDS: (LDS,)}
_REFERENCED = (ECDS, RDS)
"""A listener that has come asks for these; until then it has not taken the place of its predecessor."""


def must_wait(types: Types, type_url: str) -> bool:
    """An update waits for the ACK of what it may name. Envoy withholds that of a cluster until it is warm."""
    for earlier in _GOES_AFTER[type_url]:
        state = types[earlier]
        if state.asked or state.changed or (state.flights and earlier not in _LIVE):
            return True
    return False


def may_remove(types: Types, *, patient: bool) -> bool:
    """Removals come after every addition was ACKed, and never while something was refused and has no substitute."""
    for state in types.values():
        if state.withheld or _is_busy(state) or (state.whole and not state.opened and state.target):
            return False
    return not (patient and is_awaiting(types))


def is_finished(types: Types, *, patient: bool) -> bool:
    """The client has ACKed all that it is to hold, nothing else is left there, and removals would not have to wait."""
    for state in types.values():
        if state.flights or state.asked or state.changed or state.gone or state.greeting_due:
            return False
        if state.withheld or (state.whole and not state.opened and state.target):
            return False
    return not (patient and is_awaiting(types))


def is_awaiting(types: Types) -> bool:
    """There are resources that the client has not asked for yet, though a listener of its target surely names them."""
    for url in _REFERENCED:
        state = types[url]
        if state.target and not state.target.keys() <= state.names:
            return True
    return False


def may_be_new(types: Types, type_url: str) -> bool:
    """Whether a first subscription may come from a cluster or listener that was sent on this stream."""
    return any(types[referrer].sent for referrer in _NAMED_BY.get(type_url, ()))


def find_handovers(state: TypeState) -> tuple[Handover, ...]:
    """Additions that need what a name to be removed still holds.

    A name from before a restart whose content nobody knows may hold any address: it is exchanged for all new ones.
    """
    if not state.gone:
        return ()
    owed = {name: state.target[name].exclusive for name in (*state.asked, *state.changed)}
    holders = {key: name for name in state.gone for key in state.may_hold(name)}
    known = tuple(
        Handover((name,), (holders[key],)) for name, key in sorted(owed.items()) if key is not None and key in holders
    )
    matched = {name for each in known for name in each.additions}
    new = tuple(name for name, key in sorted(owed.items()) if name not in matched and _is_new_key(state, name, key))
    strange = tuple(name for name in sorted(state.gone) if ANY_KEY in state.may_hold(name))
    return (*known, Handover(new, strange)) if new and strange else known


def _is_new_key(state: TypeState, name: str, key: str | None) -> bool:
    held = state.held.get(name)
    return key is not None and (held is None or held.exclusive != key)


def _is_busy(state: TypeState) -> bool:
    return bool(state.asked or state.changed or (state.flights and state.type_url not in _LIVE))
