"""What a policy asks for that does something only with something else: judged by what all policies say together."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from compiler.memo import Memo
from compiler.mesh.checks.again import Again
from compiler.mesh.checks.fitting import list_meant
from compiler.mesh.checks.idle import Selected
from compiler.mesh.confs import INCOMING_CONFS, ITEMS, OUTGOING_CONF, WHOLE_CONF, Held, Place
from compiler.mesh.order import Item, Side
from compiler.mesh.policy import PolicyKind
from compiler.mesh.selection import HOLDER, Policies, all_selected, incoming, whole
from compiler.mesh.shape import REPLICA
from compiler.mesh.value import Applied
from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.model import Dataplane, Resource
from compiler.resources.values import decode

_SIDES: tuple[Side, ...] = ("to", "rules", "from", "default")


def check_needs(memo: Memo, kind: PolicyKind, policy: Resource, selected: Iterable[Selected]) -> Iterator[Finding]:
    """Each is looked for up to the first place at which it does something."""
    asking = [
        (need, side, item)
        for need in kind.needs
        for side in _SIDES
        for item in memo.ask(ITEMS, ((policy.key,), (side,)))
        if item.target.kind != "MeshHTTPRoute"  # a route is of services that other items are about
        if need.is_met(decode(kind.conf, item.conf)) is not None
    ]
    proxies = Again(proxy for proxy, _ in selected) if asking else ()
    for need, side, item in asking:
        if proxies and not any(need.is_met(conf) for conf in _confs(memo, kind, side, item, proxies)):
            at = join("", *(("default",) if side == "default" else (side, item.index, "default")), *need.field)
            yield Finding(at, NO_EFFECT, need.message, need.hint, on_key=True)


def _confs(memo: Memo, kind: PolicyKind, side: Side, item: Item, proxies: Iterable[Resource]) -> Iterator[Any]:
    """What holds wherever the item has a say."""
    match side:
        case "to":
            found = _outgoing(memo, kind, item, proxies)
        case "default":
            found = _whole(memo, kind, proxies)
        case _:
            found = _incoming(memo, kind, proxies)
    yield from (one.conf for one in found if item.origin in one.origins)


def _outgoing(memo: Memo, kind: PolicyKind, item: Item, proxies: Iterable[Resource]) -> Iterator[Applied]:
    """Most proxies are selected by the same policies, and those are asked once."""
    ports = Again(port for _, port in list_meant(memo, item))
    for policies in _each_once(_policies(memo, kind, proxy) for proxy in proxies):
        for port in ports:
            applied = memo.ask(OUTGOING_CONF, Place(kind.type, policies, port))
            if applied is not None:
                yield applied


def _policies(memo: Memo, kind: PolicyKind, proxy: Resource) -> Policies:
    replica = memo.ask(REPLICA, proxy.key)
    held = all_selected(memo, replica.shape) if replica is not None else ()
    return tuple(one.policy for one in held if one.policy.type == kind.type and one.outbound)


def _incoming(memo: Memo, kind: PolicyKind, proxies: Iterable[Resource]) -> Iterator[Applied]:
    for policies in _each_once(one for proxy in proxies for one in _held(memo, kind, proxy)):
        yield from memo.ask(INCOMING_CONFS, Held(kind.type, policies))


def _whole(memo: Memo, kind: PolicyKind, proxies: Iterable[Resource]) -> Iterator[Applied]:
    replicas = (memo.ask(REPLICA, proxy.key) for proxy in proxies)
    held = (whole(memo, memo.ask(HOLDER, one.shape), kind.type) for one in replicas if one is not None)
    for policies in _each_once(held):
        applied = memo.ask(WHOLE_CONF, Held(kind.type, policies))
        if applied is not None:
            yield applied


def _each_once(sets: Iterable[Policies]) -> Iterator[Policies]:
    """In the order in which they are found, as they are found."""
    seen = set[Policies]()
    for policies in sets:
        if policies not in seen:
            seen.add(policies)
            yield policies


def _held(memo: Memo, kind: PolicyKind, proxy: Resource) -> Iterator[Policies]:
    replica = memo.ask(REPLICA, proxy.key)
    if replica is not None:
        holder = memo.ask(HOLDER, replica.shape)
        inbounds = cast(Dataplane, replica.shape.resource.spec).networking.inbound
        yield from (incoming(memo, holder, kind.type, one.section) for one in inbounds)
