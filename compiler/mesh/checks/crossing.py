"""What is wrong with calls from one mesh to a gateway of another: certificates that are missing, names that clash."""

from collections.abc import Iterator
from typing import Final, cast

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.checks.services import ADDRESS_CLASH, HOSTNAME_COLLISION
from compiler.mesh.checks.virtual_outbounds import AT_ADDRESS, GIVEN
from compiler.mesh.gateways.crossing import (
    ABROAD,
    address_of,
    crossing_ports,
    host_of,
    may_cross,
    meant_abroad,
    number_of,
    reachable_abroad,
    tagged_abroad,
    unchecked_domains,
)
from compiler.mesh.graph import CROSSING, KEYS, mesh_spec
from compiler.mesh.identity import BELIEVED
from compiler.mesh.members import MEMBERS, SECURED
from compiler.mesh.services import Port
from compiler.mesh.virtual_outbounds import BY_ADDRESS, CALLED, HOLDERS
from compiler.resources.findings import DANGLING_REF, NO_EFFECT, Finding, join
from compiler.resources.model import MESH, SERVICE, Dataplane, MeshGateway, Resource
from compiler.resources.specs.dataplane import DataplaneOutbound

CROSS_MESH_PLAINTEXT: Final = Code(
    "cross-mesh-plaintext",
    Severity.WARNING,
    "a call from mesh to mesh that has no mutual TLS on one of its sides",
    "Proxies of one mesh call a gateway of another by mutual TLS alone, so both meshes need an `mtls` backend or a "
    "MeshIdentity, and each must know an authority of the other: one that the server has, or a MeshTrust. Without, the "
    "listener takes nobody, or those who have no certificate get no outbound to it.",
)
_BY_PORTS: Final = "Exclusive"
_CERTIFY: Final = "give the mesh an mtls backend, or its proxies a MeshIdentity"


# --- A gateway's listeners ----------------------------------------------------------------------------------------


def check_crossing(memo: Memo, gateway: Resource) -> Iterator[Finding]:
    """Somebody may call each listener for other meshes, and by a name that is its own."""
    listeners = cast(MeshGateway, gateway.spec).conf.listeners
    indexes = (index for index, one in enumerate(listeners) if one.crosses)
    for index, port in zip(indexes, crossing_ports(memo, gateway.key), strict=True):
        pointer = join("/conf/listeners", index)
        yield from _check_callers(memo, port, join(pointer, "crossMesh"))
        yield from _check_name(memo, port, join(pointer, "hostname"))


def _check_callers(memo: Memo, port: Port, pointer: str) -> Iterator[Finding]:
    """Of a gateway without proxies another finding tells."""
    mesh, others = port.service.mesh, _other_meshes(memo, port.service.mesh)
    if not memo.ask(MEMBERS, port):
        return
    if not memo.ask(SECURED, port):
        message = "a proxy of the gateway has no certificate, so that no mesh calls this listener"
        yield Finding(pointer, CROSS_MESH_PLAINTEXT, message, _CERTIFY)
    elif domains := unchecked_domains(memo, port):
        message = f"no mesh is told how to check certificates of {', '.join(domains)}, and none calls this listener"
        yield Finding(pointer, CROSS_MESH_PLAINTEXT, message, f"add a MeshTrust with that domain to mesh {mesh!r}")
    elif shut := [one for one in others if not memo.ask(BELIEVED, one)]:
        message = f"proxies of {_meshes(shut)} show no certificate that can be checked, and do not call this listener"
        yield Finding(pointer, CROSS_MESH_PLAINTEXT, message, _CERTIFY)


def _check_name(memo: Memo, port: Port, pointer: str) -> Iterator[Finding]:
    """Of several that one caller would know by a name the first by mesh and gateway has it."""
    for key in sorted(memo.read(CROSSING, None)):
        for other in crossing_ports(memo, key) if key < port.service else ():
            if host_of(other) == host_of(port) and _meet(memo, port, other):
                message = f"{host_of(port)} is a listener of MeshGateway {key.name!r} of mesh {key.mesh!r} already"
                yield Finding(pointer, HOSTNAME_COLLISION, message, "give each a hostname of its own")


def _meet(memo: Memo, port: Port, other: Port) -> bool:
    """Whether some mesh calls both, and cannot tell them apart: names of one mesh share an address, and not a port."""
    mesh = port.service.mesh
    if mesh == other.service.mesh:
        return number_of(port) == number_of(other)
    return any(memo.ask(BELIEVED, one) for one in (mesh, *_other_meshes(memo, mesh)))


