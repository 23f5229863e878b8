"""What identities and trust must hold beyond their schemas (kuma-core §2.9)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.certificates import check_bundle, check_given
from compiler.resources.checks.sources import check_source, only_secrets
from compiler.resources.checks.templates import check_spiffe_path, check_trust_domain
from compiler.resources.findings import EXCLUSIVE_FIELDS, MISSING_FIELD, NO_EFFECT, Finding, join
from compiler.resources.values import Duration

SHORTEST_LIFETIME: Final = Duration.parse("10m")
"""Of a certificate that the server issues (`compiler.identity.leaf`)."""
_PROVIDERS: Final[Mapping[str, str]] = {"Bundled": "bundled", "Spire": "spire", "Extension": "extension"}


def check_mesh_identity(identity: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """What its templates give can be a SPIFFE ID, and its provider can certify it."""
    if "dataplane" not in identity.get("selector", {}):
        message = "the identity selects no Dataplane"
        yield Finding(
            pointer, NO_EFFECT, message, "selector.dataplane.matchLabels: {} selects all of them", on_key=True
        )
    written, at = identity.get("spiffeID", {}), join(pointer, "spiffeID")
    if "trustDomain" in written:
        yield from check_trust_domain(written["trustDomain"], join(at, "trustDomain"))
    if "path" in written:
        yield from check_spiffe_path(written["path"], join(at, "path"))
    if "provider" in identity:
        yield from _check_provider(identity["provider"], join(pointer, "provider"))


def check_mesh_trust(trust: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Each bundle holds certificates of authorities."""
    for index, bundle in enumerate(trust["caBundles"]):
        yield from check_bundle(bundle["pem"]["value"], join(pointer, "caBundles", index, "pem", "value"))


def _check_provider(provider: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    wanted = _PROVIDERS[provider["type"]]
    if wanted not in provider and wanted != "spire":
        yield Finding(pointer, MISSING_FIELD, f"{wanted} is missing for type {provider['type']}", on_key=True)
    for name in _PROVIDERS.values():
        if name in provider and name != wanted:
            message = f"{name} does not go with type {provider['type']}"
            yield Finding(join(pointer, name), EXCLUSIVE_FIELDS, message, f"keep {wanted}", on_key=True)
    yield from _check_bundled(provider.get("bundled"), join(pointer, "bundled"))


def _check_bundled(bundled: Mapping[str, Any] | None, pointer: str) -> Iterator[Finding]:
    """An authority is made or it is given."""
    if bundled is None:
        return
    made, given = bundled.get("autogenerate", {}).get("enabled", False), bundled.get("ca")
    if made and given is not None:
        message = "an authority is made or given, not both"
        yield Finding(join(pointer, "ca"), EXCLUSIVE_FIELDS, message, "take ca or autogenerate out", on_key=True)
    if not made and given is None:
        message = "there is no authority"
        yield Finding(pointer, MISSING_FIELD, message, "set autogenerate.enabled: true, or give ca", on_key=True)
    if given is not None:
        yield from check_source(given["certificate"], join(pointer, "ca", "certificate"))
        yield from check_given(given["certificate"], join(pointer, "ca", "certificate"))
        yield from check_source(given["privateKey"], join(pointer, "ca", "privateKey"), private=True)
        yield from only_secrets(given, join(pointer, "ca"), ("certificate", "privateKey"))
    wanted = bundled.get("certificateParameters", {})
    if "expiry" in wanted:
        yield from check_lifetime(wanted["expiry"], join(pointer, "certificateParameters", "expiry"))
    if bundled.get("insecureAllowSelfSigned") is False:
        message = "an authority that signs itself is taken, too: whoever starts the server chooses it"
        yield Finding(join(pointer, "insecureAllowSelfSigned"), NO_EFFECT, message, on_key=True)


def check_lifetime(text: str, pointer: str) -> Iterator[Finding]:
    """One that is too short to be kept stops nobody's certificates: they get the usual one."""
    if Duration.parse(text) < SHORTEST_LIFETIME:
        message = f"no certificate can be renewed in time that lives for {text}: 24h are taken"
        yield Finding(pointer, NO_EFFECT, message, f"give {SHORTEST_LIFETIME} or more")


def check_global_secret(_: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Kuma's control plane keeps keys of its own there; no document names one."""
    yield Finding(pointer, NO_EFFECT, "nothing refers to a GlobalSecret", "take the document out")


def check_workload(_: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Kuma makes one of every label, and keeps the number of its proxies there."""
    message = "nothing is made of a Workload: it follows from the label kuma.io/workload of Dataplanes"
    yield Finding(pointer, NO_EFFECT, message, "take the document out")
