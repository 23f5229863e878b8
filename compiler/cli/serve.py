"""`meshwright serve`: reconcile and serve until told to stop."""

from compiler.reconcile.options import MIB, Limits, ServeOptions
from compiler.reconcile.supervisor import supervise

__all__ = ["MIB", "Limits", "ServeOptions", "serve"]


def serve(options: ServeOptions) -> int:
    """The exit code. This process becomes the supervisor, so it must have loaded neither gRPC nor Git nor YAML."""
    return supervise(options)
