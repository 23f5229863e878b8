"""What targetRefs and backendRefs may say: the fields of each kind, and the kinds that a policy takes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from compiler.resources.findings import (
    BAD_TARGET,
    BAD_VALUE,
    EXCLUSIVE_FIELDS,
    NO_EFFECT,
    UNSUPPORTED_TARGET,
    Finding,
    join,
)
from compiler.resources.model import ROLE, Policy, Resource, TargetRef
from compiler.resources.suggest import one_of

_NAMED: Final = frozenset({"name", "namespace", "labels"})
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "Mesh": frozenset({"proxyTypes"}),
    "MeshSubset": frozenset({"tags", "proxyTypes"}),
    "Dataplane": _NAMED | {"sectionName"},
    "MeshService": _NAMED | {"sectionName"},
    "MeshServiceSubset": frozenset({"name", "tags"}),
    "MeshExternalService": _NAMED,
    "MeshMultiZoneService": _NAMED | {"sectionName"},
    "MeshHTTPRoute": _NAMED,
    "MeshGateway": frozenset({"name", "tags"}),
}
"""kuma-policies §1.2."""
_MUST_NAME: Final = frozenset({"MeshService", "MeshExternalService", "MeshMultiZoneService", "MeshHTTPRoute"})
_MUST_HAVE_NAME: Final = frozenset({"MeshServiceSubset", "MeshGateway"})
_BACKENDS: Final = ("MeshService", "MeshServiceSubset", "MeshExternalService", "MeshMultiZoneService")


@dataclass(frozen=True, slots=True)
class TargetMatrix:
    """The kinds that a policy takes, none where it has no such part; `to_under` replaces `to` below a top kind.

    Some parts are for builtin gateways alone, and some for anything else (kuma-policies §1.2).
    """

    top: frozenset[str]
    to: frozenset[str] = frozenset()
    from_: frozenset[str] = frozenset()
    rules: bool = False
    system_only: frozenset[str] = frozenset()
    to_under: Mapping[str, frozenset[str]] = field(default_factory=dict)
    gateways_only: frozenset[str] = frozenset()
    never_gateways: frozenset[str] = frozenset()
    listeners: bool = True
    """Whether a policy can be for some listeners of a MeshGateway, by their tags."""


def includes_gateways(target: TargetRef) -> bool:
    """Whether builtin gateways are among the proxies of a policy."""
    if target.kind in ("MeshGateway", "MeshHTTPRoute"):
        return True
    return target.kind in ("Mesh", "MeshSubset") and (not target.proxy_types or "Gateway" in target.proxy_types)


def for_gateways(target: TargetRef) -> bool:
    """Whether a policy is for no sidecar of a workload."""
    return target.kind == "MeshGateway" or target.proxy_types == ("Gateway",)


def check_target_ref(target: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """The fields that the target's kind allows and needs; its schema has accepted it."""
    kind = target["kind"]
    allowed = _FIELDS[kind]
    for name in target:
        if name not in allowed and name not in ("kind", "port", "weight"):
            hint = f"{kind} takes {one_of(sorted(allowed))}"
            if (kind, name) == ("Dataplane", "tags"):
                hint = "use labels; tags go with kind MeshSubset"
            yield _unfit(join(pointer, name), f"a target of kind {kind} has no {name}", hint)
    if "labels" in target and "name" in target and allowed >= _NAMED:
        message = "name and labels exclude each other"
        yield Finding(join(pointer, "labels"), EXCLUSIVE_FIELDS, message, "keep one of them", on_key=True)
    if "namespace" in target and "name" not in target and "namespace" in allowed:
        yield _unfit(join(pointer, "namespace"), "namespace goes with name", "add a name, or use labels")
    for name, value in target.get("tags", {}).items() if kind == "MeshSubset" else ():
        if "*" in value or "/" in value:
            message = f"no proxy carries a tag of the value {value[:64]}"
            yield Finding(join(pointer, "tags", name), BAD_VALUE, message, "a tag is asked for by all of its value")
    if kind in _MUST_NAME and not ("name" in target or target.get("labels")):
        hint = "add a name; kind Mesh stands for all services" if kind == "MeshService" else "add a name"
        yield Finding(pointer, BAD_TARGET, f"a target of kind {kind} needs a name or labels", hint)
    if kind in _MUST_HAVE_NAME and "name" not in target:
        yield Finding(pointer, BAD_TARGET, f"a target of kind {kind} needs a name")


