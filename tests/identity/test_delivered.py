"""What is put together of authorities and of users' own secrets, and what is said where that cannot be done."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2 import SPIFFECertValidatorConfig
from google.protobuf.any_pb2 import Any as AnyMessage

from compiler.identity.authority import (
    Authority,
    AuthorityName,
    IdentityError,
    create_authority,
    load_authority,
    named_authority,
)
from compiler.identity.leaf import issue_leaf
from compiler.identity.secrets import IdentitySource, ServedSecret
from compiler.identity.vault import Vault
from compiler.mesh.trust import Trusted
from compiler.snapshot.names import CERTIFICATE, FROM_AGENT, SecretName

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MAIN, OTHER = (create_authority("shop", name, now=NOW, identity=True) for name in ("main", "other"))
BACKEND = create_authority("shop", "ca-1", now=NOW)
ID = SecretName("kri_mid_shop___main_", "identity/main", ("spiffe://shop.mesh.local/workload/api",))
PAIR = SecretName("theirs", "", sources=("cert", "key"), kind=CERTIFICATE)
AUTHORITY = SecretName("roots", "", sources=("cert",))


def key_of(authority: Authority) -> bytes:
    return authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def source(vault: dict[str, bytes] | None = None, **given: Authority) -> IdentitySource:
    authorities = {AuthorityName("shop", "" if name == "mesh" else name): one for name, one in given.items()}
    return IdentitySource(authorities, vault=Vault({("shop", name): text for name, text in (vault or {}).items()}))


def message(served: ServedSecret | None) -> Secret:
    assert served is not None
    secret = Secret()
    assert AnyMessage.FromString(served.resource).Unpack(secret)
    return secret


def domains(secret: Secret) -> dict[str, int]:
    """How many certificates are believed of each."""
    config = SPIFFECertValidatorConfig()
    assert secret.validation_context.custom_validator_config.name == "envoy.tls.cert_validator.spiffe"
    assert secret.validation_context.custom_validator_config.typed_config.Unpack(config)
    found = {one.name: one.trust_bundle.inline_bytes.count(b"BEGIN CERTIFICATE") for one in config.trust_domains}
    assert list(found) == sorted(found)
    return found


def test_an_identitys_authority_names_both_and_certifies_one_uri() -> None:
    assert named_authority(MAIN.certificate) == AuthorityName("shop", "main")
    assert named_authority(BACKEND.certificate) == AuthorityName("shop")
    secret = message(source(main=MAIN).secret("shop.api-1", ID, NOW))
    leaf = x509.load_pem_x509_certificate(secret.tls_certificate.certificate_chain.inline_bytes)
    leaf.verify_directly_issued_by(MAIN.certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == list(ID.uris)


def test_the_authority_of_another_identity_or_of_the_mesh_certifies_nobody() -> None:
    for given in ({"other": OTHER}, {"mesh": BACKEND}):
        at_hand = source(**given)
        assert at_hand.secret("shop.api-1", ID, NOW) is None
        assert list(at_hand.troubles("shop", ID)) == [
            "no authority for MeshIdentity main of mesh shop: its proxies get no certificates; start with --ca"
        ]


def test_an_authority_is_made_of_secrets_where_none_was_given() -> None:
    named = SecretName(ID.name, ID.authority, ID.uris, sources=("cert", "key"))
    vault = {"cert": OTHER.trust_bundle, "key": key_of(OTHER)}
    for at_hand, issuer in ((source(vault), OTHER), (source(vault, main=MAIN), MAIN)):
        secret = message(at_hand.secret("shop.api-1", named, NOW))
        chain = x509.load_pem_x509_certificate(secret.tls_certificate.certificate_chain.inline_bytes)
        chain.verify_directly_issued_by(issuer.certificate)
        assert list(at_hand.troubles("shop", named)) == []
    (said,) = source({"cert": OTHER.trust_bundle}).troubles("shop", named)
    assert "put shop/cert, shop/key into the folder of --secrets" in said
    (said,) = source({**vault, "key": key_of(MAIN)}).troubles("shop", named)
    assert "belongs to the private key there" in said


def test_a_bundle_has_every_domain_that_somebody_is_at_hand_for() -> None:
    named = SecretName(
        "system_trust_bundle",
        "",
        trusted=(
            Trusted("a.local", pem=OTHER.trust_bundle.decode()),
            Trusted("a.local", authority="identity/main"),
            Trusted("gone.local", authority="identity/gone"),
            Trusted("shop", authority="ca-1"),
        ),
    )
    at_hand = source(main=MAIN, mesh=BACKEND)
    assert domains(message(at_hand.secret("shop.api-1", named, NOW))) == {"a.local": 2, "shop": 1}
    (said,) = at_hand.troubles("shop", named)
    assert "MeshIdentity gone of mesh shop" in said
    assert source().secret("shop.api-1", SecretName("b", "", trusted=named.trusted[2:]), NOW) is None


def test_a_bundle_of_several_meshes_has_the_authority_of_each() -> None:
    """Two meshes may call theirs alike."""
    trusted = tuple(Trusted(mesh, authority="ca-1", mesh=mesh) for mesh in ("bank", "shop"))
    named = SecretName("system_trust_bundles", "", trusted=trusted)
    theirs = create_authority("bank", "ca-1", now=NOW)
    at_hand = IdentitySource({AuthorityName("shop"): BACKEND, AuthorityName("bank"): theirs})
    config = SPIFFECertValidatorConfig()
    validation = message(at_hand.secret("shop.api-1", named, NOW)).validation_context
    assert validation.custom_validator_config.typed_config.Unpack(config)
    found = {one.name: one.trust_bundle.inline_bytes for one in config.trust_domains}
    assert found == {"bank": theirs.trust_bundle, "shop": BACKEND.trust_bundle}
    assert list(at_hand.troubles("shop", named)) == []
    (said,) = source(mesh=BACKEND).troubles("shop", named)
    assert said.startswith("no authority for mesh bank")


def test_a_users_certificate_comes_with_its_chain_in_order_and_no_other_key() -> None:
    leaf = issue_leaf(MAIN, node="n", uris=("spiffe://a/b",), now=NOW)
    for vault in (
        {"cert": leaf.chain + MAIN.trust_bundle, "key": leaf.key},
        {"cert": MAIN.trust_bundle + leaf.chain, "key": leaf.key},
    ):
        shown = message(source(vault).secret("shop.api-1", PAIR, NOW)).tls_certificate
        assert shown.certificate_chain.inline_bytes == leaf.chain + MAIN.trust_bundle
        assert shown.private_key.inline_bytes == leaf.key


def test_whom_a_user_trusts_is_told_without_any_key_in_the_file() -> None:
    secret = message(source({"cert": key_of(MAIN) + MAIN.trust_bundle}).secret("shop.api-1", AUTHORITY, NOW))
    assert secret.validation_context.trusted_ca.inline_bytes == MAIN.trust_bundle


@pytest.mark.parametrize(
    ("vault", "said"),
    [
        ({}, "no secret shop/cert, shop/key in the folder of --secrets"),
        ({"cert": b"nonsense", "key": b"nonsense"}, "There is no readable PEM certificate in the secret cert and"),
        ({"cert": MAIN.trust_bundle, "key": key_of(OTHER)}, "No certificate in the secret cert and the secret key"),
    ],
)
def test_what_cannot_be_delivered_is_told_of_and_quotes_nothing(vault: dict[str, bytes], said: str) -> None:
    (found,) = source(vault).troubles("shop", PAIR)
    assert said in found
    assert "nonsense" not in found
    if vault:
        with pytest.raises(IdentityError, match=r"PEM certificate|belongs"):
            source(vault).secret("shop.api-1", PAIR, NOW)
    else:
        assert source(vault).secret("shop.api-1", PAIR, NOW) is None


def test_an_agents_certificate_is_nothing_of_ours() -> None:
    named = SecretName("spiffe://a/b", "", ("spiffe://a/b",), kind=FROM_AGENT)
    at_hand = source(main=MAIN, mesh=BACKEND)
    assert at_hand.secret("shop.api-1", named, NOW) is None
    assert at_hand.rotation("shop.api-1", named, NOW) is None
    assert list(at_hand.troubles("shop", named)) == []


def test_lifetimes_are_each_identitys_own() -> None:
    lifetimes = {AuthorityName("shop", "main"): timedelta(hours=100)}
    at_hand = IdentitySource({AuthorityName("shop", "main"): MAIN, AuthorityName("shop"): BACKEND}, lifetimes)
    legacy = SecretName("system_mtls_identity_shop", "ca-1", ("spiffe://shop/api",))
    ours, theirs = (at_hand.secret("shop.api-1", one, NOW) for one in (ID, legacy))
    assert ours is not None
    assert theirs is not None
    spans = []
    for served in (ours, theirs):
        chain = message(served).tls_certificate.certificate_chain.inline_bytes
        certificate = x509.load_pem_x509_certificate(chain)
        spans.append(certificate.not_valid_after_utc - certificate.not_valid_before_utc)
    assert spans == [timedelta(hours=100, minutes=5), timedelta(hours=24, minutes=5)]


def test_an_authority_file_is_loaded_whosever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEM", (MAIN.trust_bundle + key_of(MAIN)).decode())
    assert load_authority("env:PEM").certificate == MAIN.certificate
