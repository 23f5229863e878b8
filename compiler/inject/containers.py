"""The containers that are added to a pod, before any ContainerPatch."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from compiler.inject.annotations import Annotations, switch, words
from compiler.inject.manifests import mappings
from compiler.inject.quantities import read_duration, read_quantity
from compiler.inject.redirection import DNS, EBPF, INBOUND_PORT, IP_FAMILY_MODE, PROBE_PORT, is_ebpf, redirect_words
from compiler.inject.settings import INIT, SIDECAR, VALIDATION, InjectSettings

TOKEN_FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  # where it is, not what it is
SPIRE: Final = "k8s.kuma.io/spire-support"
SPIRE_FOLDER: Final = "/run/spire/sockets"
SPIRE_VOLUME: Final = "kuma-spire-agent-socket"
SIDECAR_TMP: Final = "kuma-sidecar-tmp"
INIT_TMP: Final = "kuma-init-tmp"
CONCURRENCY: Final = "kuma.io/sidecar-proxy-concurrency"
WAIT: Final = "kuma.io/wait-for-dataplane-ready"
FEWEST_WORKERS: Final = 2
MOST_WORKERS: Final = 10

_RUN: Final = "MESHWRIGHT_DATAPLANE_RUN_"
_INIT_RESOURCES: Final = {
    "limits": {"cpu": "100m", "memory": "50M"},
    "requests": {"cpu": "20m", "memory": "20M"},
}


def sidecar_container(
    annotations: Annotations, settings: InjectSettings, identity: Mapping[str, str], mounts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """`identity` are its mesh, workload and token, if it has one; `mounts` is where the token's volume is named."""
    sidecar = settings.sidecar
    port = _admin_port(annotations, settings)
    container: dict[str, Any] = {
        "name": SIDECAR,
        "image": sidecar.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["dataplane", "run", *_concurrency(annotations, settings)],
        "env": _environment(annotations, settings, identity),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": sidecar.gid,
            "runAsUser": sidecar.uid,
        },
        "livenessProbe": _probe(port, initialDelaySeconds=60),
        "readinessProbe": _probe(port, initialDelaySeconds=1),
        "resources": {
            "limits": {"cpu": sidecar.limits.cpu, "ephemeral-storage": "1G", "memory": sidecar.limits.memory},
            "requests": {"cpu": sidecar.requests.cpu, "ephemeral-storage": "50M", "memory": sidecar.requests.memory},
        },
        "volumeMounts": [*mounts, {"mountPath": "/tmp", "name": SIDECAR_TMP}, *_spire_mounts(annotations)],  # noqa: S108  # a volume of its own
    }
    if settings.native_sidecars:
        container |= _native(port)
    elif switch(annotations, WAIT, default=sidecar.wait_for_dataplane_ready):
        url = f"http://localhost:{port}/ready"
        wait = {"exec": {"command": ["meshwright", "dataplane", "wait", "--url", url]}}
        container["lifecycle"] = {"postStart": wait}
    return container


def init_container(annotations: Annotations, settings: InjectSettings) -> dict[str, Any]:
    """Kuma's own: it needs the right to change the pod's network, and has it only until it ends."""
    container: dict[str, Any] = {
        "name": INIT,
        "image": settings.traffic.init_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/bin/kumactl", "install", "transparent-proxy"],
        "args": list(redirect_words(annotations)),
        "env": [{"name": "XTABLES_LOCKFILE", "value": "/tmp/xtables.lock"}],  # noqa: S108  # a volume of its own
        "securityContext": {
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": 0,
            "runAsUser": 0,
        },
        "resources": _INIT_RESOURCES,
        "volumeMounts": [{"mountPath": "/tmp", "name": INIT_TMP}],  # noqa: S108  # a volume of its own
    }
    return container | _ebpf(annotations) if is_ebpf(annotations, settings.traffic) else container


