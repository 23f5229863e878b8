"""What a conf refers to besides targets: the one resource that is meant, however it is called."""

from typing import Final

from compiler.memo import Memo, Query
from compiler.mesh.graph import KEYS, RESOURCE
from compiler.mesh.match import has_labels
from compiler.mesh.value import Value
from compiler.resources.model import Conf, Resource


class Reference(Value, frozen=True):
    """A resource of a mesh by its name, or by labels where there are any."""

    mesh: str
    kind: str
    name: str
    labels: tuple[tuple[str, str], ...]


def read_reference(mesh: str, written: Conf) -> Reference:
    labels = tuple(sorted((written.get("labels") or {}).items()))
    return Reference("" if written["kind"] == "Mesh" else mesh, written["kind"], written.get("name", ""), labels)


def _referred(memo: Memo, wanted: Reference) -> Resource | None:
    """Of several that carry the labels the first by name: a commit knows no oldest."""
    keys = sorted(memo.read(KEYS, (wanted.kind, wanted.mesh)))
    found = (resource for key in keys if (resource := memo.read(RESOURCE, key)) is not None)
    return next((resource for resource in found if _is_meant(wanted, resource)), None)


def _is_meant(wanted: Reference, resource: Resource) -> bool:
    if wanted.labels:
        return has_labels(resource, dict(wanted.labels))
    return bool(wanted.name) and wanted.name in (resource.name, resource.key.name)


REFERRED: Final[Query[Reference, Resource | None]] = Query("referred", _referred)
