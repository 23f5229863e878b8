"""What a request changes in the subscription of one type."""

from compiler.xds.events import DeltaRequest, Request, SotwRequest
from compiler.xds.opening import WILDCARD
from compiler.xds.type_state import TypeState


def resubscribe(state: TypeState, request: Request) -> tuple[str, ...]:
    """Returns the names that are subscribed to anew. A state-of-the-world wildcard stays one, whatever it lists."""
    match request:
        case DeltaRequest():
            added, dropped = request.subscribe, request.unsubscribe
            if not added and not dropped:
                return ()
        case SotwRequest() if not state.whole:
            if request.names == state.listed:
                return ()
            state.listed = request.names
            added = tuple(name for name in request.names if name not in state.names)
            dropped = tuple(sorted(state.names.difference(request.names)))
        case _:
            return ()
    _subscribe(state, added)
    _unsubscribe(state, dropped)
    return added


def _subscribe(state: TypeState, names: tuple[str, ...]) -> None:
    """A name that is subscribed to again is owed again: its owner was removed and came back."""
    if WILDCARD in names and state.whole and not state.wildcard:
        state.wildcard = state.greeting_due = True
        state.judge_all()
    named = [name for name in names if name != WILDCARD]
    for name in named:
        state.names.add(name)
        state.let_go(name)
    state.judge(named)


def _unsubscribe(state: TypeState, names: tuple[str, ...]) -> None:
    state.names.difference_update(names)
    if WILDCARD in names:
        state.wildcard = False
        names = (*state.held, *state.unsure, *state.asked)
    dropped = [name for name in names if not state.is_subscribed(name)]
    for name in dropped:
        state.let_go(name)
        state.denied.pop(name, None)
    state.judge(dropped)
