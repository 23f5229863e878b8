"""The certificate of one proxy, the same bytes from every replica and after every restart within one epoch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID

from compiler.identity.authority import CLOCK_ALLOWANCE, Authority, IdentityError

LEAF_LIFETIME = timedelta(hours=24)
"""Kuma's `dpCert.rotation.expiration` where the Mesh is silent."""

OUTAGE_RESERVE = timedelta(hours=8)
"""What a proxy's certificate has left at least, so that a control plane may be gone for that long (promise 41)."""

SHORTEST_LIFETIME = timedelta(minutes=10)
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SEED_BYTES = 48
_SERIAL_BYTES = 19
_REMEMBERED_AUTHORITIES = 8
"""More than a server has at a time; what they have in common for all leaves costs a fifth of a leaf."""
_REMEMBERED_LIFETIMES = 64


_NO_NAME = x509.Name([])
_NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)
_BOTH_ENDS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
_SIGNS_HANDSHAKES_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True, repr=False)
class Leaf:
    """PEM of a certificate (with any intermediate behind it) and of its key; `rotates` is when the next one is due."""

    chain: bytes
    key: bytes
    not_before: datetime
    not_after: datetime
    rotates: datetime

    def __repr__(self) -> str:
        return f"Leaf([redacted], not_after={self.not_after:%Y-%m-%dT%H:%M:%SZ})"


@dataclass(frozen=True, slots=True)
class Epoch:
    """The time for which one certificate of a node is handed out; a node's epochs follow each other without gap."""

    number: int
    start: datetime
    end: datetime


def rotation_period(lifetime: timedelta) -> timedelta:
    """4/5 of the lifetime (Kuma's) or earlier: 8 h must be left for any lifetime from 10 h up, so 16 h of 24 h.

    Below 10 h the reserve cannot be had; a fifth of the lifetime keeps four fifths in hand.
    """
    if lifetime < SHORTEST_LIFETIME:
        raise IdentityError(f"A certificate lifetime of {lifetime} is too short; the shortest is {SHORTEST_LIFETIME}.")
    return _whole_seconds(min(lifetime * 4 / 5, max(lifetime / 5, lifetime - OUTAGE_RESERVE)))


def epoch_at(node: str, now: datetime, lifetime: timedelta = LEAF_LIFETIME) -> Epoch:
    """Nodes change epoch at moments spread by their name's hash, so that a fleet does not rotate at one instant."""
    period = _period_seconds(lifetime)
    phase = int.from_bytes(hashlib.sha256(node.encode()).digest()[:8], "big") % period
    number = (int(now.timestamp()) - phase) // period
    start = datetime.fromtimestamp(number * period + phase, UTC)
    return Epoch(number, start, start + timedelta(seconds=period))


@lru_cache(_REMEMBERED_LIFETIMES)
def _period_seconds(lifetime: timedelta) -> int:
    """Of the few lifetimes that a server has; it is asked for with every proxy."""
    return int(rotation_period(lifetime).total_seconds())


def issue_leaf(
    authority: Authority,
    *,
    node: str,
    uris: Sequence[str],
    now: datetime,
    lifetime: timedelta = LEAF_LIFETIME,
) -> Leaf:
    """What this node presents at `now`; no certificate outlives its authority. IdentityError once that has expired."""
    if now >= authority.not_after:
        raise IdentityError(f"The CA expired on {authority.not_after:%Y-%m-%d}; no certificate can be issued from it.")
    return issue_in_epoch(authority, node, tuple(uris), epoch_at(node, now, lifetime), lifetime)


def issue_in_epoch(authority: Authority, node: str, uris: tuple[str, ...], epoch: Epoch, lifetime: timedelta) -> Leaf:
    """A function of its arguments alone: derived key, derived serial number, deterministic signature (RFC 6979)."""
    if not uris or not all(uri.isascii() for uri in uris):
        raise IdentityError(f"The certificate of {node} needs at least one URI, and ASCII only.")
    key = _derive_key(authority, node, epoch.number)
    not_before = epoch.start - CLOCK_ALLOWANCE
    not_after = min(epoch.start + _whole_seconds(lifetime), authority.not_after)
    serial = _derive_serial(authority, node, uris, epoch.number, not_after)
    certificate = _sign(authority, _describe(authority, key, uris, serial).not_valid_before(not_before), not_after)
    return Leaf(_chain(authority, certificate), _key_pem(key), not_before, not_after, min(epoch.end, not_after))


def _whole_seconds(duration: timedelta) -> timedelta:
    """A certificate counts in these."""
    return timedelta(seconds=duration // timedelta(seconds=1))


def _derive(authority: Authority, length: int, *parts: bytes) -> bytes:
    """Each part with its length before it: no two lists of parts give one input."""
    label = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return HKDF(hashes.SHA256(), length, salt=None, info=label).derive(_seed_of(authority))


@lru_cache(_REMEMBERED_AUTHORITIES)
def _seed_of(authority: Authority) -> bytes:
    """The same for every leaf of an authority, which is in memory anyway."""
    return authority.seed


def _derive_key(authority: Authority, node: str, epoch: int) -> ec.EllipticCurvePrivateKey:
    """64 bits more than the order has, so that the remainder is even (FIPS 186-5, A.2.1)."""
    derived = _derive(authority, 40, b"meshwright leaf key 1", node.encode(), str(epoch).encode())
    return ec.derive_private_key(int.from_bytes(derived, "big") % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def _derive_serial(authority: Authority, node: str, uris: Sequence[str], epoch: int, not_after: datetime) -> int:
    """Covers all that may differ between two certificates of one key: no serial number is used for two contents."""
    parts = (node, str(epoch), str(int(not_after.timestamp())), *uris)
    derived = _derive(authority, _SERIAL_BYTES, b"meshwright leaf serial 1", *(part.encode() for part in parts))
    return int.from_bytes(derived, "big") | 1


def _describe(
    authority: Authority, key: ec.EllipticCurvePrivateKey, uris: Sequence[str], serial: int
) -> x509.CertificateBuilder:
    """No subject: an X.509-SVID is known by its URIs alone, which RFC 5280 then wants critical."""
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
    return (
        x509.CertificateBuilder()
        .subject_name(_NO_NAME)
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .add_extension(_NO_AUTHORITY, critical=True)
        .add_extension(_SIGNS_HANDSHAKES_ONLY, critical=True)
        .add_extension(_BOTH_ENDS, critical=False)
        .add_extension(_issuer_identifier(authority), critical=False)
        .add_extension(names, critical=True)
    )


@lru_cache(_REMEMBERED_AUTHORITIES)
def _issuer_identifier(authority: Authority) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _sign(authority: Authority, builder: x509.CertificateBuilder, not_after: datetime) -> x509.Certificate:
    """RSA's PKCS 1 v1.5 signature is deterministic by itself, ECDSA only when asked."""
    deterministic = True if isinstance(authority.key, ec.EllipticCurvePrivateKey) else None
    return builder.not_valid_after(not_after).sign(authority.key, hashes.SHA256(), ecdsa_deterministic=deterministic)


def _chain(authority: Authority, certificate: x509.Certificate) -> bytes:
    """A root is the peer's to know already; an intermediate is sent along."""
    return certificate.public_bytes(serialization.Encoding.PEM) + _sent_along(authority)


@lru_cache(_REMEMBERED_AUTHORITIES)
def _sent_along(authority: Authority) -> bytes:
    issuer = authority.certificate
    return b"" if issuer.issuer == issuer.subject else issuer.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
