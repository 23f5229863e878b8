"""Mutual TLS between proxies: contexts that name secrets; the secrets themselves come by SDS only (design D14)."""

from collections.abc import Iterable
from typing import Final

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import SubjectAltNameMatcher
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext, UpstreamTlsContext

from compiler.envoy.common import ads
from compiler.envoy.names import authority_secret, identity_secret
from compiler.envoy.packing import pack
from compiler.mesh.proxy import Destination

ALPN: Final = "kuma"
"""What proxies of the mesh announce to each other; so a permissive port tells their TLS from an application's."""
_SOCKET: Final = "envoy.transport_sockets.tls"


def downstream_socket(mesh: str) -> TransportSocket:
    """The server's side: a client certificate of this mesh is required."""
    context = DownstreamTlsContext(common_tls_context=_common(mesh, [_uri(prefix=f"spiffe://{mesh}/")]))
    context.require_client_certificate.value = True
    return TransportSocket(name=_SOCKET, typed_config=pack(context))


def upstream_socket(destination: Destination) -> TransportSocket:
    """The client's side: the server must show the identity of one of the destination's proxies."""
    common = _common(destination.mesh, [_uri(exact=identity) for identity in destination.identities])
    common.alpn_protocols.append(ALPN)
    context = UpstreamTlsContext(common_tls_context=common, sni=server_name(destination))
    return TransportSocket(name=_SOCKET, typed_config=pack(context))


def server_name(destination: Destination) -> str:
    """Readable SNI of 3.0 (kuma-core §5.4); left out where it would be no DNS name of at most 253 characters."""
    tokens = ["sni", "msvc", destination.mesh, destination.service.name, destination.section]
    name = ".".join(token for token in tokens if token).replace("_", "-").lower()
    return name if len(name) <= 253 and all(len(label) <= 63 for label in name.split(".")) else ""


def _common(mesh: str, names: Iterable[SubjectAltNameMatcher]) -> CommonTlsContext:
    common = CommonTlsContext()
    common.tls_certificate_sds_secret_configs.add(name=identity_secret(mesh), sds_config=ads())
    validation = common.combined_validation_context
    validation.default_validation_context.match_typed_subject_alt_names.extend(names)
    validation.validation_context_sds_secret_config.name = authority_secret(mesh)
    validation.validation_context_sds_secret_config.sds_config.CopyFrom(ads())
    return common


def _uri(*, exact: str = "", prefix: str = "") -> SubjectAltNameMatcher:
    matcher = SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.SanType.URI)
    if prefix:
        matcher.matcher.prefix = prefix
    else:
        matcher.matcher.exact = exact
    return matcher
