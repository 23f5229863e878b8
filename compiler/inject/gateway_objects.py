"""The Deployment and the Service of a builtin gateway, as Kuma's controller makes them (Kuma 2.14)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from compiler.inject.annotations import Annotations, read_texts
from compiler.inject.containers import TOKEN_FOLDER, drain_seconds, injected_volumes, sidecar_container
from compiler.inject.redirection import GATEWAY
from compiler.inject.selection import INJECTION, MESH
from compiler.inject.settings import InjectSettings, Share
from compiler.resources.label_names import SERVICE, ZONE
from compiler.resources.model import MeshGateway, MeshGatewayInstance

CONTAINER: Final = "kuma-gateway"
APP: Final = "app"
"""The label by which Service and Deployment know the pods."""
TAGS: Final = "kuma.io/tags"
_BUILTIN: Final = "builtin"
_NODE_PORTS: Final = range(30000, 32768)
_MARGIN_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class GatewayInstance:
    """A MeshGatewayInstance and what is known around it; `annotations` are those that its proxies go by."""

    name: str
    namespace: str
    mesh: str
    workload: str
    annotations: Annotations
    spec: MeshGatewayInstance

    @property
    def service(self) -> str:
        """What Kuma calls it in the mesh."""
        return f"{self.name}_{self.namespace}_svc"

    @property
    def tags(self) -> dict[str, str]:
        return dict(sorted({**self.spec.tags, SERVICE: self.service}.items()))


def make_deployment(instance: GatewayInstance, settings: InjectSettings) -> dict[str, Any]:
    """Its proxies may listen on every port without being root."""
    template = instance.spec.pod_template
    metadata, spec = template.get("metadata", {}), template.get("spec", {})
    labels = {
        **read_texts(metadata.get("labels")),
        APP: instance.name,
        INJECTION: "disabled",
        MESH: instance.mesh,
    }
    annotations = {
        **read_texts(metadata.get("annotations")),
        GATEWAY: _BUILTIN,
        MESH: instance.mesh,
        TAGS: json.dumps(instance.tags, separators=(",", ":")),
    }
    ours = _settings(instance, settings)
    pod = {
        **({"serviceAccountName": spec["serviceAccountName"]} if spec.get("serviceAccountName") else {}),
        "securityContext": {
            **spec.get("securityContext", {}),
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        },
        "terminationGracePeriodSeconds": int(drain_seconds(instance.annotations, ours)) + _MARGIN_SECONDS,
        "containers": [_container(instance, ours)],
        "volumes": list(injected_volumes(instance.annotations, ours)),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": instance.name, "namespace": instance.namespace},
        "spec": {
            "replicas": instance.spec.replicas,
            "selector": {"matchLabels": {APP: instance.name}},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod},
        },
    }


def make_service(instance: GatewayInstance, gateway: MeshGateway) -> dict[str, Any]:
    """A port for each that the gateway listens on; a node has some of them only."""
    template = instance.spec.service_template
    metadata, balancer = template.get("metadata", {}), template.get("spec", {}).get("loadBalancerIP")
    labels = read_texts(metadata.get("labels"))
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": instance.name,
            "namespace": instance.namespace,
            **({"labels": labels} if labels else {}),
            "annotations": {GATEWAY: _BUILTIN, **read_texts(metadata.get("annotations"))},
        },
        "spec": {
            "type": instance.spec.service_type,
            **({"loadBalancerIP": balancer} if balancer else {}),
            "selector": {APP: instance.name},
            "ports": list(_ports(gateway, instance.spec.service_type)),
        },
    }


def make_template(instance: GatewayInstance, settings: InjectSettings) -> dict[str, Any]:
    """What each of its proxies is in the mesh."""
    zone = settings.dataplanes.zone
    port = instance.annotations.get("kuma.io/envoy-admin-port", settings.sidecar.admin_port)
    tags = {**instance.tags, **({ZONE: zone} if zone else {})}
    return {"networking": {"gateway": {"type": "BUILTIN", "tags": tags}, "admin": {"port": int(port)}}}


def _ports(gateway: MeshGateway, kind: str) -> Iterator[dict[str, Any]]:
    """Listeners of one port differ in their host names."""
    for port in dict.fromkeys(listener.port for listener in gateway.conf.listeners):
        node = {"nodePort": port} if kind == "NodePort" and port in _NODE_PORTS else {}
        yield {"name": str(port), "protocol": "TCP", "port": port, "targetPort": port, **node}


def _settings(instance: GatewayInstance, settings: InjectSettings) -> InjectSettings:
    """A sidecar's, but that nothing is redirected and nobody waits for it; threads go by the limit that it has."""
    sidecar = settings.sidecar
    cpu = instance.spec.resources.get("limits", {}).get("cpu")
    limits = sidecar.limits if cpu is None else Share(str(cpu), sidecar.limits.memory)
    return replace(
        settings,
        native_sidecars=False,
        sidecar=replace(sidecar, limits=limits, wait_for_dataplane_ready=False),
        traffic=replace(settings.traffic, cni=True, ebpf=False),
    )


def _container(instance: GatewayInstance, settings: InjectSettings) -> dict[str, Any]:
    identity = {"mesh": instance.mesh, "workload": instance.workload, "token": f"{TOKEN_FOLDER}/token"}
    container = sidecar_container(instance.annotations, settings, identity, ())
    own: Mapping[str, Any] = instance.spec.pod_template.get("spec", {}).get("container", {}).get("securityContext", {})
    return {
        **container,
        "name": CONTAINER,
        "securityContext": {**container["securityContext"], **own},
        **({"resources": dict(instance.spec.resources)} if instance.spec.resources else {}),
    }
