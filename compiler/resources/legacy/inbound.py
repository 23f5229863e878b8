"""Policies of incoming traffic: the destinations are inbounds, and the sources are told by what they show."""

from collections.abc import Sequence
from typing import Any

from compiler.resources.findings import Finding
from compiler.resources.legacy.conversion import Legacy, Policy, number
from compiler.resources.legacy.said import Said, given
from compiler.resources.legacy.selectors import matches, read_callers, read_proxies
from compiler.resources.model import SERVICE


def by_destination(legacy: Legacy, kind: str, conf: Any, found: list[Finding]) -> tuple[Policy, ...]:
    """One policy for each group of inbounds, with one rule for all callers that it names.

    They are told by their certificates: without mTLS it is for nobody (compiler/mesh/checks/idle.py).
    """
    callers = read_callers(legacy, found)
    sources = f"{legacy.pointer}/sources"
    parts = {"rules": [_rule(callers, sources, conf)]}
    inbounds = read_proxies(legacy, "destinations", found)
    return number([Policy(kind, {"targetRef": _without_gateways(inbound), **parts}) for inbound in inbounds])


def by_tags(legacy: Legacy, kind: str, conf: Any, found: list[Finding]) -> tuple[Policy, ...]:
    """The same for callers that are told by other tags than their service, of whom `from` knows."""
    entries = [{"targetRef": caller, "default": conf} for caller in read_proxies(legacy, "sources", found)]
    inbounds = read_proxies(legacy, "destinations", found)
    sources = Said(entries, f"{legacy.pointer}/sources")
    return number([Policy(kind, {"targetRef": _without_gateways(inbound), "from": sources}) for inbound in inbounds])


def told_by_service(legacy: Legacy) -> bool:
    """Whether certificates show all that is asked of the sources."""
    return all(key == SERVICE for tags, _ in matches(legacy, "sources") for key in tags)


def _without_gateways(inbound: Said) -> Said:
    """A builtin gateway has no inbounds, and a policy of inbounds cannot be for one."""
    return inbound.with_value(inbound.value | {"proxyTypes": ["Sidecar"]})


def _rule(callers: Sequence[Said], sources: str, conf: Any) -> dict[str, Any]:
    return given({"matches": Said(list(callers), sources) if callers else None, "default": conf})
