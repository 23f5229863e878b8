"""A proxy's certificate: what it says, that replicas agree on it, and how much life it always has left."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from compiler.identity.authority import Authority, IdentityError, KeyKind, create_authority, write_authority
from compiler.identity.leaf import (
    LEAF_LIFETIME,
    Leaf,
    epoch_at,
    issue_leaf,
    rotation_period,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URIS = ("spiffe://default/backend", "kuma://kuma.io/service/backend", "kuma://version/v1")
AUTHORITIES = {kind: create_authority("default", "ca-1", now=NOW, kind=kind) for kind in KeyKind}
AUTHORITY = AUTHORITIES[KeyKind.P256]
OUTAGE = timedelta(hours=8)

nodes = st.text(min_size=1, max_size=40)
moments = st.integers(0, 8 * 365 * 86_400).map(lambda seconds: NOW + timedelta(hours=12, seconds=seconds))
lifetimes = st.timedeltas(timedelta(minutes=10), timedelta(days=90))


def issue(node: str = "default.backend-1", now: datetime = NOW, **changes: object) -> Leaf:
    arguments = {"authority": AUTHORITY, "uris": URIS, "lifetime": LEAF_LIFETIME} | changes
    return issue_leaf(arguments.pop("authority"), node=node, now=now, **arguments)  # type: ignore[arg-type]


def certificate_of(leaf: Leaf) -> x509.Certificate:
    return x509.load_pem_x509_certificates(leaf.chain)[0]


def verify(leaf: Leaf, trusted: Authority, at: datetime) -> list[str]:
    verifier = PolicyBuilder().store(Store(list(trusted.trusted))).time(at).build_client_verifier()
    chain = x509.load_pem_x509_certificates(leaf.chain)
    verified = verifier.verify(chain[0], chain[1:])
    return [name.value for name in verified.subjects or ()]


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_peer_that_trusts_the_mesh_verifies_the_chain_and_reads_the_uris(kind: KeyKind) -> None:
    assert verify(issue(authority=AUTHORITIES[kind]), AUTHORITIES[kind], NOW) == list(URIS)


def test_a_peer_of_another_mesh_does_not() -> None:
    with pytest.raises(VerificationError):
        verify(issue(), create_authority("default", "ca-1", now=NOW), NOW)


def test_it_belongs_to_its_key_and_is_no_ca() -> None:
    leaf = issue()
    key = serialization.load_pem_private_key(leaf.key, password=None)
    certificate = certificate_of(leaf)
    assert certificate.public_key() == key.public_key()
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    assert not certificate.subject.rdns


@pytest.mark.parametrize("kind", list(KeyKind))
@given(node=nodes, now=moments, later=st.timedeltas(timedelta(0), timedelta(hours=16)))
def test_within_an_epoch_every_issue_gives_the_same_bytes(
    kind: KeyKind, node: str, now: datetime, later: timedelta
) -> None:
    first, second = (issue(node, at, authority=AUTHORITIES[kind]) for at in (now, now + later))
    same = epoch_at(node, now) == epoch_at(node, now + later)
    assert (first.chain == second.chain) is same
    assert (first.key == second.key) is same


def test_another_process_issues_the_same_bytes(tmp_path: Path) -> None:
    write_authority(tmp_path / "ca.pem", AUTHORITY)
    program = (
        "import sys; from datetime import datetime; from compiler.identity.authority import load_authority\n"
        "from compiler.identity.leaf import issue_leaf\n"
        "leaf = issue_leaf(load_authority(sys.argv[1]), node='default.backend-1', uris=sys.argv[3:],"
        " now=datetime.fromisoformat(sys.argv[2]))\n"
        "sys.stdout.buffer.write(leaf.chain + leaf.key)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "ca.pem"), NOW.isoformat(), *URIS]
    other = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2]).stdout
    assert other == issue().chain + issue().key


def test_what_differs_gets_another_serial_number() -> None:
    variants = [
        issue(),
        issue("default.backend-2"),
        issue(uris=URIS[:2]),
        issue(uris=("spiffe://default/backendkuma", *URIS[1:])),
        issue(now=NOW + timedelta(hours=16)),
        issue(lifetime=timedelta(hours=25)),
        issue(authority=create_authority("default", "ca-1", now=NOW)),
    ]
    assert len({certificate_of(leaf).serial_number for leaf in variants}) == len(variants)


def test_two_nodes_never_share_a_key() -> None:
    assert len({issue(f"default.backend-{number}").key for number in range(200)}) == 200


@given(node=nodes, now=moments, lifetime=lifetimes)
def test_at_every_moment_it_is_valid_for_clocks_five_minutes_behind_and_keeps_its_reserve(
    node: str, now: datetime, lifetime: timedelta
) -> None:
    leaf = issue(node, now, lifetime=lifetime)
    certificate = certificate_of(leaf)
    assert certificate.not_valid_before_utc <= now - timedelta(minutes=5)
    reserve = OUTAGE if lifetime >= timedelta(hours=10) else lifetime * 4 / 5
    assert certificate.not_valid_after_utc - now >= reserve - timedelta(seconds=1)
    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (leaf.not_before, leaf.not_after)


@given(node=nodes, now=moments, jump=st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_a_clock_that_jumps_changes_the_epoch_by_as_much_and_nothing_else(
    node: str, now: datetime, jump: timedelta
) -> None:
    before, after = epoch_at(node, now), epoch_at(node, now + jump)
    period = rotation_period(LEAF_LIFETIME)
    assert after.start - before.start == (after.number - before.number) * period
    assert after.start <= now + jump < after.end == after.start + period
    assert issue(node, now) == issue(node, before.start)


@given(node=nodes, now=moments)
def test_epochs_follow_each_other_without_gap(node: str, now: datetime) -> None:
    epoch = epoch_at(node, now)
    following = epoch_at(node, epoch.end)
    assert (following.number, following.start) == (epoch.number + 1, epoch.end)
    assert issue(node, now).rotates == epoch.end


def test_a_jump_of_ten_minutes_rotates_few_of_a_fleet() -> None:
    fleet = [f"default.backend-{number}" for number in range(2_000)]
    jumped = sum(epoch_at(node, NOW) != epoch_at(node, NOW + timedelta(minutes=10)) for node in fleet)
    expected = len(fleet) * timedelta(minutes=10) / rotation_period(LEAF_LIFETIME)
    assert 0 < jumped < 2.5 * expected


@pytest.mark.parametrize(
    ("lifetime", "period"),
    [
        (timedelta(days=30), timedelta(days=24)),
        (timedelta(hours=40), timedelta(hours=32)),
        (timedelta(hours=24), timedelta(hours=16)),
        (timedelta(hours=10), timedelta(hours=2)),
        (timedelta(hours=1), timedelta(minutes=12)),
    ],
)
def test_it_rotates_at_four_fifths_of_its_life_or_when_eight_hours_are_left(
    lifetime: timedelta, period: timedelta
) -> None:
    assert rotation_period(lifetime) == period


def test_a_lifetime_below_ten_minutes_is_refused() -> None:
    with pytest.raises(IdentityError, match="too short"):
        rotation_period(timedelta(minutes=9, seconds=59))


def test_it_ends_with_its_authority_and_is_refused_after() -> None:
    short = create_authority("default", "ca-1", now=NOW, lifetime=timedelta(hours=3))
    leaf = issue(authority=short)
    assert leaf.not_after == short.not_after == NOW + timedelta(hours=3)
    assert verify(leaf, short, NOW + timedelta(hours=2)) == list(URIS)
    with pytest.raises(IdentityError, match="CA expired on 2026-03-01"):
        issue(authority=short, now=NOW + timedelta(hours=3))


@pytest.mark.parametrize("uris", [(), ("spiffe://default/bäckend",)])
def test_a_certificate_without_readable_name_is_refused(uris: tuple[str, ...]) -> None:
    with pytest.raises(IdentityError, match="at least one URI, and ASCII only"):
        issue(uris=uris)


def sign_ca(name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Made by hand, as the builtin CA allows no intermediate below it."""
    usage = AUTHORITY.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    return builder.sign(by, hashes.SHA256())


def test_an_intermediate_is_sent_along_so_that_the_root_suffices() -> None:
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    certificate = sign_ca("root", root_key, root_key)
    root = Authority(root_key, certificate, (certificate,))
    leaf = issue(authority=Authority(key, sign_ca("below", key, root_key), (certificate,)))
    assert len(x509.load_pem_x509_certificates(leaf.chain)) == 2
    assert verify(leaf, root, NOW + timedelta(minutes=1)) == list(URIS)


def test_it_prints_as_redacted() -> None:
    leaf = issue()
    assert repr(leaf).startswith("Leaf([redacted], ")
    assert all(line not in repr(leaf) for line in (leaf.key + leaf.chain).decode().splitlines())
