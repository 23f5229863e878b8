"""A Dataplane from a pod and its Services, as Kuma's pod controller makes it (Kuma 2.14's PodConverter)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.annotations import Annotations, aggregates, is_ours, is_true, switch, words
from compiler.inject.manifests import mappings
from compiler.inject.probes import PROBES, VIRTUAL
from compiler.inject.redirection import GATEWAY, INBOUND_PORT, IP_FAMILY_MODE, OUTBOUND_PORT
from compiler.inject.services import Service, ServicePort, find_port, is_selected
from compiler.inject.settings import SIDECAR
from compiler.resources.findings import Finding, join
from compiler.resources.specs.dataplane import SERVICELESS
from compiler.source.parse import Limits, parse_blob

BAD_DATAPLANE: Final = Code(
    "bad-dataplane",
    Severity.ERROR,
    "a pod from which no Dataplane can be derived",
    "What a pod's annotations and Services say together must make one proxy: see the message. Kuma refuses the pod, or "
    "derives no Dataplane from it.",
)

METRICS: Final = "prometheus.metrics.kuma.io"
REACHABLE: Final = "kuma.io/reachable-backends"
_MODES: Final = {"dualstack": "DualStack", "ipv4": "IPv4"}
_REFERENCE: Final = {"kind": str, "name": str, "namespace": str, "port": int, "labels": dict}

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PodView:
    """What a Dataplane depends on; `name` is that of the pod or of what makes it, `address` is empty in manifests."""

    name: str
    owner: str
    kind: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Annotations
    spec: Mapping[str, Any]
    address: str = ""
    ready: Mapping[str, bool] | None = None

    @property
    def containers(self) -> Sequence[Mapping[str, Any]]:
        return mappings(self.spec.get("containers"))

    @property
    def service_account(self) -> str:
        return str(self.spec.get("serviceAccountName") or "")


def derive_dataplane(pod: PodView, services: Sequence[Service], zone: str, pointer: str, found: list[Finding]) -> Spec:
    """The content of its Dataplane; `pointer` is the pod's, where what is wrong is found."""
    networking: Spec = {"address": pod.address} if pod.address else {}
    redirection = _redirection(pod, pointer, found)
    if redirection:
        networking["transparentProxying"] = redirection
    gateway = pod.annotations.get(GATEWAY, "disabled")
    if gateway != "disabled":
        networking["gateway"] = {"tags": _gateway_tags(pod, services, zone, gateway)}
    else:
        networking |= _served(pod, services, zone, pointer, found)
        if "listeners" in networking and "inbound" not in networking:
            networking["transparentProxying"] = {"reachableBackends": {}, **redirection}
    if port := pod.annotations.get("kuma.io/envoy-admin-port"):
        networking["admin"] = {"port": int(port)}
    spec: Spec = {"networking": networking}
    if metrics := _metrics(pod, pointer, found):
        spec["metrics"] = metrics
    if probes := _virtual_probes(pod):
        spec["probes"] = probes
    return spec


def derive_labels(pod: PodView, mesh: str, workload: str) -> dict[str, str]:
    """The pod's own, and those that Kuma computes."""
    computed = {
        "k8s.kuma.io/namespace": pod.namespace,
        "kuma.io/mesh": mesh,
        "kuma.io/proxy-type": "sidecar",
        **({"k8s.kuma.io/service-account": pod.service_account} if pod.service_account else {}),
        **({"kuma.io/workload": workload} if workload else {}),
    }
    return dict(sorted({**pod.labels, **computed}.items()))


def name_workload(labels: Mapping[str, str], naming: Iterable[str], otherwise: str) -> str:
    """The first of the labels that say what a workload is called, among those of its pods."""
    return next((labels[label] for label in naming if labels.get(label)), otherwise)


def read_reachable(text: str) -> list[dict[str, Any]] | None:
    """The references of `kuma.io/reachable-backends`, which are YAML in a text; None for what are none."""
    documents = parse_blob(text.encode(), Limits()).documents if text.strip() else ()
    refs = documents[0][1].get("refs", []) if len(documents) == 1 else None
    fits = isinstance(refs, list) and all(_is_reference(ref) for ref in refs)
    return refs if isinstance(refs, list) and fits else [] if not text.strip() else None


def _is_reference(value: object) -> bool:
    if not isinstance(value, dict) or "kind" not in value:
        return False
    return all(key in _REFERENCE and isinstance(part, _REFERENCE[key]) for key, part in value.items())


