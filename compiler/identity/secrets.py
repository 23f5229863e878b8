"""What SDS delivers: certificates, whom to trust and users' own secrets, put together in memory when asked for."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2 import SPIFFECertValidatorConfig

from compiler.envoy.packing import pack
from compiler.identity.authority import (
    Authority,
    AuthorityName,
    IdentityError,
    authority_name,
    parse_authority,
    parse_certificates,
    parse_pair,
)
from compiler.identity.leaf import LEAF_LIFETIME, Epoch, Leaf, epoch_at, issue_in_epoch, rotation_period
from compiler.identity.vault import Vault
from compiler.mesh.trust import Trusted
from compiler.snapshot.names import CERTIFICATE, FROM_AGENT, SecretName

REMEMBERED_LEAVES = 16_384
_REMEMBERED_SHARED: Final = 1024
_NO_LIFETIMES: Mapping[AuthorityName, timedelta] = MappingProxyType({})
_NO_SECRETS: Final = Vault()
_SPIFFE_VALIDATOR: Final = "envoy.tls.cert_validator.spiffe"


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

    Immutable: where a commit changes a lifetime or an operator a root or a secret, a new source takes its place and
    hands out the same bytes for all that did not change. IdentityError for a lifetime that is too short.
    """

    def __init__(
        self,
        authorities: Mapping[AuthorityName, Authority],
        lifetimes: Mapping[AuthorityName, timedelta] = _NO_LIFETIMES,
        vault: Vault = _NO_SECRETS,
    ) -> None:
        self._given = dict(authorities)
        self._lifetimes = dict(lifetimes)
        self._vault = vault
        for lifetime in self._lifetimes.values():
            rotation_period(lifetime)
        # By authority, node, URIs and epoch; forgetting costs a third of a millisecond, never another certificate.
        self._identity = lru_cache(REMEMBERED_LEAVES)(self._issue)
        self._shared = lru_cache(_REMEMBERED_SHARED)(self._make_shared)
        self._provided = lru_cache(_REMEMBERED_SHARED)(self._provide)
        # By node and lifetime, the last that was asked for: some 10 us that a proxy that comes would cost four times.
        self._epochs: dict[tuple[str, timedelta], Epoch] = {}

    def __repr__(self) -> str:
        return "IdentitySource([redacted])"

    def secret(self, node_id: str, named: SecretName, now: datetime) -> ServedSecret | None:
        """None is "not found": what it is made of is not at hand. IdentityError: it is, and cannot be used.

        `named` is what the node's snapshot says by the reviewed commit, never what the node says (promise 45).
        """
        mesh = named.mesh or node_id.partition(".")[0]
        if named.kind == FROM_AGENT:
            return None
        if not named.uris:
            return self._shared(mesh, named)
        authority = self.authority(mesh, named.authority, named.sources)
        if authority is None:
            return None
        if now >= authority.not_after:
            whose = _whose(mesh, named.authority)
            raise IdentityError(f"The CA of {whose} expired on {authority.not_after:%Y-%m-%d}; make another.")
        owner = authority_name(mesh, named.authority)
        return self._identity(owner, named, node_id, self._epoch(node_id, owner, now))

    def rotation(self, node_id: str, named: SecretName, now: datetime) -> datetime | None:
        """When the node is owed another certificate; None for what is not renewed by us."""
        mesh = named.mesh or node_id.partition(".")[0]
        if not named.uris or named.kind == FROM_AGENT or not self._is_at_hand(mesh, named.authority, named.sources):
            return None
        return self._epoch(node_id, authority_name(mesh, named.authority), now).end

    def troubles(self, mesh: str, named: SecretName) -> Iterable[str]:
        """In sentences, what keeps a secret from being delivered whole."""
        if named.kind == FROM_AGENT:
            return
        wanted = ((one.mesh or mesh, one.authority, one.sources) for one in named.trusted)
        for whose, name, sources in ((mesh, named.authority, named.sources), *wanted):
            yield from self._authority_troubles(whose, name, sources) if name else ()
        if not named.authority and not named.trusted:
            yield from self._user_troubles(mesh, named)

    def authority(self, mesh: str, name: str, sources: tuple[str, ...]) -> Authority | None:
        """What the operator gave, or else what the mesh's own secrets make; IdentityError where they make none."""
        given = self._given.get(authority_name(mesh, name))
        return given if given is not None or not sources else self._provided(mesh, sources)

    def _provide(self, mesh: str, sources: tuple[str, ...]) -> Authority | None:
        content = self._vault.find(mesh, sources)
        return parse_authority(content, _place(mesh, sources)) if content is not None else None

    def _is_at_hand(self, mesh: str, name: str, sources: tuple[str, ...]) -> bool:
        try:
            return self.authority(mesh, name, sources) is not None
        except IdentityError:
            return False

    def _authority_troubles(self, mesh: str, name: str, sources: tuple[str, ...]) -> Iterable[str]:
        try:
            if self.authority(mesh, name, sources) is None:
                yield f"no authority for {_whose(mesh, name)}: {_remedy(mesh, sources)}"
        except IdentityError as error:
            yield str(error)

    def _user_troubles(self, mesh: str, named: SecretName) -> Iterable[str]:
        try:
            if self._shared(mesh, named) is None:
                missing = [one for one in named.sources if self._vault.find(mesh, (one,)) is None]
                files = ", ".join(f"{mesh}/{one}" for one in missing)
                yield f"no secret {files} in the folder of --secrets: whoever needs it is not told it"
        except IdentityError as error:
            yield str(error)

    # What is put together.

    def _epoch(self, node_id: str, owner: AuthorityName, now: datetime) -> Epoch:
        lifetime = self._lifetimes.get(owner, LEAF_LIFETIME)
        epoch = self._epochs.get((node_id, lifetime))
        if epoch is not None and epoch.start <= now < epoch.end:
            return epoch
        if len(self._epochs) >= REMEMBERED_LEAVES:
            self._epochs.clear()
        epoch = self._epochs[node_id, lifetime] = epoch_at(node_id, now, lifetime)
        return epoch

    def _issue(self, owner: AuthorityName, named: SecretName, node_id: str, epoch: Epoch) -> ServedSecret | None:
        authority = self.authority(owner.mesh, named.authority, named.sources)
        if authority is None:
            return None
        lifetime = self._lifetimes.get(owner, LEAF_LIFETIME)
        return _identity_secret(named.name, issue_in_epoch(authority, node_id, named.uris, epoch, lifetime))

    def _make_shared(self, mesh: str, named: SecretName) -> ServedSecret | None:
        """The same for all proxies of a mesh that are told it."""
        if named.trusted:
            return self._bundle(mesh, named)
        if named.authority:
            authority = self.authority(mesh, named.authority, named.sources)
            return _trust_secret(named.name, authority.trust_bundle) if authority is not None else None
        content = self._vault.find(mesh, named.sources)
        if content is None:
            return None
        place = _place(mesh, named.sources)
        if named.kind == CERTIFICATE:
            return _user_certificate(named.name, content, place)
        return _trust_secret(named.name, _to_pem(parse_certificates(content, place)))

    def _bundle(self, mesh: str, named: SecretName) -> ServedSecret | None:
        """An authority that is not at hand is left out: whoever it certifies is not trusted."""
        domains: dict[str, bytes] = defaultdict(bytes)
        for one in named.trusted:
            domains[one.domain] += one.pem.encode() + self._root(mesh, one)
        known = {domain: pem for domain, pem in sorted(domains.items()) if pem}
        return _bundle_secret(named.name, known) if known else None

    def _root(self, mesh: str, trusted: Trusted) -> bytes:
        mesh = trusted.mesh or mesh
        if not trusted.authority or not self._is_at_hand(mesh, trusted.authority, trusted.sources):
            return b""
        authority = self.authority(mesh, trusted.authority, trusted.sources)
        return authority.trust_bundle if authority is not None else b""


