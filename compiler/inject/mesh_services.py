"""MeshServices from Services, as Kuma's controller makes them: one of a selector, or one of each headless pod."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.inject.mesh_documents import WorkloadDocument
from compiler.inject.services import PROTOCOLS, Service, ServicePort
from compiler.resources.model import ENVIRONMENT, MESH, NAMESPACE, ZONE

HEADLESS: Final = "k8s.kuma.io/is-headless-service"
SERVICE_NAME: Final = "k8s.kuma.io/service-name"
MANAGED_BY: Final = "kuma.io/managed-by"
CONTROLLER: Final = "k8s-controller"
_OF_PODS: Final = ("apps.kubernetes.io/pod-index", "statefulset.kubernetes.io/pod-name")
_LONGEST: Final = 63
_HASH: Final = 10
"""The digits of a 32-bit number."""
_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' letters for names that are made: none of them spells a word."""


@dataclass(frozen=True, slots=True)
class MeshObject:
    """A document of the mesh in the making."""

    name: str
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OfferedService:
    """A Service, its labels, and what manifests say of the mesh that it is in."""

    service: Service
    labels: Mapping[str, str]
    mesh: str
    zone: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def selector(self) -> Mapping[str, str]:
        """Without the labels that do not count (Kuma's IgnoredServiceSelectorLabels)."""
        return {key: value for key, value in self.service.selector.items() if key not in self.ignored}


def derive_mesh_services(offered: OfferedService, pods: Sequence[WorkloadDocument]) -> Iterator[MeshObject]:
    """One by the selector; of a headless Service one for each of `pods`, which it selects, that the mesh can name."""
    service = offered.service
    known = [each for each in pods if each.address and each.mesh == offered.mesh] if service.is_headless else []
    for pod in known:
        labels = {label: pod.labels[label] for label in _OF_PODS if label in pod.labels}
        selector = {"dataplaneRef": {"name": f"{pod.name}.{pod.namespace}"}}
        yield _mesh_service(offered, name_of_pod(service, pod.name), labels, selector)
    if len(known) < len(pods) or not pods:
        wanted = {NAMESPACE: service.namespace, **offered.selector}
        by_labels = {"dataplaneLabels": {"matchLabels": dict(sorted(wanted.items()))}}
        yield _mesh_service(offered, service.name, {}, by_labels)


def name_of_pod(service: Service, pod: str) -> str:
    """Kuma's name for one pod of a headless Service."""
    text = f"{service.name}{service.namespace}"
    if len(pod) + 1 + _HASH > _LONGEST:
        text, pod = text + pod, pod[: _LONGEST - 1 - _HASH]
    return f"{pod}-{_hash(text)}"


def _hash(text: str) -> str:
    """FNV-1a of 32 bits, its digits written in safe letters."""
    number = 2166136261
    for byte in text.encode():
        number = (number ^ byte) * 16777619 & 0xFFFFFFFF
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(number))


def _mesh_service(
    offered: OfferedService, name: str, labels: Mapping[str, str], selector: Mapping[str, Any]
) -> MeshObject:
    service = offered.service
    computed = {
        **labels,
        HEADLESS: "true" if service.is_headless else "false",
        SERVICE_NAME: service.name,
        ENVIRONMENT: "kubernetes",
        MANAGED_BY: CONTROLLER,
        MESH: offered.mesh,
        **({ZONE: offered.zone} if offered.zone else {}),
    }
    metadata = {
        "name": name,
        "namespace": service.namespace,
        "labels": dict(sorted({**offered.labels, **computed}.items())),
    }
    spec = {"selector": selector, "ports": [_port(port) for port in service.ports]}
    value = {"apiVersion": "kuma.io/v1alpha1", "kind": "MeshService", "metadata": metadata, "spec": spec}
    return MeshObject(name, value)


def _port(port: ServicePort) -> Mapping[str, Any]:
    """What the mesh does not speak is carried as tcp, as the inbound behind it is."""
    return {
        "name": port.name or str(port.port),
        "port": port.port,
        "targetPort": port.target,
        "appProtocol": port.protocol if port.protocol in PROTOCOLS else "tcp",
    }
