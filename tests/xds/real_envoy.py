"""A real Envoy as a client of the server under test, with an application behind it."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from compiler.xds.served import Resource
from tests.xds.build import frame

END = 10


def find_envoy() -> str | None:
    """On PATH or beside the interpreter: two packages claim the import name `envoy`, so it is not asked."""
    return shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))


@contextmanager
def application(text: str) -> Iterator[int]:
    """Answers every GET with its text."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@asynccontextmanager
async def running_envoy(
    binary: str, folder: Path, xds_port: int, node: str, *, full_state: bool
) -> AsyncIterator[None]:
    """Its log is in `folder`; it is ended with the test."""
    folder.joinpath("bootstrap.json").write_text(json.dumps(_bootstrap(folder, xds_port, node, full_state)))
    with folder.joinpath("envoy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            binary,
            *("--config-path", str(folder / "bootstrap.json"), "--disable-hot-restart", "--concurrency", "1"),
            *("--drain-time-s", "1", "--log-level", "info"),
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), END)


async def fetch(port: int) -> tuple[int, str, str]:
    """Status, body and the header that the routes of these tests add; 0 while nothing listens."""
    return await asyncio.to_thread(_fetch, port)


def _fetch(port: int) -> tuple[int, str, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read().decode(), response.getheader("x-wave", "")
    except (OSError, HTTPException):
        return 0, "", ""
    finally:
        connection.close()


def cluster(name: str, seconds: int = 1) -> Resource:
    """Zero seconds is refused by Envoy's field constraints, with the whole response."""
    message = Cluster(name=name, type=Cluster.EDS)
    message.connect_timeout.FromSeconds(seconds)
    message.eds_cluster_config.eds_config.ads.SetInParent()
    message.eds_cluster_config.eds_config.resource_api_version = ApiVersion.V3
    return frame(name, message)


def endpoints(name: str, *ports: int) -> Resource:
    message = ClusterLoadAssignment(cluster_name=name)
    for port in ports:
        address = message.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
        address.address, address.port_value = "127.0.0.1", port
    return frame(name, message)


def routes(name: str, to: str, wave: str) -> Resource:
    return frame(name, _make_routes(name, to, wave))


def listener(name: str, port: int, route_name: str, *, address: str = "127.0.0.1", inline_to: str = "") -> Resource:
    """An address that is not this host's is refused when it is bound, and the rest of the response applies."""
    manager = HttpConnectionManager(stat_prefix="in")
    if inline_to:
        manager.route_config.CopyFrom(_make_routes(route_name, inline_to, "inline"))
    else:
        manager.rds.route_config_name = route_name
        manager.rds.config_source.ads.SetInParent()
        manager.rds.config_source.resource_api_version = ApiVersion.V3
    manager.http_filters.add(name="router").typed_config.Pack(Router())
    message = Listener(name=name)
    message.address.socket_address.address, message.address.socket_address.port_value = address, port
    message.filter_chains.add().filters.add(name="hcm").typed_config.Pack(manager, deterministic=True)
    return frame(name, message, f"{address}:{port}")


def _make_routes(name: str, to: str, wave: str) -> RouteConfiguration:
    message = RouteConfiguration(name=name)
    host = message.virtual_hosts.add(name="all", domains=["*"])
    host.response_headers_to_add.add().header.key = "x-wave"
    host.response_headers_to_add[0].header.value = wave
    route = host.routes.add()
    route.match.prefix, route.route.cluster = "/", to
    return message


def _bootstrap(folder: Path, xds_port: int, node: str, full_state: bool) -> dict[str, object]:
    grpc = {"envoy_grpc": {"cluster_name": "xds"}}
    api = {"api_type": "GRPC" if full_state else "DELTA_GRPC", "transport_api_version": "V3"}
    ads = {"ads": {}, "resource_api_version": "V3"}
    socket_address = {"address": "127.0.0.1", "port_value": xds_port}
    endpoint = {"endpoint": {"address": {"socket_address": socket_address}}}
    options: dict[str, object] = {"explicit_http_config": {"http2_protocol_options": {}}}
    options_type = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "node": {"id": node, "cluster": "tests"},
        "admin": {"address": {"pipe": {"path": str(folder / "admin.sock")}}},
        "dynamic_resources": {
            "ads_config": {**api, "grpc_services": [grpc], "set_node_on_first_message_only": True},
            "cds_config": ads,
            "lds_config": ads,
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": options_type, **options}
                    },
                    "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ]
        },
    }