def validation_container(annotations: Annotations, settings: InjectSettings) -> dict[str, Any]:
    """With CNI the node redirects; this one ends only when it finds that it did."""
    return {
        "name": VALIDATION,
        "image": settings.traffic.init_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/bin/kumactl", "install", "transparent-proxy-validator"],
        "args": [
            *("--config-file", "/tmp/.kumactl"),  # noqa: S108  # a volume of its own
            *("--ip-family-mode", annotations[IP_FAMILY_MODE]),
            *("--validation-server-port", annotations[INBOUND_PORT]),
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": settings.sidecar.gid,
            "runAsUser": settings.sidecar.uid,
        },
        "resources": _INIT_RESOURCES,
        "volumeMounts": [{"mountPath": "/tmp", "name": SIDECAR_TMP}],  # noqa: S108  # a volume of its own
    }


def injected_volumes(annotations: Annotations, settings: InjectSettings) -> Iterator[dict[str, Any]]:
    """Small ones: what is written there is a bootstrap and some sockets."""
    for name in (SIDECAR_TMP,) if settings.traffic.cni else (INIT_TMP, SIDECAR_TMP):
        yield {"name": name, "emptyDir": {"sizeLimit": "10M"}}
    if switch(annotations, SPIRE, default=False):
        yield {"name": SPIRE_VOLUME, "csi": {"driver": "csi.spiffe.io", "readOnly": True}}
    if is_ebpf(annotations, settings.traffic):
        yield {"name": "sys-fs-cgroup", "hostPath": {"path": annotations[f"{EBPF}-cgroup-path"]}}
        yield {"name": "bpf-fs", "hostPath": {"path": annotations[f"{EBPF}-bpf-fs-path"]}}


def drain_seconds(annotations: Annotations, settings: InjectSettings) -> float:
    return read_duration(annotations.get("kuma.io/sidecar-drain-time", settings.sidecar.drain_time)) or 0.0


def shows_token(pod: Mapping[str, Any]) -> bool:
    """Whether its sidecar has a token and no authority by which it knows whom it sends it to."""
    spec = pod["spec"]
    both = (*mappings(spec.get("initContainers")), *mappings(spec["containers"]))
    sidecar: Mapping[str, Any] = next((each for each in both if each.get("name") == SIDECAR), {})
    said = {each.get("name") for each in mappings(sidecar.get("env")) if each.get("value") or each.get("valueFrom")}
    return f"{_RUN}TOKEN_FILE" in said and f"{_RUN}CA_CERT" not in said


def workers(limit: str) -> int:
    """Envoy's threads for a CPU limit: at least 2, so that one that blocks does not stop all, at most 10."""
    cores = read_quantity(limit) or Decimal(0)
    return min(max(int(cores), FEWEST_WORKERS), MOST_WORKERS)


def _concurrency(annotations: Annotations, settings: InjectSettings) -> tuple[str, ...]:
    """0 leaves it to the sidecar, which looks at the processors that it may use."""
    count = int(annotations.get(CONCURRENCY, workers(settings.sidecar.limits.cpu)))
    return (f"--concurrency={count}",) if count else ()


def _admin_port(annotations: Annotations, settings: InjectSettings) -> int:
    return int(annotations.get("kuma.io/envoy-admin-port", settings.sidecar.admin_port))


