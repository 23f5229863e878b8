"""The builtin CA: what it says of itself, how it is kept, and what is refused with which sentence."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from compiler.identity.authority import (
    Authority,
    IdentityError,
    KeyKind,
    create_authority,
    load_authority,
    write_authority,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority("default", "ca-1", now=NOW)


def key_pem(authority: Authority) -> bytes:
    return authority.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("kind", list(KeyKind))
def test_it_is_a_self_signed_ca_that_names_its_mesh_for_ten_years(kind: KeyKind) -> None:
    certificate = create_authority("default", "ca-1", now=NOW, kind=kind).certificate
    certificate.verify_directly_issued_by(certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://default"]
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "default"
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=3650)


@pytest.mark.parametrize("mesh", ["", "Default", "a.b", "-a", "a" * 64, "a\n"])
def test_a_name_that_no_mesh_can_have_is_refused(mesh: str) -> None:
    with pytest.raises(IdentityError, match="mesh name"):
        create_authority(mesh, "ca-1", now=NOW)


def test_a_backend_name_beyond_the_certificates_limit_is_refused() -> None:
    with pytest.raises(IdentityError, match="1 to 64 characters, not 65"):
        create_authority("default", "b" * 65, now=NOW)


@pytest.mark.parametrize("kind", list(KeyKind))
@pytest.mark.parametrize("prefix", ["", "file:"])
def test_what_was_written_is_loaded_again(tmp_path: Path, prefix: str, kind: KeyKind) -> None:
    made = create_authority("default", "ca-1", now=NOW, kind=kind)
    write_authority(tmp_path / "ca.pem", made)
    loaded = load_authority(f"{prefix}{tmp_path / 'ca.pem'}")
    assert (loaded.seed, loaded.certificate, loaded.trusted) == (made.seed, made.certificate, made.trusted)


def test_it_is_loaded_from_an_environment_variable(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path / "ca.pem", authority)
    environment = {"MESH_CA": (tmp_path / "ca.pem").read_text()}
    assert load_authority("env:MESH_CA", environment).seed == authority.seed


def test_the_key_may_stand_on_either_side_of_the_certificate(authority: Authority) -> None:
    environment = {"CA": (key_pem(authority) + authority.trust_bundle).decode()}
    assert load_authority("env:CA", environment).certificate == authority.certificate


def test_the_certificate_of_the_key_signs_and_all_of_them_are_trusted(authority: Authority) -> None:
    successor = create_authority("default", "ca-2", now=NOW)
    bundle = authority.trust_bundle + successor.trust_bundle + key_pem(successor)
    loaded = load_authority("env:CA", {"CA": bundle.decode()})
    assert loaded.certificate == successor.certificate
    assert loaded.trusted == (authority.certificate, successor.certificate)


def test_the_file_is_private_whatever_the_umask(authority: Authority, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_authority(tmp_path / "ca.pem", authority)
    finally:
        os.umask(before)
    assert (tmp_path / "ca.pem").stat().st_mode & 0o7777 == 0o600


def test_an_existing_file_is_left_as_it_is(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("precious")
    with pytest.raises(IdentityError, match="exists already"):
        write_authority(path, authority)
    assert path.read_text() == "precious"


def test_a_symbolic_link_in_the_files_place_is_not_followed(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IdentityError):
        write_authority(tmp_path / "ca.pem", authority)
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_leaves_no_half_of_a_key_behind(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(IdentityError, match="No space left on device; nothing was kept"):
        write_authority(tmp_path / "ca.pem", authority)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700])
def test_a_file_that_others_may_read_is_refused_with_the_remedy(
    authority: Authority, tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "ca.pem"
    write_authority(path, authority)
    path.chmod(mode)
    with pytest.raises(IdentityError, match=f"mode {mode:04o} but must have 0600: run `chmod 600"):
        load_authority(str(path))


def test_a_read_only_private_file_is_fine(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path / "ca.pem", authority)
    (tmp_path / "ca.pem").chmod(0o400)
    assert load_authority(str(tmp_path / "ca.pem")).seed == authority.seed


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem", 0o600)
    with pytest.raises(IdentityError, match="not a regular file"):
        load_authority(str(tmp_path / "ca.pem"))


def test_a_missing_file_or_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=r"absent\.pem cannot be opened: No such file"):
        load_authority(str(tmp_path / "absent.pem"))
    with pytest.raises(IdentityError, match="variable MESH_CA, which is to hold a CA, is not set"):
        load_authority("env:MESH_CA", {})


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch(mode=0o600)
    os.truncate(tmp_path / "ca.pem", 2 << 20)
    with pytest.raises(IdentityError, match="over 1 MiB"):
        load_authority(str(tmp_path / "ca.pem"))


def _foreign_key(authority: Authority) -> bytes:
    return authority.trust_bundle + key_pem(create_authority("default", "ca-1", now=NOW))


def _edwards_key(authority: Authority) -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return authority.trust_bundle + pem


def _encrypted_key(authority: Authority) -> bytes:
    pem = authority.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    return authority.trust_bundle + pem


def _leaf_for_ca(_authority: Authority) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = Authority(key, create_plain_certificate(key), ())
    return leaf.certificate.public_bytes(serialization.Encoding.PEM) + key_pem(leaf)


def create_plain_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plain")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda _: b"", "no readable PEM certificate"),
        (key_pem, "no readable PEM certificate"),
        (lambda authority: authority.trust_bundle, "no readable, unencrypted PEM private key"),
        (_encrypted_key, "no readable, unencrypted PEM private key"),
        (_foreign_key, "No certificate .* belongs to the private key"),
        (_edwards_key, "neither P-256, P-384 nor RSA"),
        (_leaf_for_ca, "not a CA's"),
    ],
)
def test_content_that_is_no_ca_is_refused_with_its_reason(
    authority: Authority, content: Callable[[Authority], bytes], reason: str
) -> None:
    with pytest.raises(IdentityError, match=reason):
        load_authority("env:CA", {"CA": content(authority).decode()})


def test_no_refusal_quotes_the_key(authority: Authority) -> None:
    lines = key_pem(authority).decode().splitlines()
    for missing in range(1, len(lines)):
        damaged = authority.trust_bundle.decode() + "\n".join(lines[:missing] + lines[missing + 1 :])
        with pytest.raises(IdentityError) as refusal:
            load_authority("env:CA", {"CA": damaged})
        assert refusal.value.__suppress_context__
        assert not any(line in str(refusal.value) for line in lines[1:-1])


def test_it_prints_as_redacted(authority: Authority) -> None:
    assert repr(authority) == str(authority) == f"{authority}" == "Authority([redacted])"
