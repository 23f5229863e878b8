"""Where the server takes configurations, secrets and admissions from; the generation in memory that is served."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from compiler.http2.calls import Caller
from compiler.xds.node import Node
from compiler.xds.remembered import UnrepairedNack
from compiler.xds.served import Generation, ProxyConfig, Resource


@dataclass(frozen=True, slots=True)
class Change:
    """A generation took the place of another; only `nodes` have something new in it, and `gone` are in it no more."""

    generation: Generation
    nodes: frozenset[str]
    gone: frozenset[str] = frozenset()


class ConfigSource(Protocol):
    """Callbacks run on the server's event loop, and so must `publish` of whoever implements this."""

    def get(self, node_id: str) -> ProxyConfig | None: ...

    def find(self, node_id: str, digest: str | None) -> ProxyConfig | None:
        """An earlier configuration of this proxy, if it is still known."""

    def get_previous(self, node_id: str) -> ProxyConfig | None: ...

    @property
    def generation(self) -> Generation | None: ...

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Returns what ends the subscription."""


class SecretSource(Protocol):
    """Identity certificates and trusted authorities; they reach a proxy by SDS and are in no snapshot."""

    def get(self, node_id: str, name: str) -> Resource | None:
        """At once; None while it cannot be had, and it is asked for again."""

    def subscribe(self, callback: Callable[[str | None], None]) -> Callable[[], None]:
        """The callback is told the node whose secrets rotated, None for all."""


class NackRecords(Protocol):
    """Keeps what a restarted server must know of nodes that hold a part of something refused."""

    def load(self, node_id: str) -> UnrepairedNack | None: ...

    def save(self, node_id: str, record: UnrepairedNack | None) -> None: ...


Admit = Callable[[Node, Caller], Awaitable[str | None]]
"""The node id that this caller may be, or None: what it says of itself is compared, never believed."""


async def admit_as_claimed(node: Node, _caller: Caller) -> str | None:
    """For plaintext on loopback only."""
    return node.id or None


class CurrentGeneration:
    """The generation being served and the one before it, in memory."""

    def __init__(self, generation: Generation | None = None) -> None:
        self._generation = generation
        self._previous: Generation | None = None
        self._callbacks: list[Callable[[Change], None]] = []

    @property
    def generation(self) -> Generation | None:
        return self._generation

    def get(self, node_id: str) -> ProxyConfig | None:
        return self._generation.proxies.get(node_id) if self._generation is not None else None

    def get_previous(self, node_id: str) -> ProxyConfig | None:
        return self._previous.proxies.get(node_id) if self._previous is not None else None

    def find(self, node_id: str, digest: str | None) -> ProxyConfig | None:
        known = (self.get(node_id), self.get_previous(node_id))
        return next((each for each in known if each is not None and each.digest == digest), None)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def publish(self, generation: Generation) -> Change:
        """Swap, then tell whom it concerns. A generation of the same digest (live endpoints) keeps `previous`."""
        former = self._generation
        if former is not None and former.digest != generation.digest:
            self._previous = former
        self._generation = generation
        change = _compare(former, generation)
        for callback in tuple(self._callbacks):
            callback(change)
        return change


def _compare(former: Generation | None, generation: Generation) -> Change:
    known = former.proxies if former is not None else {}
    changed, gone = [], []
    for node in generation.list_touched(former):
        config, before = generation.proxies.get(node), known.get(node)
        if config is None:
            gone.append(node)
        elif before is None or not config.same_as(before):
            changed.append(node)
    return Change(generation, frozenset(changed), frozenset(gone))
