"""Names of Envoy resources that are ours alone; what belongs to a destination is named by its KRI (kuma-core §5.3)."""

import re
from typing import Final

from compiler.mesh.calls import Tls

PASSTHROUGH_OUTBOUND: Final = "self_transparentproxy_passthrough_outbound_ipv"
PASSTHROUGH_INBOUND: Final = "self_transparentproxy_passthrough_inbound_ipv"
NO_DESTINATION_OUTBOUND: Final = "self_transparentproxy_no_destination_outbound"

READINESS: Final = "system_envoy_admin"
"""Kuma's admin listener, of which there is only what the kubelet asks for."""
PROBES: Final = "system_virtual_probes"
DIRECT_ACCESS: Final = "direct_access"

HEALTH_CHECK_FILTER: Final = "envoy.filters.http.health_check"
NETWORK_RBAC_FILTER: Final = "envoy.filters.network.rbac"
GRPC_STATS_FILTER: Final = "envoy.filters.http.grpc_stats"
ROUTER_FILTER: Final = "envoy.filters.http.router"
HTTP_FILTER: Final = "envoy.filters.network.http_connection_manager"
TCP_FILTER: Final = "envoy.filters.network.tcp_proxy"
HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
RATE_LIMITS: Final = "meshwright.ratelimit"
"""Where a route says what a service of rate limits is to count by (docs/rate-limits.md)."""


def permission_name(inbound: str) -> str:
    """The extension resource that carries an HTTP inbound's permissions."""
    return f"{inbound}.rbac"


def tcp_name(outbound: str) -> str:
    """The extension resource that carries where a TCP outbound sends its connections."""
    return f"{outbound}.tcp"


TRUST_BUNDLE: Final = "system_trust_bundle"
"""Whom to trust, by trust domain (kuma-core §2.9)."""
SPIRE_AGENT: Final = "system_identity_sds-spire-agent"
"""The cluster of the agent of SPIRE that runs beside the proxy."""
ALL_BUNDLES: Final = "ALL"
"""The agent's name for all that it trusts, by trust domain."""


def authority_secret(mesh: str) -> str:
    return f"system_mtls_ca_{mesh}"


def identity_secret(mesh: str) -> str:
    return f"system_mtls_identity_{mesh}"


def own_secret(tls: Tls) -> str:
    """A proxy's own certificate: called by its MeshIdentity's KRI, or as the agent knows it."""
    return tls.agent_id or tls.identity or identity_secret(tls.mesh)


def trust_secret(tls: Tls) -> str:
    """Whom a proxy trusts."""
    if tls.agent_id:
        return ALL_BUNDLES
    return TRUST_BUNDLE if tls.by_domain else authority_secret(tls.mesh)


def bundle_secret(mesh: str) -> str:
    """Whom a proxy trusts in another mesh, by trust domain; in all of them where it is called from any."""
    return f"{TRUST_BUNDLE}_{mesh}" if mesh else f"{TRUST_BUNDLE}s"


def outside_authority_secret(mesh: str, name: str) -> str:
    """The authority of a service outside of the mesh: a Secret of the mesh."""
    return f"system_secret_ca_{mesh}_{name}"


def client_secret(mesh: str, certificate: str, key: str) -> str:
    """What a service outside of the mesh is shown: a certificate and its key, each a Secret of the mesh."""
    return f"system_secret_pair_{mesh}_{certificate}_{key}"


_GATEWAY: Final = re.compile(r".+:(HTTP|HTTPS|TCP|TLS):[0-9]+")


def is_gateway_listener(name: str) -> bool:
    """Whether strangers come in there, and its proxy sends them on: the names are Kuma's, `edge:HTTP:8080`."""
    return _GATEWAY.fullmatch(name) is not None


def gateway_secret(mesh: str, name: str) -> str:
    """What a builtin gateway shows: a Secret of the mesh with a certificate, those that signed it, and its key."""
    return f"system_secret_cert_{mesh}_{name}"
