"""Every risk that a plan can name, and how much it asks of a reviewer; each has a page in docs/risks/."""

from collections.abc import Mapping
from typing import Final

from compiler.review.plan import Weight

WEIGHTS: Final[Mapping[str, Weight]] = {
    "removes-proxy": Weight.HIGH,
    "removes-listener": Weight.HIGH,
    "removes-endpoint-last": Weight.HIGH,
    "weakens-tls": Weight.HIGH,
    "opens-access": Weight.HIGH,
    "closes-access": Weight.HIGH,
    "drops-authorization": Weight.HIGH,
    "injects-faults": Weight.HIGH,
    "widens-permission": Weight.MEDIUM,
    "drops-limit": Weight.MEDIUM,
    "rebuilds-listener": Weight.MEDIUM,
    "changes-default": Weight.MEDIUM,
    "touches-every-proxy": Weight.MEDIUM,
    "exceeds-budget": Weight.MEDIUM,
    "crosses-ownership": Weight.MEDIUM,
    "rebuilds-cluster": Weight.LOW,
}
"""Every code, the weightiest first."""