def check_backend_ref(target: Mapping[str, Any], pointer: str, kinds: tuple[str, ...] = _BACKENDS) -> Iterator[Finding]:
    """A destination of requests: a service, with a port where it has no single one."""
    kind = target["kind"]
    if kind not in kinds:
        yield Finding(
            join(pointer, "kind"),
            UNSUPPORTED_TARGET,
            f"a backendRef of kind {kind} cannot be sent to",
            f"{one_of(kinds)}",
        )
        return
    yield from check_target_ref(target, pointer)
    if "sectionName" in target and "sectionName" in _FIELDS[kind]:
        message = "a backendRef chooses a port by its number: sectionName says nothing"
        yield Finding(join(pointer, "sectionName"), NO_EFFECT, message, "write port instead", on_key=True)
    if kind == "MeshMultiZoneService" and "port" not in target:
        yield Finding(pointer, BAD_TARGET, "a backendRef of kind MeshMultiZoneService needs a port")


def check_target_kinds(policy: Resource, matrix: TargetMatrix) -> Iterator[Finding]:
    """Where a policy's kinds of targets are outside of its table."""
    spec = cast("Policy", policy.spec)
    yield from _check_top(policy, spec, matrix)
    top = spec.target_ref.kind
    yield from _check_part("to", [item.target_ref.kind for item in spec.to], matrix.to_under.get(top, matrix.to))
    yield from _check_part("from", [item.target_ref.kind for item in spec.from_], matrix.from_)
    if spec.rules and not matrix.rules:
        yield Finding("/rules", UNSUPPORTED_TARGET, f"a {policy.key.type} has no rules", on_key=True)
    yield from _check_gateways(policy.key.type, spec, matrix)


def _check_gateways(kind: str, spec: Policy, matrix: TargetMatrix) -> Iterator[Finding]:
    included = includes_gateways(spec.target_ref)
    parts = {"to": spec.to, "from": spec.from_, "rules": spec.rules}
    for part in sorted(name for name, items in parts.items() if items):
        alone = spec.target_ref.kind in ("MeshGateway", "MeshHTTPRoute")
        if included and (part in matrix.never_gateways or (alone and matrix.gateways_only and part != "to")):
            hint = "select a Dataplane, or Mesh with proxyTypes: [Sidecar]"
            message = f"{part} of a {kind} cannot be for builtin gateways"
            yield Finding(f"/{part}", UNSUPPORTED_TARGET, message, hint, on_key=True)
        if not included and part in matrix.gateways_only:
            message = f"{part} of a {kind} is for builtin gateways alone"
            yield Finding(f"/{part}", UNSUPPORTED_TARGET, message, "use rules for the callers of sidecars", on_key=True)


def _check_top(policy: Resource, spec: Policy, matrix: TargetMatrix) -> Iterator[Finding]:
    kind = spec.target_ref.kind
    if kind not in matrix.top:
        message = f"a {policy.key.type} cannot be for a {kind}"
        yield Finding("/targetRef/kind", UNSUPPORTED_TARGET, message, f"it can be for {one_of(sorted(matrix.top))}")
    elif kind in matrix.system_only and policy.labels.get(ROLE, "system") != "system":
        message = f"only a policy of the system namespace can be for a {kind}"
        yield Finding("/targetRef/kind", UNSUPPORTED_TARGET, message)
    if kind == "MeshGateway" and spec.target_ref.tags and not matrix.listeners:
        message = f"a {policy.key.type} is for a whole MeshGateway, not for some of its listeners"
        yield Finding("/targetRef/tags", UNSUPPORTED_TARGET, message, "take tags out", on_key=True)


def _check_part(part: str, kinds: list[str], allowed: frozenset[str]) -> Iterator[Finding]:
    for index, kind in enumerate(kinds):
        if kind not in allowed:
            message = f"{kind} is not supported in {part} here"
            hint = f"{part} takes {one_of(sorted(allowed))}" if allowed else f"there is no {part} here"
            yield Finding(f"/{part}/{index}/targetRef/kind", UNSUPPORTED_TARGET, message, hint)


def _unfit(pointer: str, message: str, hint: str) -> Finding:
    return Finding(pointer, BAD_TARGET, message, hint, on_key=True)
