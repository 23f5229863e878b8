"""`meshwright dataplane run` as a whole: a real Envoy, an application, a scraper, a collector of logs, a resolver."""

import asyncio
import http.client
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dns.message
import dns.query
import grpc
import pytest
import trustme
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.message import Message

from compiler.cli.dataplane_options import Neighbours, read_beside, read_trust
from compiler.cli.exits import Stop
from compiler.dataplane import beside
from compiler.dataplane.beside import BesideOptions
from compiler.dataplane.bootstrap import DataplaneError, SocketAddress, UnixSocket
from compiler.dataplane.http_client import Answer, Question
from compiler.dataplane.http_server import serve
from compiler.dataplane.metrics.collecting import Places
from compiler.envoy.names_table import names_listener, names_routes
from compiler.mesh.proxy import NameRecord, Placed
from compiler.policies.mesh_metric.conf import Application, Backend, Metric, Prometheus
from compiler.policies.mesh_metric.policy import add_collecting
from tests.cli.command import START, environment
from tests.dataplane.test_run import wait_for
from tests.dataplane.xds_server import CLUSTERS, LISTENERS, serve_xds
from tests.e2e.places import free_port

ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
NAMES = (NameRecord("backend.mesh", "241.0.0.3"),)


def http_listener(name: str, port: int | Path, body: str, *logs: AccessLog, path: str = "/") -> Listener:
    """Answers by itself, at a port or at a socket."""
    manager = HttpConnectionManager(stat_prefix=name)
    host = manager.route_config.virtual_hosts.add(name="all", domains=["*"])
    route = host.routes.add()
    route.match.prefix = path
    route.direct_response.status = 200
    route.direct_response.body.inline_string = body
    manager.http_filters.add(name="router").typed_config.Pack(Router())
    manager.access_log.extend(logs)
    listener = Listener(name=name)
    if isinstance(port, Path):
        listener.address.pipe.path = str(port)
    else:
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = port
    listener.filter_chains.add().filters.add(name="http").typed_config.Pack(manager)
    return listener


def log_entry(collector: str) -> AccessLog:
    """As MeshAccessLog writes one for a TCP collector."""
    file = FileAccessLog(path="access-logs.pipe")
    file.log_format.json_format.update({"address": collector, "message": "%REQ(:METHOD)% %RESPONSE_CODE%"})
    entry = AccessLog(name="envoy.access_loggers.file")
    entry.typed_config.Pack(file)
    return entry


