"""What keeps zone proxies from being used: told of, since every document by itself is right."""

from collections.abc import Iterator
from typing import Final

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.graph import KEYS, RESOURCE, ZONE_ENABLED, as_dataplane, mesh_spec
from compiler.mesh.identity import IDENTITIES_OF, TRUSTED, ZONES, has_tls
from compiler.mesh.members import SECURED
from compiler.mesh.services import EXTERNAL, OFFERED, SERVICE_KEYS, SERVICE_RESOURCE, Port, service_ports
from compiler.mesh.zones.gates import (
    EGRESS,
    EGRESSES,
    INGRESS,
    INGRESSES,
    ZONE_ADDRESS,
    stand_in,
    zone_listeners,
    zone_of,
)
from compiler.mesh.zones.views import MEMBER_ZONES
from compiler.resources.findings import Finding
from compiler.resources.model import ZONE, Resource, ZoneEgress, ZoneIngress

ZONE_PROXY_UNUSED: Final = Code(
    "zone-proxy-unused",
    Severity.WARNING,
    "a zone is not entered or left where it seems to be",
    "Other zones enter a zone at the addresses that its MeshZoneAddresses, or else its ZoneIngresses, advertise; calls "
    "leave a zone by its ZoneEgress, or by a ZoneEgress listener. Both take mutual TLS: by it they know what is "
    "called. Where one of the parts is missing, calls go straight to the other zone's proxies, or to the outside, as "
    "within one network; where an ingress stands, proxies without a certificate are not called from other zones.",
)
_DIRECTLY: Final = "other zones go on calling its proxies directly"
_UNCERTIFIED: Final = "it has no certificate, so nobody is led to it: calls leave the zone directly"
_CERTIFY: Final = "have a MeshIdentity with a provider select it"
_SHOWN: Final = 3
"""Of many services, those that are named."""


def check_zone_proxy(memo: Memo, resource: Resource) -> Iterator[Finding]:
    """Of a ZoneIngress or a ZoneEgress, which serve every mesh."""
    meshes = sorted(key.name for key in memo.read(KEYS, ("Mesh", "")))
    secured = any(_has_tls(memo, mesh) for mesh in meshes)
    if not secured:
        yield Finding("", ZONE_PROXY_UNUSED, "no mesh has mutual TLS, so nothing goes through it")
    for mesh in meshes if secured else ():
        yield from _check_mesh(memo, resource, mesh)
    if isinstance(resource.spec, ZoneEgress):
        yield from _check_trust(memo, resource)
    if isinstance(resource.spec, ZoneIngress) and not resource.spec.networking.advertised_address:
        zone = zone_of(resource)
        if not any(zone in memo.ask(INGRESSES, mesh) for mesh in meshes):
            message = f"nobody is told where zone {zone!r} is entered: {_DIRECTLY}"
            yield Finding("/networking", ZONE_PROXY_UNUSED, message, "add advertisedAddress and advertisedPort")


def _check_mesh(memo: Memo, proxy: Resource, mesh: str) -> Iterator[Finding]:
    """Of one of several meshes that it is to serve; where a MeshZoneAddress leads to it, that is told."""
    zone = zone_of(proxy)
    if isinstance(proxy.spec, ZoneIngress):
        if proxy.spec.networking.advertised_address and not _is_addressed(memo, mesh, zone):
            yield from _check_entered(memo, mesh, zone)
    elif _has_tls(memo, mesh) and _leaves(memo, mesh) and not has_tls(memo, stand_in(as_dataplane(proxy), mesh)):
        hint = "let a MeshIdentity select it: its label kuma.io/workload is zone-egress"
        yield Finding("", ZONE_PROXY_UNUSED, f"in mesh {mesh!r} {_UNCERTIFIED}", hint)


def _is_addressed(memo: Memo, mesh: str, zone: str) -> bool:
    places = (memo.read(RESOURCE, key) for key in sorted(memo.read(KEYS, (ZONE_ADDRESS, mesh))))
    return any(one.zone == zone for one in places if one is not None)


def _leaves(memo: Memo, mesh: str) -> bool:
    """Whether calls of a mesh may go by an egress."""
    return mesh_spec(memo, mesh).routing.zone_egress or bool(memo.read(KEYS, (EXTERNAL, mesh)))


