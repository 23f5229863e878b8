"""Authorities of meshes and of their MeshIdentities: made outside the repository, loaded from a file or a variable."""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from compiler.mesh.trust import IDENTITY_AUTHORITY

AuthorityKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

AUTHORITY_LIFETIME = timedelta(days=3650)
"""Kuma's `caCert.expiration` where the Mesh is silent: 10 years."""

CLOCK_ALLOWANCE = timedelta(minutes=5)
"""How far a peer's clock may be behind ours before it finds a fresh certificate not yet valid."""

_LARGEST_SOURCE = 1 << 20
_SMALLEST_RSA_KEY = 2048
_MESH_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LARGEST_NAME_PART = 64


_FOR_IDENTITY: Final = "MeshIdentity"
"""The organization that the certificate of a MeshIdentity's authority names, its unit being the MeshIdentity."""
_SCHEME: Final = "spiffe://"


class AuthorityName(NamedTuple):
    """Whose authority it is: a mesh's where `identity` is empty, else that of the MeshIdentity of this name."""

    mesh: str
    identity: str = ""


def authority_name(mesh: str, authority: str) -> AuthorityName:
    """By what a snapshot calls it, which for a Mesh is the name of its backend."""
    is_identity = authority.startswith(IDENTITY_AUTHORITY)
    return AuthorityName(mesh, authority.removeprefix(IDENTITY_AUTHORITY) if is_identity else "")


def named_authority(certificate: x509.Certificate) -> AuthorityName | None:
    """Whose it is by what `create_authority` wrote into it; None for one that came from elsewhere."""
    subject = {attribute.oid: str(attribute.value) for attribute in certificate.subject}
    if subject.get(NameOID.ORGANIZATION_NAME) == _FOR_IDENTITY:
        return AuthorityName(subject[NameOID.COMMON_NAME], subject[NameOID.ORGANIZATIONAL_UNIT_NAME])
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    uris = (uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith(_SCHEME))
    mesh = next((name for uri in uris if "/" not in (name := uri.removeprefix(_SCHEME))), None)
    return AuthorityName(mesh) if mesh is not None else None


class IdentityError(Exception):
    """A sentence for the person who runs this; it never quotes key material."""


