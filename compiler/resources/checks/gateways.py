"""What the listeners of builtin gateways must hold beyond their schemas (kuma-policies §4.1)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.resources.checks.sources import check_source
from compiler.resources.checks.tags import check_selectors
from compiler.resources.findings import (
    BAD_VALUE,
    EXCLUSIVE_FIELDS,
    LISTENER_CONFLICT,
    MISSING_FIELD,
    NO_EFFECT,
    Finding,
    join,
)
from compiler.resources.label_names import PROTOCOL, SERVICE, ZONE

_RESERVED: Final = (SERVICE, PROTOCOL, ZONE, "kuma.io/external-service-name")
_ENCRYPTED: Final = frozenset({"HTTPS", "TLS"})


def check_gateway(gateway: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Its listeners can stand beside each other."""
    yield from check_selectors(gateway["selectors"], join(pointer, "selectors"))
    yield from _check_own_tags(gateway.get("tags", {}), join(pointer, "tags"))
    listeners, at = gateway["conf"].get("listeners", ()), join(pointer, "conf", "listeners")
    if not listeners:
        yield Finding(at, MISSING_FIELD, "the gateway has no listeners", "add one with port and protocol", on_key=True)
    for index, listener in enumerate(listeners):
        yield from _check_listener(listener, join(at, index))
    yield from _check_shared_ports(listeners, at)


def check_gateway_instance(instance: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Its proxies are called by its name and namespace, since Kuma 2.7."""
    if SERVICE in instance.get("tags", {}):
        message = f"{SERVICE} of a gateway's proxies is made of its name and namespace: NAME_NAMESPACE_svc"
        hint = "take it out, and let the MeshGateway select that"
        yield Finding(join(pointer, "tags", SERVICE), BAD_VALUE, message, hint, on_key=True)


def check_gateway_config(config: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Its proxies get their service from their Gateway."""
    yield from _check_own_tags(config.get("tags", {}), join(pointer, "tags"))


def _check_own_tags(tags: Mapping[str, str], pointer: str) -> Iterator[Finding]:
    for name in _RESERVED:
        if name in tags:
            message = f"{name} comes from the proxy, so it cannot be set here"
            yield Finding(join(pointer, name), BAD_VALUE, message, "take it out", on_key=True)


def _check_listener(listener: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from _check_own_tags(listener.get("tags", {}), join(pointer, "tags"))
    if listener.get("crossMesh"):
        yield from _check_cross_mesh(listener, pointer)
        return
    protocol, tls, at = listener["protocol"], listener.get("tls"), join(pointer, "tls")
    if protocol not in _ENCRYPTED:
        if tls is not None:
            message = f"a listener of {protocol} has no tls"
            yield Finding(at, EXCLUSIVE_FIELDS, message, "take it out, or use HTTPS or TLS", on_key=True)
        return
    if tls is None:
        yield Finding(pointer, MISSING_FIELD, f"tls is missing for {protocol}", "give a certificate", on_key=True)
        return
    yield from _check_tls(protocol, tls, at)


def _check_cross_mesh(listener: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Other meshes come by mutual TLS of the mesh, to a name."""
    if listener["protocol"] != "HTTP":
        yield Finding(join(pointer, "protocol"), BAD_VALUE, "a listener for other meshes is of protocol HTTP")
    if "tls" in listener:
        message = "a listener for other meshes has no tls of its own"
        yield Finding(join(pointer, "tls"), EXCLUSIVE_FIELDS, message, "take it out", on_key=True)
    hostname = listener.get("hostname", "")
    if hostname in ("", "*"):
        message = "a listener for other meshes needs a hostname, by which they call it"
        yield Finding(pointer, MISSING_FIELD, message, "add hostname", on_key=True)
    elif "*" in hostname:
        message = "other meshes call a listener by its one hostname, which cannot be a wildcard"
        yield Finding(join(pointer, "hostname"), BAD_VALUE, message, "write one name")


def _check_tls(protocol: str, tls: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    mode, certificates = tls.get("mode"), tls.get("certificates", ())
    at = join(pointer, "certificates")
    if mode is None:
        yield Finding(pointer, MISSING_FIELD, "mode is missing in tls", "TERMINATE or PASSTHROUGH", on_key=True)
    elif mode == "PASSTHROUGH" and protocol == "HTTPS":
        message = "a listener of HTTPS reads requests, so it must decrypt them"
        yield Finding(join(pointer, "mode"), BAD_VALUE, message, "use mode TERMINATE, or protocol TLS")
    elif mode == "PASSTHROUGH" and certificates:
        message = "what is passed on needs no certificate"
        yield Finding(at, EXCLUSIVE_FIELDS, message, "take certificates out", on_key=True)
    elif mode == "TERMINATE" and not certificates:
        yield Finding(pointer, MISSING_FIELD, "certificates are missing in tls", "name a secret", on_key=True)
    for index, certificate in enumerate(certificates):
        yield from check_source(certificate, join(at, index), private=True)


def _check_shared_ports(listeners: Sequence[Mapping[str, Any]], pointer: str) -> Iterator[Finding]:
    """Those of one port are one listener of Envoy, which tells them apart by host name."""
    for index, listener in enumerate(listeners):
        others = [other for other in listeners if other is not listener and other["port"] == listener["port"]]
        at, port = join(pointer, index), listener["port"]
        if any(other["protocol"] != listener["protocol"] for other in others):
            message = f"another listener of port {port} speaks another protocol"
            yield Finding(join(at, "protocol"), LISTENER_CONFLICT, message, "give each its own port")
        if not listener.get("crossMesh") and any(other.get("crossMesh") for other in others):
            message = f"another listener of port {port} is for proxies of other meshes, and this one is for strangers"
            yield Finding(at, LISTENER_CONFLICT, message, "give each its own port")
        if any(_host(other) == _host(listener) for other in others):
            message = f"another listener of port {port} has the same host name"
            yield Finding(at, LISTENER_CONFLICT, message, "give each its own hostname or port")
        elif listener["protocol"] == "TCP" and any(other in others for other in listeners[:index]):
            message = f"connections of port {port} show no host name, so that only the first listener counts"
            yield Finding(at, NO_EFFECT, message, "give each its own port")
        if any(_limit(other) != _limit(listener) for other in others if _limit(other) and _limit(listener)):
            message = f"another listener of port {port} has another connectionLimit"
            where = join(at, "resources", "connectionLimit")
            yield Finding(where, LISTENER_CONFLICT, message, "give one of a port, or all of it the same")


def _host(listener: Mapping[str, Any]) -> str:
    return str(listener.get("hostname") or "*")


def _limit(listener: Mapping[str, Any]) -> int | None:
    limit: int | None = listener.get("resources", {}).get("connectionLimit")
    return limit
