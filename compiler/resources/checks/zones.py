"""What the proxies between zones must hold beyond their schemas (kuma-core §2.4)."""

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.resources.checks.addresses import check_address, check_admin_port
from compiler.resources.checks.tags import check_service_tag
from compiler.resources.findings import MISSING_FIELD, NO_EFFECT, Finding, join


def check_zone_ingress(ingress: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Other zones are told an address and a port, or nothing."""
    networking, at = ingress["networking"], join(pointer, "networking")
    yield from check_address(networking["address"], join(at, "address"))
    yield from check_address(networking.get("advertisedAddress", ""), join(at, "advertisedAddress"))
    yield from check_admin_port(networking, at)
    for name, other in (("advertisedAddress", "advertisedPort"), ("advertisedPort", "advertisedAddress")):
        if name in networking and other not in networking:
            yield Finding(at, MISSING_FIELD, f"{other} is missing beside {name}", "the two go together", on_key=True)
    for index, service in enumerate(ingress.get("availableServices", ())):
        yield from check_service_tag(service.get("tags", {}), join(pointer, "availableServices", index, "tags"))
    if ingress.get("availableServices"):
        message = "availableServices is computed from the Dataplanes of the zone, and not read"
        yield Finding(join(pointer, "availableServices"), NO_EFFECT, message, "take it out", on_key=True)


def check_zone_egress(egress: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """It can be reached, and its ports are its own."""
    networking, at = egress["networking"], join(pointer, "networking")
    yield from check_address(networking["address"], join(at, "address"))
    yield from check_admin_port(networking, at)


def check_zone_address(place: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Other zones can reach it."""
    yield from check_address(place["address"], join(pointer, "address"))
