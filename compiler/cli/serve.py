"""`meshwright serve`: reconcile and serve until told to stop."""

from compiler.reconcile.options import Limits, ServeOptions
from compiler.reconcile.supervisor import supervise

__all__ = ["Limits", "ServeOptions", "serve"]


def serve(options: ServeOptions) -> int:
    """The exit code. This process becomes the supervisor: it must not have loaded gRPC, Git or YAML, nor started a thread."""
    return supervise(options)
