"""The bootstrap says who the proxy is and where its server is, and a real Envoy takes it."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.extensions.regex_engines.v3 import google_re2_pb2  # noqa: F401  # registers the type for the JSON parser
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2  # noqa: F401  # likewise
from google.protobuf import json_format

from compiler.dataplane.bootstrap import (
    AdminAddress,
    AdsProtocol,
    BootstrapOptions,
    DataplaneError,
    NodeOptions,
    SocketAddress,
    UnixSocket,
    bootstrap_json,
    bootstrap_yaml,
    build_bootstrap,
)
from compiler.dataplane.run import find_envoy

NODE = NodeOptions("default", "backend-1", cluster="backend")
SERVER = SocketAddress("127.0.0.1", 5678)
SOCKET = UnixSocket(Path("/run/meshwright/admin.sock"))
TCP = SocketAddress("127.0.0.1", 9901)


def parsed(options: BootstrapOptions) -> Bootstrap:
    return json_format.Parse(bootstrap_json(options), Bootstrap())


@pytest.mark.parametrize("suffix", ["json", "yaml"])
@pytest.mark.parametrize("protocol", list(AdsProtocol))
@pytest.mark.parametrize("server", [SERVER, SocketAddress("localhost", 5678), SocketAddress("::1", 5678)], ids=str)
@pytest.mark.parametrize("admin", [TCP, SOCKET], ids=["tcp", "socket"])
def test_a_real_envoy_takes_it(
    tmp_path: Path, suffix: str, protocol: AdsProtocol, server: SocketAddress, admin: AdminAddress
) -> None:
    options = BootstrapOptions(NODE, server, admin, protocol, tmp_path)
    file = tmp_path / f"bootstrap.{suffix}"
    file.write_text(bootstrap_json(options) if suffix == "json" else bootstrap_yaml(options))
    command = [str(find_envoy()), "--mode", "validate", "--config-path", str(file), "--disable-hot-restart"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stdout


def test_the_node_is_named_by_mesh_and_name() -> None:
    node = parsed(BootstrapOptions(NODE, SERVER, SOCKET, work_dir=Path("/run/meshwright"))).node
    assert (node.id, node.cluster) == ("default.backend-1", "backend")
    assert dict(node.metadata) == {
        "dataplane.proxyType": "dataplane",
        "dataplane.admin.socketPath": "/run/meshwright/admin.sock",
        "workdir": "/run/meshwright",
    }


def test_a_node_may_say_more_of_itself() -> None:
    node = NodeOptions("default", "backend-1", metadata={"features": ("feature-reuse-port",)})
    metadata = parsed(BootstrapOptions(node, SERVER, TCP)).node.metadata
    assert list(metadata["features"]) == ["feature-reuse-port"]
    assert metadata["dataplane.admin.port"] == "9901"


def test_listeners_and_clusters_are_awaited_for_ever_over_one_delta_stream() -> None:
    dynamic = parsed(BootstrapOptions(NODE, SERVER, TCP)).dynamic_resources
    for source in (dynamic.lds_config, dynamic.cds_config):
        assert source.HasField("ads")
        assert source.HasField("initial_fetch_timeout")
        assert source.initial_fetch_timeout.ToTimedelta().total_seconds() == 0
    assert dynamic.ads_config.api_type == dynamic.ads_config.DELTA_GRPC
    assert dynamic.ads_config.set_node_on_first_message_only
    assert dynamic.ads_config.grpc_services[0].envoy_grpc.cluster_name == "system_ads"


def test_the_admin_socket_is_its_owners_alone() -> None:
    pipe = parsed(BootstrapOptions(NODE, SERVER, SOCKET)).admin.address.pipe
    assert (pipe.path, pipe.mode) == ("/run/meshwright/admin.sock", 0o600)


def test_a_host_name_is_looked_up_and_an_address_is_not() -> None:
    def discovery(host: str) -> tuple[int, int]:
        cluster = parsed(BootstrapOptions(NODE, SocketAddress(host, 5678), TCP)).static_resources.clusters[0]
        return cluster.type, cluster.dns_lookup_family

    static, strict_dns, v4_preferred = 0, 1, 3
    assert discovery("127.0.0.1") == discovery("::1") == (static, 0)
    assert discovery("localhost") == (strict_dns, v4_preferred)


def test_yaml_and_json_say_the_same() -> None:
    options = BootstrapOptions(NodeOptions("default", "no"), SERVER, SOCKET)
    assert yaml.safe_load(bootstrap_yaml(options)) == json.loads(bootstrap_json(options))
    assert bootstrap_yaml(options).startswith("node:\n")


def test_the_same_options_give_the_same_bootstrap() -> None:
    options = BootstrapOptions(NODE, SERVER, SOCKET)
    assert build_bootstrap(options) == build_bootstrap(options)


@pytest.mark.parametrize("directory", ["d" * 96, "ü" * 48])
def test_a_socket_path_beyond_the_systems_limit_is_refused_with_the_remedy(directory: str) -> None:
    assert UnixSocket(Path("/") / directory[: len(directory) - 1] / "admin.sock")
    with pytest.raises(DataplaneError, match="has 108 bytes but the system allows 107: choose a working directory"):
        UnixSocket(Path("/") / directory / "admin.sock")