def _check_entered(memo: Memo, mesh: str, zone: str) -> Iterator[Finding]:
    """Where a zone is entered by an ingress, what takes no mutual TLS there is not called from other zones."""
    certified = mesh_spec(memo, mesh).mtls.backend is not None
    if certified or not memo.ask(ZONE_ENABLED, zone) or not _is_divided(memo, mesh, zone):
        return
    if not _has_tls(memo, mesh):
        message = f"mesh {mesh!r} has no mutual TLS: its proxies in zone {zone!r} cannot be called from other zones"
        yield Finding("", ZONE_PROXY_UNUSED, message)
        return
    here = (port for port in _ports(memo, mesh) if zone in memo.ask(MEMBER_ZONES, port).all)
    names = list(dict.fromkeys(port.service.name for port in here if not memo.ask(SECURED, port)))
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        shown = ", ".join(repr(name) for name in names[:_SHOWN])
        message = f"proxies of {shown}{more} in mesh {mesh!r} have no certificate: other zones cannot call them"
        yield Finding("", ZONE_PROXY_UNUSED, message, "have a MeshIdentity with a provider select all of them")


def _is_divided(memo: Memo, mesh: str, zone: str) -> bool:
    """Whether services of a mesh stand in the zone and elsewhere; looked for up to the first of each."""
    near = far = False
    for port in _ports(memo, mesh):
        zones = memo.ask(MEMBER_ZONES, port).all
        near, far = near or zone in zones, far or bool(zones - {zone})
        if near and far:
            return True
    return False


def _ports(memo: Memo, mesh: str) -> Iterator[Port]:
    for key in memo.ask(SERVICE_KEYS, mesh):
        service = memo.ask(SERVICE_RESOURCE, key)
        yield from (Port(key, one.section) for one in (service_ports(service) if service is not None else ()))
        if memo.ask(OFFERED, key):
            yield Port(key, "")


def check_zone_address(memo: Memo, place: Resource) -> Iterator[Finding]:
    """It says a zone, and its mesh can be called there."""
    if not place.zone:
        hint = f"add the label {ZONE} with the name of the zone"
        yield Finding("", ZONE_PROXY_UNUSED, "it says no zone, so no zone is entered by it", hint)
    if not _has_tls(memo, place.key.mesh):
        yield Finding("", ZONE_PROXY_UNUSED, "the mesh has no mutual TLS, so nobody gets in by it")
    elif place.zone:
        yield from _check_entered(memo, place.key.mesh, place.zone)


def check_zone_listeners(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    """Somebody is told of each listener of a Dataplane, and it knows what is called."""
    mesh, ingresses = proxy.key.mesh, zone_listeners(proxy, INGRESS)
    if (ingresses or zone_listeners(proxy, EGRESS)) and not _has_tls(memo, mesh):
        message = "the mesh has no mutual TLS, so nothing goes through its zone proxies"
        yield Finding("/networking/listeners", ZONE_PROXY_UNUSED, message)
    elif zone_listeners(proxy, EGRESS) and not has_tls(memo, proxy):
        yield Finding("/networking/listeners", ZONE_PROXY_UNUSED, _UNCERTIFIED, _CERTIFY)
    if ingresses and proxy.zone not in memo.ask(INGRESSES, mesh):
        message = f"nobody is told where zone {proxy.zone!r} is entered: {_DIRECTLY}"
        yield Finding("/networking/listeners", ZONE_PROXY_UNUSED, message, "write a MeshZoneAddress of the zone")
    if zone_listeners(proxy, EGRESS) and proxy.key.type == "DataplaneSet":
        message = "a proxy that registers itself has an address that no commit knows: nobody leaves the zone by it"
        yield Finding("/networking/listeners", ZONE_PROXY_UNUSED, message, "write the egress as a Dataplane")


def check_egresses(memo: Memo, mesh: str) -> Iterator[Finding]:
    """Where a mesh wants its zones to be left by an egress, each has one."""
    if not mesh_spec(memo, mesh).routing.zone_egress or not _has_tls(memo, mesh):
        return
    lacking = [zone for zone in memo.ask(ZONES, mesh) if zone not in memo.ask(EGRESSES, mesh)]
    if lacking:
        zones = ", ".join(repr(zone) for zone in lacking)
        message = f"no egress stands in {zones}: calls from there leave directly"
        yield Finding("/routing/zoneEgress", ZONE_PROXY_UNUSED, message, "add a ZoneEgress for each zone")


def _has_tls(memo: Memo, mesh: str) -> bool:
    return mesh_spec(memo, mesh).mtls.backend is not None or bool(memo.ask(IDENTITIES_OF, mesh))


def _check_trust(memo: Memo, egress: Resource) -> Iterator[Finding]:
    """Envoy knows whom to trust by one name, and every mesh with trust domains has it."""
    with_domains = [key.name for key in sorted(memo.read(KEYS, ("Mesh", ""))) if memo.ask(TRUSTED, key.name)]
    for mesh in with_domains[1:]:
        message = f"it can trust the domains of one mesh, which are those of {with_domains[0]!r} and not of {mesh!r}"
        hint = f"give mesh {mesh!r} an egress of its own: a Dataplane with a listener of type {egress.key.type}"
        yield Finding("", ZONE_PROXY_UNUSED, message, hint)
