"""An ACK settles what was sent; a NACK leaves all that was touched in doubt, and something in it refused."""

from collections.abc import Iterable, Mapping

from compiler.xds.remembered import UNPROVABLE, Nack, Remembered, keep_tail
from compiler.xds.served import EDS, SDS, ProxyConfig
from compiler.xds.type_state import UNBOUNDED, Flight, TypeState


def take_flight(state: TypeState, nonce: str) -> tuple[Flight, tuple[str, ...]] | None:
    """The answered flight and the names that no later flight has touched; None if the nonce is not in flight."""
    flight = state.flights.pop(nonce, None)
    if flight is None:
        return None
    last = state.last_touch
    if not state.flights and len(last) == len(flight.names):  # only what is in flight is noted there
        last.clear()
        return flight, flight.names
    touched = tuple([name for name in flight.names if last.get(name) == nonce])
    for name in touched:
        del last[name]
    return flight, touched


def accept(state: TypeState, flight: Flight, touched: Iterable[str], memory: Remembered) -> None:
    state.marks_accepted = flight.marks
    state.batch = min(state.batch * 2, UNBOUNDED)
    if state.replaced or state.type_url in memory.doubts:
        for name in touched:
            memory.settle(state.type_url, name)
            state.replaced.pop(name, None)
    if state.type_url == SDS:
        memory.secrets.update({secret.name: secret for secret in flight.additions})


def doubt_touched(state: TypeState, flight: Flight, touched: Iterable[str], memory: Remembered) -> None:
    """Envoy applied a part of what it rejected, removals first: of all that was touched nobody knows the state."""
    sent = {resource.name: resource for resource in flight.additions}
    for name in touched:
        former = flight.before.get(name)
        if former is not None and former.body:
            state.replaced.setdefault(name, former)
        state.doubt(name, sent.get(name), former)
        memory.doubt(state.type_url, {name: UNPROVABLE})
    if not flight.names:
        state.marks_accepted = state.marks


def note_nack(state: TypeState, flight: Flight, message: str, now: float, memory: Remembered) -> None:
    memory.nacks[state.type_url] = Nack(state.type_url, keep_tail(message), flight.names, flight.digest, now)


def remember_refusal(
    state: TypeState, flight: Flight, memory: Remembered, config: ProxyConfig, base: ProxyConfig
) -> None:
    """Back to the last good configuration where there is one; else the culprit is searched for by halves."""
    if state.type_url != SDS and can_fall_back(memory, config, base):
        memory.refused_digest = flight.digest
        if state.type_url != EDS:
            return
    if len(flight.trial) > 1 and not (state.foreign and state.whole):
        state.batch = len(flight.trial) // 2
        return
    refused = {(state.type_url, resource.name, resource.version) for resource in flight.trial}
    memory.refused |= refused or {(state.type_url, name, "") for name in flight.removals}


def write_tokens(state: TypeState, flight: Flight, memory: Remembered, *, full_state: bool) -> Mapping[str, str | None]:
    """What the next stream must claim to prove that an unanswered flight arrived; a repair can prove nothing."""
    sent: dict[str, str | None] = {resource.name: resource.version for resource in flight.additions}
    known = memory.doubts.get(state.type_url, {})
    names = [name for name in flight.names if state.last_touch.get(name) == flight.nonce]
    proof = {name: flight.version if full_state else sent.get(name) for name in names}
    return {name: token for name, token in proof.items() if known.get(name) != UNPROVABLE}


def can_fall_back(memory: Remembered, config: ProxyConfig | None, base: ProxyConfig) -> bool:
    """Not from what was ACKed wholly before: then only endpoints, a secret or a new subscription were refused."""
    return base is config and memory.fallback is not None and memory.fallback.digest != base.digest
