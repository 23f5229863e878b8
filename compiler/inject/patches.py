"""ContainerPatch: JSON Patches of the injected containers, by name and by default (kuma-policies §5)."""

import copy
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import jsonpatch
import jsonpointer

from compiler.diagnostics import Code, Diagnostic, Severity
from compiler.resources.checks.container_patch import check_container_patch
from compiler.resources.findings import Finding
from compiler.resources.schema import Schemas
from compiler.resources.suggest import did_you_mean
from compiler.source.document import Document

BAD_PATCH: Final = Code(
    "bad-patch",
    Severity.ERROR,
    "a ContainerPatch that cannot be applied to a pod's container",
    "A ContainerPatch is a JSON Patch whose root is the container. What it names must be there, except for what `add` "
    "adds: missing mappings and lists on the way to it are made. What comes out must still be a container of that "
    "name, with the fields that Kubernetes knows. Kuma refuses the pod, or drops such a field in silence.",
)
MISSING_PATCH: Final = Code(
    "missing-patch",
    Severity.ERROR,
    "a ContainerPatch that is named and does not exist",
    "A pod names ContainerPatches with `kuma.io/container-patches`, the settings name those for every pod. They are "
    "read from the manifests, and only from the system namespace: `selection.systemNamespace` of the settings, else "
    "`kuma-system` and `kong-mesh-system`. Kuma refuses the pod.",
)

_TEXTS: Final = ("name", "image", "workingDir", "restartPolicy", "imagePullPolicy")
_LISTS: Final = ("command", "args", "ports", "env", "envFrom", "resizePolicy", "restartPolicyRules", "volumeMounts")
_MAPPINGS: Final = ("resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "securityContext")
_FIELDS: Final[Mapping[str, tuple[type, str]]] = {
    **dict.fromkeys((*_TEXTS, "terminationMessagePath", "terminationMessagePolicy"), (str, "a text")),
    **dict.fromkeys((*_LISTS, "volumeDevices"), (list, "a list")),
    **dict.fromkeys(_MAPPINGS, (dict, "a mapping")),
    **dict.fromkeys(("stdin", "stdinOnce", "tty"), (bool, "true or false")),
}
"""Those of a container in Kubernetes 1.34."""


@dataclass(frozen=True)
class Patch:
    """One ContainerPatch; `outside` is a namespace that it stands in in vain."""

    name: str
    sidecar: tuple[Mapping[str, Any], ...] = ()
    init: tuple[Mapping[str, Any], ...] = ()
    outside: str = ""
    place: Document | None = field(default=None, compare=False, repr=False)


def is_patch(value: Mapping[str, Any]) -> bool:
    """In Kubernetes form, or in Kuma's Universal form."""
    if "apiVersion" in value:
        return value.get("kind") == "ContainerPatch" and str(value["apiVersion"]).startswith("kuma.io/")
    return value.get("type") == "ContainerPatch" and "name" in value


def read_patch(document: Document, schemas: Schemas, system: Collection[str], found: list[Diagnostic]) -> Patch | None:
    """None where it is wrong; what is wrong is found at its field."""
    value: Any = document.value
    findings = () if schemas.accepts("ContainerPatch", value) else schemas.explain("ContainerPatch", value)
    findings = findings or tuple(check_container_patch(value.get("spec") or {}, "/spec"))
    found += [_diagnose(document, each) for each in findings]
    if findings:
        return None
    metadata: Any = value.get("metadata") or {}
    namespace = (metadata.get("namespace") or "default") if "apiVersion" in value else ""
    spec: Any = value.get("spec") or {}
    return Patch(
        name=str(metadata.get("name") if "apiVersion" in value else value["name"]),
        sidecar=tuple(_operation(each) for each in spec.get("sidecarPatch") or ()),
        init=tuple(_operation(each) for each in spec.get("initPatch") or ()),
        outside="" if namespace in system else namespace,
        place=document,
    )


def select_patches(
    names: Iterable[str], patches: Mapping[str, Patch], pointer: str, found: list[Finding]
) -> Sequence[Patch]:
    """In the order in which they are named; a name without a patch is an error."""
    chosen: list[Patch] = []
    for name in names:
        patch = patches.get(name)
        if patch is not None and not patch.outside:
            chosen.append(patch)
        else:
            known = (each.name for each in patches.values() if not each.outside)
            outside = _explain_place(patch) if patch else None
            message = f"there is no ContainerPatch {name[:64]!r} among the manifests"
            found.append(Finding(pointer, MISSING_PATCH, message, outside or did_you_mean(name, known)))
    return chosen


def _explain_place(patch: Patch) -> str:
    return (
        f"it stands in the namespace {patch.outside}; selection.systemNamespace of --config names the one that counts"
    )


def apply_patches(
    container: dict[str, Any], patches: Sequence[Patch], *, init: bool, pointer: str, found: list[Finding]
) -> dict[str, Any]:
    """The container as the patches make it; the first that fails is an error that names itself and its path."""
    changed = copy.deepcopy(container)
    for patch in patches:
        for operation in patch.init if init else patch.sidecar:
            complaint, changed = _apply(changed, operation)
            if not complaint and changed.get("name") != container["name"]:
                complaint = "the container must keep its name"
            if complaint:
                message = f"{operation['op']} {operation['path']} of ContainerPatch {patch.name!r}: {complaint}"
                found.append(Finding(pointer, BAD_PATCH, message, _where(patch)))
                return container
    return changed


def _diagnose(document: Document, found: Finding) -> Diagnostic:
    position = document.position(found.pointer, key=found.on_key)
    return Diagnostic(position, found.code, found.message, found.hint, None, found.pointer)


def _where(patch: Patch) -> str | None:
    return f"the patch is in {patch.place.position('/spec')}" if patch.place else None


def _operation(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """With its value decoded; the document was checked."""
    operation = {name: written[name] for name in ("op", "path", "from") if name in written}
    return {**operation, "value": json.loads(written["value"])} if "value" in written else operation


def _apply(container: dict[str, Any], operation: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What went wrong, and the container after it."""
    try:
        prepared = copy.deepcopy(container)
        if operation["op"] == "add":
            _make_way(prepared, jsonpointer.JsonPointer(operation["path"]).parts)
        changed = jsonpatch.apply_patch(prepared, [operation])
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError, IndexError) as error:
        return str(error).strip("'\"") or "it cannot be applied", container
    if not isinstance(changed, dict):
        return "the container must stay a mapping", container
    return next(_wrong_fields(changed), ""), changed


def _wrong_fields(container: Mapping[str, Any]) -> Iterator[str]:
    """What an API server would refuse, or leave out."""
    for name, value in container.items():
        if name not in _FIELDS:
            yield f"a container has no field {name[:64]!r}"
        elif value is not None and not isinstance(value, _FIELDS[name][0]):
            yield f"{name} of a container must be {_FIELDS[name][1]}"


def _make_way(value: Any, parts: Sequence[str]) -> None:
    """Missing mappings and lists on the way to what is added, as Kuma's library makes them."""
    for part, following in pairwise(parts):
        if isinstance(value, dict):
            if value.get(part) is None:
                value[part] = [] if following == "-" or _is_index(following) else {}
            value = value[part]
        elif isinstance(value, list) and _is_index(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            return


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < 10
