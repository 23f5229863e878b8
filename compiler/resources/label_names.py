"""The labels and tags that Kuma gives a meaning (kuma-core §1.4)."""

from typing import Final

DISPLAY_NAME: Final = "kuma.io/display-name"
MESH: Final = "kuma.io/mesh"
ZONE: Final = "kuma.io/zone"
ORIGIN: Final = "kuma.io/origin"
ENVIRONMENT: Final = "kuma.io/env"
NAMESPACE: Final = "k8s.kuma.io/namespace"
ROLE: Final = "kuma.io/policy-role"
EFFECT: Final = "kuma.io/effect"
SERVICE: Final = "kuma.io/service"
PROTOCOL: Final = "kuma.io/protocol"
WORKLOAD: Final = "kuma.io/workload"