def _whose(mesh: str, name: str) -> str:
    owner = authority_name(mesh, name)
    return f"MeshIdentity {owner.identity} of mesh {mesh}" if owner.identity else f"mesh {mesh}"


def _remedy(mesh: str, sources: tuple[str, ...]) -> str:
    files = ", ".join(f"{mesh}/{one}" for one in sources)
    ways = f"start with --ca, or put {files} into the folder of --secrets" if files else "start with --ca"
    return f"its proxies get no certificates; {ways}"


def _place(mesh: str, sources: tuple[str, ...]) -> str:
    return " and ".join(f"the secret {name}" for name in sources) + f" of mesh {mesh}"


def _identity_secret(name: str, leaf: Leaf) -> ServedSecret:
    return _certificate_secret(name, leaf.chain, leaf.key, leaf.rotates)


def _user_certificate(name: str, content: bytes, place: str) -> ServedSecret:
    """The key's own certificate first, whatever the order in the files; the others are its chain."""
    pair = parse_pair(content, place)
    own = pair.matching[0]
    chain = _to_pem((own, *(one for one in pair.certificates if one != own)))
    key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return _certificate_secret(name, chain, key, None)


def _certificate_secret(name: str, chain: bytes, key: bytes, rotates: datetime | None) -> ServedSecret:
    message = Secret(name=name)
    message.tls_certificate.certificate_chain.inline_bytes = chain
    message.tls_certificate.private_key.inline_bytes = key
    return _serve(message, chain, rotates)


def _trust_secret(name: str, bundle: bytes) -> ServedSecret:
    message = Secret(name=name)
    message.validation_context.trusted_ca.inline_bytes = bundle
    return _serve(message, bundle, None)


def _bundle_secret(name: str, domains: Mapping[str, bytes]) -> ServedSecret:
    """For Envoy's SPIFFE validator, which looks for the domain of a peer's id (kuma-core §2.9)."""
    message = Secret(name=name)
    trust_domains(message, domains)
    return _serve(message, b"\0".join(part for domain, pem in domains.items() for part in (domain.encode(), pem)), None)


def trust_domains(message: Secret, domains: Mapping[str, bytes]) -> None:
    """Makes it one by which a peer is believed that leads to the PEM of its domain."""
    config = SPIFFECertValidatorConfig()
    for domain, pem in domains.items():
        config.trust_domains.add(name=domain).trust_bundle.inline_bytes = pem
    validator = message.validation_context.custom_validator_config
    validator.name = _SPIFFE_VALIDATOR
    validator.typed_config.CopyFrom(pack(config))


def _serve(message: Secret, public_part: bytes, rotates: datetime | None) -> ServedSecret:
    resource = pack(message).SerializeToString(deterministic=True)
    return ServedSecret(message.name, resource, _version(message.name, public_part), rotates)


def _to_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _version(name: str, public_part: bytes) -> str:
    """Of the certificates alone: they change whenever the key does, and a log may show it."""
    return hashlib.sha256(name.encode() + b"\0" + public_part).hexdigest()[:32]
