"""Sidecars for Kubernetes manifests: what Kuma's injector does to a Pod, done to files (Kuma 2.14)."""
