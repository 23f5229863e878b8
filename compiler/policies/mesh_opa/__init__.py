"""MeshOPA: whether a request may pass is asked of an Open Policy Agent beside the proxy (kuma-policies §3.1)."""

from compiler.policies.mesh_opa.policy import POLICY

__all__ = ["POLICY"]