def _redirection(pod: PodView, pointer: str, found: list[Finding]) -> Spec:
    annotations, at = pod.annotations, join(pointer, "metadata", "annotations")
    if not switch(annotations, "kuma.io/transparent-proxying", default=False):
        return {}
    redirection: Spec = {}
    for name, field_name in ((INBOUND_PORT, "redirectPortInbound"), (OUTBOUND_PORT, "redirectPortOutbound")):
        if name in annotations:
            redirection[field_name] = int(annotations[name])
        else:
            found.append(Finding(at, BAD_DATAPLANE, f"transparent proxying needs {name}", "inject the pod anew"))
    redirection["ipFamilyMode"] = _MODES.get(annotations.get(IP_FAMILY_MODE, "dualstack"), "DualStack")
    if direct := words(annotations, "kuma.io/direct-access-services"):
        redirection["directAccessServices"] = list(direct)
    if "kuma.io/transparent-proxying-reachable-services" in annotations:
        redirection["reachableServices"] = list(words(annotations, "kuma.io/transparent-proxying-reachable-services"))
    if REACHABLE in annotations:
        redirection["reachableBackends"] = _reachable(annotations)
    return redirection


def _reachable(annotations: Annotations) -> Spec:
    """Without a reference nothing is reachable."""
    refs = read_reachable(annotations[REACHABLE])
    return {"refs": refs} if refs else {}


def _served(pod: PodView, services: Sequence[Service], zone: str, pointer: str, found: list[Finding]) -> Spec:
    """Inbounds for plain Services, listeners for those of a zone's proxy; one that is that alone reaches nothing."""
    plain = [service for service in services if not service.zone_proxy]
    listeners = list(_listeners(pod, services, pointer, found))
    served: Spec = {}
    if plain or not listeners:
        served["inbound"] = list(_inbounds(pod, plain, zone))
    if listeners:
        served["listeners"] = listeners
    return served


def _inbounds(pod: PodView, services: Iterable[Service], zone: str) -> Iterator[Spec]:
    """One for each port of each Service; of a pod without any, one that nothing can call."""
    count = 0
    for service in services:
        for port in service.ports if not service.is_external else ():
            place = find_port(pod.containers, port)
            if place is not None:
                count += 1
                yield _inbound(pod, service, port, place, zone)
    if not count:
        yield {
            "port": SERVICELESS,
            **_state(pod, "", is_ignored=False),
            "protocol": "tcp",
            "tags": _serviceless_tags(pod, zone),
        }


def _inbound(pod: PodView, service: Service, port: ServicePort, place: tuple[int, str, str], zone: str) -> Spec:
    number, name, container = place
    return {
        **({"name": name} if name else {}),
        "port": number,
        **_state(pod, container, is_ignored=bool(service.selector) and not is_selected(service, pod.labels)),
        "protocol": port.protocol,
        "tags": _service_tags(pod, service, port, zone),
    }


def _state(pod: PodView, container: str, *, is_ignored: bool) -> Spec:
    """Manifests know no state; of a pod that runs, an inbound is as ready as its container and the sidecar."""
    if is_ignored:
        return {"state": "Ignored", "health": {"ready": False}}
    if pod.ready is None:
        return {}
    names = (container, SIDECAR) if container else tuple(pod.ready)
    is_ready = all(pod.ready.get(name, True) for name in names)
    return {"health": {"ready": True}} if is_ready else {"state": "NotReady", "health": {"ready": False}}


def _service_tags(pod: PodView, service: Service, port: ServicePort, zone: str) -> dict[str, str]:
    tags = {key: value for key, value in pod.labels.items() if value and not is_ours(key)}
    tags |= {
        "k8s.kuma.io/namespace": pod.namespace,
        "k8s.kuma.io/service-name": service.name,
        "k8s.kuma.io/service-port": str(port.port),
        "kuma.io/service": f"{service.name}_{service.namespace}_svc_{port.port}",
        **({"kuma.io/zone": zone} if zone else {}),
    }
    if pod.annotations.get(GATEWAY, "disabled") == "disabled" or port.protocol == "tcp":
        tags["kuma.io/protocol"] = port.protocol
    if service.is_headless:
        tags["kuma.io/instance"] = pod.name
    return dict(sorted(tags.items()))


