"""One ADS stream as a pure state machine, for both protocols: events in, responses out, no I/O and no clock.

The state is what is subscribed, what was sent and what was ACKed; what is owed is recomputed on every event. The next
response is made when it can be written, so a slow reader is always sent the latest and nothing ever queues.
"""

from collections.abc import Iterable

from compiler.xds.answering import accept, doubt_touched, note_nack, remember_refusal, take_flight, write_tokens
from compiler.xds.events import DeltaRequest, Request, Response
from compiler.xds.opening import doubt_unclaimed, open_delta, open_sotw, recognise_claim
from compiler.xds.remembered import Remembered
from compiler.xds.sending import launch, resend_endpoints, take_portion
from compiler.xds.served import CDS, DELIVERY_ORDER, EDS, LDS, SDS, ProxyConfig, Resource
from compiler.xds.subscribing import resubscribe
from compiler.xds.targets import aim_type, choose_base, list_secrets
from compiler.xds.turns import find_handovers, is_awaiting, is_finished, may_be_new, may_remove, must_wait
from compiler.xds.type_state import UNBOUNDED, Flight, TypeState

NAME_LIMIT = 50_000
_NO_CONFIG = ProxyConfig("", {})
_WINDOW_NAMED = 64
_WINDOW_WHOLE = 4


class TooManyNamesError(Exception):
    """A client subscribed to more names of one type than any proxy can need."""


