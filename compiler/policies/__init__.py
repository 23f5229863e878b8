"""The policies of the mesh, one module each; they know nothing of each other and have no order."""

from typing import Final

from compiler.envoy.policy import Policy
from compiler.policies import (
    mesh_access_log,
    mesh_circuit_breaker,
    mesh_fault_injection,
    mesh_global_rate_limit,
    mesh_health_check,
    mesh_http_route,
    mesh_load_balancing_strategy,
    mesh_metric,
    mesh_opa,
    mesh_passthrough,
    mesh_proxy_patch,
    mesh_rate_limit,
    mesh_retry,
    mesh_tcp_route,
    mesh_timeout,
    mesh_tls,
    mesh_trace,
    mesh_traffic_permission,
)

POLICIES: Final[tuple[Policy, ...]] = (
    mesh_access_log.POLICY,
    mesh_circuit_breaker.POLICY,
    mesh_fault_injection.POLICY,
    mesh_global_rate_limit.POLICY,
    mesh_health_check.POLICY,
    mesh_http_route.POLICY,
    mesh_load_balancing_strategy.POLICY,
    mesh_metric.POLICY,
    mesh_opa.POLICY,
    mesh_passthrough.POLICY,
    mesh_proxy_patch.POLICY,
    mesh_rate_limit.POLICY,
    mesh_retry.POLICY,
    mesh_tcp_route.POLICY,
    mesh_timeout.POLICY,
    mesh_tls.POLICY,
    mesh_trace.POLICY,
    mesh_traffic_permission.POLICY,
)
"""Adding a policy: its schema, its module, a line here, its cases (CONTRIBUTING.md)."""

__all__ = ["POLICIES"]