def _serviceless_tags(pod: PodView, zone: str) -> dict[str, str]:
    tags = {key: value for key, value in pod.labels.items() if value and not is_ours(key)}
    tags |= {
        "k8s.kuma.io/namespace": pod.namespace,
        "kuma.io/instance": pod.name,
        "kuma.io/protocol": "tcp",
        "kuma.io/service": f"{pod.owner}_{pod.namespace}_svc",
        **({"kuma.io/zone": zone} if zone else {}),
    }
    return dict(sorted(tags.items()))


def _gateway_tags(pod: PodView, services: Sequence[Service], zone: str, gateway: str) -> dict[str, str]:
    """Those of the first inbound that it would have; of a provided one those of its Deployment."""
    if gateway == "provided" and pod.kind == "Deployment":
        return {"kuma.io/service": f"{pod.owner}_{pod.namespace}_svc"}
    return dict(next(_inbounds(pod, services, zone))["tags"])


def _listeners(pod: PodView, services: Iterable[Service], pointer: str, found: list[Finding]) -> Iterator[Spec]:
    taken: dict[int, tuple[str, str]] = {}
    for service in services:
        kind = {"ingress": "ZoneIngress", "egress": "ZoneEgress"}.get(service.zone_proxy)
        for port in service.ports if kind else ():
            place = find_port(pod.containers, port)
            if place is None:
                continue
            other, other_kind = taken.get(place[0], ("", kind))
            if other_kind != kind:
                message = f"Services {other!r} and {service.name!r} make port {place[0]} an ingress and an egress"
                found.append(Finding(pointer, BAD_DATAPLANE, message, "take one of the Services out"))
            if place[0] not in taken and kind is not None:
                taken[place[0]] = service.name, kind
                yield _listener(pod, service, port, place, kind)


def _listener(pod: PodView, service: Service, port: ServicePort, place: tuple[int, str, str], kind: str) -> Spec:
    state = _state(pod, place[2], is_ignored=False).get("state")
    return {
        "type": kind,
        **({"address": pod.address} if pod.address else {}),
        "port": place[0],
        "name": port.name or f"{service.name}-{port.port}",
        **({"state": state} if state else {}),
    }


def _metrics(pod: PodView, pointer: str, found: list[Finding]) -> Spec:
    path, port = (pod.annotations.get(f"{METRICS}/{name}") for name in ("path", "port"))
    applications = [_aggregate(name, said, pointer, found) for name, said in aggregates(pod.annotations).items()]
    if path is None and port is None and not applications:
        return {}
    conf: Spec = {
        **({"path": path} if path else {}),
        **({"port": int(port)} if port else {}),
        **({"aggregate": applications} if applications else {}),
    }
    return {"type": "prometheus", "conf": conf}


def _aggregate(name: str, said: Mapping[str, str], pointer: str, found: list[Finding]) -> Spec:
    is_enabled = is_true(said.get("enabled", "true"))
    if is_enabled and "port" not in said:
        at = join(pointer, "metadata", "annotations", f"{METRICS}/aggregate-{name}-{next(iter(said))}")
        found.append(Finding(at, BAD_DATAPLANE, f"metrics of {name!r} need a port", f"add aggregate-{name}-port"))
    return {
        "name": name,
        "path": said.get("path", "/metrics"),
        "enabled": is_enabled,
        **({"port": int(said["port"])} if "port" in said else {}),
        **({"address": said["address"]} if "address" in said else {}),
    }


def _virtual_probes(pod: PodView) -> Spec:
    """Of probes that lead to `/<port>/path` already."""
    if not switch(pod.annotations, VIRTUAL, default=False):
        return {}
    endpoints = [
        {"inboundPort": int(parts[1]), "inboundPath": f"/{parts[2]}", "path": path}
        for container in pod.containers
        if container.get("name") != SIDECAR
        for path in _probe_paths(container)
        if len(parts := path.split("/", 2)) == 3 and parts[1].isascii() and parts[1].isdigit() and len(parts[1]) < 10
    ]
    return {"port": int(pod.annotations.get(f"{VIRTUAL}-port", "9000")), "endpoints": endpoints}


def _probe_paths(container: Mapping[str, Any]) -> Iterator[str]:
    for name in PROBES:
        probe = container.get(name)
        action = probe.get("httpGet") if isinstance(probe, dict) else None
        if isinstance(action, dict):
            yield str(action.get("path") or "/")
