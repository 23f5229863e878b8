"""What a Dataplane must hold beyond its schema (kuma-core §2.2)."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from compiler.resources.check_mesh import repeated
from compiler.resources.findings import (
    BAD_TARGET,
    BAD_VALUE,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    PORT_CONFLICT,
    Finding,
    join,
)
from compiler.resources.model import PROTOCOL, SERVICE
from compiler.resources.suggest import did_you_mean

_PROTOCOLS = ("tcp", "http", "http2", "grpc")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_ADDRESS = re.compile(rf"(?!0\.){_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
"""Nearly every address; nothing is wrong with it, and ipaddress takes ten times as long to say so."""


def check_networking(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Of a Dataplane, or of the template of a DataplaneSet, which has no address."""
    address = networking.get("address", "")
    yield from check_address(address, join(pointer, "address"))
    yield from check_address(networking.get("advertisedAddress", ""), join(pointer, "advertisedAddress"))
    yield from _check_inbounds(networking, pointer)
    yield from _check_outbounds(networking, pointer)
    yield from _check_gateway(networking, pointer)
    yield from _check_admin(networking, pointer)
    yield from _check_reachable(networking.get("transparentProxying", {}), join(pointer, "transparentProxying"))


def check_address(address: str, pointer: str) -> Iterator[Finding]:
    """An address of this host alone, or of none, cannot be told to others."""
    if _PLAIN_ADDRESS.fullmatch(address):
        return
    parsed = _parse(address)
    field = pointer.rpartition("/")[2]
    if parsed is not None and parsed.is_unspecified:
        yield Finding(
            pointer, BAD_VALUE, f"{field} must not be {parsed}", "give the address that other proxies connect to"
        )
    elif parsed is None and address and _looks_like_ip(address):
        yield Finding(pointer, BAD_VALUE, f"{field} is no IP address", "an IPv4 address is four numbers from 0 to 255")


