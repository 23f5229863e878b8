"""A type's first request on a stream: what the client claims to hold, and how far it can be believed."""

from collections.abc import Iterable, Mapping

from compiler.xds.events import DeltaRequest, SotwRequest, strip_fresh_mark
from compiler.xds.remembered import UNPROVABLE, Remembered
from compiler.xds.served import ProxyConfig, Resource, sum_marks
from compiler.xds.type_state import TypeState

WILDCARD = "*"


def open_delta(state: TypeState, request: DeltaRequest, memory: Remembered, config: ProxyConfig | None) -> None:
    """No names at all is the old way to say `*`. What is claimed with unknown content is still known by its version."""
    state.opened = True
    state.wildcard = state.whole and (not request.subscribe or WILDCARD in request.subscribe)
    state.names.update(name for name in request.subscribe if name != WILDCARD)
    state.greeting_due = state.wildcard and not request.claims
    for name, claimed in request.claims.items():
        if state.is_subscribed(name):
            state.hold(_find_claimed(state, name, strip_fresh_mark(claimed), memory, config))
    if doubted := memory.doubts.get(state.type_url):
        claims = {name: strip_fresh_mark(version) for name, version in request.claims.items()}
        _recall_doubts(state, memory, {name: claims.get(name) for name in doubted})
    state.judge_all()


def doubt_unclaimed(clusters: TypeState, endpoints: TypeState) -> None:
    """Whose endpoints are asked for is there: what Envoy added before a NACK it runs, but does not claim.

    The NACK itself may be lost with a server that was killed. A configured name of no cluster is an EDS service name.
    """
    if not clusters.wildcard:
        return
    services = endpoints.target.keys() - clusters.target.keys()
    unclaimed = sorted(endpoints.names - clusters.held.keys() - clusters.unsure.keys() - services)
    for name in unclaimed:
        clusters.doubt(name, clusters.target.get(name))
    clusters.judge(unclaimed)


def open_sotw(
    state: TypeState, request: SotwRequest, memory: Remembered, config: ProxyConfig | None, *, credible: bool
) -> None:
    """The names of a wildcard type are not looked at: a client that loads clusters on demand lists only those.

    Envoy keeps a type's version when it has dropped all its resources: the claim of a subscription that may come from
    what was sent on this very stream is not credible.
    """
    state.opened = True
    state.wildcard = state.whole
    if not state.whole:
        state.names.update(request.names)
        state.listed = request.names
    state.claim = strip_fresh_mark(request.version) if credible else ""
    recognise_claim(state, memory, config)


def recognise_claim(state: TypeState, memory: Remembered, config: ProxyConfig | None) -> None:
    """One version stands for the whole type: it is believed if a set that we know has it."""
    known = next((each for each in _list_known_sets(state, memory, config) if write_marks(each) == state.claim), None)
    state.greeting_due = state.whole and known is None
    state.foreign = bool(state.claim) and known is None
    state.hold(*(known or {}).values())
    state.marks_accepted = state.marks
    doubts = memory.doubts.get(state.type_url, ())
    _recall_doubts(state, memory, dict.fromkeys(doubts, state.claim))
    state.judge_all()


def write_marks(resources: Mapping[str, Resource]) -> str:
    return format_marks(sum_marks(resources))


def format_marks(marks: int) -> str:
    return f"{marks:032x}"


def _list_known_sets(
    state: TypeState, memory: Remembered, config: ProxyConfig | None
) -> Iterable[Mapping[str, Resource]]:
    """A set of nothing is never claimed by a named type: its version would not say which names were answered."""
    known = (each.of(state.type_url) for each in (config, memory.fallback, memory.previous) if each is not None)
    for resources in (state.target, *known):
        chosen = {name: each for name, each in resources.items() if state.is_subscribed(name)}
        if chosen or state.whole:
            yield chosen


def _find_claimed(
    state: TypeState, name: str, version: str, memory: Remembered, config: ProxyConfig | None
) -> Resource:
    wanted = state.target.get(name)
    if wanted is not None and wanted.version == version:
        return wanted
    known = (each.of(state.type_url).get(name) for each in (config, memory.fallback, memory.previous) if each)
    return next((each for each in known if each and each.version == version), Resource(name, version, b""))


def _recall_doubts(state: TypeState, memory: Remembered, claims: Mapping[str, str | None]) -> None:
    """After a NACK Envoy claims the versions from before it, whatever it applied: those claims prove nothing."""
    for name, token in tuple(memory.doubts.get(state.type_url, {}).items()):
        if token != UNPROVABLE and claims.get(name) == token:
            memory.settle(state.type_url, name)
        else:
            state.doubt(name, *_list_witnesses(state, name, memory))


def _list_witnesses(state: TypeState, name: str, memory: Remembered) -> tuple[Resource | None, ...]:
    known = (each.of(state.type_url).get(name) for each in (memory.fallback, memory.previous) if each is not None)
    return (state.target.get(name), *known)
