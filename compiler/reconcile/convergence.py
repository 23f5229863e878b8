"""How long a commit took to reach all proxies, from its detection to their last ACK."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from compiler.reconcile.status import Serving, add_delivery
from compiler.xds.server import XdsServer

_PATIENCE: Final = 600.0
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Convergence:
    """Only the newest generation is watched: who was still behind with the one before is behind with this one too."""

    def __init__(self, xds: XdsServer, registry: CollectorRegistry) -> None:
        self._xds = xds
        self._watching: asyncio.Task[None] | None = None
        self._seconds = Histogram(
            "meshwright_convergence_seconds",
            "From a commit's detection to the last ACK of its generation.",
            buckets=_BUCKETS,
            registry=registry,
        )

    def watch(self, digest: str, timings: Mapping[str, float]) -> None:
        if self._watching is not None:
            self._watching.cancel()
        detected = timings.get("detected")
        if detected is not None:
            self._watching = asyncio.get_running_loop().create_task(self._wait(digest, detected))

    def add_to(self, serving: Serving | None) -> Serving | None:
        """With its first push and its last ACK, as far as there are any."""
        delivery = self._xds.delivery
        if serving is None or delivery is None or delivery.digest != serving.digest:
            return serving
        return replace(serving, timings=add_delivery(serving.timings, delivery, _wall_offset()))

    async def _wait(self, digest: str, detected: float) -> None:
        if not await self._xds.wait_delivered(digest, _PATIENCE):
            return
        delivery = self._xds.delivery
        if delivery is not None and delivery.digest == digest and delivery.last_ack is not None:
            self._seconds.observe(max(delivery.last_ack + _wall_offset() - detected, 0.0))


def _wall_offset() -> float:
    return time.time() - time.monotonic()
