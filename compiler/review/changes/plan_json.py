"""A plan as JSON: schemas/plan.json says what it has, and a field is added but never changed within one version."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from compiler.diagnostics import plain_diagnostic
from compiler.review.access.edge import AccessDiff, Edge
from compiler.review.plan import (
    Blast,
    Cause,
    Count,
    FieldChange,
    Group,
    Kind,
    Plan,
    ResourceChange,
    Revision,
    Risk,
    Size,
    Weight,
)

__all__ = ["as_json", "render_json"]

SCHEMA_VERSION: Final = 1

Json = dict[str, Any]


def as_json(plan: Plan) -> Json:
    """The blast radius first, as in every form of a plan."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "base": _revision(plan.base),
        "head": _revision(plan.head),
        "prefix": plan.prefix,
        "summary": _summary(plan),
        "groups": [_group(one) for one in plan.groups],
        "access": _access(plan.access),
        "size": {"before": _size(plan.before), "after": _size(plan.after)},
        "documents": [_cause(one) for one in plan.documents],
        "diagnostics": [plain_diagnostic(one) for one in plan.findings],
        "standingDiagnostics": [plain_diagnostic(one) for one in plan.standing],
        "baseDiagnostics": [plain_diagnostic(one) for one in plan.base_findings],
    }


def render_json(plan: Plan) -> str:
    """Indented, for a plan is read by people too."""
    return orjson.dumps(as_json(plan), option=orjson.OPT_INDENT_2).decode()


def _revision(one: Revision) -> Json:
    return {"name": one.name, "commit": one.commit, "digest": one.digest, "compiler": one.compiler or None}


def _summary(plan: Plan) -> Json:
    blast: Blast = plan.blast
    weights = {weight.value: sum(risk.weight is weight for risk in plan.risks) for weight in Weight}
    return {
        "changes": bool(plan.groups),
        "failed": plan.failed,
        "compared": plan.compared,
        "proxies": _count(blast.proxies),
        "services": _count(blast.services),
        "zones": _count(blast.zones),
        "meshes": _count(blast.meshes),
        "proxiesAdded": blast.added,
        "proxiesRemoved": blast.removed,
        "groups": len(plan.groups),
        "risks": weights,
    }


def _count(one: Count) -> Json:
    return {"touched": one.touched, "total": one.total}


def _group(one: Group) -> Json:
    return {
        "kind": one.kind.value,
        "title": one.title,
        "proxies": list(one.proxies),
        "services": list(one.services),
        "zones": list(one.zones),
        "risks": [_risk(risk) for risk in one.risks],
        "causes": [_cause(cause) for cause in one.causes],
        "changes": [_change(change) for change in one.changes],
    }


def _risk(one: Risk) -> Json:
    return {"code": one.code, "weight": one.weight.value, "message": one.message}


def _cause(one: Cause) -> Json:
    subject = one.subject
    return {
        "kind": one.kind.value,
        "resource": {"type": subject.type, "mesh": subject.mesh, "name": subject.name},
        "file": one.file,
        "line": one.line,
        "side": one.side,
        "commit": one.commit,
        "author": one.author,
    }


def _change(one: ResourceChange) -> Json:
    """`before` and `after` stand only where a resource comes or goes, `fields` and `patch` only where it stays."""
    plain: Json = {"kind": one.kind.value, "type": one.type, "name": one.name}
    if one.alike:
        plain["alike"] = list(one.alike)
    if one.kind is Kind.CHANGED:
        return plain | {"fields": [_field(each) for each in one.fields], "patch": [dict(each) for each in one.patch]}
    contents = (("before", one.before), ("after", one.after))
    return plain | {name: value for name, value in contents if value is not None}


def _field(one: FieldChange) -> Json:
    plain: Json = {"kind": one.kind.value, "path": one.path}
    if one.kind is not Kind.ADDED:
        plain["before"] = one.before
    if one.kind is not Kind.REMOVED:
        plain["after"] = one.after
    return plain


def _access(one: AccessDiff) -> Json:
    added, removed = ([_edge(each) for each in edges] for edges in (one.added, one.removed))
    changed = [
        {"before": [_edge(each) for each in two.before], "after": [_edge(each) for each in two.after], "says": two.says}
        for two in one.changed
    ]
    return {"added": added, "removed": removed, "changed": changed, "kept": one.kept}


def _edge(one: Edge) -> Json:
    return {
        "from": one.caller,
        "to": one.service,
        "port": one.port,
        "protocol": one.protocol,
        "methods": list(one.methods),
        "paths": list(one.paths),
        "identity": one.identity,
        "proxied": one.proxied,
        "conditions": list(one.conditions),
    }


def _size(one: Size) -> Json:
    resources: Mapping[str, int] = one.resources
    return {
        "proxies": one.proxies,
        "bytes": one.bytes,
        "resources": dict(resources),
        "largest": {"proxy": one.largest, "bytes": one.largest_bytes} if one.largest else None,
    }
