"""What a policy that was a legacy one meets once it is written: there is no order of old and new any more."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.migration.surroundings import Known
from compiler.resources.envelope import Envelope

_INITIAL: Final[Mapping[str, str]] = {
    "MeshCircuitBreaker": "mesh-circuit-breaker-all",
    "MeshRetry": "mesh-retry-all",
    "MeshTimeout": "mesh-timeout-all",
}
_ADDING_UP: Final = frozenset({"MeshProxyPatch", "HostnameGenerator"})
_EVERYTHING: Final = {"kind": "Mesh"}


def list_met(policy: Envelope, spec: Mapping[str, Any], known: Known) -> Iterator[str]:
    """Why the newer policy may mean something else than the legacy one did."""
    kind, mesh = policy.type, policy.mesh
    written = known.written.get((mesh, kind))
    if written and kind not in _ADDING_UP:
        yield f"where newer ones such as {kind} {written[0]} hold it gives way; once it is written it holds beside them"
    initial = f"{_INITIAL[kind]}-{mesh}" if kind in _INITIAL and not _skips(known, kind, mesh) else ""
    if initial and policy.name > initial and _is_for_everything(spec):
        yield (
            f"{kind} {initial}, which the Mesh has from the start, overrides it once it is written: "
            f"add {kind} to skipCreatingInitialPolicies of the Mesh"
        )


def _skips(known: Known, kind: str, mesh: str) -> bool:
    return not {kind, "*"}.isdisjoint(known.skipping.get(mesh, ()))


def _is_for_everything(spec: Mapping[str, Any]) -> bool:
    """Of two such policies the one whose name sorts first overrides."""
    return spec["targetRef"] == _EVERYTHING and any(one["targetRef"] == _EVERYTHING for one in spec.get("to", ()))
