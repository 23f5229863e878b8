"""Access as JSON, in the shape of schemas/access.json; a field is added to it but never changed within a version."""

from collections.abc import Iterable
from typing import Any, Final

from compiler.review.access.edge import AccessDiff, Change, Edge
from compiler.review.access.evidence import Written
from compiler.review.access.why import Answer, Step, Trace

SCHEMA_VERSION: Final = 1

Json = dict[str, Any]


def as_json(edges: Iterable[Edge], diff: AccessDiff | None, answer: Answer | None, digest: str) -> Json:
    """`diff` is null without a base to compare with, `answer` unless it was asked about two parties."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "digest": digest,
        "edges": [edge_json(edge) for edge in sorted(edges)],
        "diff": diff_json(diff) if diff is not None else None,
        "answer": _answer(answer) if answer is not None else None,
    }


def edge_json(edge: Edge) -> Json:
    """Empty lists stand for every method and every path."""
    return {
        "caller": edge.caller,
        "service": edge.service,
        "port": edge.port,
        "protocol": edge.protocol,
        "methods": list(edge.methods),
        "paths": list(edge.paths),
        "conditions": list(edge.conditions),
        "identity": edge.identity,
        "proxied": edge.proxied,
    }


def diff_json(diff: AccessDiff) -> Json:
    """Edges that are as before are only counted."""
    return {
        "added": [edge_json(edge) for edge in diff.added],
        "removed": [edge_json(edge) for edge in diff.removed],
        "kept": diff.kept,
        "changed": [change_json(one) for one in diff.changed],
    }


def change_json(change: Change) -> Json:
    """The edges of a caller to a port on both sides, and the difference as a sentence."""
    before, after = ([edge_json(edge) for edge in side] for side in (change.before, change.after))
    return {"before": before, "after": after, "says": change.says}


def _answer(answer: Answer) -> Json:
    return {
        "caller": answer.caller,
        "service": answer.service,
        "allowed": answer.allowed,
        "reason": answer.reason,
        "warning": answer.warning or None,
        "traces": [_trace(trace) for trace in answer.traces],
        "documents": [_written(one) for one in answer.documents],
    }


def _trace(trace: Trace) -> Json:
    return {
        "port": trace.port,
        "allowed": trace.allowed,
        "reason": trace.reason,
        "edges": [edge_json(edge) for edge in trace.edges],
        "steps": [_step(step) for step in trace.steps],
    }


def _step(step: Step) -> Json:
    return {
        "proxy": step.proxy,
        "type": step.type,
        "name": step.name,
        "says": step.says,
        "documents": [_written(one) for one in step.documents],
    }


def _written(one: Written) -> Json:
    """Null for what is built in and stands in no file."""
    return {
        "resource": {"type": one.type, "mesh": one.mesh, "name": one.name},
        "file": one.file or None,
        "line": one.line or None,
        "says": one.says,
    }
