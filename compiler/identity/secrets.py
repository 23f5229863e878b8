"""What SDS delivers: a proxy's own certificate and its mesh's roots, made in memory when they are asked for."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from types import MappingProxyType

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from compiler.envoy.names import authority_secret, identity_secret
from compiler.envoy.packing import pack
from compiler.identity.authority import Authority, IdentityError
from compiler.identity.leaf import LEAF_LIFETIME, Epoch, Leaf, epoch_at, issue_in_epoch, rotation_period

_REMEMBERED_LEAVES = 16_384
_NO_LIFETIMES: Mapping[str, timedelta] = MappingProxyType({})


@dataclass(frozen=True, slots=True, repr=False)
class ServedSecret:
    """A serialised Any and its version; the version is a hash of public parts and may be logged, the rest may not."""

    name: str
    resource: bytes
    version: str
    rotates: datetime | None

    def __repr__(self) -> str:
        return f"ServedSecret({self.name!r}, {self.version!r}, [redacted])"


class IdentitySource:
    """Resolves the secrets that snapshots only name; holds keys in memory, writes nothing, and prints as redacted.

    Immutable: where a commit changes a lifetime or an operator a root, a new source takes its place and hands out the
    same bytes for all that did not change. IdentityError for a lifetime that is too short.
    """

    def __init__(
        self, authorities: Mapping[str, Authority], lifetimes: Mapping[str, timedelta] = _NO_LIFETIMES
    ) -> None:
        self._authorities = dict(authorities)
        self._lifetimes = dict(lifetimes)
        for lifetime in self._lifetimes.values():
            rotation_period(lifetime)
        # Forgetting costs a third of a millisecond, never another certificate.
        self._leaf = lru_cache(_REMEMBERED_LEAVES)(self._issue)
        self._trust = cache(self._bundle)

    def __repr__(self) -> str:
        return "IdentitySource([redacted])"

    @property
    def meshes(self) -> tuple[str, ...]:
        """The meshes whose authority is at hand."""
        return tuple(sorted(self._authorities))

    def secret(self, node_id: str, name: str, uris: tuple[str, ...], now: datetime) -> ServedSecret | None:
        """None is "not found": no such secret, or another mesh's (promise 45). IdentityError: the CA has expired.

        `uris` are the node's by the reviewed commit, never by its own word.
        """
        mesh = node_id.partition(".")[0]
        if mesh not in self._authorities:
            return None
        if name == identity_secret(mesh):
            return _identity_secret(name, self._current_leaf(mesh, node_id, uris, now))
        if name == authority_secret(mesh):
            return self._trust(mesh)
        return None

    def next_rotation(self, now: datetime, nodes: Iterable[str]) -> datetime | None:
        """The first moment at which one of these nodes is owed another certificate."""
        return min((self._epoch(node, now).end for node in nodes if self._knows(node)), default=None)

    def _knows(self, node_id: str) -> bool:
        return node_id.partition(".")[0] in self._authorities

    def _epoch(self, node_id: str, now: datetime) -> Epoch:
        return epoch_at(node_id, now, self._lifetime(node_id.partition(".")[0]))

    def _lifetime(self, mesh: str) -> timedelta:
        return self._lifetimes.get(mesh, LEAF_LIFETIME)

    def _current_leaf(self, mesh: str, node_id: str, uris: tuple[str, ...], now: datetime) -> Leaf:
        expiry = self._authorities[mesh].not_after
        if now >= expiry:
            raise IdentityError(f"The CA of mesh {mesh} expired on {expiry:%Y-%m-%d}; make another and roll it out.")
        return self._leaf(mesh, node_id, uris, self._epoch(node_id, now))

    def _bundle(self, mesh: str) -> ServedSecret:
        """The same for all proxies of a mesh, and public."""
        return _trust_secret(authority_secret(mesh), self._authorities[mesh])

    def _issue(self, mesh: str, node_id: str, uris: tuple[str, ...], epoch: Epoch) -> Leaf:
        return issue_in_epoch(self._authorities[mesh], node_id, uris, epoch, self._lifetime(mesh))


def _identity_secret(name: str, leaf: Leaf) -> ServedSecret:
    message = Secret(name=name)
    message.tls_certificate.certificate_chain.inline_bytes = leaf.chain
    message.tls_certificate.private_key.inline_bytes = leaf.key
    return ServedSecret(
        name, pack(message).SerializeToString(deterministic=True), _version(name, leaf.chain), leaf.rotates
    )


def _trust_secret(name: str, authority: Authority) -> ServedSecret:
    message = Secret(name=name)
    message.validation_context.trusted_ca.inline_bytes = authority.trust_bundle
    return ServedSecret(
        name, pack(message).SerializeToString(deterministic=True), _version(name, authority.trust_bundle), None
    )


def _version(name: str, public_part: bytes) -> str:
    """Of the certificates alone: they change whenever the key does, and a log may show it."""
    return hashlib.sha256(name.encode() + b"\0" + public_part).hexdigest()[:32]
