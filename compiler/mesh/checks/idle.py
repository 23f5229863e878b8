"""Policies that select proxies and yet do nothing at any of them, as their kinds say."""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from compiler.memo import Memo
from compiler.mesh.identity import has_tls
from compiler.mesh.match import Selection, is_builtin_gateway
from compiler.mesh.policy import PolicyKind, Reached
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import Dataplane, Policy, Resource

Selected = tuple[Resource, Selection]


def check_idle(memo: Memo, kind: PolicyKind, spec: Policy, selected: Iterable[Selected]) -> Iterator[Finding]:
    """Proxies are looked at up to the first at which the policy does something: most often that is the first of all."""
    why = ""
    if kind.idle is not None:
        for proxy, selection in selected:
            why = _idle(memo, kind.idle, spec, proxy, selection)
            if not why:
                return
    if why:
        yield Finding("", NO_EFFECT, why)


def _idle(
    memo: Memo, idle: Callable[[Policy, Reached], str], spec: Policy, proxy: Resource, selection: Selection
) -> str:
    """What stands before many workloads, as gateways and egresses do, is never idle."""
    dataplane = cast(Dataplane, proxy.spec)
    if not proxy.key.mesh or is_builtin_gateway(proxy) or dataplane.networking.listeners:
        return ""
    inbounds = tuple(one for one in dataplane.networking.inbound if one.section in selection.sections)
    return idle(spec, Reached(dataplane, inbounds, has_tls(memo, proxy)))
