"""The policies of the mesh, one module each; they know nothing of each other and have no order."""

from typing import Final

from compiler.envoy.policy import Policy
from compiler.policies import (
    mesh_circuit_breaker,
    mesh_http_route,
    mesh_retry,
    mesh_timeout,
    mesh_traffic_permission,
)

POLICIES: Final[tuple[Policy, ...]] = (
    mesh_circuit_breaker.POLICY,
    mesh_http_route.POLICY,
    mesh_retry.POLICY,
    mesh_timeout.POLICY,
    mesh_traffic_permission.POLICY,
)
"""Adding a policy: its schema, its module, a line here, its cases (CONTRIBUTING.md)."""

__all__ = ["POLICIES"]
