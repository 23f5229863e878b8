"""MeshTrafficPermission: who may call whom (kuma-policies §2.16).

What the entries of several permissions mean together is the mesh's own concern, since config trimming follows from it
(`compiler/mesh/permission.py`); the slot of the filter chain that holds them is filled in by `compiler/envoy`.
"""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import field

from compiler.envoy.policy import Policy
from compiler.mesh.policy import Inbounds, PolicyKind, Reached
from compiler.resources.findings import BAD_VALUE, Finding
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.model import Spec
from compiler.resources.target_ref import TargetMatrix

_LISTS: Final = ("deny", "allow", "allowWithShadowDeny")
_SOURCES: Final = frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset"})
_EXTERNAL: Final = "sni.extsvc."


class Permission(Spec, frozen=True):
    """An `action` for the source that `from` names, or lists of callers in `rules`."""

    action: str = ""
    deny: tuple[dict[str, Any], ...] = field(default=())
    allow: tuple[dict[str, Any], ...] = field(default=())
    allow_with_shadow_deny: tuple[dict[str, Any], ...] = field(default=())


def check(policy: PolicySpec) -> Iterator[Finding]:
    for index, rule in enumerate(policy.rules):
        conf = rule.default or {}
        for name in _LISTS:
            for place, match in enumerate(conf.get(name) or ()):
                yield from _check_match(match, f"/rules/{index}/default/{name}/{place}")


def _check_match(match: dict[str, Any], pointer: str) -> Iterator[Finding]:
    """An SNI tells services apart at a zone's egress; a sidecar has one service behind each port."""
    if "sni" in match and not _is_external(match):
        hint = (
            f"name callers by spiffeID, or a MeshExternalService that is called through a zone egress by {_EXTERNAL}…"
        )
        yield Finding(f"{pointer}/sni", BAD_VALUE, "a sidecar's callers cannot be told apart by SNI", hint)


def _is_external(match: dict[str, Any]) -> bool:
    return str(match.get("sni", {}).get("value", "")).startswith(_EXTERNAL)


def idle(policy: PolicySpec, reached: Reached) -> str:
    """Who calls is known by certificates alone; services that are named by SNI are called at a zone's egress."""
    if not reached.secured:
        return "no proxy that it selects takes mutual TLS: whoever calls is let in"
    matches = [match for rule in policy.rules for name in _LISTS for match in (rule.default or {}).get(name) or ()]
    by_name = bool(matches) and all(_is_external(match) for match in matches)
    return "it names services that are called through a zone egress, and selects none" if by_name else ""


POLICY: Final = Policy(
    PolicyKind(
        type="MeshTrafficPermission",
        conf=Permission,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "Dataplane"}),
            from_=_SOURCES,
            rules=True,
        ),
        inbounds=Inbounds.PERMISSION,
        check=check,
        idle=idle,
    )
)
