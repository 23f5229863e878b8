"""Legacy policies that hold nowhere: wherever they would, a newer one of their kind does (compiler/mesh/layers.py)."""

from collections.abc import Iterable, Iterator
from typing import Final

from compiler.memo import Memo
from compiler.mesh.checks.again import Again
from compiler.mesh.checks.deciding import callers_of, conf_there
from compiler.mesh.checks.fitting import list_meant
from compiler.mesh.checks.idle import Selected
from compiler.mesh.checks.passed_over import incoming_places
from compiler.mesh.confs import ITEMS, MESH_CONF, WHOLE_CONF, Held
from compiler.mesh.graph import HEAD
from compiler.mesh.layers import layer_of
from compiler.mesh.order import Item, spec_of
from compiler.mesh.policy import PolicyKind
from compiler.mesh.routing import Caller, routing_to
from compiler.mesh.selection import HOLDER, Policies, outgoing, whole
from compiler.mesh.shape import REPLICA
from compiler.mesh.value import Applied
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import Layer, Resource, ResourceKey

_MESSAGE: Final = "wherever this would hold a newer policy does, such as {}, and legacy ones give way"
_HINT: Final = "take it out, or say it in the newer one"


def check_replaced(memo: Memo, kind: PolicyKind, policy: Resource, selected: Iterable[Selected]) -> Iterator[Finding]:
    """Each part is looked for up to the first place where it holds: most often that is the first of all."""
    if layer_of(policy) is not Layer.LEGACY:
        return
    spec, mine = spec_of(policy), Again(selected)
    if spec.rules or spec.from_:
        yield from _say("/targetRef", _instead(memo, policy.key, incoming_places(memo, policy, mine)))
    if spec.default is not None and kind.collect is None:
        yield from _say("/targetRef", _instead(memo, policy.key, _named(_wholes(memo, kind, mine))))
    callers = Again(callers_of(memo, kind, policy.key.mesh, mine))
    for item in memo.ask(ITEMS, ((policy.key,), ("to",))):
        calls = _named(_calls(memo, kind, item, callers))
        yield from _say(f"/to/{item.index}/targetRef", _instead(memo, policy.key, calls))


def _say(pointer: str, instead: ResourceKey | None) -> Iterator[Finding]:
    if instead is not None:
        yield Finding(pointer, NO_EFFECT, _MESSAGE.format(f"{instead.type} {instead.name!r}"), _HINT)


def _instead(memo: Memo, key: ResourceKey, places: Iterable[Policies]) -> ResourceKey | None:
    """A newer policy that holds at the first place; None where the legacy one does at any, or may, or there is none."""
    instead: ResourceKey | None = None
    for held in places:
        if key in held or not held:
            return None
        instead = instead or next((one for one in reversed(held) if _is_newer(memo, one)), None)
    return instead


def _is_newer(memo: Memo, key: ResourceKey) -> bool:
    head = memo.ask(HEAD, key)
    return head is not None and layer_of(head.policy) is Layer.WRITTEN


def _wholes(memo: Memo, kind: PolicyKind, selected: Iterable[Selected]) -> Iterator[Applied | None]:
    for proxy, _ in selected:
        replica = memo.ask(REPLICA, proxy.key)
        if replica is not None:
            held = Held(kind.type, whole(memo, memo.ask(HOLDER, replica.shape), kind.type))
            yield memo.ask(WHOLE_CONF, held)


def _calls(memo: Memo, kind: PolicyKind, item: Item, callers: Iterable[Caller]) -> Iterator[Applied | None]:
    """What holds for the calls that it is about; of one about all of them, for those whose destination has no name."""
    if item.target.kind == "Mesh":
        for calling in callers:
            own = tuple(key for key, _ in calling.own)
            yield memo.ask(MESH_CONF, Held(kind.type, outgoing(memo, calling.profile, own, kind.type, ())))
        return
    for _, port in list_meant(memo, item):
        yield from (conf_there(memo, routing_to(memo, calling, port), kind) for calling in callers)


def _named(places: Iterable[Applied | None]) -> Iterator[Policies]:
    """The policies at each place where there are any: nothing of a zone's proxy is traced, for one."""
    for applied in places:
        if applied is not None and applied.origins:
            yield tuple(origin.policy for origin in applied.origins)