def _other_meshes(memo: Memo, mesh: str) -> list[str]:
    return sorted(key.name for key in memo.read(KEYS, ("Mesh", "")) if key.name != mesh)


def _meshes(names: list[str]) -> str:
    return f"mesh{'es' if names[1:] else ''} {', '.join(map(repr, names))}"


# --- A mesh that calls them ---------------------------------------------------------------------------------------


def check_names_abroad(memo: Memo, mesh: str) -> Iterator[Finding]:
    """Nothing of its own goes by the name, or has the address, of a listener that it calls in another mesh."""
    for port in memo.ask(ABROAD, mesh):
        host, address = host_of(port), address_of(port)
        whose = f"{host}, which MeshGateway {port.service.name!r} of mesh {port.service.mesh!r} listens for,"
        named, there = _own_name(memo, mesh, host), _at_own_address(memo, mesh, address)
        if named:
            yield Finding("", HOSTNAME_COLLISION, f"{whose} is the name of {named}, too", "rename one of them")
        if there:
            yield Finding("", ADDRESS_CLASH, f"{whose} and {there} have the virtual address {address}", "rename one")


def _own_name(memo: Memo, mesh: str, host: str) -> str:
    """What of the mesh is called so."""
    by_tag = _calls_by_tag(memo, mesh)
    own = memo.ask(GIVEN, mesh).get(host) or (memo.ask(HOLDERS, mesh).get(host) if by_tag else None)
    if own is not None:
        return f"{own.type} {own.name!r}"
    outbound = next((one.origin for one in memo.ask(CALLED, mesh).names if one.host == host and by_tag), None)
    return f"{outbound.type} {outbound.name!r}" if outbound is not None else ""


def _at_own_address(memo: Memo, mesh: str, address: str) -> str:
    if not _calls_by_tag(memo, mesh):
        return ""
    service = memo.ask(AT_ADDRESS, mesh).get(address)
    named = next((one.host for one in memo.ask(BY_ADDRESS, mesh).get(address, ())), "")
    return f"service {service.name!r}" if service is not None else named


def _calls_by_tag(memo: Memo, mesh: str) -> bool:
    return mesh_spec(memo, mesh).mesh_services.mode != _BY_PORTS


# --- A proxy that calls them --------------------------------------------------------------------------------------


def check_abroad(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    """A proxy of a mesh with certificates has one; a mesh without is told of at the listener."""
    proxying = cast(Dataplane, proxy.spec).networking.transparent_proxying
    if proxying is None:
        return
    called = reachable_abroad(memo, proxy.key.mesh, proxying.reachable_services)
    if called and not may_cross(memo, proxy):
        names = ", ".join(sorted({host_of(port) for port in called}))
        message = f"the proxy has no certificate, so that it calls no gateway of another mesh: {names}"
        hint = "have a MeshIdentity select it"
        yield Finding("/networking/transparentProxying", CROSS_MESH_PLAINTEXT, message, hint, on_key=True)


def check_called_abroad(memo: Memo, proxy: Resource, outbound: DataplaneOutbound, pointer: str) -> Iterator[Finding]:
    """An outbound with `kuma.io/mesh` leads to one listener of a gateway there."""
    mesh, tags = proxy.key.mesh, outbound.tags
    found = tagged_abroad(memo, mesh, tags)
    meant = meant_abroad(memo, mesh, tags, outbound.port)
    if meant is None:
        message = f"mesh {tags[MESH]!r} has no gateway {tags.get(SERVICE, '')!r} with a listener for other meshes"
        hint = "set crossMesh: true at the listener, and give its mesh certificates"
        yield Finding(f"{pointer}/tags", DANGLING_REF, message, hint)
    elif not may_cross(memo, proxy):
        message = "without a certificate the proxy calls no gateway of another mesh: nothing listens on this port"
        yield Finding(f"{pointer}/tags", CROSS_MESH_PLAINTEXT, message, _CERTIFY, severity=Severity.ERROR)
    elif found[1:] and number_of(meant) != outbound.port:
        message = f"{len(found)} listeners have these tags, and the first is meant: {host_of(meant)}"
        yield Finding(f"{pointer}/tags", NO_EFFECT, message, "add the tags of one, or use its port")
