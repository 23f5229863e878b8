"""What a Dataplane must hold or a DataplaneSet must hold beyond its schema (kuma-core §2.2)."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.resources.checks.addresses import check_address, check_ip, find_conflicts, is_loopback
from compiler.resources.checks.lists import repeated
from compiler.resources.checks.metrics import check_prometheus
from compiler.resources.checks.tags import check_gateway_tags, check_tags
from compiler.resources.findings import (
    BAD_TARGET,
    BAD_VALUE,
    DUPLICATE_NAME,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    NOT_SUPPORTED_YET,
    PORT_CONFLICT,
    Finding,
    join,
)
from compiler.resources.specs.dataplane import TransparentProxying

_REDIRECTION: Final = TransparentProxying()
"""Its defaults."""


def check_dataplane(dataplane: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Its networking, its metrics, and the probes that it answers."""
    yield from check_networking(dataplane["networking"], join(pointer, "networking"))
    yield from _check_beside(dataplane, pointer)


def check_dataplane_set(dataplanes: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Either instances or registration; instances have names and addresses of their own."""
    instances = dataplanes.get("instances", ())
    registration = dataplanes.get("registration")
    if instances and registration is not None:
        message = "instances and registration exclude each other"
        yield Finding(join(pointer, "registration"), EXCLUSIVE_FIELDS, message, "keep one of them", on_key=True)
    if not instances and registration is None:
        yield Finding(pointer, MISSING_FIELD, "the set has neither instances nor registration", "list its instances")
    if registration is not None:
        message = "no proxy can register itself yet: the set is compiled, and nobody is served from it"
        hint = "list instances where their addresses are known"
        at = join(pointer, "registration")
        yield Finding(at, NOT_SUPPORTED_YET, message, hint, on_key=True, severity=Severity.WARNING)
    at = join(pointer, "instances")
    yield from repeated([instance["name"] for instance in instances], at, "name", "name")
    yield from repeated([instance["address"] for instance in instances], at, "address", "address")
    for index, cidr in enumerate((registration or {}).get("cidrs", ())):
        if not _is_network(cidr):
            message = "a range of addresses must be written like 10.0.0.0/16, with no bits set after its prefix"
            yield Finding(join(pointer, "registration", "cidrs", index), BAD_VALUE, message)
    template, there = dataplanes["template"], join(pointer, "template")
    yield from check_networking(template["networking"], join(there, "networking"))
    yield from _check_beside(template, there)
    for index, instance in enumerate(instances):
        yield from check_address(instance["address"], join(at, index, "address"))


def check_networking(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Of a Dataplane, or of the template of a DataplaneSet, which has no address."""
    address = networking.get("address", "")
    yield from check_address(address, join(pointer, "address"))
    yield from check_address(networking.get("advertisedAddress", ""), join(pointer, "advertisedAddress"))
    yield from _check_inbounds(networking, pointer)
    yield from _check_outbounds(networking, pointer)
    yield from _check_gateway(networking, pointer)
    yield from _check_listeners(networking, join(pointer, "listeners"))
    yield from _check_admin(networking, pointer)
    yield from _check_reachable(networking.get("transparentProxying", {}), join(pointer, "transparentProxying"))


def _check_inbounds(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    inbounds = networking.get("inbound", ())
    at = join(pointer, "inbound")
    default = networking.get("address", "")
    yield from _conflicts([(inbound.get("address", default), inbound["port"]) for inbound in inbounds], at)
    yield from repeated([inbound.get("name", "") for inbound in inbounds], at, "name", "name")
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
        hint = "a MeshHealthCheck has callers probe it; no commit follows what a probe finds"
        yield Finding(join(pointer, "serviceProbe"), NO_EFFECT, message, hint, on_key=True)
    if inbound.get("tags"):
        yield from check_tags(inbound["tags"], join(pointer, "tags"))


def _check_outbounds(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    outbounds = networking.get("outbound", ())
    at = join(pointer, "outbound")
    yield from _conflicts([(outbound.get("address", "127.0.0.1"), outbound["port"]) for outbound in outbounds], at)
    for index, outbound in enumerate(outbounds):
        here = join(at, index)
        yield from check_ip(outbound, "address", here)
        if "backendRef" in outbound and "tags" in outbound:
            message = "backendRef and tags exclude each other"
            yield Finding(join(here, "backendRef"), EXCLUSIVE_FIELDS, message, "take tags out", on_key=True)
        elif "backendRef" in outbound:
            yield from _check_destination(outbound["backendRef"], join(here, "backendRef"), needs_port=True)
        elif "tags" in outbound:
            yield from check_tags(outbound["tags"], join(here, "tags"))
        else:
            yield Finding(here, MISSING_FIELD, "the outbound has no destination", "add a backendRef")


def _check_gateway(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    gateway = networking.get("gateway")
    if gateway is None:
        return
    builtin = gateway.get("type") == "BUILTIN"
    for part in ("inbound", "listeners"):
        if networking.get(part):
            message = f"a gateway has no {part}: {_taker(gateway)} takes the traffic from outside"
            yield Finding(join(pointer, part), EXCLUSIVE_FIELDS, message, f"take {part} or gateway out", on_key=True)
    if builtin and networking.get("outbound"):
        message = "a builtin gateway has no outbound: no workload beside it makes calls"
        yield Finding(join(pointer, "outbound"), EXCLUSIVE_FIELDS, message, "take outbound or gateway out", on_key=True)
    if "tags" in gateway or builtin:
        yield from check_gateway_tags(gateway.get("tags", {}), join(pointer, "gateway", "tags"))


def _taker(gateway: Mapping[str, Any]) -> str:
    return "its MeshGateway" if gateway.get("type") == "BUILTIN" else "its own workload"


def _check_listeners(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Of a zone proxy; its inbounds have names and ports beside them."""
    listeners, default = networking.get("listeners", ()), networking.get("address", "")
    if not listeners:
        return
    first = len(networking.get("inbound", ()))
    both = (*networking.get("inbound", ()), *listeners)
    names: dict[str, int] = {}
    for index, listener in enumerate(both):
        name = listener.get("name") or str(listener["port"])
        if names.setdefault(name, index) != index and index >= first:
            at, message = join(pointer, index - first, "name"), f"the name {name!r} is taken"
            yield Finding(at, DUPLICATE_NAME, message, "inbounds and listeners have names of their own")
    for index, _ in find_conflicts([(each.get("address", default), each["port"]) for each in both]):
        if index >= first:
            message = f"port {both[index]['port']} is taken, on the same address"
            hint = "give each listener its own port or address"
            yield Finding(join(pointer, index - first, "port"), PORT_CONFLICT, message, hint)
    for index, listener in enumerate(listeners):
        yield from check_ip(listener, "address", join(pointer, index))


def _check_beside(dataplane: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """What stands beside the networking of a Dataplane, or of the template of a DataplaneSet."""
    if "metrics" in dataplane:
        yield from check_prometheus(dataplane["metrics"].get("conf", {}), join(pointer, "metrics", "conf"))
    probes, at = dataplane.get("probes"), join(pointer, "probes")
    if probes is None:
        return
    if dataplane["networking"].get("gateway", {}).get("type") == "BUILTIN":
        message = "a builtin gateway has no workload to probe"
        yield Finding(at, EXCLUSIVE_FIELDS, message, "take probes or gateway out", on_key=True)
    for index, endpoint in enumerate(probes.get("endpoints", ())):
        for name in ("inboundPath", "path"):
            if not endpoint[name].startswith("/"):
                yield Finding(join(at, "endpoints", index, name), BAD_VALUE, f"{name} must begin with /")


def _check_admin(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    port = networking.get("admin", {}).get("port")
    here = networking.get("address", "")
    listening = [
        (each.get("address", default), each["port"])
        for part, default in (("inbound", here), ("outbound", "127.0.0.1"), ("listeners", here))
        for each in networking.get(part, ())
    ]
    workloads = [
        (each.get("serviceAddress") or each.get("address", here), each.get("servicePort", each["port"]))
        for each in networking.get("inbound", ())
    ]
    yield from _check_redirection(networking, pointer)
    if any(each == port and is_loopback(address) for address, each in (*listening, *workloads)):
        message = f"Envoy's admin interface and something else would share port {port} of the loopback address"
        yield Finding(join(pointer, "admin", "port"), PORT_CONFLICT, message, "give another admin port")


def _check_redirection(networking: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Where connections are redirected to, the proxy listens on every address: nothing else can on that port."""
    if "transparentProxying" not in networking:
        return
    redirection = networking["transparentProxying"]
    inbound = redirection.get("redirectPortInbound", _REDIRECTION.redirect_port_inbound)
    taken = {inbound, redirection.get("redirectPortOutbound", _REDIRECTION.redirect_port_outbound)}
    bound = [(join(pointer, "admin", "port"), networking.get("admin", {}).get("port"))]
    listeners = enumerate(networking.get("listeners", ()))
    bound += [(join(pointer, "listeners", index, "port"), each["port"]) for index, each in listeners]
    for at, port in bound:
        if port in taken:
            yield Finding(at, PORT_CONFLICT, f"connections are redirected to port {port}", "give another port")


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
    for index, earlier in find_conflicts(listening):
        message = f"port {listening[index][1]} is that of entry {earlier + 1} too, on the same address"
        yield Finding(join(pointer, index, "port"), PORT_CONFLICT, message, "give each its own port or address")


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return "/" in text
