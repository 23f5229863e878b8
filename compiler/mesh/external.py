"""Services outside of the mesh: MeshExternalService, and ExternalService of Kuma 2 (kuma-core §2.7, §2.11)."""

import base64
import binascii
import ipaddress
from collections.abc import Sequence
from typing import Final, cast

from compiler.mesh.destination import Origination, Outside, OutsideEndpoint
from compiler.resources.model import ExternalService, MeshExternalService, Resource
from compiler.resources.specs.services import ExternalTls, LegacyTls, MixedSource, Verification
from compiler.resources.specs.spec import DataSource

_NO_AUTHORITY: Final = frozenset({"SkipCA", "SkipAll"})
_NO_NAME: Final = _NO_AUTHORITY | {"SkipSAN"}
"""Envoy checks the names of a certificate only where it leads to an authority, and refuses to be told otherwise."""
_AUTO: Final = "TLSAuto"


def outside_of(service: Resource) -> Outside:
    spec = cast(MeshExternalService, service.spec)
    endpoints = (OutsideEndpoint(one.priority, one.address, one.port) for one in spec.endpoints)
    tls = spec.tls if spec.tls is not None and spec.tls.enabled else None
    return Outside(tuple(sorted(endpoints)), _origination(tls, spec) if tls is not None else None)


def outside_of_tagged(services: Sequence[Resource]) -> Outside:
    """What ExternalServices of one name are together: all speak TLS alike, or are refused."""
    endpoints = (split_address(cast(ExternalService, service.spec).networking.address) for service in services)
    return Outside(
        tuple(sorted(OutsideEndpoint(0, host, port) for host, port in endpoints)), origination_of(services[0])
    )


def origination_of(service: Resource) -> Origination | None:
    """How TLS is spoken to an ExternalService, None where it is not."""
    networking = cast(ExternalService, service.spec).networking
    tls = networking.tls if networking.tls is not None and networking.tls.enabled else None
    return _tagged_origination(tls, split_address(networking.address)[0]) if tls is not None else None


def split_address(address: str) -> tuple[str, int]:
    """Of `host:port`, which its schema has accepted; an IPv6 address stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _tagged_origination(tls: LegacyTls, host: str) -> Origination:
    name = tls.server_name or ("" if _is_ip(host) else host)
    checked = tls.ca_cert is not None
    return Origination(
        server_name=name,
        names=(("Exact", name),) if name and checked and not tls.skip_hostname_verification else (),
        verifies=checked,
        authority_secret=tls.ca_cert.secret if tls.ca_cert is not None else "",
        authority_pem=_text(tls.ca_cert) if tls.ca_cert is not None else "",
        client=(tls.client_cert.secret, tls.client_key.secret)
        if tls.client_cert is not None and tls.client_key is not None and tls.client_key.secret
        else None,
        renegotiates=tls.allow_renegotiation,
    )


def _text(source: DataSource) -> str:
    return _decoded(source.inline) if source.inline else source.inline_string


def _origination(tls: ExternalTls, spec: MeshExternalService) -> Origination:
    verification = tls.verification or Verification()
    name = verification.server_name or next((one.address for one in spec.endpoints if not _is_ip(one.address)), "")
    written = tuple((one.type, one.value) for one in verification.subject_alt_names)
    names = written or ((("Exact", name),) if name else ())
    checked = verification.mode not in _NO_AUTHORITY
    return Origination(
        server_name=name,
        names=() if verification.mode in _NO_NAME else names,
        verifies=checked,
        authority_secret=verification.ca_cert.secret_name if verification.ca_cert is not None and checked else "",
        authority_pem=_content(verification.ca_cert) if verification.ca_cert is not None and checked else "",
        client=_client(verification) if verification.mode != "SkipAll" else None,
        oldest=tls.version.min if tls.version.min != _AUTO else "",
        newest=tls.version.max if tls.version.max != _AUTO else "",
        renegotiates=tls.allow_renegotiation,
    )


def _client(verification: Verification) -> tuple[str, str] | None:
    """A key is a secret by name only; a certificate and its key come together."""
    certificate, key = verification.client_cert, verification.client_key
    if certificate is None or key is None or not key.secret_name:
        return None
    return certificate.secret_name, key.secret_name


def _content(source: MixedSource) -> str:
    """PEM that a commit shows to everybody, as a certificate may be."""
    if source.inline:
        return _decoded(source.inline)
    return source.inline_string or (source.insecure_inline.value if source.insecure_inline is not None else "")


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
