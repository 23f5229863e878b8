"""Kubernetes objects in documents: which are workloads, where their pods' templates stand, and what else matters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.annotations import read_texts
from compiler.resources.findings import Finding, join
from compiler.source.document import Document

BAD_WORKLOAD: Final = Code(
    "bad-workload",
    Severity.ERROR,
    "a workload whose pods cannot be injected as they are written",
    "A pod needs a list of containers, each a mapping with a name, and none with the name of one that is added. No "
    "container of the application may run as the sidecar's user, whose traffic is not redirected.",
)
UNKNOWN_WORKLOAD: Final = Code(
    "unknown-workload",
    Severity.WARNING,
    "an object with a pod template, of a kind that is not injected",
    "Its pods would be in the mesh only by their labels, without a sidecar. Kinds that make pods from `spec.template` "
    "can be listed under `selection.kinds` of the settings.",
)

_TEMPLATE: Final = ("spec", "template")
TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (),
    "Deployment": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", *("spec", "template")),
}
"""Where the pod of each kind of workload stands."""
BATCH: Final = frozenset({"Job", "CronJob"})


@dataclass(frozen=True)
class KubeObject:
    """One object of a document, which is the document itself or an item of a List in it."""

    document: Document
    pointer: str
    value: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.value.get("kind", ""))

    @property
    def metadata(self) -> Mapping[str, Any]:
        return _mapping(self.value.get("metadata"))

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or self.metadata.get("generateName") or "").rstrip("-")

    @property
    def labels(self) -> Mapping[str, str]:
        return read_texts(self.metadata.get("labels"))

    @property
    def annotations(self) -> Mapping[str, str]:
        return read_texts(self.metadata.get("annotations"))

    def namespace(self, default: str) -> str:
        return str(self.metadata.get("namespace") or default)


@dataclass(frozen=True)
class Workload:
    """An object that makes pods; `path` leads from it to its pod."""

    owner: KubeObject
    path: tuple[str, ...]
    namespace: str

    @property
    def pod(self) -> Mapping[str, Any]:
        value: Any = self.owner.value
        for step in self.path:
            value = _mapping(value).get(step)
        return _mapping(value)

    @property
    def pointer(self) -> str:
        """Of the pod, in its document."""
        return join(self.owner.pointer, *self.path)

    @property
    def spec(self) -> Mapping[str, Any]:
        return _mapping(self.pod.get("spec"))

    @property
    def metadata(self) -> Mapping[str, Any]:
        return _mapping(self.pod.get("metadata"))

    @property
    def labels(self) -> Mapping[str, str]:
        return read_texts(self.metadata.get("labels"))

    @property
    def annotations(self) -> Mapping[str, str]:
        return read_texts(self.metadata.get("annotations"))


def is_kubernetes(value: Mapping[str, Any]) -> bool:
    """Whether an API server would take it for an object."""
    return isinstance(value.get("apiVersion"), str) and isinstance(value.get("kind"), str)


def read_objects(document: Document) -> Iterator[KubeObject]:
    """The document's object, or those of a List in it, and of a List in that."""
    waiting = [KubeObject(document, "", document.value)]
    while waiting:
        found = waiting.pop()
        if not is_kubernetes(found.value):
            continue
        items = found.value.get("items")
        if found.kind.endswith("List") and isinstance(items, list):
            inner = [
                KubeObject(document, join(found.pointer, "items", index), _with_kind(item, found))
                for index, item in enumerate(items)
                if isinstance(item, dict)
            ]
            waiting += reversed(inner)
        else:
            yield found


def read_workload(found: KubeObject, default_namespace: str, kinds: tuple[str, ...]) -> Workload | None:
    """None for an object that makes no pods that we know of."""
    path = TEMPLATES.get(found.kind, _TEMPLATE if found.kind in kinds else None)
    if path is None or str(found.value["apiVersion"]).startswith("kuma.io/"):
        return None
    return Workload(found, path, found.namespace(default_namespace))


def check_kind(found: KubeObject) -> Iterator[Finding]:
    """What looks as if it made pods."""
    template = _mapping(_mapping(found.value.get("spec")).get("template"))
    if isinstance(_mapping(template.get("spec")).get("containers"), list):
        message = f"{found.kind} {found.name!r} has a pod template, and this kind is not injected"
        hint = f"add {found.kind} to selection.kinds of the settings"
        yield Finding(join(found.pointer, "kind"), UNKNOWN_WORKLOAD, message, hint)


