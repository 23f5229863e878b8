"""What a policy says of something that another kind decides alone: judged wherever both hold."""

from collections.abc import Iterable, Iterator, Sequence

from compiler.memo import Memo
from compiler.mesh.checks.again import Again
from compiler.mesh.checks.fitting import list_meant
from compiler.mesh.checks.idle import Selected
from compiler.mesh.confs import ITEMS, OUTGOING_CONF, Place
from compiler.mesh.graph import KEYS
from compiler.mesh.kinds import KINDS
from compiler.mesh.match import is_builtin_gateway
from compiler.mesh.order import Item
from compiler.mesh.policy import Concession, Matter, PolicyKind
from compiler.mesh.routing import Caller, Routing, caller, names_of, routing_to
from compiler.mesh.selection import HOLDER, Holder, outgoing
from compiler.mesh.shape import shape_of
from compiler.mesh.value import Applied
from compiler.mesh.zones.gates import stand_in
from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.model import Conf, Resource, ResourceKey
from compiler.resources.values import decode


def check_concessions(
    memo: Memo, kind: PolicyKind, policy: Resource, selected: Iterable[Selected]
) -> Iterator[Finding]:
    """Each is looked for up to the first place where nothing else decides: most often that is the first of all."""
    mesh = policy.key.mesh
    callers = Again(callers_of(memo, kind, mesh, selected))
    for one in kind.concessions:
        deciding = _deciding(memo, one.matter, mesh)
        for item in memo.ask(ITEMS, ((policy.key,), ("to",))) if deciding else ():
            if _is_asked(item.conf, one.field):
                by = _decided(memo, (kind, item), (deciding, one.matter), callers)
                if by is not None:
                    message = one.message.format(f"{by.type} {by.name!r}")
                    yield Finding(_pointer(item, one), NO_EFFECT, message, one.hint, on_key=True)


def _deciding(memo: Memo, matter: Matter, mesh: str) -> Sequence[PolicyKind]:
    """The kinds of which the mesh has policies."""
    kinds = (kind for kind in memo.read(KINDS, None) if matter in kind.matters)
    return [kind for kind in kinds if memo.read(KEYS, (kind.type, mesh))]


def _is_asked(conf: Conf, field: Sequence[str]) -> bool:
    """What is switched off asks for nothing."""
    value: object = conf
    for name in field:
        value = value.get(name) if isinstance(value, dict) else None
    return value is not None and value is not False


def callers_of(memo: Memo, kind: PolicyKind, mesh: str, selected: Iterable[Selected]) -> Iterator[Caller]:
    """Most proxies are selected by the same policies, and those are asked once.

    At a gateway routes of either kind have listeners of their own.
    """
    seen = set[Holder]()
    for proxy, _ in selected:
        if is_builtin_gateway(proxy) and kind.shape_backends is not None:
            continue
        holder = _holder(memo, proxy if proxy.key.mesh else stand_in(proxy, mesh))
        if holder not in seen:
            seen.add(holder)
            yield caller(memo, holder)


def _holder(memo: Memo, proxy: Resource) -> Holder:
    """With the policies about its calls; of a gateway those that hold for all of its listeners."""
    holder, gateway = memo.ask(HOLDER, shape_of(proxy)), is_builtin_gateway(proxy)
    own = (one for one in holder.own if one.outbound and not (gateway and one.sections))
    return Holder(holder.profile, tuple(own))


def _decided(
    memo: Memo,
    asking: tuple[PolicyKind, Item],
    deciding: tuple[Sequence[PolicyKind], Matter],
    callers: Iterable[Caller],
) -> ResourceKey | None:
    """A policy that decides instead of the item; None where at some place of it none does."""
    (kind, item), (others, matter) = asking, deciding
    ports = Again(port for _, port in list_meant(memo, item))
    if not ports:
        return None
    by = None
    for routing in (routing_to(memo, calling, port) for calling in callers for port in ports):
        own = conf_there(memo, routing, kind)
        if own is not None and item.origin in own.origins:
            found = (_decider(memo, routing, other, matter) for other in others)
            here = next((key for key in found if key is not None), None)
            if here is None:
                return None
            by = by or here
    return by


def conf_there(memo: Memo, routing: Routing, kind: PolicyKind) -> Applied | None:
    """What policies of a kind say of some calls; None where they say nothing."""
    policies = outgoing(memo, routing.profile, routing.own, kind.type, names_of(memo, routing.port))
    return memo.ask(OUTGOING_CONF, Place(kind.type, policies, routing.port)) if policies else None


def _decider(memo: Memo, routing: Routing, kind: PolicyKind, matter: Matter) -> ResourceKey | None:
    """Of several policies the most specific that decides by itself; each may say a part."""
    applied = conf_there(memo, routing, kind)
    if applied is None or not applied.origins or matter not in kind.decides(applied.conf):
        return None
    items = (item for key in _policies(applied) for item in reversed(memo.ask(ITEMS, ((key,), ("to",)))))
    alone = (
        item.policy.key
        for item in items
        if item.origin in applied.origins and matter in kind.decides(decode(kind.conf, item.conf))
    )
    return next(alone, applied.origins[-1].policy)


def _policies(applied: Applied) -> Iterable[ResourceKey]:
    return dict.fromkeys(origin.policy for origin in reversed(applied.origins))


def _pointer(item: Item, one: Concession) -> str:
    """Of an item of routes its rule, if there is one."""
    if one.field:
        return join("", "to", item.index, "default", *one.field)
    rules = item.item.rules if item.item is not None else ()
    return join("", "to", item.index, *(("rules", 0) if rules else ()))
