"""When old generations are cut off: while nobody publishes, and in the way of nobody who does."""

import time
from typing import Final

from compiler.snapshot.store import SnapshotStore

KEPT: Final = 100
"""Generations that stay when old ones are cut off, which happens after as many again."""

_PRESSING: Final = 5 * KEPT
"""Generations after which no quiet time is waited for any longer."""

_ATTEMPTS: Final = 3
"""Broken off in a row, before a longer pause is waited for: of a branch that never rests no work is begun in vain."""

_LONG_PAUSE: Final = 30.0
"""Seconds without a publication; Git takes some three for 200 generations of 10,000 proxies."""


class Pruning:
    """Begun when it is due and nothing is being done, broken off by whoever publishes, and then begun again."""

    def __init__(self, store: SnapshotStore) -> None:
        self._store = store
        self._pruned_at = self._before = self._number - store.repository.packs
        self._running = False
        self._broken_off = 0
        self._published = 0.0

    def give_way(self) -> None:
        """To a publication, now."""
        self._published = time.monotonic()
        if self._store.end_pruning():
            self._broken_off += 1
            self._running, self._pruned_at = False, self._before

    def go_on(self, *, quiet: bool) -> None:
        """To be called when nothing else is done, which is `quiet` where most likely no commit follows at once.

        What Git had written of a pack when it is broken off is a burden for the disk, and a commit waits for that.

        Raises `StoreError`; it is tried again when it is due again.
        """
        if self._store.is_pruning():
            return
        if self._running:
            self._running, self._broken_off = False, 0
        due = self._number - self._pruned_at >= (KEPT if quiet else _PRESSING)
        if due and not self._is_restless:
            self._before, self._pruned_at = self._pruned_at, self._number
            self._store.begin_pruning(KEPT)
            self._running = True

    @property
    def _is_restless(self) -> bool:
        return self._broken_off >= _ATTEMPTS and time.monotonic() - self._published < _LONG_PAUSE

    @property
    def _number(self) -> int:
        return self._store.published.number if self._store.published is not None else 0
