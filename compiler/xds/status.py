"""What each connected proxy was sent, has ACKed and has refused; when each generation was delivered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from compiler.xds.events import FRESH_MARK
from compiler.xds.remembered import Nack
from compiler.xds.subscription import Subscription
from compiler.xds.type_state import TypeState


@dataclass(frozen=True, slots=True)
class TypeStatus:
    """Counts of resources; `nack` stays until the proxy has ACKed a configuration wholly."""

    sent: int
    acked: int
    nack: Nack | None


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """One stream. `digest` is what its node should hold, `acked_digest` what it last ACKed wholly."""

    node: str
    mesh: str
    known: bool
    digest: str | None
    acked_digest: str | None
    fully_acked: bool
    protocol: str
    version: str
    connected_since: float
    types: Mapping[str, TypeStatus]


@dataclass(slots=True)
class Delivery:
    """How a generation reached the proxies that were connected when it came; times are monotonic seconds."""

    number: int
    digest: str
    published: float
    pending: set[str]
    first_push: float | None = None
    last_ack: float | None = None
    proxies: int = field(init=False)

    def __post_init__(self) -> None:
        self.proxies = len(self.pending)

    @property
    def is_complete(self) -> bool:
        return not self.pending

    def note_push(self, node_id: str, now: float) -> None:
        if self.first_push is None and node_id in self.pending:
            self.first_push = now

    def note_ack(self, node_id: str, now: float) -> bool:
        """True for the one event that counts: a proxy has now ACKed all of this generation."""
        if node_id not in self.pending:
            return False
        self.pending.discard(node_id)
        self.last_ack = now
        return True

    def note_departure(self, node_id: str) -> None:
        """Who left cannot ACK; its next stream starts with the then current generation."""
        self.pending.discard(node_id)


def describe_types(machine: Subscription) -> dict[str, TypeStatus]:
    return {
        url: TypeStatus(len(state.held), len(state.held) - _count_unanswered(state), machine.memory.nacks.get(url))
        for url, state in machine.types.items()
        if state.opened
    }


def _count_unanswered(state: TypeState) -> int:
    return sum(name in state.held for name in state.last_touch)


def list_versions(state: TypeState) -> dict[str, str]:
    """The versions sent of one type, by name: for the page of one proxy, not for the list of all."""
    return {name: resource.version.partition(FRESH_MARK)[0] for name, resource in sorted(state.held.items())}


def render_status(status: ProxyStatus) -> dict[str, Any]:
    """As `GET /status` shows it; the text of a refusal is capped where it is kept."""
    return asdict(status)
