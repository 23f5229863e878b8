"""What documents are called and where they stand, in both forms of Kuma's: read, and written otherwise."""

from collections.abc import Mapping
from typing import Any

from tests.edited_policies import Document

ZONE, WORKLOAD, MESH = "kuma.io/zone", "kuma.io/workload", "kuma.io/mesh"
_API = "kuma.io/v1alpha1"
_HEAD = frozenset({"type", "mesh", "name", "labels"})
_BARE = frozenset({"Dataplane"})
"""Kinds whose content stands beside their head in Universal form."""


def is_kubernetes(document: Document) -> bool:
    return "apiVersion" in document


def kind_of(document: Document) -> str:
    """Empty of settings, which have neither kind nor name."""
    return str(document.get("kind") or document.get("type") or "")


def name_of(document: Document) -> str:
    return str(_head(document).get("name", ""))


def mesh_of(document: Document) -> str:
    """Empty where it is of none."""
    return str(labels_of(document).get(MESH, "") if is_kubernetes(document) else document.get("mesh", ""))


def labels_of(document: Document) -> Mapping[str, str]:
    found: Mapping[str, str] = _head(document).get("labels", {})
    return found


def content_of(document: Document) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document.get("spec", document)
    return found


def with_name(document: Document, name: str) -> Document:
    return _with_head(document, name=name)


def with_mesh(document: Document, mesh: str) -> Document:
    return with_label(document, MESH, mesh) if is_kubernetes(document) else {**document, "mesh": mesh}


def with_label(document: Document, label: str, value: str) -> Document:
    """Without it where it is empty."""
    others = {name: one for name, one in labels_of(document).items() if name != label}
    return _with_head(document, labels={**others, label: value} if value else others)


def with_content(document: Document, **fields: object) -> Document:
    return {**document, "spec": {**document["spec"], **fields}} if "spec" in document else {**document, **fields}


def as_kubernetes(document: Document, namespace: str) -> Document:
    labels = {**labels_of(document), MESH: document["mesh"]}
    content = {name: one for name, one in document.items() if name not in _HEAD}
    metadata = {"name": document["name"], "namespace": namespace, "labels": labels}
    return {"apiVersion": _API, "kind": document["type"], "metadata": metadata, "spec": content.get("spec", content)}


def as_universal(document: Document) -> Document:
    labels = {name: value for name, value in labels_of(document).items() if name != MESH}
    spec = document["spec"] if document["kind"] in _BARE else {"spec": document["spec"]}
    head = {"type": document["kind"], "mesh": mesh_of(document), "name": name_of(document)}
    return {**head, "labels": labels, **spec}


def _head(document: Document) -> Document:
    head: Document = document["metadata"] if is_kubernetes(document) else document
    return head


def _with_head(document: Document, **fields: object) -> Document:
    if is_kubernetes(document):
        return {**document, "metadata": {**document["metadata"], **fields}}
    return {**document, **fields}