class Subscription:
    """`full_state` is the state-of-the-world protocol; `memory` is the node's, handed on to its next stream."""

    def __init__(self, memory: Remembered, *, full_state: bool) -> None:
        self.memory = memory
        self.full_state = full_state
        self.config: ProxyConfig | None = None
        self.converged: ProxyConfig | None = None
        self.types = {url: TypeState(url) for url in DELIVERY_ORDER}
        self._secrets: dict[str, Resource] = {}
        self._allowed: frozenset[str] = frozenset()
        self._refused_names: dict[str, frozenset[str]] = {}
        self._patient = True
        self._nonce = 0

    def on_config(self, config: ProxyConfig) -> None:
        """The same digest with other endpoints is the same configuration; a refusal lasts until the digest changes."""
        if config is self.config:
            return
        first, refusing = self.config is None, self._is_refusing
        if self.memory.digest != config.digest or self._is_endpoint_replaced(config):
            self.memory.forget_refusals(kept_type=SDS)
            for state in self.types.values():
                state.batch = UNBOUNDED
        former, self.config = self.config, config
        self._patient, self.memory.digest = True, config.digest
        self._aim(self._list_changed_types(former, config) if former and not refusing else DELIVERY_ORDER)
        if first:
            self._recognise_early_claims(config)
        self._note_convergence()

    def on_secret(self, name: str, secret: Resource | None) -> None:
        """A secret that cannot be had now leaves the client what it has."""
        if secret is not None:
            self._secrets[name] = secret
            self._aim((SDS,))
            self._recognise_claimed_secrets()

    def on_request(self, request: Request, now: float = 0.0) -> None:
        """Requests for types that are not served here are left without an answer. Raises TooManyNamesError."""
        state = self.types.get(request.type_url)
        if state is None:
            return
        if not state.opened:
            self._open(state, request)
        else:
            self._answer(state, request, now)
            self._deny_secrets(state, resubscribe(state, request))
        if len(state.names) > NAME_LIMIT:
            raise TooManyNamesError(state.type_url)
        self._note_convergence()

    def on_patience_lost(self) -> None:
        """The client had time to ask for all that its new listeners name, and did not: they do not name it."""
        self._patient = False
        self._note_convergence()

    def close(self) -> None:
        """The stream is over; whether what is in flight arrived, the claims of the next stream will tell."""
        for state in self.types.values():
            for flight in state.flights.values():
                tokens = write_tokens(state, flight, self.memory, full_state=self.full_state)
                self.memory.doubt(state.type_url, tokens)

    def audit(self) -> int:
        """Judge everything anew; returns how many names were owed something else than the bookkeeping said."""
        return sum(_audit_type(state) for state in self.types.values())

    @property
    def is_awaiting_subscriptions(self) -> bool:
        """Nothing moves until the client asks for more, or its time to do so is over."""
        if self.config is None or not self._patient:
            return False
        if self.converged is self.config and not (self.types[LDS].gone or self.types[CDS].gone):
            return False
        for state in self.types.values():
            if state.flights or state.asked or state.changed:
                return False
        return is_awaiting(self.types)

    @property
    def wanted_secrets(self) -> frozenset[str]:
        if self.config is None:
            return frozenset()
        return list_secrets(self.config, self.memory) & self.types[SDS].names

    @property
    def may_owe(self) -> bool:
        """Whether `take` is worth asking: False only where it would surely give nothing."""
        if self.full_state:
            return True
        for state in self.types.values():
            if state.asked or state.changed or state.denied or state.gone or state.greeting_due:
                return True
        return False

    def take(self) -> Response | None:
        """The next response to write, now in flight; None while nothing may be sent."""
        if self.config is None:
            return None
        for state in self.types.values():
            owes = state.asked or state.changed or state.denied or state.greeting_due
            if owes and len(state.flights) < self._window(state):
                response = self._take_addition(state)
                if response is not None:
                    return response
        return self._take_removal() or self._take_version()

    def _take_addition(self, state: TypeState) -> Response | None:
        if state.denied:
            return self._send(state, (), tuple(state.denied))
        waits = must_wait(self.types, state.type_url)
        if state.whole:
            return None if waits else self._take_batch(state)
        owed = state.asked or (state.changed if not waits else None)
        return self._send(state, take_portion(state, owed)) if owed else None

    def _take_batch(self, state: TypeState) -> Response | None:
        """A handover flies alone: what follows may need a name that it only tries to remove."""
        if state.flights and any(flight.is_handover for flight in state.flights.values()):
            return None
        handovers = find_handovers(state)
        plain = sorted((*state.asked, *state.changed))
        if handovers:
            later = {name for each in handovers for name in each.additions}
            plain = [name for name in plain if name not in later]
        if plain:
            return self._send(state, take_portion(state, plain))
        if handovers:
            additions = tuple(state.target[name] for name in handovers[0].additions[: state.batch])
            return None if state.flights else self._send(state, additions, handovers[0].removals)
        return self._send(state, ()) if state.greeting_due else None

    def _take_removal(self) -> Response | None:
        """Clusters go last: an ACKed listener may still drain towards them, an un-ACKed one may need them."""
        if not (self.types[LDS].gone or self.types[CDS].gone):
            return None
        if may_remove(self.types, patient=self._patient):
            for url in (LDS, CDS):
                if self.types[url].gone:
                    return self._send(self.types[url], (), tuple(self.types[url].gone))
        return None

    def _take_version(self) -> Response | None:
        """An unsubscription changes what a version stands for; an answer of nothing tells a SotW client the new one."""
        if not self.full_state:
            return None
        for state in self.types.values():
            stale = not state.whole and state.opened and state.marks != state.marks_accepted
            if stale and not state.flights and not state.owes_additions:
                return self._send(state, ())
        return None

    def _send(self, state: TypeState, additions: tuple[Resource, ...], removals: tuple[str, ...] = ()) -> Response:
        self._nonce += 1
        digest = self._base.digest
        flight, response = launch(
            state, additions, removals, nonce=str(self._nonce), digest=digest, full_state=self.full_state
        )
        if state.type_url == CDS:
            resend_endpoints(self.types[EDS], flight)
        return response

    def _answer(self, state: TypeState, request: Request, now: float) -> None:
        """A nonce that is not in flight answers nothing: Envoy repeats one while a cluster warms."""
        answered = take_flight(state, request.nonce)
        if answered is None:
            return
        flight, touched = answered
        if request.error is None:
            accept(state, flight, touched, self.memory)
            if state.type_url == SDS:
                self._pardon(flight)
            return
        note_nack(state, flight, request.error, now, self.memory)
        doubt_touched(state, flight, touched, self.memory)
        if self.config is not None and flight.digest == self._base.digest:
            remember_refusal(state, flight, self.memory, self.config, self._base)
        self._patient = True
        self._aim()
        state.judge(flight.names)

    def _pardon(self, flight: Flight) -> None:
        """Envoy refuses listeners that use a bad secret: once that is repaired, they are given another trial."""
        if flight.repairs:
            self.memory.forget_refusals(kept_type=SDS)
            self._aim()
        if not self._refused_names.get(SDS):
            self.memory.nacks.pop(SDS, None)

    def _open(self, state: TypeState, request: Request) -> None:
        if isinstance(request, DeltaRequest):
            open_delta(state, request, self.memory, self.config)
            if state.type_url == EDS:
                doubt_unclaimed(self.types[CDS], state)
        else:
            credible = not may_be_new(self.types, state.type_url)
            open_sotw(state, request, self.memory, self.config, credible=credible)
        claimless = not (request.claims if isinstance(request, DeltaRequest) else request.version)
        if state.type_url == CDS and claimless and self.memory.fallback is None and self.memory.refused:
            self.memory.forget_refusals(kept_type=SDS)
            self._aim()
        self._deny_secrets(state, state.names)

    def _recognise_early_claims(self, config: ProxyConfig) -> None:
        """Claims of before the node was known could not be compared with anything."""
        for state in self.types.values():
            if self.full_state and state.opened and not state.held:
                recognise_claim(state, self.memory, config)
        self._deny_secrets(self.types[SDS], self.types[SDS].names)

    def _recognise_claimed_secrets(self) -> None:
        """One version stands for all of them, so it says nothing before the last one is here."""
        state = self.types[SDS]
        if self.full_state and state.claim and state.foreign and not state.sent:
            recognise_claim(state, self.memory, self.config)

    def _deny_secrets(self, state: TypeState, names: Iterable[str]) -> None:
        """Another proxy's secret is "not found"; in the state-of-the-world protocol silence says so."""
        if state.type_url == SDS and self.config is not None and not self.full_state:
            allowed = list_secrets(self.config, self.memory)
            state.denied.update(dict.fromkeys(name for name in names if name not in allowed))

    @property
    def _is_refusing(self) -> bool:
        """Then the targets are not what the configuration says."""
        return bool(self.memory.refused) or self.memory.refused_digest is not None

    @property
    def _keeps_refused(self) -> bool:
        """Something else than a secret stands in the configuration and was refused."""
        refused = self._refused_names.items() if self.memory.refused else ()
        return any(names for url, names in refused if url != SDS)

    @property
    def _base(self) -> ProxyConfig:
        return choose_base(self.config or _NO_CONFIG, self.memory)

    def _is_endpoint_replaced(self, config: ProxyConfig) -> bool:
        """Refused endpoints may have been why the rest was refused, and they change without a new digest."""
        if not self.memory.refused:
            return False
        refused = [(name, version) for url, name, version in self.memory.refused if url == EDS]
        kept = config.of(EDS)
        return any(name not in kept or kept[name].version != version for name, version in refused)

    def _aim(self, types: Iterable[str] = DELIVERY_ORDER) -> None:
        if self.config is None:
            return
        for url in types:
            if url == SDS:
                self._allowed = list_secrets(self.config, self.memory)
            self._refused_names[url] = aim_type(self.types[url], self.config, self.memory, self._secrets)

    def _list_changed_types(self, former: ProxyConfig, config: ProxyConfig) -> list[str]:
        """Secrets are told by what this and the last good one name."""
        changed = config.list_changed_types(former)
        if config.secrets == former.secrets and self.memory.fallback is former:
            same = len(self._allowed) == len(former.secrets)  # it has all of the former one's, and no more
        else:
            same = list_secrets(config, self.memory) == self._allowed
        return changed if same else [*changed, SDS]

    def _window(self, state: TypeState) -> int:
        """Envoy merges its answers to several state-of-the-world responses of a type; to deltas it answers each."""
        if self.full_state:
            return 1
        return _WINDOW_WHOLE if state.whole else _WINDOW_NAMED

    def _note_convergence(self) -> None:
        if self.config is None or self.converged is self.config:
            return
        if not is_finished(self.types, patient=self._patient):
            return
        if self._base is self.config and not self._keeps_refused:
            self.converged = self.memory.fallback = self.config
            self.memory.doubts.clear()
            if self.memory.nacks:
                self.memory.nacks = {url: nack for url, nack in self.memory.nacks.items() if url == SDS}


def _audit_type(state: TypeState) -> int:
    believed = {**state.asked, **state.changed, **state.gone}
    state.judge_all()
    return len(believed.keys() ^ {**state.asked, **state.changed, **state.gone}.keys())
