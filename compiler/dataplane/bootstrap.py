"""The bootstrap with which an Envoy finds its xDS server and says who it is (Kuma's, spec section 7.7)."""

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import yaml

Json: TypeAlias = "str | int | float | bool | Mapping[str, Json] | tuple[Json, ...] | None"

SERVER_CLUSTER = "system_ads"
SIDECAR = "dataplane"
LONGEST_SOCKET_PATH = 107
"""Linux' `sun_path` has 108 bytes, the last of which ends the string."""

_TYPE = "type.googleapis.com/"
_SOCKET_MODE = 0o600


class DataplaneError(Exception):
    """A sentence for the person who starts a data plane: what is in the way and what would help."""


class AdsProtocol(StrEnum):
    """Delta by default: one changed endpoint at 1,000 clusters takes 0.35 ms by it and 111 ms by the other."""

    DELTA = "DELTA_GRPC"
    STATE_OF_THE_WORLD = "GRPC"


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """A host name or IP and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A socket in the file system, which nobody but its owner may use; DataplaneError where its path is too long."""

    path: Path

    def __post_init__(self) -> None:
        length = len(os.fsencode(self.path))
        if length > LONGEST_SOCKET_PATH:
            raise DataplaneError(
                f"The socket path {self.path} has {length} bytes but the system allows {LONGEST_SOCKET_PATH}: "
                "choose a working directory with a shorter path."
            )

    def __str__(self) -> str:
        return f"unix:{self.path}"


AdminAddress = SocketAddress | UnixSocket


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """Who a proxy says it is; the server compares this with what the commit says and believes nothing of it.

    `cluster` is the label `kuma.io/workload`, else the `kuma.io/service` of the first inbound.
    """

    mesh: str
    name: str
    cluster: str = "unknown"
    proxy_type: str = SIDECAR
    metadata: Mapping[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.mesh}.{self.name}"

    def of_type(self, proxy_type: str) -> "NodeOptions":
        """A zone proxy of 2.x is of no mesh; all others are of theirs."""
        return replace(self, proxy_type=proxy_type, mesh=self.mesh if proxy_type == SIDECAR else "")


@dataclass(frozen=True, slots=True)
class Trust:
    """By which authority the server is known (PEM), and the token by which the server knows the proxy.

    `authority` is empty where the server is asked in plaintext.
    """

    authority: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """All that a bootstrap depends on."""

    node: NodeOptions
    server: SocketAddress
    admin: AdminAddress
    protocol: AdsProtocol = AdsProtocol.DELTA
    work_dir: Path | None = None
    trust: Trust | None = None


def build_bootstrap(options: BootstrapOptions) -> dict[str, Json]:
    """As Envoy's JSON mapping, in the order in which a reader wants it."""
    return {
        "node": _node(options),
        "layered_runtime": {"layers": (_RUNTIME_LAYER,)},
        "stats_config": {"stats_tags": _STATS_TAGS},
        "default_regex_engine": _REGEX_ENGINE,
        "dynamic_resources": _dynamic_resources(options.protocol, options.trust or Trust()),
        "static_resources": {"clusters": (_server_cluster(options.server, options.trust or Trust()),)},
        "admin": _admin(options.admin),
    }


def bootstrap_json(options: BootstrapOptions) -> str:
    """For `--config-path`, in a file that ends in `.json`."""
    return json.dumps(build_bootstrap(options), indent=2) + "\n"


def bootstrap_yaml(options: BootstrapOptions) -> str:
    """For a person, and for `--config-path` in a file that ends in `.yaml`."""
    plain = json.loads(json.dumps(build_bootstrap(options)))
    return str(yaml.safe_dump(plain, sort_keys=False, width=120))


# Kuma's: a large route regex is a warning, never a refusal.
_RUNTIME_LAYER: Json = {
    "name": "meshwright",
    "static_layer": {"re2.max_program_size.error_level": 4294967295, "re2.max_program_size.warn_level": 1000},
}

_STATS_TAGS: Json = (
    {"tag_name": "name", "regex": r"^grpc\.((.+)\.)"},
    {"tag_name": "status", "regex": r"^grpc.*streams_closed(_([0-9]+))"},
    {"tag_name": "worker", "regex": r"(worker_([0-9]+)\.)"},
    {"tag_name": "listener", "regex": r"((.+?)\.)rbac\."},
)