def _check_inbounds(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    inbounds = networking.get("inbound", ())
    at = join(pointer, "inbound")
    default = networking.get("address", "")
    yield from _conflicts([(inbound.get("address", default), inbound["port"]) for inbound in inbounds], at)
    yield from repeated(
        [inbound.get("name") or str(inbound["port"]) for inbound in inbounds if "name" in inbound], at, "name", "name"
    )
    for index, inbound in enumerate(inbounds):
        yield from _check_inbound(inbound, default, join(at, index))


def _check_inbound(inbound: Mapping[str, Any], default: str, pointer: str) -> Iterator[Finding]:
    yield from check_ip(inbound, "address", pointer)
    yield from check_ip(inbound, "serviceAddress", pointer)
    address = inbound.get("address", default)
    service = inbound.get("serviceAddress", "")
    if service and service == address and inbound.get("servicePort", inbound["port"]) == inbound["port"]:
        message = "the proxy and the workload would listen on one address and port"
        yield Finding(
            join(pointer, "serviceAddress"), PORT_CONFLICT, message, "give another serviceAddress or servicePort"
        )
    if "serviceProbe" in inbound:
        message = "serviceProbe changes nothing here: an inbound counts as healthy unless health.ready is false"
        yield Finding(join(pointer, "serviceProbe"), NO_EFFECT, message, on_key=True)
    if "tags" in inbound:
        yield from _check_tags(inbound["tags"], join(pointer, "tags"))


def _check_tags(tags: Mapping[str, str], pointer: str) -> Iterator[Finding]:
    if SERVICE not in tags:
        yield Finding(pointer, MISSING_FIELD, f"tags have no {SERVICE}", "the tag names the service", on_key=True)
    protocol = tags.get(PROTOCOL, "tcp").lower()
    if protocol not in _PROTOCOLS:
        hint = did_you_mean(protocol, _PROTOCOLS)
        yield Finding(join(pointer, PROTOCOL), BAD_VALUE, f"{PROTOCOL} must be tcp, http, http2 or grpc", hint)


def _check_outbounds(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    outbounds = networking.get("outbound", ())
    at = join(pointer, "outbound")
    yield from _conflicts([(outbound.get("address", "127.0.0.1"), outbound["port"]) for outbound in outbounds], at)
    for index, outbound in enumerate(outbounds):
        here = join(at, index)
        yield from check_ip(outbound, "address", here)
        if "backendRef" in outbound and "tags" in outbound:
            message = "backendRef and tags exclude each other"
            yield Finding(join(here, "tags"), EXCLUSIVE_FIELDS, message, "keep backendRef", on_key=True)
        elif "backendRef" in outbound:
            yield from _check_destination(outbound["backendRef"], join(here, "backendRef"), needs_port=True)
        elif "tags" in outbound:
            yield from _check_tags(outbound["tags"], join(here, "tags"))
        else:
            yield Finding(here, MISSING_FIELD, "the outbound has no destination", "add a backendRef")


def _check_gateway(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    gateway = networking.get("gateway")
    if gateway is None:
        return
    if networking.get("inbound"):
        message = "a delegated gateway has no inbounds: its own workload takes the traffic from outside"
        yield Finding(join(pointer, "inbound"), EXCLUSIVE_FIELDS, message, "take inbound or gateway out", on_key=True)
    if "tags" in gateway:
        yield from _check_tags(gateway["tags"], join(pointer, "gateway", "tags"))


def _check_admin(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    port = networking.get("admin", {}).get("port")
    listening = [
        (each.get("address", default), each["port"])
        for part, default in (("inbound", networking.get("address", "")), ("outbound", "127.0.0.1"))
        for each in networking.get(part, ())
    ]
    if any(each == port and _is_loopback(address) for address, each in listening):
        message = f"Envoy's admin interface and a listener would share port {port} of the loopback address"
        yield Finding(join(pointer, "admin", "port"), PORT_CONFLICT, message, "give another admin port")


def _check_reachable(redirection: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    for index, reference in enumerate(redirection.get("reachableBackends", {}).get("refs", ())):
        yield from _check_destination(reference, join(pointer, "reachableBackends", "refs", index), needs_port=False)


def _check_destination(reference: Mapping[str, Any], pointer: str, *, needs_port: bool) -> Iterator[Finding]:
    kind = reference["kind"]
    if "name" not in reference and not reference.get("labels"):
        yield Finding(pointer, BAD_TARGET, f"a destination of kind {kind} needs a name or labels", "add a name")
    for other in ("name", "namespace"):
        if "labels" in reference and other in reference:
            message = f"labels and {other} exclude each other"
            yield Finding(join(pointer, "labels"), EXCLUSIVE_FIELDS, message, "keep one of them", on_key=True)
    if "namespace" in reference and "name" not in reference and "labels" not in reference:
        yield Finding(join(pointer, "namespace"), BAD_TARGET, "namespace goes with name", "add a name", on_key=True)
    if needs_port and "port" not in reference and kind != "MeshExternalService":
        yield Finding(pointer, MISSING_FIELD, f"a destination of kind {kind} needs a port", "add the service's port")


def _conflicts(listening: list[tuple[str, int]], pointer: str) -> Iterator[Finding]:
    """An unspecified address has every other one's port too."""
    taken: dict[int, dict[str, int]] = {}
    for index, (address, port) in enumerate(listening):
        name = "" if _is_unspecified(address) else address
        others = taken.setdefault(port, {})
        earlier = others.get(name, others.get("", next(iter(others.values()), None) if not name else None))
        if earlier is not None:
            message = f"port {port} is that of entry {earlier + 1} too, on the same address"
            yield Finding(join(pointer, index, "port"), PORT_CONFLICT, message, "give each its own port or address")
        others.setdefault(name, index)


def check_ip(values: Mapping[str, Any], field: str, pointer: str) -> Iterator[Finding]:
    """Where a listener binds must be an IP address."""
    if field in values and _parse(values[field]) is None:
        yield Finding(join(pointer, field), BAD_VALUE, f"{field} is no IP address", "write it as 10.0.0.7 or ::1")


def _looks_like_ip(text: str) -> bool:
    return ":" in text or text.replace(".", "").isdigit()


def _is_unspecified(text: str) -> bool:
    parsed = _parse(text)
    return parsed is not None and parsed.is_unspecified


def _is_loopback(text: str) -> bool:
    parsed = _parse(text)
    return parsed is not None and (parsed.is_loopback or parsed.is_unspecified)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
