"""MeshZoneAddresses from the Services of zones' ingresses: where other zones find them, as far as manifests say it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.manifests import KubeObject, mappings
from compiler.inject.mesh_services import CONTROLLER, MANAGED_BY, MeshObject, OfferedService
from compiler.inject.services import Service
from compiler.resources.addresses import parse_address
from compiler.resources.findings import Finding, join
from compiler.resources.model import ENVIRONMENT, MESH, ZONE

NO_ZONE_ADDRESS: Final = Code(
    "no-zone-address",
    Severity.WARNING,
    "an ingress that other zones are not told of",
    "A MeshZoneAddress is derived from the Service of a zone's ingress. It needs the zone's name, `dataplanes.zone` of "
    "the settings, and an IP address: a host name would be resolved at another time on every machine, and the same "
    "commit would not give the same bytes.",
)

PUBLIC_ADDRESS: Final = "kuma.io/ingress-public-address"
PUBLIC_PORT: Final = "kuma.io/ingress-public-port"


def derive_zone_address(found: KubeObject, offered: OfferedService, findings: list[Finding]) -> MeshObject | None:
    """None where the manifest names no address, which only the cluster may know."""
    service, candidates = offered.service, tuple(_addresses(found))
    port = _port(found, service)
    if not candidates or port is None:
        return None
    address = next((each for each in candidates if parse_address(each) is not None), None)
    at = join(found.pointer, "metadata", "name")
    if address is None:
        message = f"Service {service.name!r} has the address {candidates[0]!r}, which is no IP address"
        findings.append(Finding(at, NO_ZONE_ADDRESS, message, f"add an annotation {PUBLIC_ADDRESS}"))
        return None
    if not offered.zone:
        message = f"Service {service.name!r} has an address for other zones, but of which zone is not said"
        findings.append(Finding(at, NO_ZONE_ADDRESS, message, "say it with dataplanes.zone of the settings"))
        return None
    labels = {ENVIRONMENT: "kubernetes", MANAGED_BY: CONTROLLER, MESH: offered.mesh, ZONE: offered.zone}
    value = {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "MeshZoneAddress",
        "metadata": {"name": service.name, "namespace": service.namespace, "labels": labels},
        "spec": {"address": address, "port": port},
    }
    return MeshObject(service.name, value)


def _addresses(found: KubeObject) -> Iterator[str]:
    """Its author's word, then Kuma's order; a load balancer's status, else the address that is wished for."""
    spec, status = (_mapping(found.value.get(part)) for part in ("spec", "status"))
    yield from _texts(found.annotations.get(PUBLIC_ADDRESS))
    external = spec.get("externalIPs")
    yield from _texts(*(external if isinstance(external, list) else ()))
    if spec.get("type") == "LoadBalancer":
        for entry in mappings(_mapping(status.get("loadBalancer")).get("ingress")):
            yield from _texts(entry.get("ip"), entry.get("hostname"))
        yield from _texts(spec.get("loadBalancerIP"))


def _port(found: KubeObject, service: Service) -> int | None:
    """That of the Service, which load balancers and external addresses have too."""
    written = found.annotations.get(PUBLIC_PORT, "")
    if written.isascii() and written.isdigit() and len(written) < 6 and 0 < int(written) < 65536:
        return int(written)
    return service.ports[0].port if service.ports else None


def _texts(*values: object) -> Iterator[str]:
    yield from (value for value in values if isinstance(value, str) and value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
