"""Policies that select proxies and yet do nothing at any of them, as their kinds say."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final, cast

from compiler.memo import Memo
from compiler.mesh.checks.sending import may_send
from compiler.mesh.gateways.choosing import GATEWAY
from compiler.mesh.identity import has_tls
from compiler.mesh.match import Selection, is_builtin_gateway
from compiler.mesh.policy import PolicyKind, Reached
from compiler.mesh.shape import shape_of
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import Dataplane, MeshGateway, Policy, Resource

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
    """What stands before many workloads, as egresses do, is never idle."""
    dataplane = cast(Dataplane, proxy.spec)
    if not proxy.key.mesh or dataplane.networking.listeners:
        return ""
    if is_builtin_gateway(proxy):
        taken = _taken(memo, proxy)
        return kind.idle(spec, Reached(dataplane, taken, taken, True, lambda: False)) if kind.idle and taken else ""
    inbounds = dataplane.networking.inbound
    selected = frozenset(one.spoken for one in inbounds if one.section in selection.sections)
    spoken = frozenset(one.spoken for one in inbounds)
    reached = Reached(dataplane, selected, spoken, has_tls(memo, proxy), partial(may_send, memo, proxy))
    why = kind.idle(spec, reached) if kind.idle is not None else ""
    return why or ("" if reached.secured or not _names_callers_alone(spec) else _UNKNOWN)


def _taken(memo: Memo, gateway: Resource) -> frozenset[str]:
    """The protocols of a builtin gateway's listeners, as inbounds have them."""
    written = memo.ask(GATEWAY, shape_of(gateway))
    listeners = cast(MeshGateway, written.spec).conf.listeners if written is not None else ()
    return frozenset("http" if one.protocol in ("HTTP", "HTTPS") else "tcp" for one in listeners)
