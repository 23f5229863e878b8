"""MeshLoadBalancingStrategy: how calls are spread over endpoints and zones (kuma-policies §2.7)."""

from compiler.policies.mesh_load_balancing_strategy.policy import POLICY

__all__ = ["POLICY"]
