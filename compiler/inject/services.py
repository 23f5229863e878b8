"""The Services of a pod, and what each of their ports leads to (Kuma's InboundConverter)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.annotations import is_true
from compiler.inject.manifests import KubeObject, mappings
from compiler.inject.settings import SIDECAR
from compiler.resources.findings import Finding, join

BAD_SERVICE: Final = Code(
    "bad-service",
    Severity.ERROR,
    "a Service that no inbound can be derived from",
    "Each port of a Service needs a number; its target is a port number or the name of a container's port.",
)
UNKNOWN_PROTOCOL: Final = Code(
    "unknown-protocol",
    Severity.WARNING,
    "a Service's protocol that the mesh does not speak",
    "The mesh knows http, http2, grpc and tcp. An unknown `appProtocol` is carried as tcp. The older annotation "
    "`<port>.service.kuma.io/protocol` counts where there is no known `appProtocol`.",
)

PROTOCOLS: Final = ("tcp", "http", "http2", "grpc", "tls", "mysql", "kafka")
IGNORE: Final = "kuma.io/ignore"
ZONE_PROXY: Final = "k8s.kuma.io/zone-proxy-type"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A TCP port of a Service; `target` is a number, or the name of a container's port."""

    port: int
    target: int | str
    protocol: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """As much of a Service as inbounds depend on."""

    name: str
    namespace: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    is_headless: bool = False
    is_external: bool = False
    is_ignored: bool = False
    zone_proxy: str = ""


def read_service(found: KubeObject, default_namespace: str) -> Service:
    """Ports that are no ports are left out; `check_service` says so."""
    spec = found.value.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    selector = spec.get("selector")
    return Service(
        name=found.name,
        namespace=found.namespace(default_namespace),
        selector={key: str(value) for key, value in selector.items()} if isinstance(selector, dict) else {},
        ports=tuple(_ports(spec, found.annotations)),
        is_headless=spec.get("clusterIP") == "None",
        is_external=spec.get("type") == "ExternalName",
        is_ignored=is_true(found.annotations.get(IGNORE, "")),
        zone_proxy=found.labels.get(ZONE_PROXY, ""),
    )


def check_service(found: KubeObject) -> Iterator[Finding]:
    """What would silently be no inbound, or another one than its author meant."""
    spec = found.value.get("spec")
    ports = spec.get("ports") if isinstance(spec, dict) else None
    at = join(found.pointer, "spec", "ports")
    if ports is not None and not isinstance(ports, list):
        yield Finding(at, BAD_SERVICE, "ports must be a list")
        return
    for index, port in enumerate(ports or ()):
        if not isinstance(port, dict) or not _is_port(port.get("port")):
            yield Finding(join(at, index), BAD_SERVICE, "a port of a Service needs a number from 1 to 65535")
        elif _unknown_protocol(port, found.annotations):
            message = f"the mesh does not speak {port['appProtocol']!r}, so port {port['port']} is carried as tcp"
            yield Finding(join(at, index, "appProtocol"), UNKNOWN_PROTOCOL, message)
    if found.labels.get(ZONE_PROXY, "ingress") not in ("ingress", "egress"):
        pointer = join(found.pointer, "metadata", "labels", ZONE_PROXY)
        yield Finding(pointer, BAD_SERVICE, f"{ZONE_PROXY} must be ingress or egress")


class ServiceIndex:
    """Services by namespace and one label that they select, so that each pod looks at few of them.

    Labels that are ignored make a Service that selects a pod but for them one of the pod's: its inbound is there and
    not ready (Kuma's IgnoredServiceSelectorLabels).
    """

    def __init__(self, services: Iterable[Service], ignored_labels: Iterable[str] = ()) -> None:
        self._ignored = frozenset(ignored_labels)
        self._by_label: dict[tuple[str, str, str], list[Service]] = {}
        for service in services:
            if service.selector and not service.is_ignored:
                wanted = min(
                    (pair for pair in service.selector.items() if pair[0] not in self._ignored), default=("", "")
                )
                self._by_label.setdefault((service.namespace, *wanted), []).append(service)

    def select(self, namespace: str, labels: Mapping[str, str]) -> tuple[Service, ...]:
        """Those that select such a pod, by name."""
        candidates = [self._by_label.get((namespace, *pair), ()) for pair in (*labels.items(), ("", ""))]
        chosen = [service for found in candidates for service in found if self._selects(service, labels)]
        return tuple(sorted(chosen, key=lambda service: service.name))

    def _selects(self, service: Service, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in service.selector.items() if key not in self._ignored)


def is_selected(service: Service, labels: Mapping[str, str]) -> bool:
    """By all of its labels."""
    return all(labels.get(key) == value for key, value in service.selector.items())


def find_port(containers: Iterable[Mapping[str, Any]], port: ServicePort) -> tuple[int, str, str] | None:
    """Number, name and container of what a Service's port leads to; a number leads there without being declared."""
    declared = [
        (each["containerPort"], str(each.get("name") or ""), str(container.get("name") or ""))
        for container in containers
        if container.get("name") != SIDECAR
        for each in mappings(container.get("ports"))
        if _is_port(each.get("containerPort")) and each.get("protocol", "TCP") == "TCP"
    ]
    if isinstance(port.target, int):
        return next((each for each in declared if each[0] == port.target), (port.target, "", ""))
    return next((each for each in declared if each[1] == port.target), None)


def _ports(spec: Mapping[str, Any], annotations: Mapping[str, str]) -> Iterator[ServicePort]:
    for port in mappings(spec.get("ports")):
        if not _is_port(port.get("port")) or port.get("protocol", "TCP") != "TCP":
            continue
        number: int = port["port"]
        target = port.get("targetPort", number)
        if isinstance(target, str) and target.isascii() and target.isdigit() and len(target) < 10:
            target = int(target)
        if isinstance(target, (int, str)) and not isinstance(target, bool):
            yield ServicePort(number, target or number, _protocol(port, annotations), str(port.get("name") or ""))


def _protocol(port: Mapping[str, Any], annotations: Mapping[str, str]) -> str:
    """A known `appProtocol`, else the annotation whatever it says, so that its author sees that it was read."""
    written = str(port.get("appProtocol") or "").lower()
    if written in PROTOCOLS:
        return written
    return (annotations.get(f"{port['port']}.service.kuma.io/protocol") or "tcp").lower()


def _unknown_protocol(port: Mapping[str, Any], annotations: Mapping[str, str]) -> bool:
    """Where the annotation does not make up for it."""
    written = port.get("appProtocol")
    return written is not None and str(written).lower() not in PROTOCOLS and _protocol(port, annotations) == "tcp"


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536
