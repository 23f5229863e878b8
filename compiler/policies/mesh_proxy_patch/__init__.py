"""MeshProxyPatch: changes of Envoy's own messages, after all other policies (kuma-policies §2.10)."""

from compiler.policies.mesh_proxy_patch.policy import POLICY

__all__ = ["POLICY"]
