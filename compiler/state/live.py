"""What a restart must not forget of the proxies; an interface, since more than one replica will want another engine."""

from collections.abc import Mapping
from typing import Protocol


class LiveState(Protocol):
    """Written on the server's event loop, so every call is short; of a disk that fails only `trouble` tells."""

    @property
    def trouble(self) -> str | None:
        """Why what is noted now would not survive a restart, as a sentence."""

    def unrepaired_nack(self, node: str) -> bytes | None:
        """What was kept of a node that refused something and may hold a part of it."""

    def keep_unrepaired_nack(self, node: str, record: bytes | None) -> None:
        """Durable on return; None once the node is whole again."""

    def acked_digests(self) -> Mapping[str, str]:
        """What each node was last known to hold wholly."""

    def note_acked_digests(self, digests: Mapping[str, str]) -> None:
        """Only the nodes named change."""

    def keep_only(self, nodes: frozenset[str]) -> None:
        """All others are in no commit any more."""

    def close(self) -> None: ...
