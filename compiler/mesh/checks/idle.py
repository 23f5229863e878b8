"""Policies that select proxies and yet do nothing at any of them, as their kinds say."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final, cast

from compiler.memo import Memo
from compiler.mesh.checks.sending import may_send
from compiler.mesh.identity import has_tls
from compiler.mesh.match import Selection, is_builtin_gateway
from compiler.mesh.policy import PolicyKind, Reached
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import Dataplane, Policy, Resource

Selected = tuple[Resource, Selection]
_UNKNOWN: Final = "no proxy that it selects takes mutual TLS: the callers that it names cannot be told from others"


def check_idle(memo: Memo, kind: PolicyKind, spec: Policy, selected: Iterable[Selected]) -> Iterator[Finding]:
    """Proxies are looked at up to the first at which the policy does something: most often that is the first of all."""
    why = ""
    if kind.idle is not None or _names_callers_alone(spec):
        for proxy, selection in selected:
            if is_builtin_gateway(proxy) and "MeshGateway" not in kind.targets.top:
                continue  # nothing of its kind is about gateways
            why = _idle(memo, kind, spec, proxy, selection)
            if not why:
                return
    if why:
        yield Finding("", NO_EFFECT, why)


def _names_callers_alone(spec: Policy) -> bool:
    """Whether nothing of it is about calls, or about everyone who calls."""
    named = [*(bool(one.matches) for one in spec.rules), *(one.target_ref.kind != "Mesh" for one in spec.from_)]
    return bool(named) and all(named) and not spec.to


def _idle(memo: Memo, kind: PolicyKind, spec: Policy, proxy: Resource, selection: Selection) -> str:
    """What stands before many workloads, as gateways and egresses do, is never idle."""
    dataplane = cast(Dataplane, proxy.spec)
    if not proxy.key.mesh or is_builtin_gateway(proxy) or dataplane.networking.listeners:
        return ""
    inbounds = tuple(one for one in dataplane.networking.inbound if one.section in selection.sections)
    reached = Reached(dataplane, inbounds, has_tls(memo, proxy), partial(may_send, memo, proxy))
    why = kind.idle(spec, reached) if kind.idle is not None else ""
    return why or ("" if reached.secured or not _names_callers_alone(spec) else _UNKNOWN)
