"""Authorities in documents whose time is over: only who reads a clock can say so, so no compile does."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from compiler.diagnostics import Code, Diagnostic, Severity, Subject
from compiler.resources.certificates import given_texts, read_certificates
from compiler.resources.findings import join
from compiler.resources.model import Mesh, MeshIdentity, MeshTrust, Resource
from compiler.resources.resource_set import ResourceSet

EXPIRED_CERTIFICATE: Final = Code(
    "expired-certificate",
    Severity.WARNING,
    "an authority whose certificate has expired",
    "Whoever shows a certificate that leads to this authority is refused, since the authority's own is not valid any "
    "more. `meshwright validate` looks at the clock for it; the same commit compiles to the same bytes, whenever. Put "
    "the authority's new certificate beside the old one, and take the old one out.",
)


def check_expiry(resources: ResourceSet, now: datetime) -> Iterator[Diagnostic]:
    """By resource, in their order."""
    for key in sorted(resources.resources):
        resource, source = resources.resources[key], resources.sources.get(key)
        for pointer, text in _given(resource) if source is not None else ():
            for certificate in read_certificates(text):
                if source is not None and certificate.not_valid_after_utc <= now:
                    message = f"the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
                    subject = Subject(key.type, key.mesh, key.name)
                    path = source.passage.spell(source.path(pointer))
                    yield Diagnostic(source.position(pointer), EXPIRED_CERTIFICATE, message, None, subject, path)


def _given(resource: Resource) -> Iterator[tuple[str, str]]:
    match resource.spec:
        case MeshTrust(ca_bundles=bundles):
            for index, bundle in enumerate(bundles):
                yield join("/caBundles", index, "pem", "value"), bundle.pem.value
        case Mesh(mtls=mtls):
            for index, backend in enumerate(mtls.backends):
                given = backend.conf.get("cert") if backend.type == "provided" else None
                yield from given_texts(given or {}, join("/mtls/backends", index, "conf", "cert"))
        case MeshIdentity(provider=provider) if provider is not None and provider.bundled is not None:
            authority = provider.bundled.ca
            if authority is not None and authority.certificate.insecure_inline is not None:
                pointer = "/provider/bundled/ca/certificate/insecureInline/value"
                yield pointer, authority.certificate.insecure_inline.value