def check_pod(workload: Workload) -> Iterator[Finding]:
    """What the API server would refuse, as far as injecting depends on it."""
    containers = workload.spec.get("containers")
    at = join(workload.pointer, "spec", "containers")
    if not isinstance(containers, list) or not containers:
        what = f"{workload.owner.kind} {workload.owner.name!r}"
        yield Finding(at, BAD_WORKLOAD, f"the pod of {what} has no containers", "add spec.containers")
        return
    for list_name in ("containers", "initContainers", "volumes"):
        yield from _check_list(workload, list_name)
    if not isinstance(workload.pod.get("metadata", {}), (dict, type(None))):
        yield Finding(join(workload.pointer, "metadata"), BAD_WORKLOAD, "metadata must be a mapping")
    for field_name in ("labels", "annotations"):
        if not isinstance(workload.metadata.get(field_name, {}), (dict, type(None))):
            here = join(workload.pointer, "metadata", field_name)
            yield Finding(here, BAD_WORKLOAD, f"{field_name} must be a mapping")


def check_names(workload: Workload, added: Sequence[str]) -> Iterator[Finding]:
    """Of what an earlier injection left behind, say: no pod has two containers of one name."""
    for list_name in ("containers", "initContainers"):
        for index, container in enumerate(mappings(workload.spec.get(list_name))):
            if container.get("name") in added:
                here = join(workload.pointer, "spec", list_name, index, "name")
                message = f"the pod has a container {container['name']!r}, which is the name of one that is added"
                yield Finding(here, BAD_WORKLOAD, message, "take it out, or inject the manifest as it was before")


def check_users(workload: Workload, uid: int) -> Iterator[Finding]:
    """An application that runs as the sidecar's user; an init container may want that, or not know what it means."""
    for index, container in enumerate(mappings(workload.spec.get("containers"))):
        if (here := _place_of_user(workload, "containers", index, container, uid)) is not None:
            message = f"container {container.get('name')!r} runs as the sidecar's user {uid}, so nothing redirects it"
            yield Finding(here, BAD_WORKLOAD, message, "give it another user")
    for index, container in enumerate(mappings(workload.spec.get("initContainers"))):
        if (here := _place_of_user(workload, "initContainers", index, container, uid)) is not None:
            message = f"init container {container.get('name')!r} runs as the sidecar's user, so nothing redirects it"
            yield Finding(here, BAD_WORKLOAD, message, severity=Severity.WARNING)


def _check_list(workload: Workload, list_name: str) -> Iterator[Finding]:
    at = join(workload.pointer, "spec", list_name)
    entries = workload.spec.get(list_name)
    if entries is not None and not isinstance(entries, list):
        yield Finding(at, BAD_WORKLOAD, f"{list_name} must be a list")
        return
    for index, entry in enumerate(entries or ()):
        if not isinstance(entry, dict):
            yield Finding(join(at, index), BAD_WORKLOAD, f"an entry of {list_name} must be a mapping")
        elif not isinstance(entry.get("name"), str):
            yield Finding(join(at, index), BAD_WORKLOAD, f"an entry of {list_name} needs a name")


def _place_of_user(
    workload: Workload, list_name: str, index: int, container: Mapping[str, Any], uid: int
) -> str | None:
    """Where it is said that a container runs as that user: by itself, or by the pod for all that say nothing."""
    at = join(workload.pointer, "spec")
    holders = ((container, join(at, list_name, index)), (workload.spec, at))
    users = ((_mapping(holder.get("securityContext")).get("runAsUser"), place) for holder, place in holders)
    user, place = next(((user, place) for user, place in users if user is not None), (None, ""))
    return join(place, "securityContext", "runAsUser") if user == uid else None


def _with_kind(item: Mapping[str, Any], holder: KubeObject) -> Mapping[str, Any]:
    """Items of a PodList may leave out what the list says."""
    if is_kubernetes(item) or holder.kind == "List":
        return item
    return {"apiVersion": holder.value["apiVersion"], "kind": holder.kind.removesuffix("List"), **item}


def mappings(value: object) -> Sequence[Mapping[str, Any]]:
    """The mappings in a list; what an API server would refuse is nothing here."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
