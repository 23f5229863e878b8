"""What SDS hands out: the right certificate to the right node, nothing to any other, and nothing in print."""

import logging
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.rbac.v3.rbac_pb2 import RBAC, Policy
from envoy.extensions.filters.network.echo.v3.echo_pb2 import Echo
from envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NETWORK_RBAC
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from google.protobuf.any_pb2 import Any as AnyMessage

from compiler.envoy.names import authority_secret, identity_secret
from compiler.identity.authority import Authority, AuthorityName, IdentityError, create_authority
from compiler.identity.leaf import epoch_at
from compiler.identity.secrets import IdentitySource, ServedSecret
from compiler.snapshot.names import SecretName
from tests.e2e.places import free_port

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NODE = "default.backend-1"
URIS = ("spiffe://default/backend", "kuma://kuma.io/service/backend", "kuma://version/v1")
DEFAULT, PAYMENTS = (create_authority(mesh, "ca-1", now=NOW) for mesh in ("default", "payments"))
PATH = f"{os.environ['PATH']}:{Path(sys.executable).parent}"


@pytest.fixture
def source() -> IdentitySource:
    return IdentitySource({AuthorityName("default"): DEFAULT, AuthorityName("payments"): PAYMENTS})


def message(served: ServedSecret | None) -> Secret:
    assert served
    packed = AnyMessage.FromString(served.resource)
    secret = Secret()
    assert packed.Unpack(secret)
    return secret


def own(mesh: str = "default", uris: tuple[str, ...] = URIS) -> SecretName:
    return SecretName(identity_secret(mesh), "ca-1", uris)


def roots(mesh: str = "default") -> SecretName:
    return SecretName(authority_secret(mesh), "ca-1")


def identity(source: IdentitySource, node: str = NODE, now: datetime = NOW) -> ServedSecret:
    served = source.secret(node, own(node.partition(".")[0]), now)
    assert served
    return served


def test_a_node_gets_its_certificate_and_its_meshs_roots(source: IdentitySource) -> None:
    shown = message(identity(source))
    assert shown.name == "system_mtls_identity_default"
    assert shown.tls_certificate.certificate_chain.inline_bytes.startswith(b"-----BEGIN CERTIFICATE-----")
    assert shown.tls_certificate.private_key.inline_bytes.startswith(b"-----BEGIN PRIVATE KEY-----")
    trust = source.secret(NODE, roots(), NOW)
    assert message(trust).validation_context.trusted_ca.inline_bytes == DEFAULT.trust_bundle


def test_what_no_authority_or_secret_is_at_hand_for_is_not_found(source: IdentitySource) -> None:
    """Which secrets a node may have at all is its snapshot's to say (`tests/reconcile/test_identities.py`)."""
    wanted = (own("elsewhere"), roots("elsewhere"), SecretName("theirs", "", sources=("api-key",)))
    assert [source.secret("elsewhere.web-1", one, NOW) for one in wanted] == [None] * 3


def test_two_replicas_and_a_forgetful_one_hand_out_the_same_bytes(source: IdentitySource) -> None:
    served = identity(source)
    assert served == identity(source) == identity(IdentitySource({AuthorityName("default"): DEFAULT}))


def test_the_version_changes_exactly_with_the_certificate(source: IdentitySource) -> None:
    rotation = epoch_at(NODE, NOW).end
    before, last, after = (identity(source, now=now) for now in (NOW, rotation - timedelta(seconds=1), rotation))
    assert before.version == last.version != after.version
    assert before.resource == last.resource != after.resource
    other_uris = source.secret(NODE, own(uris=URIS[:1]), NOW)
    assert other_uris
    assert other_uris.version != before.version


def test_a_certificate_of_ours_has_a_next_rotation_and_nothing_else_has(source: IdentitySource) -> None:
    assert source.rotation(NODE, own(), NOW) == identity(source).rotates
    assert source.rotation(NODE, roots(), NOW) is None
    assert source.rotation("elsewhere.x", own("elsewhere"), NOW) is None


def test_a_meshs_own_lifetime_counts_and_a_bad_one_is_refused_at_once() -> None:
    source = IdentitySource({AuthorityName("default"): DEFAULT}, {AuthorityName("default"): timedelta(days=30)})
    epoch = epoch_at(NODE, NOW, timedelta(days=30))
    assert identity(source).rotates == epoch.end == epoch.start + timedelta(days=24)
    with pytest.raises(IdentityError, match="too short"):
        IdentitySource({AuthorityName("default"): DEFAULT}, {AuthorityName("default"): timedelta(seconds=30)})


