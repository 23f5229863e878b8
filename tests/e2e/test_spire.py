"""An agent of SPIRE beside a real Envoy: it alone says who the proxy is and whom it trusts."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from google.protobuf.any_pb2 import Any as AnyMessage

from compiler.envoy.resources import ResourceType
from compiler.identity.authority import Authority, AuthorityName, create_authority
from compiler.identity.leaf import issue_leaf
from compiler.identity.secrets import IdentitySource
from compiler.mesh.trust import Trusted
from compiler.snapshot.names import SecretName
from compiler.snapshot.snapshot import Snapshot
from tests.e2e.places import free_port
from tests.trees import compile_texts

DOMAIN = "shop.default.mesh.local"
API, WEB = f"spiffe://{DOMAIN}/workload/api", f"spiffe://{DOMAIN}/workload/web"
MESH = """\
{type: Mesh, name: shop}
---
type: MeshIdentity
mesh: shop
name: main
spec: {selector: {dataplane: {matchLabels: {}}}, provider: {type: Spire}}
---
type: Dataplane
mesh: shop
name: api-1
labels: {kuma.io/workload: api}
networking: {address: 127.0.0.1, inbound: [{port: 80, tags: {kuma.io/service: api, kuma.io/protocol: tcp}}]}
"""


class Agent(grpc.GenericRpcHandler):
    """Serves SDS as SPIRE's does: a certificate by its id, and by `ALL` whom to trust."""

    def __init__(self, authority: Authority) -> None:
        self.source = IdentitySource({AuthorityName("shop", "main"): authority})
        self.asked: set[str] = set()

    def service(self, details: Any) -> grpc.RpcMethodHandler | None:
        if not details.method.endswith("/StreamSecrets"):
            return None
        reading, writing = DiscoveryRequest.FromString, DiscoveryResponse.SerializeToString
        return grpc.stream_stream_rpc_method_handler(self._answer, reading, writing)

    def _answer(self, requests: Iterator[Any], _: object) -> Iterator[Any]:
        for request in requests:
            if not request.response_nonce:
                self.asked.update(request.resource_names)
                found = [self._secret(name) for name in request.resource_names]
                yield DiscoveryResponse(version_info="1", nonce="1", type_url=request.type_url, resources=found)

    def _secret(self, name: str) -> AnyMessage:
        trusted = (Trusted(DOMAIN, authority="identity/main"),)
        named = SecretName(name, "", trusted=trusted) if name == "ALL" else SecretName(name, "identity/main", (name,))
        served = self.source.secret("shop.api-1", named, datetime.now(UTC))
        assert served is not None
        return AnyMessage.FromString(served.resource)


@contextmanager
def running(agent: Agent, path: Path) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((agent,))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    try:
        yield
    finally:
        server.stop(0)


def compile_api() -> Snapshot:
    generation = compile_texts(*MESH.split("---\n")).value.generation
    assert generation is not None
    return generation.snapshots["shop.api-1"]


def bootstrap(snapshot: Snapshot, folder: Path, port: int) -> Path:
    """The snapshot's cluster of the agent and its inbound's TLS, from files, as a control plane would bring them."""
    name = "system_identity_sds-spire-agent"
    agent = json.loads(snapshot.resources[ResourceType.CLUSTER][name].json)
    place = agent["loadAssignment"]["endpoints"][0]["lbEndpoints"][0]["endpoint"]["address"]["pipe"]
    assert place["path"] == "/run/spire/sockets/agent.sock"
    place["path"] = str(folder / "agent.sock")
    (chain,) = json.loads(snapshot.resources[ResourceType.LISTENER]["self_inbound_dp_80"].json)["filterChains"]
    echo = {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}
    listener = {
        "name": "inbound",
        "address": {"socketAddress": {"address": "127.0.0.1", "portValue": port}},
        "filterChains": [
            {"transportSocket": chain["transportSocket"], "filters": [{"name": "echo", "typedConfig": echo}]}
        ],
    }
    sources = {"cds": ("cluster.v3.Cluster", agent), "lds": ("listener.v3.Listener", listener)}
    for file, (kind, message) in sources.items():
        content = {"versionInfo": "1", "resources": [{"@type": f"type.googleapis.com/envoy.config.{kind}", **message}]}
        (folder / f"{file}.json").write_text(json.dumps(content))
    dynamic = {f"{file}Config": {"pathConfigSource": {"path": str(folder / f"{file}.json")}} for file in sources}
    path = folder / "bootstrap.json"
    path.write_text(json.dumps({"node": {"id": "shop.api-1", "cluster": "api"}, "dynamicResources": dynamic}))
    return path


def call(folder: Path, port: int, by: Authority, uri: str) -> bytes:
    """By TLS 1.2, where a client hears of a refusal in the handshake; b"" where it is hung up on."""
    leaf = issue_leaf(by, node="shop.web-1", uris=(uri,), now=datetime.now(UTC))
    (folder / "caller.pem").write_bytes(leaf.chain + leaf.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "caller.pem")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain) as secure,
        ):
            secure.sendall(b"hello")
            return secure.recv(100)
    except OSError:
        return b""


def test_a_proxy_asks_the_agent_for_all_that_it_shows_and_trusts(envoy_binary: Path, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ours, strangers = (create_authority("shop", "main", now=now, identity=True) for _ in range(2))
    agent, port = Agent(ours), free_port()
    with running(agent, tmp_path / "agent.sock"):
        config = bootstrap(compile_api(), tmp_path, port)
        command = (envoy_binary, "-c", config, "--disable-hot-restart", "--concurrency", "1", "-l", "off")
        with subprocess.Popen(command) as envoy:
            try:
                _wait_until_it_listens(port)
                assert call(tmp_path, port, ours, WEB) == b"hello"
                assert call(tmp_path, port, strangers, WEB) == b""
                assert call(tmp_path, port, ours, "spiffe://elsewhere/workload/web") == b""
            finally:
                envoy.kill()
    assert agent.asked == {API, "ALL"}


def _wait_until_it_listens(port: int) -> None:
    deadline = datetime.now(UTC).timestamp() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert datetime.now(UTC).timestamp() < deadline
