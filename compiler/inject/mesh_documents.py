"""Documents of the mesh for injected workloads: a DataplaneSet each, for pods' addresses are not in Git (design D9)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.annotations import read_texts
from compiler.inject.dataplanes import BAD_DATAPLANE, PodView, derive_dataplane, derive_labels, name_workload
from compiler.inject.emit import emit_block
from compiler.inject.manifests import Workload
from compiler.inject.redirection import is_gateway
from compiler.inject.services import PROTOCOLS, ServiceIndex
from compiler.inject.settings import DataplaneSettings
from compiler.resources.findings import Finding, join

SHARED_PORT: Final = Code(
    "shared-port",
    Severity.WARNING,
    "several Services lead to one port of a pod",
    "A proxy has one listener for a port, so one inbound stands for all of them: that of the first Service by name "
    "which selects the pod. What names another of the Services by its tag does not reach it.",
)
WORKLOAD_CLASH: Final = Code(
    "workload-clash",
    Severity.ERROR,
    "two workloads of one mesh with one name",
    "Pods of a workload share one configuration, which they are given by the name of their workload. Give one of them "
    "the label `kuma.io/workload`, or say with `dataplanes.workloadLabels` which labels name a workload.",
)

WORKLOAD: Final = "kuma.io/workload"
_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
HEADER: Final = "# Derived by `meshwright inject --dataplanes`, which writes this file anew: edit the manifests.\n"


@dataclass(frozen=True, slots=True)
class MeshDocument:
    """What stands for an object of the cluster in the mesh; `text` is a whole file."""

    mesh: str
    namespace: str
    name: str
    text: str = field(repr=False)
    folder: str = ""

    @property
    def path(self) -> str:
        """Below the folder for such files."""
        return "/".join(part for part in (self.namespace, self.folder, f"{self.name}.yaml") if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadDocument(MeshDocument):
    """The proxies of a workload, and what Services ask of its pods; a pod of manifests has no address."""

    workload: str
    labels: Mapping[str, str]
    is_gateway: bool
    address: str


class WorkloadIndex:
    """Workloads by namespace and each of their labels, so that a Service looks at few of them."""

    def __init__(self, workloads: Iterable[WorkloadDocument]) -> None:
        self._by_label: dict[tuple[str, str, str], list[WorkloadDocument]] = defaultdict(list)
        for workload in workloads:
            for pair in workload.labels.items():
                self._by_label[workload.namespace, *pair].append(workload)

    def select(self, namespace: str, selector: Mapping[str, str]) -> Sequence[WorkloadDocument]:
        """Those whose pods a Service selects; one that says nothing selects none."""
        candidates = (self._by_label.get((namespace, *pair), []) for pair in selector.items())
        fewest = min(candidates, key=len, default=[])
        return [each for each in fewest if selector.items() <= each.labels.items()]


def write_document(value: Mapping[str, Any]) -> str:
    """A whole file, which says whose it is."""
    return f"{HEADER}{emit_block(value, 0)}\n"


def workload_name(workload: Workload, settings: DataplaneSettings) -> str:
    """Kuma falls back to the service account, which many workloads share; here each has a name of its own."""
    return name_workload(workload.labels, naming_labels(settings), workload.owner.name)


def naming_labels(settings: DataplaneSettings) -> tuple[str, ...]:
    """Those that say what a workload is called."""
    return *settings.workload_labels, WORKLOAD


def derive_document(
    workload: Workload,
    pod: Mapping[str, Any],
    mesh: str,
    services: ServiceIndex,
    settings: DataplaneSettings,
    found: list[Finding],
) -> WorkloadDocument:
    """`pod` is that of the workload after injection; one that has an address is a Dataplane."""
    view = _view(workload, pod)
    for given in (view.name, view.namespace):
        if not _NAME.fullmatch(given):
            message = f"{given[:64]!r} is no name: letters in lower case, digits, - and ."
            found.append(Finding(join(workload.owner.pointer, "metadata"), BAD_DATAPLANE, message, on_key=True))
    name = workload_name(workload, settings)
    chosen = services.select(view.namespace, view.labels)
    spec = derive_dataplane(view, chosen, settings.zone, workload.pointer, found)
    if "inbound" in spec["networking"]:
        spec["networking"]["inbound"] = _one_for_each_port(spec["networking"]["inbound"], workload, found)
    return workload_document(view, spec, mesh, name, settings)


def workload_document(
    view: PodView, spec: Mapping[str, Any], mesh: str, workload: str, settings: DataplaneSettings
) -> WorkloadDocument:
    """`spec` is a Dataplane's, of every pod of the workload; those without an address register themselves."""
    labels = derive_labels(view, mesh, workload) | ({"kuma.io/zone": settings.zone} if settings.zone else {})
    metadata = {"name": view.name, "namespace": view.namespace, "labels": labels}
    if view.address:
        value = {"apiVersion": "kuma.io/v1alpha1", "kind": "Dataplane", "metadata": metadata, "spec": spec}
    else:
        content = {"template": spec, "registration": {"cidrs": list(settings.pod_cidrs)}}
        value = {"apiVersion": "kuma.io/v1alpha1", "kind": "DataplaneSet", "metadata": metadata, "spec": content}
    return WorkloadDocument(
        mesh,
        view.namespace,
        view.name,
        write_document(value),
        workload=workload,
        labels=view.labels,
        is_gateway=is_gateway(view.annotations),
        address=view.address,
    )


def _view(workload: Workload, pod: Mapping[str, Any]) -> PodView:
    metadata, status, spec = (_mapping(pod.get(name)) for name in ("metadata", "status", "spec"))
    return PodView(
        name=workload.owner.name,
        owner=workload.owner.name,
        kind=workload.owner.kind,
        namespace=workload.namespace,
        labels=read_texts(metadata.get("labels")),
        annotations=read_texts(metadata.get("annotations")),
        spec=spec,
        address=str(status.get("podIP") or ""),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _one_for_each_port(
    inbounds: list[dict[str, Any]], workload: Workload, found: list[Finding]
) -> list[dict[str, Any]]:
    """Envoy has one listener for a port; an inbound that is not ready gives way to one that is."""
    kept: dict[int, dict[str, Any]] = {}
    for inbound in inbounds:
        other = kept.get(inbound["port"])
        if other is None or (other.get("state") == "Ignored" and inbound.get("state") != "Ignored"):
            kept[inbound["port"]] = inbound
        if other is not None and "Ignored" not in (other.get("state"), inbound.get("state")):
            one, two = (each["tags"]["k8s.kuma.io/service-name"] for each in (other, inbound))
            message = f"Services {one!r} and {two!r} lead to port {inbound['port']}: the inbound is that of {one!r}"
            found.append(Finding(workload.pointer, SHARED_PORT, message))
    return [_spoken(inbound) for inbound in kept.values()]


def _spoken(inbound: Mapping[str, Any]) -> dict[str, Any]:
    """A protocol that the mesh does not speak is carried as tcp."""
    if inbound["protocol"] in PROTOCOLS:
        return dict(inbound)
    tags = inbound["tags"] | ({"kuma.io/protocol": "tcp"} if "kuma.io/protocol" in inbound["tags"] else {})
    return {**inbound, "protocol": "tcp", "tags": tags}
