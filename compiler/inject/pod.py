"""One pod with its sidecar: annotations, volumes, containers and probes, as Kuma's injector adds them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.annotations import BAD_ANNOTATION, Annotations, check_annotations, check_texts, switch
from compiler.inject.containers import (
    TOKEN_FOLDER,
    drain_seconds,
    init_container,
    injected_volumes,
    patch_names,
    sidecar_container,
    validation_container,
)
from compiler.inject.dataplanes import REACHABLE, read_reachable
from compiler.inject.manifests import BATCH, Workload, mappings
from compiler.inject.patches import Patch, apply_patches, select_patches
from compiler.inject.probes import check_gateway_probes, probe_annotations, redirect_probes
from compiler.inject.redirection import INBOUND_PORT, OUTBOUND_PORT, is_gateway, redirect_annotations
from compiler.inject.selection import MESH
from compiler.inject.settings import InjectSettings
from compiler.resources.findings import NO_EFFECT, Finding, join

NO_VOLUME: Final = Code(
    "no-such-volume",
    Severity.ERROR,
    "the volume of the service account's token does not exist",
    "`kuma.io/service-account-token-volume` names a volume of the pod. Kuma refuses the pod.",
)
JOB_NEVER_ENDS: Final = Code(
    "job-never-ends",
    Severity.WARNING,
    "a Job whose sidecar keeps it from ending",
    "A Job is done when all its containers have ended, and a sidecar never ends by itself. A native sidecar (an init "
    "container that goes on; Kubernetes 1.29) is ended by Kubernetes.",
)
DRAIN_CUT_OFF: Final = Code(
    "drain-cut-off",
    Severity.WARNING,
    "a pod is killed before its sidecar has drained",
    "Kubernetes kills a pod `terminationGracePeriodSeconds` after it was told to end, 30 s where nothing is said. "
    "Requests that are still answered then are lost.",
)

DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
TOKEN_VOLUME: Final = "kuma.io/service-account-token-volume"  # noqa: S105  # the name of an annotation
_GRACE_SECONDS: Final = 30
_MARGIN_SECONDS: Final = 5
_KUMA_VARIABLES: Final = "KUMA_"


@dataclass(frozen=True, slots=True)
class Injection:
    """What one pod is given: its mesh, the name of its workload, and the patches that there are."""

    settings: InjectSettings
    mesh: str
    workload: str
    patches: Mapping[str, Patch]


def inject_pod(workload: Workload, injection: Injection, found: list[Finding]) -> dict[str, Any]:
    """The pod with its sidecar; where something is wrong it is found, and what is returned is of no use."""
    settings = injection.settings
    before = len(found)
    found += check_pod_annotations(workload, settings)
    found += _check_time(workload, settings)
    if _has_errors(found[before:]):
        return dict(workload.pod)
    annotations = _annotations(workload, settings)
    chosen = _chosen_patches(workload, injection, found)
    sidecar, inits = _containers(workload, injection, annotations, chosen, found)
    return _assemble(workload, injection, annotations, sidecar, inits, found)


def check_pod_annotations(workload: Workload, settings: InjectSettings) -> Iterator[Finding]:
    """All that is wrong with what the pod says of itself."""
    at = join(workload.pointer, "metadata", "annotations")
    annotations = workload.metadata.get("annotations") or {}
    yield from check_texts(workload.metadata.get("labels"), join(workload.pointer, "metadata", "labels"))
    yield from check_annotations(annotations, at)
    yield from check_gateway_probes(workload.annotations, at)
    if read_reachable(workload.annotations.get(REACHABLE, "")) is None:
        message = f"{REACHABLE} must be YAML with refs, each with a kind and a name or labels"
        yield Finding(join(at, REACHABLE), BAD_ANNOTATION, message, "such as refs: [{kind: MeshService, name: orders}]")
    yield from _check_overruled(workload.annotations, settings, at)


def _check_overruled(annotations: Annotations, settings: InjectSettings, pointer: str) -> Iterator[Finding]:
    """Redirection is one for all pods: Kuma puts its own in the place of what a pod says."""
    traffic = settings.traffic
    ours = {INBOUND_PORT: traffic.redirect_port_inbound, OUTBOUND_PORT: traffic.redirect_port_outbound}
    for name, port in ours.items():
        if annotations.get(name, str(port)) != str(port):
            message = f"{name} of a pod does not count: the settings say {port}"
            yield Finding(join(pointer, name), NO_EFFECT, message, "take it out, or change the settings")
    if not switch(annotations, "kuma.io/transparent-proxying", default=True):
        message = "transparent proxying cannot be switched off for a pod on Kubernetes"
        yield Finding(join(pointer, "kuma.io/transparent-proxying"), NO_EFFECT, message, "take it out")


def _check_time(workload: Workload, settings: InjectSettings) -> Iterator[Finding]:
    name = workload.owner.name
    if workload.owner.kind in BATCH and not settings.native_sidecars:
        message = f"the sidecar of {workload.owner.kind} {name!r} keeps it from ending"
        yield Finding(join(workload.pointer, "spec"), JOB_NEVER_ENDS, message, "use --native-sidecars", on_key=True)
    grace = workload.spec.get("terminationGracePeriodSeconds")
    drain = drain_seconds(workload.annotations, settings)
    if isinstance(grace, int) and grace < drain:
        at = join(workload.pointer, "spec", "terminationGracePeriodSeconds")
        message = f"the sidecar drains for {drain:g}s and the pod is killed after {grace}s"
        yield Finding(at, DRAIN_CUT_OFF, message, "give the pod longer, or set kuma.io/sidecar-drain-time")


def _annotations(workload: Workload, settings: InjectSettings) -> dict[str, str]:
    """All that the injected containers depend on; what the pod says itself stays in its place."""
    own = workload.annotations
    containers = workload.spec["containers"]
    added = {
        **({DEFAULT_CONTAINER: containers[0]["name"]} if len(containers) == 1 and DEFAULT_CONTAINER not in own else {}),
        "kuma.io/sidecar-injected": "true",
        "kuma.io/envoy-admin-port": own.get("kuma.io/envoy-admin-port", str(settings.sidecar.admin_port)),
        **redirect_annotations(own, settings),
        **probe_annotations(own, settings.probes),
        **({"k8s.v1.cni.cncf.io/networks": "kuma-cni"} if settings.traffic.cni else {}),
    }
    return {**own, **added}


def _chosen_patches(workload: Workload, injection: Injection, found: list[Finding]) -> Sequence[Patch]:
    names = patch_names(workload.annotations, injection.settings)
    pointer = join(workload.pointer, "metadata", "annotations", "kuma.io/container-patches")
    return select_patches(names, injection.patches, pointer, found)


def _containers(
    workload: Workload,
    injection: Injection,
    annotations: Annotations,
    patches: Sequence[Patch],
    found: list[Finding],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The sidecar and at most one init container, patched."""
    settings = injection.settings
    at = join(workload.pointer, "spec")
    mounts = _token_mounts(workload, found)
    identity = {"mesh": injection.mesh, "workload": injection.workload}
    if mounts or workload.spec.get("automountServiceAccountToken") is not False:
        identity["token"] = f"{TOKEN_FOLDER}/token"
    sidecar = sidecar_container(annotations, settings, identity, mounts)
    sidecar = apply_patches(sidecar, patches, init=False, pointer=at, found=found)
    found += _check_variables(sidecar, at)
    plain = (_with_root(each, workload) for each in _init_containers(annotations, settings))
    return sidecar, [apply_patches(each, patches, init=True, pointer=at, found=found) for each in plain]


