"""Which pods are injected, and into which mesh: the pod's own word, else its namespace's (Kuma's precheck)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.annotations import (
    BAD_ANNOTATION,
    OUTDATED_ANNOTATION,
    ZONE_PROXIES,
    Annotations,
    check_texts,
    is_true,
)
from compiler.inject.manifests import Workload
from compiler.inject.settings import SIDECAR, SelectionSettings
from compiler.resources.findings import Finding, join

INJECTION: Final = "kuma.io/sidecar-injection"
MESH: Final = "kuma.io/mesh"
SWITCHES: Final = ("enabled", "disabled", "true", "false", "yes", "no")

HOST_NETWORK: Final = Code(
    "host-network",
    Severity.WARNING,
    "a pod on its node's own network is not injected",
    "Redirecting its traffic would redirect that of the whole node. Kuma injects such a pod all the same.",
)
ZONE_PROXY_POD: Final = Code(
    "zone-proxy-pod",
    Severity.WARNING,
    "the pod of a zone ingress or egress is not injected",
    "Such a pod is a proxy itself. Its ZoneIngress or ZoneEgress is a document of the mesh.",
)


class Verdict(StrEnum):
    """What becomes of a workload."""

    INJECT = "injected"
    HAS_SIDECAR = "had a sidecar already"
    NOT_ASKED = "not asked for"
    EXCEPTION = "excepted"


@dataclass(frozen=True, slots=True)
class Namespace:
    """What a Namespace among the manifests says of its pods."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def judge_workload(
    workload: Workload, namespaces: Mapping[str, Namespace], settings: SelectionSettings, found: list[Finding]
) -> Verdict:
    """A pod that has a sidecar is left as it is, so that a second run changes nothing."""
    if any(_excepts(workload.labels, key, value) for key, value in settings.exceptions.items()):
        return Verdict.EXCEPTION
    if has_sidecar(workload.spec):
        return Verdict.HAS_SIDECAR
    if not _is_wanted(workload, namespaces.get(workload.namespace), settings, found):
        found += _check_annotation(workload.labels, workload.annotations, join(workload.pointer, "metadata"))
        return Verdict.NOT_ASKED
    exceptions = tuple(_exceptions(workload))
    found += exceptions
    return Verdict.EXCEPTION if exceptions else Verdict.INJECT


def has_sidecar(spec: Mapping[str, Any]) -> bool:
    """As a container, or as an init container that goes on."""
    lists: Sequence[Any] = (spec.get("containers"), spec.get("initContainers"))
    return any(
        isinstance(each, dict) and each.get("name") == SIDECAR
        for entries in lists
        if isinstance(entries, list)
        for each in entries
    )


def mesh_of(workload: Workload, namespaces: Mapping[str, Namespace], settings: SelectionSettings) -> str:
    """By label, else by annotation, of the pod, else of its namespace."""
    namespace = namespaces.get(workload.namespace, Namespace(workload.namespace))
    places = (workload.labels, workload.annotations, namespace.labels, namespace.annotations)
    return next((place[MESH] for place in places if place.get(MESH)), settings.mesh)


def check_namespace(namespace: Namespace, labels: object, pointer: str) -> Iterator[Finding]:
    """Its label switches injection for all its pods; `labels` are those that are written, texts or not."""
    at = join(pointer, "metadata")
    yield from check_texts(labels, join(at, "labels"))
    yield from _check_switch(namespace.labels.get(INJECTION), join(at, "labels", INJECTION))
    yield from _check_annotation(namespace.labels, namespace.annotations, at)


def _is_wanted(
    workload: Workload, namespace: Namespace | None, settings: SelectionSettings, found: list[Finding]
) -> bool:
    """A word of the pod's own that is none is an error: nobody knows what it was to be."""
    at = join(workload.pointer, "metadata", "labels")
    written = workload.metadata.get("labels")
    if isinstance(written, dict) and INJECTION in written:
        own = written[INJECTION]
        complaints = (*check_texts({INJECTION: own}, at), *_check_switch(own, join(at, INJECTION)))
        found += complaints
        return not complaints and is_true(own)
    if namespace is not None and INJECTION in namespace.labels:
        return is_true(namespace.labels[INJECTION])
    return workload.namespace in settings.namespaces


def _check_annotation(labels: Mapping[str, str], annotations: Annotations, metadata: str) -> Iterator[Finding]:
    """What somebody wrote who meant the label; a pod that is injected all the same is told with its other ones."""
    if INJECTION in annotations and INJECTION not in labels:
        message = f"{INJECTION} is a label: as an annotation it changes nothing"
        at = join(metadata, "annotations", INJECTION)
        yield Finding(at, OUTDATED_ANNOTATION, message, "move it to labels", on_key=True)


def _check_switch(value: object, pointer: str) -> Iterator[Finding]:
    if isinstance(value, str) and value not in SWITCHES:
        message = f"{INJECTION} must be enabled or disabled, not {value[:64]!r}"
        yield Finding(pointer, BAD_ANNOTATION, message, "Kuma refuses the pod")


def _exceptions(workload: Workload) -> Iterator[Finding]:
    if workload.spec.get("hostNetwork") is True:
        message = f"{workload.owner.kind} {workload.owner.name!r} uses its node's network, so it is not injected"
        yield Finding(join(workload.pointer, "spec", "hostNetwork"), HOST_NETWORK, message, on_key=True)
    for name in ZONE_PROXIES:
        if is_true(workload.annotations.get(name, "")):
            message = f"{workload.owner.kind} {workload.owner.name!r} is a zone's proxy, so it is not injected"
            yield Finding(join(workload.pointer, "metadata", "annotations", name), ZONE_PROXY_POD, message, on_key=True)


def _excepts(labels: Mapping[str, str], key: str, value: str) -> bool:
    return key in labels and value in ("*", labels[key])