def test_a_root_rotation_changes_what_is_trusted_and_not_the_leaf(source: IdentitySource) -> None:
    successor = create_authority("default", "ca-2", now=NOW)
    both = Authority(DEFAULT.key, DEFAULT.certificate, (DEFAULT.certificate, successor.certificate))
    rotating = IdentitySource({AuthorityName("default"): both})
    assert identity(rotating) == identity(source)
    before, after = (each.secret(NODE, roots(), NOW) for each in (source, rotating))
    assert before
    assert after
    assert before.version != after.version
    assert message(after).validation_context.trusted_ca.inline_bytes.count(b"BEGIN CERTIFICATE") == 2


def test_an_expired_ca_is_named(source: IdentitySource) -> None:
    identity(source)
    with pytest.raises(IdentityError, match="The CA of mesh default expired on 2036-02-27"):
        identity(source, now=NOW + timedelta(days=3650))


def test_nothing_prints_or_logs_key_material(
    source: IdentitySource, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    served = identity(source)
    logging.getLogger("test").warning("%s %r %s %r", source, source, served, [served, DEFAULT])
    printed = caplog.text + "".join(capfd.readouterr()) + f"{source}{served}{DEFAULT}"
    assert printed.count("[redacted]") >= 7
    key = message(served).tls_certificate.private_key.inline_bytes.decode().splitlines()[1:-1]
    assert not any(line in printed for line in key)
    assert not list(tmp_path.iterdir())


def bootstrap(source: IdentitySource, port: int, principal: str) -> bytes:
    """One TLS listener with the node's own secrets, which echoes callers whose certificate has the principal."""
    configuration = Bootstrap()
    now = datetime.now(UTC)
    named = own(), roots()
    configuration.static_resources.secrets.extend(message(source.secret(NODE, one, now)) for one in named)
    listener = configuration.static_resources.listeners.add(name="inbound")
    listener.address.socket_address.address = "127.0.0.1"
    listener.address.socket_address.port_value = port
    chain = listener.filter_chains.add()
    context = DownstreamTlsContext()
    context.require_client_certificate.value = True
    context.common_tls_context.tls_certificate_sds_secret_configs.add(name=named[0].name)
    context.common_tls_context.validation_context_sds_secret_config.name = named[1].name
    chain.transport_socket.name = "tls"
    chain.transport_socket.typed_config.Pack(context)
    chain.filters.add(name="rbac").typed_config.Pack(only(principal))
    chain.filters.add(name="echo").typed_config.Pack(Echo())
    content: bytes = configuration.SerializeToString()
    return content


def only(principal: str) -> NETWORK_RBAC:
    policy = Policy()
    policy.permissions.add(any=True)
    policy.principals.add().authenticated.principal_name.exact = principal
    return NETWORK_RBAC(stat_prefix="test", rules=RBAC(action=RBAC.ALLOW, policies={"one": policy}))


@contextmanager
def envoy(folder: Path, content: bytes, port: int) -> Iterator[None]:
    (folder / "bootstrap.pb").write_bytes(content)
    command = ["envoy", "--config-path", str(folder / "bootstrap.pb"), "--disable-hot-restart", "--concurrency", "1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env={"PATH": PATH}) as process:
        deadline = time.monotonic() + 20
        while not listens(port):
            assert process.poll() is None, "Envoy refused the secrets"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        try:
            yield
        finally:
            process.kill()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def call(folder: Path, port: int, caller: ServedSecret, trusted: Authority) -> bytes:
    """As a proxy would: presents its certificate, and verifies the other side's; b"" where it is hung up on."""
    secret = message(caller).tls_certificate
    (folder / "caller.pem").write_bytes(secret.certificate_chain.inline_bytes + secret.private_key.inline_bytes)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # By TLS 1.3 a client has finished its handshake before the server refuses its certificate.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=trusted.trust_bundle.decode())
    context.load_cert_chain(folder / "caller.pem")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as secure:
        secure.sendall(b"hello")
        return secure.recv(100)


@pytest.mark.parametrize("principal", ["spiffe://default/backend", "kuma://version/v1"])
def test_two_proxies_of_a_mesh_know_each_other_by_any_of_their_uris(tmp_path: Path, principal: str) -> None:
    now = datetime.now(UTC)
    ours, foreign = (create_authority("default", "ca-1", now=now) for _ in range(2))
    source, stranger = (
        IdentitySource({AuthorityName("default"): ours}),
        IdentitySource({AuthorityName("default"): foreign}),
    )
    port = free_port()
    with envoy(tmp_path, bootstrap(source, port, principal), port):
        assert call(tmp_path, port, identity(source, now=now), ours) == b"hello"
        other = source.secret("default.web-1", own(uris=("spiffe://default/web",)), now)
        assert other
        assert call(tmp_path, port, other, ours) == b""
        with pytest.raises(ssl.SSLError):
            call(tmp_path, port, identity(stranger, now=now), ours)
        with pytest.raises(ssl.SSLCertVerificationError):
            call(tmp_path, port, identity(source, now=now), foreign)
