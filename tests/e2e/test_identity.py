"""Identities by MeshIdentity, and users' secrets: a mesh moves to them in traffic, and what changes needs no commit."""

import asyncio
import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compiler.identity.authority import Authority, create_authority
from compiler.identity.leaf import issue_leaf
from tests.e2e.applications import running_applications
from tests.e2e.conftest import require_envoy, require_peace
from tests.e2e.places import Place, free_port
from tests.e2e.processes import meshwright
from tests.e2e.shop import MESH, Shop, open_shop
from tests.e2e.traffic import Line, get, is_tls_refusal, loading

DOMAIN = "spiffe://shop.default.mesh.local"
PLAIN_MESH = "type: Mesh\nname: shop\n"
IDENTITY = """\
type: MeshIdentity
mesh: shop
name: main
spec:
  selector: {dataplane: {matchLabels: {%s}}}
  spiffeID: {path: '/{{ label "app" }}'}
  provider: {type: Bundled, bundled: {autogenerate: {enabled: true}}}
"""
ALLOW = """\
type: MeshTrafficPermission
mesh: shop
name: %s
spec:
  targetRef: {kind: Dataplane, labels: {app: %s}}
  rules:
    - default:
        allow:
          - spiffeID: {type: Exact, value: spiffe://shop/client}
          - spiffeID: {type: Exact, value: spiffe://shop.default.mesh.local/client}
"""
BOTH_IDS = f"{ALLOW % ('to-api', 'api')}---\n{ALLOW % ('to-store', 'store')}"
BANK = """\
type: MeshExternalService
mesh: shop
name: bank
spec:
  match: {{type: HostnameGenerator, port: 443, protocol: http}}
  endpoints: [{{address: {place.host}, port: {place.port}}}]
  tls:
    enabled: true
    version: {{min: TLS13}}
    verification:
      mode: SkipSAN
      caCert: {{secret: bank-ca}}
      clientCert: {{secret: bank-cert}}
      clientKey: {{secret: bank-key}}
---
{{type: Secret, mesh: shop, name: bank-ca}}
---
{{type: Secret, mesh: shop, name: bank-cert}}
---
{{type: Secret, mesh: shop, name: bank-key}}
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """With an authority for the identity, and a folder of secrets that is still empty."""
    folder, binary = tmp_path_factory.mktemp("identity"), require_envoy("1.40")
    done = meshwright("ca", "create", MESH, "--identity", "main", "--out", str(folder / "main.pem"))
    assert done.returncode == 0, done.stderr
    (folder / "secrets" / MESH).mkdir(parents=True)
    with open_shop(folder, ("--ca", f"file:{folder / 'main.pem'}", "--secrets", str(folder / "secrets"))) as shop:
        shop.start_envoys(binary, folder)
        yield shop


@pytest.fixture
def shop(opened: Shop) -> Iterator[Shop]:
    opened.reset()
    yield opened
    require_peace(opened.serve)


def test_a_mesh_moves_to_identities_one_workload_after_the_other_without_a_lost_request(shop: Shop) -> None:
    shop.applied(permissions=BOTH_IDS)
    line = Line(shop.places["client_store"])
    with loading(shop.places["client_api"]) as load:
        for selected in ("app: nobody", "app: api", "app: client", ""):
            shop.applied(identity=IDENTITY % selected)
            assert line.ask("hello") in {"store: hello", ""}
        shop.applied(mesh=PLAIN_MESH)
        answered = len(load.answers)
        shop.applied(api=ALLOW % ("again", "api"))
    line.close()
    assert load.failures == []
    assert len(load.answers) > answered > 0
    shown = get(shop.places["client_api"]).body["headers"]["x-forwarded-client-cert"]
    assert [part for part in shown.split(";") if part.startswith("URI=")] == [f"URI={DOMAIN}/client"]
    assert get(shop.places["guest_api"]).status == 403
    assert get(shop.places["client_api"]).status == 200


def test_two_identities_talk_a_third_is_refused_and_a_stranger_to_the_trust_domain_too(shop: Shop) -> None:
    shop.applied(mesh=PLAIN_MESH, identity=IDENTITY % "", permissions=BOTH_IDS)
    assert get(shop.places["client_api"]).status == 200
    assert Line(shop.places["client_store"]).ask("hello") == "store: hello"
    assert get(shop.places["guest_api"]).status == 403
    assert Line(shop.places["guest_store"]).ask("hello") == ""
    assert is_tls_refusal(_shake_hands(shop.places["api1"]))
    assert shop.serve.status()["troubles"] == []


def _shake_hands(place: Place) -> str:
    """As somebody whom another authority certifies for the same id."""
    now = datetime.now(UTC)
    stranger = create_authority(MESH, "main", now=now, identity=True)
    leaf = issue_leaf(stranger, node="shop.client", uris=(f"{DOMAIN}/client",), now=now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    _load(context, leaf.chain, leaf.key)
    try:
        with context.wrap_socket(Line(place)._socket) as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nhost: api\r\n\r\n")
            return secure.recv(100).decode("latin-1")
    except OSError:
        return ""


class Bank:
    """Answers each call on a connection of its own with the serial number of the caller's certificate."""

    def __init__(self, clients: Authority) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.verify_mode = ssl.CERT_REQUIRED
        # Who resumes a session asks for no certificate again; by TLS 1.3 it needs a ticket for that.
        self.context.num_tickets = 0
        self.context.load_verify_locations(cadata=clients.trust_bundle.decode())

    def certify(self, by: Authority) -> None:
        leaf = issue_leaf(by, node="bank", uris=("spiffe://bank/bank",), now=datetime.now(UTC))
        _load(self.context, leaf.chain, leaf.key)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        text = str(writer.get_extra_info("peercert")["serialNumber"]).encode()
        head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)
        await writer.drain()