def _init_containers(annotations: Annotations, settings: InjectSettings) -> Iterator[dict[str, Any]]:
    if not settings.traffic.cni:
        yield init_container(annotations, settings)
    elif not is_gateway(annotations):
        yield validation_container(annotations, settings)


def _with_root(container: dict[str, Any], workload: Workload) -> dict[str, Any]:
    """Where a pod forbids it to all of its containers, one that must be root to change the network is excepted."""
    context = container["securityContext"]
    pods = workload.spec.get("securityContext")
    if context["runAsUser"] != 0 or not isinstance(pods, dict) or pods.get("runAsNonRoot") is not True:
        return container
    return {**container, "securityContext": {**context, "runAsNonRoot": False}}


def _token_mounts(workload: Workload, found: list[Finding]) -> Sequence[Mapping[str, Any]]:
    """The API server mounts the token into every container; here are the pods that do it otherwise."""
    named = workload.annotations.get(TOKEN_VOLUME)
    if named is None:
        mounts = (each for container in workload.spec["containers"] for each in mappings(container.get("volumeMounts")))
        return [each for each in mounts if each.get("mountPath") == TOKEN_FOLDER][:1]
    if not any(volume["name"] == named for volume in workload.spec.get("volumes") or ()):
        pointer = join(workload.pointer, "metadata", "annotations", TOKEN_VOLUME)
        found.append(Finding(pointer, NO_VOLUME, f"the pod has no volume {named[:64]!r}", "add it to spec.volumes"))
    return [{"mountPath": TOKEN_FOLDER, "name": named, "readOnly": True}]


