"""Collectors that policies refer to (kuma-core §2.10)."""

from compiler.resources.specs.spec import Spec


class CollectorEndpoint(Spec, frozen=True):
    """The collector of the proxy's own node where `address` is empty."""

    address: str = ""
    port: int = 4317
    path: str = ""


class CollectorEnvironment(Spec, frozen=True):
    """`mode`: Disabled, Optional or Required; `precedence`: EnvFirst or ExplicitFirst."""

    mode: str = "Optional"
    precedence: str = "EnvFirst"
    allow_signal_overrides: bool = True


class MeshOpenTelemetryBackend(Spec, frozen=True):
    """`protocol` is grpc or http."""

    endpoint: CollectorEndpoint = CollectorEndpoint()
    protocol: str = "grpc"
    env: CollectorEnvironment = CollectorEnvironment()

    @property
    def silent(self) -> bool:
        """Whether only variables of a workload may name the collector: a commit knows none, so nothing is sent."""
        return self.env.mode == "Required"
