"""MeshMetric: whose metrics are collected, which of them, and by whom (kuma-policies §2.8)."""

from compiler.policies.mesh_metric.policy import POLICY

__all__ = ["POLICY"]
