"""What keeps zone proxies from being used: told of, since every document by itself is right."""

from collections.abc import Iterator
from typing import Final

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.graph import KEYS, mesh_spec
from compiler.mesh.identity import IDENTITIES_OF, TRUSTED, ZONES
from compiler.mesh.zones.gates import EGRESS, EGRESSES, INGRESS, INGRESSES, zone_listeners, zone_of
from compiler.resources.findings import Finding
from compiler.resources.model import ZONE, Resource, ZoneEgress, ZoneIngress

ZONE_PROXY_UNUSED: Final = Code(
    "zone-proxy-unused",
    Severity.WARNING,
    "a zone is not entered or left where it seems to be",
    "Other zones enter a zone at the addresses that its MeshZoneAddresses, or else its ZoneIngresses, advertise; calls "
    "leave a zone by its ZoneEgress, or by a ZoneEgress listener. Both take mutual TLS: by it they know what is "
    "called. Where one of the parts is missing, calls go straight to the other zone's proxies, or to the outside, as "
    "within one network.",
)
_DIRECTLY: Final = "other zones go on calling its proxies directly"


def check_zone_proxy(memo: Memo, resource: Resource) -> Iterator[Finding]:
    """Of a ZoneIngress or a ZoneEgress, which serve every mesh."""
    meshes = sorted(key.name for key in memo.read(KEYS, ("Mesh", "")))
    if not any(_has_tls(memo, mesh) for mesh in meshes):
        yield Finding("", ZONE_PROXY_UNUSED, "no mesh has mutual TLS, so nothing goes through it")
    if isinstance(resource.spec, ZoneEgress):
        yield from _check_trust(memo, resource)
    if isinstance(resource.spec, ZoneIngress) and not resource.spec.networking.advertised_address:
        zone = zone_of(resource)
        if not any(zone in memo.ask(INGRESSES, mesh) for mesh in meshes):
            message = f"nobody is told where zone {zone!r} is entered: {_DIRECTLY}"
            yield Finding("/networking", ZONE_PROXY_UNUSED, message, "add advertisedAddress and advertisedPort")


def check_zone_address(memo: Memo, place: Resource) -> Iterator[Finding]:
    """It says a zone, and its mesh can be called there."""
    if not place.zone:
        hint = f"add the label {ZONE} with the name of the zone"
        yield Finding("", ZONE_PROXY_UNUSED, "it says no zone, so no zone is entered by it", hint)
    if not _has_tls(memo, place.key.mesh):
        yield Finding("", ZONE_PROXY_UNUSED, "the mesh has no mutual TLS, so nobody gets in by it")


def check_zone_listeners(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    """Somebody is told of each listener of a Dataplane, and it knows what is called."""
    mesh, ingresses = proxy.key.mesh, zone_listeners(proxy, INGRESS)
    if (ingresses or zone_listeners(proxy, EGRESS)) and not _has_tls(memo, mesh):
        message = "the mesh has no mutual TLS, so nothing goes through its zone proxies"
        yield Finding("/networking/listeners", ZONE_PROXY_UNUSED, message)
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
