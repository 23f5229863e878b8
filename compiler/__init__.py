"""meshwright: mesh YAML in Git goes in, versioned per-proxy Envoy snapshots come out."""

__version__ = "0.1.0"

__all__ = ["__version__"]