def _environment(
    annotations: Annotations, settings: InjectSettings, identity: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Kubernetes fills in `$(POD_NAME)` from variables that stand before."""
    dns = switch(annotations, DNS, default=False)
    from_pod = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "INSTANCE_IP": "status.podIP"}
    values = {
        f"{_RUN}MESH": identity["mesh"],
        f"{_RUN}NAME": "$(POD_NAME).$(POD_NAMESPACE)",
        f"{_RUN}CLUSTER": identity["workload"],
        f"{_RUN}SERVER": settings.server,
        f"{_RUN}DRAIN_TIME": f"{drain_seconds(annotations, settings):g}",
        **({f"{_RUN}TOKEN_FILE": identity["token"]} if "token" in identity else {}),
        f"{_RUN}DNS": str(dns).lower(),
        f"{_RUN}READINESS": f"127.0.0.1:{_admin_port(annotations, settings)}",
    }
    if (port := annotations.get(PROBE_PORT, "0")) != "0":
        values[f"{_RUN}APPLICATION_PROBE_PROXY_PORT"] = port
    if settings.ca_cert:
        values[f"{_RUN}CA_CERT"] = settings.ca_cert
    if dns:
        values[f"{_RUN}DNS_PORT"] = annotations[f"{DNS}-port"]
    for name, suffix in (("envoy-log-level", "LOG_LEVEL"), ("envoy-component-log-level", "COMPONENT_LOG_LEVEL")):
        if level := annotations.get(f"kuma.io/{name}"):
            values[f"{_RUN}{suffix}"] = "warning" if level == "warn" else level
    if annotations.get("kuma.io/xds-transport-protocol-variant") == "GRPC":
        values[f"{_RUN}STATE_OF_THE_WORLD"] = "true"
    if switch(annotations, SPIRE, default=False):
        values[f"{_RUN}SPIRE"] = "true"
    values |= {**settings.sidecar.env, **_own_variables(annotations)}
    fields = [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for name, path in from_pod.items()
        if name not in values
    ]
    return [*fields, *({"name": name, "value": value} for name, value in values.items())]


def _own_variables(annotations: Annotations) -> Mapping[str, str]:
    pairs = annotations.get("kuma.io/sidecar-env-vars", "")
    return dict(pair.split("=", 1) for pair in pairs.split(";")) if pairs else {}


def _probe(port: int, **timing: int) -> dict[str, Any]:
    return {
        "failureThreshold": 12,
        "httpGet": {"path": "/ready", "port": port},
        **timing,
        "periodSeconds": 5,
        "successThreshold": 1,
        "timeoutSeconds": 3,
    }


def _native(port: int) -> dict[str, Any]:
    """An init container that goes on: the application starts after it is ready and stops before it."""
    return {
        "restartPolicy": "Always",
        "startupProbe": _probe(port, initialDelaySeconds=1),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "kill -USR2 1"]}}},
    }


def _spire_mounts(annotations: Annotations) -> Iterator[Mapping[str, Any]]:
    if switch(annotations, SPIRE, default=False):
        yield {"mountPath": SPIRE_FOLDER, "name": SPIRE_VOLUME, "readOnly": True}


def _ebpf(annotations: Annotations) -> dict[str, Any]:
    """Loading programs into the kernel takes more rights, and the node's own folders."""
    paths = {name: annotations[f"{EBPF}-{name}"] for name in ("cgroup-path", "bpf-fs-path")}
    variable = annotations.get(f"{EBPF}-instance-ip-env-var-name", "INSTANCE_IP")
    return {
        "env": [{"name": variable, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
        "securityContext": {
            "capabilities": {},
            "privileged": True,
            "readOnlyRootFilesystem": True,
            "runAsGroup": 0,
            "runAsUser": 0,
        },
        "resources": {**_INIT_RESOURCES, "limits": {"cpu": "100m", "memory": "80M"}},
        "volumeMounts": [
            {"mountPath": "/tmp", "name": INIT_TMP},  # noqa: S108  # a volume of its own
            {"mountPath": paths["cgroup-path"], "name": "sys-fs-cgroup"},
            {"mountPath": paths["bpf-fs-path"], "mountPropagation": "Bidirectional", "name": "bpf-fs"},
        ],
    }


def patch_names(annotations: Annotations, settings: InjectSettings) -> tuple[str, ...]:
    """Those for every pod first, then those that the pod names."""
    own = (name.strip() for name in words(annotations, "kuma.io/container-patches"))
    return (*settings.container_patches, *(name for name in own if name))
