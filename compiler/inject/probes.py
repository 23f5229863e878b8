"""Probes of applications, which the kubelet sends without mTLS: they go to the sidecar, which asks the application.

By the proxy for probes (HTTP, TCP and gRPC); where that is off, by Kuma's older virtual probes (HTTP only).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.annotations import Annotations, switch
from compiler.inject.manifests import mappings
from compiler.inject.redirection import GATEWAY, PROBE_PORT, is_gateway
from compiler.inject.settings import SIDECAR, ProbeSettings
from compiler.resources.findings import Finding, join

BAD_PROBE: Final = Code(
    "bad-probe",
    Severity.ERROR,
    "a probe that cannot be sent by way of the sidecar",
    "The kubelet cannot ask the application itself once all its traffic needs mTLS. The probe's port must be a number "
    "or the name of one of its container's ports, and not the port on which the sidecar takes probes.",
)
VIRTUAL: Final = "kuma.io/virtual-probes"
PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")

_HEADER: Final = "x-kuma-probes-"
_KINDS: Final = ("httpGet", "tcpSocket", "grpc")


def probe_annotations(annotations: Annotations, probes: ProbeSettings) -> Mapping[str, str]:
    """A gateway's own workload takes what comes from outside, so nothing of it is sent another way."""
    if is_gateway(annotations):
        return {VIRTUAL: "disabled", f"{VIRTUAL}-port": _virtual_port(annotations, probes), PROBE_PORT: "0"}
    port = annotations.get(PROBE_PORT, str(probes.application_port))
    enabled = switch(annotations, VIRTUAL, default=probes.virtual and port == "0")
    return {
        VIRTUAL: "enabled" if enabled else "disabled",
        f"{VIRTUAL}-port": _virtual_port(annotations, probes),
        PROBE_PORT: port,
    }


def check_gateway_probes(annotations: Annotations, pointer: str) -> Iterator[Finding]:
    """What is asked for by the pod itself, and cannot be had by a gateway."""
    if not is_gateway(annotations):
        return
    for name, wanted in ((VIRTUAL, switch(annotations, VIRTUAL, default=False)), (PROBE_PORT, _proxied(annotations))):
        if wanted:
            message = f"{name} cannot be had together with {GATEWAY}"
            yield Finding(join(pointer, name), BAD_PROBE, message, "take it out: a gateway's probes need no help")


def redirect_probes(
    containers: Sequence[Mapping[str, Any]], annotations: Annotations, pointer: str, found: list[Finding]
) -> list[dict[str, Any]]:
    """The containers with their probes by way of the sidecar; `annotations` are those of an injected pod."""
    port = int(annotations[PROBE_PORT])
    kinds = _KINDS if port else ("httpGet",) if switch(annotations, VIRTUAL, default=False) else ()
    port = port or int(annotations[f"{VIRTUAL}-port"])
    return [
        _redirect_container(container, kinds, port, join(pointer, index), found)
        for index, container in enumerate(containers)
    ]


def _virtual_port(annotations: Annotations, probes: ProbeSettings) -> str:
    return annotations.get(f"{VIRTUAL}-port", str(probes.virtual_port))


def _proxied(annotations: Annotations) -> bool:
    return annotations.get(PROBE_PORT, "0") != "0"


def _redirect_container(
    container: Mapping[str, Any], kinds: Sequence[str], port: int, pointer: str, found: list[Finding]
) -> dict[str, Any]:
    changed = dict(container)
    if container.get("name") == SIDECAR:
        return changed
    for name in PROBES:
        probe = container.get(name)
        kind = next((kind for kind in kinds if isinstance(probe, dict) and isinstance(probe.get(kind), dict)), None)
        if kind is not None:
            changed[name] = _redirect(container, container[name], kind, port, join(pointer, name), found)
    return changed


def _redirect(
    container: Mapping[str, Any],
    probe: Mapping[str, Any],
    kind: str,
    port: int,
    pointer: str,
    found: list[Finding],
) -> dict[str, Any]:
    target = _port(container, probe[kind].get("port"))
    if target is None or target == port:
        problem = f"is {port}, on which the sidecar takes probes" if target else "is none of its container's ports"
        message = f"the port of the probe {problem}"
        hint = f"another {PROBE_PORT} can be given" if target else "name the port in the container's ports"
        found.append(Finding(join(pointer, kind, "port"), BAD_PROBE, message, hint))
        return dict(probe)
    rest = {key: value for key, value in probe.items() if key not in _KINDS}
    headers = list(_headers(kind, probe))
    path = {"httpGet": f"/{target}{_path(probe[kind])}", "tcpSocket": f"/tcp/{target}", "grpc": f"/grpc/{target}"}[kind]
    redirected: dict[str, Any] = {"path": path, "port": port}
    if headers:
        redirected["httpHeaders"] = headers
    return {"httpGet": redirected, **rest}


def _path(action: Mapping[str, Any]) -> str:
    path = str(action.get("path") or "/")
    return path if path.startswith("/") else f"/{path}"


def _headers(kind: str, probe: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What the request to the sidecar would lose travels in headers that its proxy for probes reads."""
    action = probe[kind]
    for header in mappings(action.get("httpHeaders")) if kind == "httpGet" else ():
        yield {**header, "name": f"{_HEADER}host"} if header.get("name") == "Host" else dict(header)
    if kind == "httpGet" and action.get("scheme", "HTTP") != "HTTP":
        yield {"name": f"{_HEADER}scheme", "value": str(action["scheme"])}
    timeout = probe.get("timeoutSeconds")
    if isinstance(timeout, int) and timeout > 1:
        yield {"name": f"{_HEADER}timeout", "value": str(timeout)}
    if kind == "grpc" and action.get("service"):
        yield {"name": f"{_HEADER}grpc-service", "value": str(action["service"])}


def _port(container: Mapping[str, Any], port: object) -> int | None:
    """By number, also one in quotes, or by the name of one of the container's ports."""
    if isinstance(port, int) and not isinstance(port, bool):
        return port
    if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) < 6:
        return int(port)
    for each in mappings(container.get("ports")):
        if port is not None and each.get("name") == port:
            number = each.get("containerPort")
            return number if isinstance(number, int) else None
    return None