@contextmanager
def application() -> Iterator[int]:
    """It has metrics of its own."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"# TYPE orders gauge\norders 5\n" if self.path == "/own" else b""
            self.send_response(200 if body else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def running(work_dir: Path, server: str, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [*START, "dataplane", "run", "--name", "web-1", "--server", server, "--work-dir", str(work_dir)]
    process = subprocess.Popen([*command, "--concurrency", "1", *options], env=environment(), stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        _, errors = process.communicate()
        sys.stderr.write(errors.decode())


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def resolve(port: int, name: str) -> list[str]:
    answer = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=port, timeout=10)
    return [str(one) for rrset in answer.answer for one in rrset]


def built(metric: Metric) -> tuple[Sequence[Message], Sequence[Message]]:
    """What MeshMetric compiles to."""
    owner = Placed("default", "", "web", "web", "127.0.0.1")
    found = [message for _, message in add_collecting(metric, owner)]
    listeners = [one for one in found if isinstance(one, Listener)]
    return listeners, [one for one in found if isinstance(one, Cluster)]


async def until(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    await asyncio.to_thread(wait_for, condition, seconds)


def test_one_proxy_with_all_that_runs_beside_it(tmp_path: Path) -> None:
    inbound, scraped, ready, names = (free_port() for _ in range(4))
    lines: list[bytes] = []

    async def collect(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            lines.append(line)

    async def scenario(app: int) -> None:
        collector = await asyncio.start_server(collect, "127.0.0.1", 0)
        entry = log_entry(f"127.0.0.1:{collector.sockets[0].getsockname()[1]}")
        metric = Metric(
            applications=(Application(port=app, name="shop", path="/own", address="127.0.0.1"),),
            backends=(Backend(type="Prometheus", prometheus=Prometheus(port=scraped)),),
        )
        listeners, clusters = built(metric)
        resources = {
            LISTENERS: [http_listener("inbound", inbound, "hello", entry), names_listener(), *listeners],
            CLUSTERS: clusters,
            ROUTES: [names_routes(NAMES)],
        }
        options = ("--readiness", f"127.0.0.1:{ready}", "--dns", "--dns-port", str(names), "--drain-time", "1.5")
        async with serve_xds(resources) as xds:
            with running(tmp_path / "work", f"127.0.0.1:{xds.port}", *options) as process:
                await until(lambda: get(ready, "/ready")[0] == 200)
                assert xds.refusals == []
                assert get(ready, "/") == (404, "only /ready is here\n")
                assert await asyncio.to_thread(get, inbound, "/x") == (200, "hello")
                await until(lambda: lines == [b"GET 200\n"])
                assert await asyncio.to_thread(resolve, names, "Backend.mesh") == ["241.0.0.3"]
                await until(lambda: 'orders{application="shop"' in get(scraped, "/metrics")[1])
                text = (await asyncio.to_thread(get, scraped, "/metrics"))[1]
                assert 'envoy_http_downstream_rq_xx{envoy_response_code_class="2"' in text
                assert 'mesh="default"' in text
                process.send_signal(signal.SIGTERM)
                await until(lambda: get(ready, "/ready") == (503, "TERMINATING\n"))
                assert await asyncio.to_thread(process.wait, 20) == 0
        collector.close()

    with application() as app:
        asyncio.run(scenario(app))


def test_a_proxy_without_names_is_not_ready_until_it_has_waited_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "NAMES_SECONDS", 0.5)

    async def admin(_: Question) -> Answer:
        return Answer(200)

    async def scenario() -> list[bytes]:
        places = Places(UnixSocket(tmp_path / "admin.sock"), tmp_path)
        options = BesideOptions(dns_port=free_port())
        async with (
            await asyncio.start_unix_server(serve(admin), tmp_path / "admin.sock"),
            beside.neighbours(places, options) as readiness,
        ):
            answers = [(await readiness.answer(Question("/ready"))).body]
            await asyncio.sleep(0.6)
            answers.append((await readiness.answer(Question("/ready"))).body)
            (tmp_path / "admin.sock").unlink()
            answers.append((await readiness.answer(Question("/ready"))).body)
            return answers

    assert asyncio.run(scenario()) == [b"NOT_READY\n", b"READY\n", b"NOT_READY\n"]


@pytest.mark.parametrize("by_text", [True, False])
def test_the_server_is_known_by_its_authority_and_knows_the_proxy_by_its_token(
    tmp_path: Path, *, by_text: bool
) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    pem = certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes()
    (tmp_path / "token").write_text("a.b.c\n")

    def known(one: trustme.CA) -> str:
        text = one.cert_pem.bytes().decode()
        (tmp_path / "ca.pem").write_text(text)
        return text if by_text else str(tmp_path / "ca.pem")

    async def scenario() -> None:
        port = free_port()
        resources = {LISTENERS: [http_listener("inbound", port, "hello")]}
        token = ("--token-file", str(tmp_path / "token"))
        async with serve_xds(resources, grpc.ssl_server_credentials([pem])) as xds:
            with running(tmp_path / "a", f"127.0.0.1:{xds.port}", *token, "--ca-cert", known(stranger)):
                await asyncio.sleep(3)
                assert get(port, "/")[0] == 0
                assert xds.tokens == []
            with running(tmp_path / "b", f"127.0.0.1:{xds.port}", *token, "--ca-cert", known(authority)):
                await until(lambda: get(port, "/")[0] == 200)
                assert set(xds.tokens) == {"a.b.c"}
                assert (tmp_path / "b" / "bootstrap.json").stat().st_mode & 0o777 == 0o600

    asyncio.run(scenario())


def test_a_token_is_not_sent_in_plaintext_to_another_machine(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a.b.c\n")
    with pytest.raises(DataplaneError, match="in plaintext: name its authority with --ca-cert"):
        read_trust(token, None, SocketAddress("mesh.example", 5678))
    for name in ("localhost.mesh.example", "127.0.0.1.mesh.example", "127.mesh.example"):
        with pytest.raises(DataplaneError, match="in plaintext"):
            read_trust(token, None, SocketAddress(name, 5678))
    for here in ("localhost", "127.0.0.2", "127.255.255.254", "::1"):
        assert read_trust(token, None, SocketAddress(here, 5678)) is not None
    trust = read_trust(token, None, SocketAddress("localhost", 5678))
    assert trust is not None
    assert (trust.token, trust.authority) == ("a.b.c", "")
    assert "a.b.c" not in repr(trust)
    assert read_trust(None, None, SocketAddress("mesh.example", 5678)) is None
    token.write_text("a\nb\n")
    with pytest.raises(DataplaneError, match="holds no token"):
        read_trust(token, None, SocketAddress("localhost", 5678))
    with pytest.raises(DataplaneError, match="cannot be read"):
        read_trust(tmp_path / "absent", None, SocketAddress("localhost", 5678))


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(Stop, match="go together"):
        read_beside(Neighbours(None, None, Path("cert.pem"), None))


def test_a_port_that_is_taken_ends_it_before_envoy_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with running(tmp_path / "work", "127.0.0.1:1", "--readiness", place) as process:
            assert process.wait(30) == 65
    assert not (tmp_path / "work" / "admin.sock").exists()
