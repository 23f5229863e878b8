"""What a server does unasked: certificates that are due or can be made ahead, and what is kept of who holds what."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from compiler.reconcile.deliverable import Deliverables
from compiler.reconcile.identities import ServedIdentities
from compiler.reconcile.status import describe_unknown
from compiler.state.live import LiveState
from compiler.xds.server import XdsServer
from compiler.xds.sources import CurrentGeneration

SWEEP: Final = 30.0
POSITIONS: Final = 5.0
SECRETS: Final = 1.0
_BREATH: Final = 0.005
"""Between the few certificates that are made ahead in one turn: they take two fifths of a core until all are made."""


class Upkeep:
    """Three tasks for as long as the server runs; the last one sleeps until a generation brings somebody."""

    def __init__(
        self,
        xds: XdsServer,
        current: CurrentGeneration,
        identities: ServedIdentities,
        deliverables: Deliverables,
        state: LiveState,
    ) -> None:
        self._xds = xds
        self._current = current
        self._identities = identities
        self._deliverables = deliverables
        self._state = state
        self._has_come = asyncio.Event()

    def note_generation(self) -> None:
        """Its proxies may be new ones, whose certificates can be made before they come."""
        self._has_come.set()

    async def keep_up(self, look_at_image: Callable[[], None], note: Callable[[str, str | None], None]) -> None:
        swept = time.monotonic()
        while True:
            await asyncio.sleep(POSITIONS)
            self._state.note_acked_digests(self._xds.take_acked())
            self._identities.rotate_due()
            self._deliverables.tidy()
            look_at_image()
            if time.monotonic() - swept > SWEEP:
                swept = time.monotonic()
                note("unknown", describe_unknown(self._xds.count_proxies()["unknown"]))
                self._forget_strangers(self._xds.connected)

    async def watch_secrets(self) -> None:
        """Looked at rather than waited for: a folder may be exchanged as a whole, by links that move."""
        while True:
            await asyncio.sleep(SECRETS)
            self._identities.look_at_secrets()

    async def issue_ahead(self) -> None:
        """A fleet that comes at once finds certificates made; while it comes, those are made that are asked for."""
        while True:
            if self._xds.is_idle and not self._identities.issue_some():
                await self._has_come.wait()
                self._has_come.clear()
            await asyncio.sleep(_BREATH)

    def _forget_strangers(self, connected: frozenset[str]) -> None:
        """Who left both the commit and us will not be asked for again."""
        if self._current.generation is not None:
            self._state.keep_only(connected | self._current.generation.proxies.keys())
