"""Newer policies in their newest form: `rules` instead of `from`, and proxies by their labels instead of their tags."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from compiler.migration.surroundings import Known, Said, shown
from compiler.resources.model import SERVICE

_ADDING_UP: Final = frozenset({"MeshTimeout", "MeshAccessLog", "MeshCircuitBreaker", "MeshRateLimit", "MeshTLS"})
"""Those whose `from` is for everybody and is a rule for everybody already (kuma-policies §1.4)."""
_APART: Final = frozenset({"MeshTimeout", "MeshAccessLog", "MeshCircuitBreaker", "MeshRateLimit"})
"""Those of which one document has `rules` or `to`."""
_EVERYBODY: Final = {"kind": "Mesh"}
_GONE: Final[Mapping[str, str]] = {
    "ExternalService": "write a MeshExternalService",
    "MeshGateway": "Kuma 3.0 has delegated gateways only",
    "MeshGatewayRoute": "Kuma 3.0 has delegated gateways only",
    "MeshGatewayInstance": "Kuma 3.0 has delegated gateways only",
    "MeshGlobalRateLimit": "Kuma 3.0 has none",
    "ZoneEgress": "Kuma 3.0 has Dataplanes with listeners",
    "ZoneIngress": "Kuma 3.0 has Dataplanes with listeners",
}
_MESH_FIELDS: Final = ("mtls", "tracing", "logging", "metrics", "networking")


@dataclass(frozen=True, slots=True)
class Renewal:
    """The specs that take a document's place, by the end of their names, and what stays as it is, with its reason."""

    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kept: tuple[tuple[str, str], ...] = ()


def renew(one: Said, known: Known) -> Renewal:
    """Of a document that is no legacy policy; no specs where nothing of it is to be changed."""
    kind, spec = one.envelope.type, one.content
    if kind in _GONE:
        return Renewal(kept=((one.envelope.type_pointer, f"{kind} is gone in Kuma 3.0: {_GONE[kind]}"),))
    if kind == "Mesh":
        at = one.envelope.prefix
        return Renewal(
            kept=tuple(
                (f"{at}/{name}", f"{name} of a Mesh is gone in Kuma 3.0") for name in _MESH_FIELDS if name in spec
            )
        )
    if not {"targetRef", "to", "from", "rules", "default"} & set(spec):
        return Renewal()
    kept: list[tuple[str, str]] = []
    top = _top(one, known, kept)
    specs = _sections(one, known, kept)
    kept += _unrenewed(spec)
    renewed = {suffix: _with_top(each, top) for suffix, each in specs.items()}
    return Renewal(renewed if renewed != {"": spec} else {}, tuple(kept))


def _with_top(spec: Mapping[str, Any], top: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {**spec, "targetRef": top} if top is not None and "targetRef" in spec else spec


def _top(one: Said, known: Known, kept: list[tuple[str, str]]) -> Mapping[str, Any] | None:
    """None where the document says what it says."""
    target = one.content.get("targetRef") or _EVERYBODY
    match target:
        case {"kind": "MeshSubset", "tags": {**tags}} if tags and "proxyTypes" not in target:
            wanted = {str(key): str(value) for key, value in tags.items()}
        case {"kind": "MeshService", "name": str(name)} if set(target) == {"kind", "name"}:
            wanted = {SERVICE: name}
        case {"kind": "MeshSubset" | "MeshService" | "MeshServiceSubset" | "MeshGateway" as kind}:
            kept.append(("/spec/targetRef", f"proxies cannot be named as this {kind} does by labels"))
            return None
        case _:
            return None
    reason = _why_not_by_labels(one.envelope.mesh, wanted, known)
    if reason is not None:
        kept.append(("/spec/targetRef", reason))
        return None
    return {"kind": "Dataplane", "labels": dict(wanted)}


def _why_not_by_labels(mesh: str, tags: Mapping[str, str], known: Known) -> str | None:
    """Labels of the same names and values must mean the same proxies, with all of their inbounds."""
    wanted = tags.items()
    proxies = [proxy for proxy in known.proxies if proxy.mesh == mesh]
    if not any(wanted <= proxy.labels.items() for proxy in proxies):
        shown_tags = ", ".join(f"{key}: {value}" for key, value in sorted(wanted))
        return f"no Dataplane has the labels {shown_tags}; give them to those that have the tags"
    for proxy in proxies:
        having = [wanted <= tags_of.items() for tags_of in proxy.tags]
        if any(having) != (wanted <= proxy.labels.items()) or (any(having) and not all(having)):
            return "the Dataplanes with these labels, or some of their inbounds, are others than those with these tags"
    return None


def _sections(one: Said, known: Known, kept: list[tuple[str, str]]) -> Mapping[str, Mapping[str, Any]]:
    spec, kind = one.content, one.envelope.type
    if "from" not in spec:
        return {"": spec}
    rules = _rules(one, known)
    if isinstance(rules, str):
        kept.append(("/spec/from", rules))
        return {"": spec}
    outer = {name: part for name, part in spec.items() if name not in ("from", "to")}
    if kind in _APART and spec.get("to"):
        return {"": {**outer, "to": spec["to"]}, "-inbound": {**outer, "rules": rules}}
    return {"": {**outer, **({"to": spec["to"]} if "to" in spec else {}), "rules": rules}}


def _rules(one: Said, known: Known) -> list[Mapping[str, Any]] | str:
    """Or why there can be none."""
    kind, entries = one.envelope.type, one.content["from"]
    if kind == "MeshTrafficPermission":
        hindrances = known.hindrances.get(one.envelope.mesh, ())
        if hindrances:
            return next((each for each in hindrances if each.title == one.title), hindrances[0]).reason
        return [{"default": {"allow": [_caller(one.envelope.mesh, entry["targetRef"]) for entry in entries]}}]
    if all(entry["targetRef"] == _EVERYBODY for entry in entries) and kind in _ADDING_UP | {"MeshFaultInjection"}:
        return [{"default": entry["default"]} for entry in entries]
    return "from tells callers by their tags, and rules by their certificates"


def _caller(mesh: str, target: Mapping[str, Any]) -> Mapping[str, Any]:
    service = shown(target)
    if service:
        return {"spiffeID": {"type": "Exact", "value": f"spiffe://{mesh}/{service}"}}
    return {"spiffeID": {"type": "Prefix", "value": f"spiffe://{mesh}/"}}


def _unrenewed(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What Kuma 3.0 drops and nothing takes the place of."""
    if (spec.get("targetRef") or {}).get("proxyTypes"):
        yield "/spec/targetRef/proxyTypes", "proxyTypes is gone in Kuma 3.0"
    for index, item in enumerate(spec.get("to", ())):
        if "healthyPanicThreshold" in (item.get("default") or {}):
            yield f"/spec/to/{index}/default/healthyPanicThreshold", "healthyPanicThreshold is gone in Kuma 3.0"
