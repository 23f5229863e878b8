"""Mutual TLS between proxies: contexts that name secrets; the secrets themselves come by SDS only (design D14)."""

from collections.abc import Iterable, Sequence
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion, ConfigSource
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext, UpstreamTlsContext

from compiler.envoy.common import ads
from compiler.envoy.names import (
    SPIRE_AGENT,
    bundle_secret,
    client_secret,
    gateway_secret,
    outside_authority_secret,
    own_secret,
    trust_secret,
)
from compiler.envoy.outside import beside_cluster, is_ip
from compiler.envoy.packing import pack
from compiler.mesh.calls import Tls
from compiler.mesh.destination import Destination, Origination

ALPN: Final = "kuma"
"""What proxies of the mesh announce to each other; so a permissive port tells their TLS from an application's."""
SYSTEM_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Where the proxy's image keeps the authorities that it trusts."""
SPIRE_SOCKET: Final = "/run/spire/sockets/agent.sock"
"""Where SPIRE's own examples have the agent listen."""
_PATIENCE_SECONDS: Final = 1
_SOCKET: Final = "envoy.transport_sockets.tls"
_VERSIONS: Final = {
    "TLS10": TlsParameters.TlsProtocol.TLSv1_0,
    "TLS11": TlsParameters.TlsProtocol.TLSv1_1,
    "TLS12": TlsParameters.TlsProtocol.TLSv1_2,
    "TLS13": TlsParameters.TlsProtocol.TLSv1_3,
}
_NEWEST: Final = "TLS13"


def downstream_socket(tls: Tls) -> TransportSocket:
    """The server's side: a client certificate of this mesh is required, or of a domain that is trusted."""
    trusted = tls.by_domain or tls.agent_id
    common = _common(tls, [] if trusted else [_uri(prefix=f"spiffe://{tls.mesh}/")])
    _set_parameters(tls, common)
    context = DownstreamTlsContext(common_tls_context=common)
    context.require_client_certificate.value = True
    return TransportSocket(name=_SOCKET, typed_config=pack(context))


def upstream_socket(destination: Destination, tls: Tls | None) -> TransportSocket:
    """The client's side: the server must show the identity of one of the destination's proxies.

    In another mesh that is certified by an authority of that mesh.
    """
    own = tls or Tls(destination.mesh)
    trust = bundle_secret(destination.mesh) if destination.mesh != own.mesh else ""
    common = _common(own, [_uri(exact=identity) for identity in destination.identities], trust)
    _set_parameters(own, common)
    common.alpn_protocols.append(ALPN)
    context = UpstreamTlsContext(common_tls_context=common, sni=destination.server_name)
    return TransportSocket(name=_SOCKET, typed_config=pack(context))


def any_upstream_socket(tls: Tls) -> TransportSocket:
    """To a proxy of the mesh that is called by its address: any identity of the mesh, or that is trusted, will do."""
    trusted = tls.by_domain or tls.agent_id
    common = _common(tls, [] if trusted else [_uri(prefix=f"spiffe://{tls.mesh}/")])
    _set_parameters(tls, common)
    common.alpn_protocols.append(ALPN)
    return TransportSocket(name=_SOCKET, typed_config=pack(UpstreamTlsContext(common_tls_context=common)))


def gateway_socket(mesh: str, certificates: Sequence[str], protocols: Sequence[str]) -> TransportSocket:
    """A builtin gateway's side towards anybody; the certificates are Secrets of the mesh (kuma-policies §4.3)."""
    common = CommonTlsContext(alpn_protocols=protocols)
    common.tls_params.tls_minimum_protocol_version = TlsParameters.TlsProtocol.TLSv1_2
    for name in certificates:
        common.tls_certificate_sds_secret_configs.add(name=gateway_secret(mesh, name), sds_config=_users())
    return TransportSocket(name=_SOCKET, typed_config=pack(DownstreamTlsContext(common_tls_context=common)))


def crossing_socket(tls: Tls) -> TransportSocket:
    """A builtin gateway's side towards proxies of all meshes: each is believed that its own mesh's authority certifies.

    Which meshes there are is in the secret alone, so that a new one closes no connection.
    """
    context = DownstreamTlsContext(common_tls_context=_common(tls, (), bundle_secret("")))
    context.require_client_certificate.value = True
    return TransportSocket(name=_SOCKET, typed_config=pack(context))


