"""What is wrong about who proxies are: an id that cannot be made, an identity that nobody trusts, a missing Secret."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.checks.members import EMPTY_SERVICE
from compiler.mesh.graph import CARRIERS, EXAMPLES, RESOURCE, index_pair, mesh_spec, proxy_keys, read_proxy
from compiler.mesh.identity import (
    IDENTITIES_OF,
    TRUSTED,
    identity_of,
    path_parts,
    selecting_identity,
    selects,
    trust_domain,
)
from compiler.mesh.order import items_of
from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.model import (
    ExternalService,
    Mesh,
    MeshExternalService,
    MeshGateway,
    MeshIdentity,
    Resource,
    ResourceKey,
)
from compiler.resources.specs.gateways import GatewayConf
from compiler.resources.specs.mesh import MutualTls
from compiler.resources.specs.services import LegacyTls
from compiler.resources.specs.spec import SecureDataSource

NO_IDENTITY: Final = Code(
    "no-identity",
    Severity.ERROR,
    "a proxy whose SPIFFE ID cannot be made",
    "A MeshIdentity selects the proxy, but a part of its templates has nothing to stand for, or what they give is no "
    "SPIFFE ID. `.Workload` is the label `kuma.io/workload`, `.Namespace` and `.ServiceAccount` are known of pods.",
)
UNTRUSTED_IDENTITY: Final = Code(
    "untrusted-identity",
    Severity.ERROR,
    "an identity that nobody trusts",
    "No MeshTrust has the trust domain of the identity, and none is made with it, so that every proxy would refuse "
    "the certificates of those that have it.",
)
MISSING_SECRET: Final = Code(
    "missing-secret",
    Severity.WARNING,
    "a reference to a Secret that no document names",
    "What a Secret holds is handed to the server, but a document of type Secret, with its name alone, says in the "
    "repository that there is one.",
)
CALLERS_WITHOUT_TAGS: Final = Code(
    "callers-without-tags",
    Severity.WARNING,
    "a policy that names callers by tags, which a MeshIdentity does not show",
    "A certificate of a MeshIdentity shows one SPIFFE ID and no tags. An entry of `from` that names a service or tags "
    "says nothing of callers that have one; a denial of that kind would let them through, and is an error. Name them "
    "by their SPIFFE IDs in `rules`.",
)

_DENY: Final = "Deny"


def check_identified(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    """Who selects it can say who it is."""
    identity = selecting_identity(memo, proxy)
    if identity is None or identity_of(memo, proxy) is not None:
        return
    template, words, _ = path_parts(identity, proxy)
    hint = "add the label kuma.io/workload" if ".Workload" in template and "Workload" not in words else None
    yield Finding("", NO_IDENTITY, f"MeshIdentity {identity.name!r} gives no SPIFFE ID for this proxy", hint)


def check_identity(memo: Memo, identity: Resource) -> Iterator[Finding]:
    """It is somebody's, and somebody trusts it."""
    spec = cast(MeshIdentity, identity.spec)
    if spec.selector is None or spec.selector.dataplane is None:
        return
    chosen = next((one for one in _proxies(memo, identity, spec.selector.dataplane.match_labels)), None)
    if chosen is None:
        message = "no proxy of the mesh is selected by this identity"
        yield Finding("/selector", NO_EFFECT, message, "compare the labels with those of the Dataplanes")
    elif spec.provider is None and mesh_spec(memo, identity.key.mesh).mtls.backend is None:
        message = "without a provider nobody certifies the identity"
        yield Finding("", NO_EFFECT, message, "add provider: {type: Bundled, …} or {type: Spire}")
    elif spec.provider is not None and spec.provider.type == "Bundled":
        domain = trust_domain(identity, chosen.zone)
        if all(one.domain != domain for one in memo.ask(TRUSTED, identity.key.mesh)):
            hint = "set bundled.meshTrustCreation: Enabled, or add a MeshTrust"
            yield Finding("/provider", UNTRUSTED_IDENTITY, f"no MeshTrust has the trust domain {domain}", hint)


def check_trust(memo: Memo, trust: Resource) -> Iterator[Finding]:
    """Only who shows a certificate asks for those of others."""
    mesh = trust.key.mesh
    certified = (cast(MeshIdentity, one.spec).provider is not None for one in memo.ask(IDENTITIES_OF, mesh))
    if mesh_spec(memo, mesh).mtls.backend is None and not any(certified):
        message = "no proxy of the mesh has a certificate, so nobody asks whom to trust"
        yield Finding("", NO_EFFECT, message, "add a MeshIdentity with a provider, or enable mtls of the Mesh")


def _proxies(memo: Memo, identity: Resource, labels: Mapping[str, str]) -> Iterator[Resource]:
    """A few first: most identities select one of those, and then a new proxy does not have them looked at again."""
    mesh = identity.key.mesh
    pair = index_pair(sorted((f"label:{key}", value) for key, value in labels.items()))
    keys = iter(sorted(memo.read(CARRIERS, (mesh, pair)))) if pair is not None else _every(memo, mesh)
    found = (read_proxy(memo, key) for key in keys)
    return (proxy for proxy in found if proxy is not None and selects(identity, proxy))