_REGEX_ENGINE: Json = {
    "name": "envoy.regex_engines.google_re2",
    "typed_config": {"@type": f"{_TYPE}envoy.extensions.regex_engines.v3.GoogleRE2"},
}

# Envoy's own default waits up to 30 s after a restart of the server, and endpoints may be stale for 5 s at most.
_RECONNECT: Json = {"retry_back_off": {"base_interval": "0.2s", "max_interval": "3s"}}

_HTTP2: Json = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": f"{_TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}


def _node(options: BootstrapOptions) -> Json:
    node = options.node
    return {"id": node.id, "cluster": node.cluster, "metadata": {**_own_metadata(options), **node.metadata}}


def _own_metadata(options: BootstrapOptions) -> dict[str, Json]:
    """Under Kuma's names; where the admin socket is, the server cannot know otherwise."""
    where: dict[str, Json] = {"workdir": str(options.work_dir)} if options.work_dir else {}
    match options.admin:
        case UnixSocket(path):
            admin: dict[str, Json] = {"dataplane.admin.socketPath": str(path)}
        case SocketAddress(host, port):
            admin = {"dataplane.admin.address": host, "dataplane.admin.port": str(port)}
    return {"dataplane.proxyType": options.node.proxy_type, **admin, **where}


def _dynamic_resources(protocol: AdsProtocol, trust: Trust) -> Json:
    said = {"initial_metadata": ({"key": "authorization", "value": trust.token},)} if trust.token else {}
    return {
        "lds_config": _by_ads(),
        "cds_config": _by_ads(),
        "ads_config": {
            "api_type": protocol.value,
            "transport_api_version": "V3",
            # The first request's node is 61 KB, most of it a list of extensions; without this it comes with every ACK.
            "set_node_on_first_message_only": True,
            "grpc_services": ({"envoy_grpc": {"cluster_name": SERVER_CLUSTER, "retry_policy": _RECONNECT}, **said},),
        },
    }


def _by_ads() -> Json:
    """No time-out: a proxy that has heard nothing yet has nothing to fall back on."""
    return {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}


def _server_cluster(server: SocketAddress, trust: Trust) -> Json:
    """Plaintext without an authority: such a server listens on loopback only.

    TCP keep-alive notices a dead server within 40 s. HTTP/2 pings are left out: a grpc server that was not told of
    them takes more than two in five minutes for abuse and closes the connection.
    """
    return {
        "name": SERVER_CLUSTER,
        **_discovery(server.host),
        **(_encryption(server.host, trust.authority) if trust.authority else {}),
        "connect_timeout": "1s",
        "typed_extension_protocol_options": _HTTP2,
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 10, "keepalive_interval": 10}
        },
        "load_assignment": {
            "cluster_name": SERVER_CLUSTER,
            "endpoints": ({"lb_endpoints": ({"endpoint": {"address": _socket_address(server)}},)},),
        },
    }


def _encryption(host: str, authority: str) -> dict[str, Json]:
    """The server's certificate is of this authority and names the host that we asked for."""
    kind = "IP_ADDRESS" if _is_ip(host) else "DNS"
    validation: Json = {
        "trusted_ca": {"inline_string": authority},
        "match_typed_subject_alt_names": ({"san_type": kind, "matcher": {"exact": host}},),
    }
    common: Json = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "validation_context": validation,
        "alpn_protocols": ("h2",),
    }
    context: Json = {
        "@type": f"{_TYPE}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        **({} if _is_ip(host) else {"sni": host}),
        "common_tls_context": common,
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _discovery(host: str) -> dict[str, Json]:
    """IPv4 first for a name: the server of `localhost` may listen on 127.0.0.1 alone."""
    return {"type": "STATIC"} if _is_ip(host) else {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}


def _admin(address: AdminAddress) -> Json:
    match address:
        case UnixSocket(path):
            return {"address": {"pipe": {"path": str(path), "mode": _SOCKET_MODE}}}
        case SocketAddress():
            return {"address": _socket_address(address)}


def _socket_address(address: SocketAddress) -> Json:
    return {"socket_address": {"address": address.host, "port_value": address.port}}