def outside_socket(mesh: str, tls: Origination) -> TransportSocket:
    """To a service outside of the mesh; its authority and its client certificate, if any, are secrets of the mesh."""
    common = CommonTlsContext()
    _set_versions(tls.oldest, tls.newest, common)
    if tls.client is not None:
        common.tls_certificate_sds_secret_configs.add(name=client_secret(mesh, *tls.client), sds_config=_users())
    if tls.verifies and tls.authority_secret:
        combined = common.combined_validation_context
        combined.default_validation_context.SetInParent()
        _check_names(tls, combined.default_validation_context)
        combined.validation_context_sds_secret_config.name = outside_authority_secret(mesh, tls.authority_secret)
        combined.validation_context_sds_secret_config.sds_config.CopyFrom(_users())
    elif tls.verifies:
        validation = common.validation_context
        _check_names(tls, validation)
        if tls.authority_pem:
            validation.trusted_ca.inline_string = tls.authority_pem
        else:
            validation.trusted_ca.filename = SYSTEM_AUTHORITIES
    context = UpstreamTlsContext(common_tls_context=common, sni=tls.server_name)
    context.allow_renegotiation = tls.renegotiates
    return TransportSocket(name=_SOCKET, typed_config=pack(context))


def _users() -> ConfigSource:
    """For a secret of the operator's, who may not have given it yet: Envoy takes no clusters while one is awaited."""
    source = ads()
    source.initial_fetch_timeout.FromSeconds(_PATIENCE_SECONDS)
    return source


def _check_names(tls: Origination, validation: CertificateValidationContext) -> None:
    for kind, value in tls.names:
        name = validation.match_typed_subject_alt_names.add(san_type=_san_type(value))
        if kind == "Prefix":
            name.matcher.prefix = value
        else:
            name.matcher.exact = value


def _san_type(value: str) -> SubjectAltNameMatcher.SanType:
    kinds = SubjectAltNameMatcher.SanType
    if "://" in value:
        return kinds.URI
    return kinds.IP_ADDRESS if is_ip(value) else kinds.DNS


def _set_parameters(tls: Tls, common: CommonTlsContext) -> None:
    if tls.is_plain:
        return
    _set_versions(tls.oldest, tls.newest, common)
    common.tls_params.cipher_suites.extend(tls.ciphers)


def _set_versions(oldest: str, newest: str, common: CommonTlsContext) -> None:
    """A client of Envoy's goes up to TLS 1.2 where nothing is said: it would have no version from 1.3 on."""
    if oldest:
        common.tls_params.tls_minimum_protocol_version = _VERSIONS[oldest]
    if newest or oldest == _NEWEST:
        common.tls_params.tls_maximum_protocol_version = _VERSIONS[newest or _NEWEST]


def _common(tls: Tls, names: Iterable[SubjectAltNameMatcher], trust: str = "") -> CommonTlsContext:
    """`trust` is the secret of whom to believe where those are not of the own mesh, of which alone an agent knows."""
    source = _agent_source() if tls.agent_id else ads()
    common = CommonTlsContext()
    common.tls_certificate_sds_secret_configs.add(name=own_secret(tls), sds_config=source)
    validation = common.combined_validation_context
    validation.default_validation_context.SetInParent()
    validation.default_validation_context.match_typed_subject_alt_names.extend(names)
    validation.validation_context_sds_secret_config.name = trust or trust_secret(tls)
    validation.validation_context_sds_secret_config.sds_config.CopyFrom(ads() if trust else source)
    return common


def _agent_source() -> ConfigSource:
    source = ConfigSource(resource_api_version=ApiVersion.V3)
    source.api_config_source.api_type = ApiConfigSource.ApiType.GRPC
    source.api_config_source.transport_api_version = ApiVersion.V3
    source.api_config_source.grpc_services.add().envoy_grpc.cluster_name = SPIRE_AGENT
    return source


def agent_cluster(nanoseconds: int) -> Cluster:
    """The agent of SPIRE on this machine, which serves SDS on a socket."""
    cluster = beside_cluster(SPIRE_AGENT, SPIRE_SOCKET, http2=True)
    cluster.connect_timeout.FromNanoseconds(nanoseconds)
    cluster.ClearField("wait_for_warm_on_init")
    return cluster


def _uri(*, exact: str = "", prefix: str = "") -> SubjectAltNameMatcher:
    matcher = SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.SanType.URI)
    if prefix:
        matcher.matcher.prefix = prefix
    else:
        matcher.matcher.exact = exact
    return matcher
