"""What a document must hold beyond its schema, one module a subject; a check yields findings below a pointer."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from compiler.resources.checks.container_patch import check_container_patch
from compiler.resources.checks.dataplane import check_dataplane, check_dataplane_set
from compiler.resources.checks.gateway_routes import check_gateway_route
from compiler.resources.checks.gateways import check_gateway, check_gateway_config, check_gateway_instance
from compiler.resources.checks.identities import (
    check_global_secret,
    check_mesh_identity,
    check_mesh_trust,
    check_workload,
)
from compiler.resources.checks.mesh import check_mesh
from compiler.resources.checks.policy import check_policy
from compiler.resources.checks.services import (
    check_external_service,
    check_hostname_generator,
    check_legacy_external_service,
    check_mesh_service,
    check_multi_zone_service,
)
from compiler.resources.checks.telemetry import check_backend
from compiler.resources.checks.zones import check_zone_address, check_zone_egress, check_zone_ingress
from compiler.resources.findings import Finding
from compiler.resources.later import LEGACY_TYPES
from compiler.resources.legacy.checks import check_legacy
from compiler.resources.model import SPECS

Check = Callable[[Mapping[str, Any], str], Iterator[Finding]]

CHECKS: Final[Mapping[str, Check]] = {
    "ContainerPatch": check_container_patch,
    "Dataplane": check_dataplane,
    "DataplaneSet": check_dataplane_set,
    "ExternalService": check_legacy_external_service,
    "GlobalSecret": check_global_secret,
    "HostnameGenerator": check_hostname_generator,
    "Mesh": check_mesh,
    "MeshExternalService": check_external_service,
    "MeshGateway": check_gateway,
    "MeshGatewayConfig": check_gateway_config,
    "MeshGatewayInstance": check_gateway_instance,
    "MeshGatewayRoute": check_gateway_route,
    "MeshIdentity": check_mesh_identity,
    "MeshMultiZoneService": check_multi_zone_service,
    "MeshOpenTelemetryBackend": check_backend,
    "MeshService": check_mesh_service,
    "MeshTrust": check_mesh_trust,
    "MeshZoneAddress": check_zone_address,
    "Workload": check_workload,
    "ZoneEgress": check_zone_egress,
    "ZoneIngress": check_zone_ingress,
}
"""By type; one that is not here and has no spec of its own is a policy with a targetRef."""


def check_content(kind: str, content: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """All that is wrong with what a document says by itself; its schema has accepted it."""
    if kind in CHECKS:
        yield from CHECKS[kind](content, pointer)
    elif kind in LEGACY_TYPES:
        yield from check_legacy(kind, content, pointer)
    elif kind not in SPECS:
        yield from check_policy(kind, content, pointer)
