"""What is remembered of a node between its streams, and the record of an unrepaired NACK that survives a restart."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.xds.served import ProxyConfig, Resource

MESSAGE_LIMIT = 400
UNPROVABLE = ""
"""The token of a doubt that no claim of the client settles."""


@dataclass(frozen=True, slots=True)
class Nack:
    """A refusal. Envoy's text may dump the whole resource, its reason last: the tail is kept, as possibly secret."""

    type_url: str
    message: str
    resources: tuple[str, ...]
    digest: str
    since: float


@dataclass(frozen=True, slots=True)
class UnrepairedNack:
    """What a restarted server must know of a node, since its Envoy claims the versions from before the NACK.

    `refused` is (type, name, version), and holds while the configuration is `digest`; `touched` is (type, name) of all
    that must be sent again, removals too.
    """

    node: str
    digest: str | None
    refused_digest: str | None
    fallback_digest: str | None
    refused: tuple[tuple[str, str, str], ...]
    touched: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Remembered:
    """One node's memory, handed from stream to stream.

    `fallback` is the last configuration that it ACKed wholly. A doubt maps a name to the token that would prove that
    the client has what was sent: a version, or None for a removal (proven by the name's absence).
    `digest` is the configuration that the refusals belong to.
    """

    node: str
    digest: str | None = None
    fallback: ProxyConfig | None = None
    previous: ProxyConfig | None = None
    refused_digest: str | None = None
    refused: set[tuple[str, str, str]] = field(default_factory=set)
    doubts: dict[str, dict[str, str | None]] = field(default_factory=dict)
    nacks: dict[str, Nack] = field(default_factory=dict)
    secrets: dict[str, Resource] = field(default_factory=dict)

    def doubt(self, type_url: str, tokens: Mapping[str, str | None]) -> None:
        self.doubts.setdefault(type_url, {}).update(tokens)

    def settle(self, type_url: str, name: str) -> None:
        """The client ACKed an answer that said explicitly what it should hold under this name."""
        doubts = self.doubts.get(type_url)
        if doubts is not None:
            doubts.pop(name, None)
            if not doubts:
                del self.doubts[type_url]

    def is_refused(self, type_url: str, resource: Resource) -> bool:
        return bool(self.refused) and (type_url, resource.name, resource.version) in self.refused

    def forget_refusals(self, kept_type: str | None = None) -> None:
        """A new configuration is given a fair trial, also of what was refused in another company."""
        self.refused_digest = None
        if self.refused:
            self.refused = {each for each in self.refused if each[0] == kept_type}

    @property
    def record(self) -> UnrepairedNack | None:
        """What must be kept on disk; None when a restart may trust this node's claims."""
        if not self.doubts and not self.refused and self.refused_digest is None:
            return None
        doubts = [(url, name, token) for url, each in self.doubts.items() for name, token in each.items()]
        touched = tuple(sorted((url, name) for url, name, token in doubts if token == UNPROVABLE))
        if not touched and not self.refused and self.refused_digest is None:
            return None
        fallback = self.fallback.digest if self.fallback is not None else None
        refused = tuple(sorted(self.refused))
        return UnrepairedNack(self.node, self.digest, self.refused_digest, fallback, refused, touched)


def remember(
    node: str, record: UnrepairedNack | None, fallback: ProxyConfig | None, previous: ProxyConfig | None = None
) -> Remembered:
    """A node's memory after a restart; `fallback` is what the record's digest names, if it is still known."""
    memory = Remembered(node, fallback=fallback, previous=previous)
    if record is not None:
        memory.digest, memory.refused_digest = record.digest, record.refused_digest
        memory.refused = set(record.refused)
        for type_url, name in record.touched:
            memory.doubt(type_url, {name: UNPROVABLE})
    return memory


def keep_tail(message: str) -> str:
    return message[-MESSAGE_LIMIT:]
