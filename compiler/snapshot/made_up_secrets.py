"""Throw-away keys and certificates, so that Envoy can judge a TLS context without the real ones."""

from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

# Wide and fixed: reads no clock, and a validation does not outlive it.
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)
_TICKET_KEY_BYTES = 80

_KINDS = {
    "tls_certificate_sds_secret_configs": "certificate",
    "validation_context_sds_secret_config": "authority",
    "session_ticket_keys_sds_secret_config": "ticket keys",
}


def secret_kind(field: str) -> str:
    """What the secret is that a field (its proto name) asks for."""
    return _KINDS.get(field, "generic")


def made_up_secret(name: str, kind: str) -> Secret:
    """A secret of that kind which Envoy accepts; its key is known to nobody and good for nothing."""
    secret = Secret(name=name)
    authority, certificate, key = _chain()
    match kind:
        case "certificate":
            secret.tls_certificate.certificate_chain.inline_bytes = certificate
            secret.tls_certificate.private_key.inline_bytes = key
        case "authority":
            secret.validation_context.trusted_ca.inline_bytes = authority
        case "ticket keys":
            secret.session_ticket_keys.keys.add(inline_bytes=bytes(_TICKET_KEY_BYTES))
        case _:
            secret.generic_secret.secret.inline_bytes = b"made-up"
    return secret


@cache  # one chain for the process: making it costs a millisecond, and nothing depends on which it is
def _chain() -> tuple[bytes, bytes, bytes]:
    """The authority's certificate, a leaf's and the leaf's key, all PEM."""
    authority_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("made-up authority", authority_key, authority_key, is_authority=True)
    leaf = _certificate("made-up leaf", leaf_key, authority_key, is_authority=False)
    key = leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return authority.public_bytes(Encoding.PEM), leaf.public_bytes(Encoding.PEM), key


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey, *, is_authority: bool
) -> x509.Certificate:
    constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made-up authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(constraints, critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