def _every(memo: Memo, mesh: str) -> Iterator[ResourceKey]:
    yield from memo.read(EXAMPLES, mesh)
    yield from sorted(proxy_keys(memo, mesh))


def check_callers(memo: Memo, policy: Resource) -> Iterator[Finding]:
    """`from` and converted rules know tags, which only certificates of a Mesh's backend show."""
    identities = memo.ask(IDENTITIES_OF, policy.key.mesh)
    if all(cast(MeshIdentity, one.spec).provider is None for one in identities):
        return
    for pointer, severity in _told_by_tags(policy):
        message = "callers with a MeshIdentity show no tags, so this says nothing of them"
        yield Finding(pointer, CALLERS_WITHOUT_TAGS, message, "name them by spiffeID in rules", severity=severity)


def _told_by_tags(policy: Resource) -> Iterator[tuple[str, Severity | None]]:
    for item in items_of(policy, "from"):
        if item.target.kind != "Mesh" or item.target.tags:
            denies = policy.key.type == "MeshTrafficPermission" and item.conf.get("action", _DENY) == _DENY
            yield join("/from", item.index, "targetRef"), Severity.ERROR if denies else None
    for item in items_of(policy, "rules"):
        for place, match in enumerate(item.item.matches if item.item is not None else ()):
            if "tags" in match:
                yield join("/rules", item.index, "matches", place), None


# --- Secrets ------------------------------------------------------------------------------------------------------


def check_secrets(memo: Memo, resource: Resource) -> Iterator[Finding]:
    """A document of type Secret for each that is referred to."""
    for pointer, name in _referred(resource):
        yield from check_secret(memo, resource.key.mesh or resource.key.name, name, pointer)


def check_secret(memo: Memo, mesh: str, name: str, pointer: str) -> Iterator[Finding]:
    if name and memo.read(RESOURCE, ResourceKey("Secret", mesh, name)) is None:
        hint = f"add {{type: Secret, mesh: {mesh}, name: {name}}}"
        yield Finding(pointer, MISSING_SECRET, f"mesh {mesh!r} has no Secret {name!r}", hint)


def _referred(resource: Resource) -> Iterator[tuple[str, str]]:
    match resource.spec:
        case Mesh(mtls=mtls):
            yield from _of_backends(mtls)
        case MeshIdentity(provider=provider) if provider is not None and provider.bundled is not None:
            authority = provider.bundled.ca
            if authority is not None:
                yield from _in_source(authority.certificate, "/provider/bundled/ca/certificate")
                yield from _in_source(authority.private_key, "/provider/bundled/ca/privateKey")
        case MeshGateway(conf=conf):
            yield from _of_listeners(conf)
        case ExternalService(networking=networking) if networking.tls is not None:
            yield from _of_legacy_tls(networking.tls)
        case MeshExternalService(tls=tls) if tls is not None and tls.verification is not None:
            written = tls.verification
            sources = (("caCert", written.ca_cert), ("clientCert", written.client_cert))
            for field, source in (*sources, ("clientKey", written.client_key)):
                if source is not None and source.secret_name:
                    yield f"/tls/verification/{field}", source.secret_name


def _of_backends(mtls: MutualTls) -> Iterator[tuple[str, str]]:
    for index, backend in enumerate(mtls.backends):
        if backend.type == "provided":
            yield from _in_conf(backend.conf, join("/mtls/backends", index, "conf"))


def _of_legacy_tls(tls: LegacyTls) -> Iterator[tuple[str, str]]:
    sources = (("caCert", tls.ca_cert), ("clientCert", tls.client_cert), ("clientKey", tls.client_key))
    yield from ((f"/networking/tls/{field}", one.secret) for field, one in sources if one is not None and one.secret)


def _of_listeners(conf: GatewayConf) -> Iterator[tuple[str, str]]:
    for index, listener in enumerate(conf.listeners):
        for place, source in enumerate(listener.tls.certificates if listener.tls is not None else ()):
            yield join("/conf/listeners", index, "tls", "certificates", place, "secret"), source.secret


def _in_conf(conf: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    for field in ("cert", "key"):
        if name := (conf.get(field) or {}).get("secret"):
            yield join(pointer, field), name


def _in_source(source: SecureDataSource, pointer: str) -> Iterator[tuple[str, str]]:
    if source.secret_ref is not None:
        yield pointer, source.secret_ref.name


ABSENT: Final = (EMPTY_SERVICE, MISSING_SECRET, NO_EFFECT)
"""Findings that lean on what is not there, and mislead where some documents could not be read."""

__all__ = [
    "ABSENT",
    "CALLERS_WITHOUT_TAGS",
    "MISSING_SECRET",
    "NO_IDENTITY",
    "UNTRUSTED_IDENTITY",
    "check_callers",
    "check_identified",
    "check_identity",
    "check_secret",
    "check_secrets",
    "check_trust",
]
