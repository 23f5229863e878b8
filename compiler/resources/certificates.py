"""Certificates that a document shows to everybody: whether they can be read, and are of authorities."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from compiler.diagnostics import Code, Severity
from compiler.resources.findings import BAD_VALUE, Finding, join

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_VERSION_WITH_EXTENSIONS: Final = 3
_NO_PEM: Final = "the value holds something that is no certificate in PEM form"


UNUSABLE_AUTHORITY: Final = Code(
    "unusable-authority",
    Severity.WARNING,
    "an authority by whose certificate nobody can be believed",
    "The certificate cannot be read, or is not that of an authority: no caller's certificate leads to it, and an "
    "Envoy that is told of it refuses it. Kuma takes such documents, with a placeholder in them for instance, so it "
    "is no error.",
)


def check_bundle(text: str, pointer: str) -> Iterator[Finding]:
    """Of a PEM text that holds certificates and nothing else; whether they are still valid no commit knows."""
    if _is_pem(text):
        yield from _check_blocks(text, pointer)
    else:
        yield Finding(pointer, BAD_VALUE, _NO_PEM)


def check_given(source: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Of a source that holds an authority's certificate, in the form of 2.x or of 3.0; one elsewhere is not seen."""
    for at, text in given_texts(source, pointer):
        if _is_pem(text):
            yield from _check_blocks(text, at)
        else:
            yield Finding(at, UNUSABLE_AUTHORITY, _NO_PEM)


def check_readable(source: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Of a source that says whom a server's certificate must lead to: that may be the server's very own.

    Envoy skips what stands between the certificates: the bundles of distributions have comments there.
    """
    inline = source.get("type", "InsecureInline") == "InsecureInline"
    for at, text in given_texts(source, pointer) if inline else ():
        blocks = _BLOCK.findall(text)
        if not blocks:
            yield Finding(at, UNUSABLE_AUTHORITY, _NO_PEM)
        elif len(read_certificates(text)) != len(blocks):
            yield Finding(at, UNUSABLE_AUTHORITY, "a certificate cannot be read: its content is no certificate")


def _is_pem(text: str) -> bool:
    return bool(text.strip()) and not _BLOCK.sub("", text).strip()


def _check_blocks(text: str, pointer: str) -> Iterator[Finding]:
    """Each is an authority's."""
    blocks = _BLOCK.findall(text)
    for number, block in enumerate(blocks, 1):
        which = f"certificate {number} of {len(blocks)}" if len(blocks) > 1 else "the certificate"
        certificate = _read(block)
        if certificate is None:
            yield Finding(pointer, UNUSABLE_AUTHORITY, f"{which} cannot be read: its content is no certificate")
        elif not _is_authority(certificate):
            hint = "give the certificate of whoever signs, not of who is signed"
            message = f"{which} is of no authority (its basicConstraints say no CA)"
            yield Finding(pointer, UNUSABLE_AUTHORITY, message, hint)


def given_texts(source: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    """The PEM that stands in a source itself, with its pointer; none where it is not even base64."""
    if "insecureInline" in source:
        yield join(pointer, "insecureInline", "value"), source["insecureInline"].get("value", "")
    if "inlineString" in source:
        yield join(pointer, "inlineString"), source["inlineString"]
    try:
        text = base64.b64decode(source.get("inline", ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return
    if "inline" in source:
        yield join(pointer, "inline"), text


def read_certificates(text: str) -> tuple["Certificate", ...]:
    """Those that can be read."""
    found = (_read(block) for block in _BLOCK.findall(text))
    return tuple(one for one in found if one is not None)


def _read(block: str) -> "Certificate | None":
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(block.encode())
    except ValueError:
        return None


def _is_authority(certificate: "Certificate") -> bool:
    """One from before extensions does not say."""
    from cryptography.x509 import BasicConstraints, ExtensionNotFound

    if certificate.version.value + 1 < _VERSION_WITH_EXTENSIONS:
        return True
    try:
        return certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except (ExtensionNotFound, ValueError):
        return False
