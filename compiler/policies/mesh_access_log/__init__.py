"""MeshAccessLog: what is written of each request and connection, and where to (kuma-policies §2.1)."""

from compiler.policies.mesh_access_log.policy import POLICY

__all__ = ["POLICY"]
