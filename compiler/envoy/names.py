"""Names of Envoy resources that are ours alone; what belongs to a destination is named by its KRI (kuma-core §5.3)."""

from typing import Final

PASSTHROUGH_OUTBOUND: Final = "self_transparentproxy_passthrough_outbound_ipv"
PASSTHROUGH_INBOUND: Final = "self_transparentproxy_passthrough_inbound_ipv"
NO_DESTINATION_OUTBOUND: Final = "self_transparentproxy_no_destination_outbound"

NETWORK_RBAC_FILTER: Final = "envoy.filters.network.rbac"
GRPC_STATS_FILTER: Final = "envoy.filters.http.grpc_stats"
ROUTER_FILTER: Final = "envoy.filters.http.router"
HTTP_FILTER: Final = "envoy.filters.network.http_connection_manager"
TCP_FILTER: Final = "envoy.filters.network.tcp_proxy"
HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def permission_name(inbound: str) -> str:
    """The extension resource that carries an HTTP inbound's permissions."""
    return f"{inbound}.rbac"


def tcp_name(outbound: str) -> str:
    """The extension resource that carries where a TCP outbound sends its connections."""
    return f"{outbound}.tcp"


def authority_secret(mesh: str) -> str:
    return f"system_mtls_ca_{mesh}"


def identity_secret(mesh: str) -> str:
    return f"system_mtls_identity_{mesh}"