def _load(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    path = Path(f"/proc/self/fd/{os.memfd_create('pair')}")
    path.write_bytes(chain + key)
    context.load_cert_chain(path)


def _put(folder: Path, name: str, content: bytes) -> None:
    """As an operator should: whole, and for the server's eyes only."""
    fresh = folder / f".{name}"
    fresh.touch(0o600)
    fresh.write_bytes(content)
    fresh.replace(folder / name)


def test_a_users_secrets_come_and_change_without_a_commit(shop: Shop) -> None:
    now = datetime.now(UTC)
    first, second, clients = (create_authority("bank", name, now=now) for name in ("first", "second", "clients"))
    secrets, place = shop.serve.folder / "secrets" / MESH, Place(shop.places["api1"].host, free_port())
    bank, before = Bank(clients), Place(shop.places["client_api"].host, free_port())
    bank.certify(first)
    store = shop.places["client_store"]
    outbound = f"    - {{address: {store.host}, port: {store.port}, tags: {{kuma.io/service: store}}}}\n"
    more = f"    - {{address: {before.host}, port: {before.port}, backendRef: {{kind: MeshExternalService, name: bank, port: 443}}}}\n"  # noqa: E501  # one line of YAML
    proxies = shop.base["proxies.yaml"]
    assert outbound in proxies
    with running_applications() as applications:
        applications.listen(place, bank.serve, bank.context)
        shop.applied(bank=BANK.format(place=place), proxies=proxies.replace(outbound, outbound + more))
        assert get(before).status == 503
        assert "no secret shop/bank-ca in the folder of --secrets" in str(shop.serve.status()["troubles"])
        served = shop.serve.status()["serving"]["generation"]

        _put(secrets, "bank-ca", first.trust_bundle)
        serials = []
        for number in range(2):
            leaf = issue_leaf(clients, node=f"client-{number}", uris=("spiffe://shop/client",), now=now)
            _put(secrets, "bank-cert", leaf.chain)
            _put(secrets, "bank-key", leaf.key)
            serials.append(_until(before, 200, serials))
        bank.certify(second)
        _until(before, 503, [])
        _put(secrets, "bank-ca", second.trust_bundle)
        _until(before, 200, [])
    assert len(set(serials)) == 2
    status = shop.serve.status()
    assert status["serving"]["generation"] == served
    assert status["troubles"] == []
    assert b"PRIVATE KEY" not in b"".join(path.read_bytes() for path in shop.serve.data.rglob("*") if path.is_file())


def _until(place: Place, status: int, known: list[str]) -> str:
    """What is said, once it is new, with this status."""
    deadline = datetime.now(UTC).timestamp() + 10
    while (answer := get(place)).status != status or answer.text in known:
        assert datetime.now(UTC).timestamp() < deadline, f"still {answer.status} {answer.text}"
    return answer.text