class KeyKind(StrEnum):
    """What key a new authority gets; RSA 2048 is Kuma's, P-256 signs thirty times faster."""

    P256 = "p256"
    RSA2048 = "rsa2048"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Authority:
    """A signing key and its certificate; `trusted` holds every root or intermediate that a peer is to believe.

    A root rotation keeps the old and the new root in `trusted` while leaves move from one to the other.
    """

    key: AuthorityKey
    certificate: x509.Certificate
    trusted: tuple[x509.Certificate, ...]

    def __repr__(self) -> str:
        return "Authority([redacted])"

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc

    @property
    def trust_bundle(self) -> bytes:
        """PEM of all that peers believe, which is public."""
        return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in self.trusted)

    @property
    def seed(self) -> bytes:
        """The private number itself: an encoding of the key could change with the library, and every leaf with it."""
        match self.key:
            case ec.EllipticCurvePrivateKey():
                number = self.key.private_numbers().private_value
            case _:
                number = self.key.private_numbers().d
        return number.to_bytes((self.key.key_size + 7) // 8, "big")


def create_authority(
    mesh: str,
    backend: str,
    *,
    now: datetime,
    lifetime: timedelta = AUTHORITY_LIFETIME,
    kind: KeyKind = KeyKind.P256,
    identity: bool = False,
) -> Authority:
    """A self-signed authority that names its mesh as Kuma's does, `spiffe://<mesh>`; IdentityError for a bad name.

    One of a MeshIdentity, by whose name `backend` then goes, names both in its subject.
    """
    _check_names(mesh, backend)
    key = _create_key(kind)
    builder = _name_identity(mesh, backend) if identity else _name_backend(mesh, backend)
    certificate = _self_signed(builder, key, now - CLOCK_ALLOWANCE, now + lifetime)
    return Authority(key, certificate, (certificate,))


def load_authority(source: str, environment: Mapping[str, str] = os.environ) -> Authority:
    """From `file:PATH`, a path, or `env:NAME`: PEM of one private key and its certificate, further roots behind it."""
    kind, _, rest = source.partition(":")
    if kind == "env":
        return parse_authority(_read_variable(rest, environment), f"the environment variable {rest}")
    path = Path(rest if kind == "file" else source)
    return parse_authority(read_private_file(path, "CA"), str(path))


def write_authority(path: Path, authority: Authority) -> None:
    """On disk for good, mode 0600, when this returns; IdentityError rather than replacing what is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise IdentityError(f"{path} exists already and is left as it is; name another file or move it away.") from None
    except OSError as error:
        raise IdentityError(f"{path} cannot be created: {error.strerror}.") from None
    try:
        _write_durably(descriptor, path, _to_pem(authority))
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise IdentityError(f"{path} cannot be written: {error.strerror}; nothing was kept of it.") from None


def _check_names(mesh: str, backend: str) -> None:
    if not _MESH_NAME.fullmatch(mesh):
        raise IdentityError(f"{mesh!r} is no mesh name: lower-case letters, digits and '-', at most 63.")
    if not 0 < len(backend) <= _LARGEST_NAME_PART:
        raise IdentityError(f"A backend's name has 1 to {_LARGEST_NAME_PART} characters, not {len(backend)}.")


def _create_key(kind: KeyKind) -> AuthorityKey:
    if kind is KeyKind.RSA2048:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _name_backend(mesh: str, backend: str) -> x509.CertificateBuilder:
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"{_SCHEME}{mesh}")])
    return _call([(NameOID.ORGANIZATIONAL_UNIT_NAME, backend), (NameOID.COMMON_NAME, mesh)]).add_extension(
        names, critical=False
    )


def _name_identity(mesh: str, identity: str) -> x509.CertificateBuilder:
    """Of no trust domain: where its template says the zone, one authority may stand for several."""
    parts = [(NameOID.ORGANIZATIONAL_UNIT_NAME, identity), (NameOID.COMMON_NAME, mesh)]
    return _call([(NameOID.ORGANIZATION_NAME, _FOR_IDENTITY), *parts])


def _call(parts: Sequence[tuple[x509.ObjectIdentifier, str]]) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
    return x509.CertificateBuilder().subject_name(name).issuer_name(name)


def _self_signed(
    builder: x509.CertificateBuilder, key: AuthorityKey, not_before: datetime, not_after: datetime
) -> x509.Certificate:
    builder = (
        builder.public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signs_only(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _signs_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _to_pem(authority: Authority) -> bytes:
    key = authority.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return authority.trust_bundle + key


def _write_durably(descriptor: int, path: Path, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_variable(name: str, environment: Mapping[str, str]) -> bytes:
    if name not in environment:
        raise IdentityError(f"The environment variable {name or '(no name)'}, which is to hold a CA, is not set.")
    return environment[name].encode()


def read_private_file(path: Path, what: str) -> bytes:
    """Of at most 1 MiB, that nobody else can read; `what` is said of it in the IdentityError where it is not so."""
    try:
        # Without O_NONBLOCK a FIFO in the file's place would block for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise IdentityError(f"The {what} file {path} cannot be opened: {error.strerror}.") from None
    with os.fdopen(descriptor, "rb") as file:
        _check_private(path, os.fstat(descriptor), what)
        content = file.read(_LARGEST_SOURCE + 1)
    if len(content) > _LARGEST_SOURCE:
        raise IdentityError(f"The {what} file {path} is over 1 MiB; it should hold one key and its certificates.")
    return content


def _check_private(path: Path, status: os.stat_result, what: str) -> None:
    """Judged on the opened file, so that nothing can be swapped in between."""
    if not stat.S_ISREG(status.st_mode):
        raise IdentityError(f"The {what} file {path} is not a regular file.")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o177:
        raise IdentityError(f"The {what} file {path} has mode {mode:04o} but must have 0600: run `chmod 600 {path}`.")
    if status.st_uid not in {os.geteuid(), 0}:
        raise IdentityError(f"The {what} file {path} belongs to user {status.st_uid}, neither to us nor to root.")


def parse_authority(content: bytes, place: str) -> Authority:
    """From PEM of one private key and its certificate, further roots behind it; `place` is said in IdentityError."""
    certificates, key, matching = parse_pair(content, place)
    if not _may_sign(matching[0]):
        raise IdentityError(f"The certificate in {place} is not a CA's (basicConstraints CA:TRUE, keyCertSign).")
    return Authority(key, matching[0], certificates)


def parse_certificates(content: bytes, place: str) -> tuple[x509.Certificate, ...]:
    """All that are in PEM, at least one; `from None`, since the library may quote what it could not read."""
    try:
        return tuple(x509.load_pem_x509_certificates(content))
    except ValueError:
        raise IdentityError(f"There is no readable PEM certificate in {place}.") from None


class Pair(NamedTuple):
    """Certificates with a key, and those of them that belong to it."""

    certificates: tuple[x509.Certificate, ...]
    key: AuthorityKey
    matching: tuple[x509.Certificate, ...]


def parse_pair(content: bytes, place: str) -> Pair:
    """A key and at least one certificate of it; IdentityError where there is none."""
    certificates, key = parse_certificates(content, place), _read_key(content, place)
    matching = tuple(certificate for certificate in certificates if certificate.public_key() == key.public_key())
    if not matching:
        raise IdentityError(f"No certificate in {place} belongs to the private key there.")
    return Pair(certificates, key, matching)


def _read_key(content: bytes, place: str) -> AuthorityKey:
    try:
        key = serialization.load_pem_private_key(content[_key_offset(content) :], password=None)
    except (ValueError, TypeError):
        raise IdentityError(f"There is no readable, unencrypted PEM private key in {place}.") from None
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            return key
        case rsa.RSAPrivateKey() if key.key_size >= _SMALLEST_RSA_KEY:
            return key
    raise IdentityError(f"The private key in {place} is neither P-256, P-384 nor RSA of 2048 bits or more.")


def _key_offset(content: bytes) -> int:
    """Where the key's PEM block begins, whichever side of the certificates it stands on."""
    found = re.search(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----", content)
    return found.start() if found else len(content)


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.ca and usage.key_cert_sign