def _check_variables(sidecar: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Settings for Kuma's own sidecar mean nothing to ours."""
    names = (str(each.get("name")) for each in mappings(sidecar.get("env")))
    for name in sorted({name for name in names if name.startswith(_KUMA_VARIABLES)}):
        message = f"our sidecar does not read the variable {name}"
        hint = "`meshwright dataplane run` reads MESHWRIGHT_DATAPLANE_RUN_… variables, one for each of its options"
        yield Finding(pointer, NO_EFFECT, message, hint)


def _assemble(
    workload: Workload,
    injection: Injection,
    annotations: Annotations,
    sidecar: dict[str, Any],
    inits: list[dict[str, Any]],
    found: list[Finding],
) -> dict[str, Any]:
    settings, spec = injection.settings, workload.spec
    at = join(workload.pointer, "spec")
    native = settings.native_sidecars
    own_inits = list(spec.get("initContainers") or ())
    if native:
        own_inits = _redirect_lasting(own_inits, annotations, join(at, "initContainers"), found)
    first = native or switch(annotations, "kuma.io/init-first", default=False)
    init_containers = [
        *(inits if first else ()),
        *([sidecar] if native else ()),
        *own_inits,
        *(() if first else inits),
    ]
    containers = redirect_probes(spec["containers"], annotations, join(at, "containers"), found)
    volumes = _volumes(spec, annotations, settings)
    changed = {
        **spec,
        **({"initContainers": init_containers} if init_containers else {}),
        "containers": containers if native else [sidecar, *containers],
        "volumes": volumes,
        **_grace(workload, settings),
    }
    metadata = {
        **workload.metadata,
        "labels": {**(workload.metadata.get("labels") or {}), MESH: injection.mesh},
        "annotations": {**(workload.metadata.get("annotations") or {}), **annotations},
    }
    return {**workload.pod, "metadata": metadata, "spec": changed}


def _redirect_lasting(
    inits: Sequence[Mapping[str, Any]], annotations: Annotations, pointer: str, found: list[Finding]
) -> list[dict[str, Any]]:
    """Only an init container that goes on has probes."""
    pairs = zip(inits, redirect_probes(inits, annotations, pointer, found), strict=True)
    return [new if old.get("restartPolicy") == "Always" else dict(old) for old, new in pairs]


def _volumes(spec: Mapping[str, Any], annotations: Annotations, settings: InjectSettings) -> list[Mapping[str, Any]]:
    """One that the pod has already stays the pod's."""
    own = list(spec.get("volumes") or ())
    names = {volume["name"] for volume in own}
    return [*own, *(volume for volume in injected_volumes(annotations, settings) if volume["name"] not in names)]


def _grace(workload: Workload, settings: InjectSettings) -> Mapping[str, int]:
    """Where nothing is said, the pod lives as long as its sidecar drains."""
    drain = drain_seconds(workload.annotations, settings)
    if "terminationGracePeriodSeconds" in workload.spec or drain < _GRACE_SECONDS:
        return {}
    return {"terminationGracePeriodSeconds": int(drain) + _MARGIN_SECONDS}


def _has_errors(findings: Sequence[Finding]) -> bool:
    return any((each.severity or each.code.severity) is Severity.ERROR for each in findings)
