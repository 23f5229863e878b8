"""Who proxies are: the MeshIdentity that selects each, the SPIFFE id it gives, and whom a mesh trusts (kuma-core §2.9).

A proxy that no MeshIdentity certifies shows a certificate of the Mesh's backend, if that has one (kuma-core §2.1).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, cast

from compiler.memo import Memo, Query
from compiler.mesh.calls import Tls
from compiler.mesh.graph import KEYS, RESOURCE, mesh_spec, proxy_keys, read_proxy, service_name
from compiler.mesh.match import has_labels
from compiler.mesh.proxy import Certification
from compiler.mesh.trust import IDENTITY_AUTHORITY, Trusted
from compiler.mesh.value import Value
from compiler.resources.model import (
    ENVIRONMENT,
    ORIGIN,
    WORKLOAD,
    ZONE,
    Dataplane,
    MeshIdentity,
    MeshTrust,
    Resource,
)
from compiler.resources.specs.identities import BundledProvider
from compiler.resources.specs.mesh import CertificateBackend
from compiler.resources.specs.spec import SecureDataSource
from compiler.resources.templates import fill_template

IDENTITY: Final = "MeshIdentity"
TRUST: Final = "MeshTrust"
SERVICE_ACCOUNT: Final = "k8s.kuma.io/service-account"
_BUNDLED: Final = "Bundled"
_SPIRE: Final = "Spire"
_DOMAIN: Final = "{{ .Mesh }}.{{ .Zone }}.mesh.local"
_PATH: Final = "/workload/{{ .Workload }}"
_POD_PATH: Final = "/ns/{{ .Namespace }}/sa/{{ .ServiceAccount }}"
_ONLY_ZONE: Final = "default"
"""What the zone of a mesh without zones is called."""
_AGENT_NANOSECONDS: Final = 10**9
_LABEL: Final = re.compile(r'\blabel\s+"([^"]*)"')
_SPIFFE: Final = re.compile(r"spiffe://[-a-z0-9._]{1,255}(/(?!\.{1,2}(/|$))[-a-zA-Z0-9._]+)+")
_LONGEST: Final = 2048


class Identity(Value, frozen=True):
    """What a MeshIdentity gives a proxy; without a provider nobody certifies it."""

    kri: str
    uri: str
    provider: str
    certification: Certification


class Credentials(NamedTuple):
    """What a proxy shows and whom it trusts; without `tls` nothing and nobody."""

    tls: Tls | None
    uris: tuple[str, ...]
    certification: Certification
    trusted: tuple[Trusted, ...]


def credentials(memo: Memo, resource: Resource) -> Credentials:
    """A MeshIdentity wins over the Mesh's backend, and the backend's mode holds for both."""
    mesh = resource.key.mesh
    backend, trusted = mesh_spec(memo, mesh).mtls.backend, memo.ask(TRUSTED, mesh)
    permissive = backend is not None and backend.mode == "PERMISSIVE"
    identity = certified(memo, resource)
    if identity is not None:
        agent = identity.uri if identity.provider == _SPIRE else ""
        tls = Tls(mesh, permissive, identity=identity.kri, agent_id=agent, by_domain=not agent)
        return Credentials(tls, (identity.uri,), identity.certification, () if agent else trusted)
    if backend is None:
        return Credentials(None, (), Certification(), ())
    made = Certification(
        authority=backend.name,
        sources=_backend_sources(backend),
        seconds=backend.dp_cert.rotation.expiration // 10**9,
    )
    return Credentials(Tls(mesh, permissive, by_domain=bool(trusted)), backend_uris(resource), made, trusted)


def certified(memo: Memo, resource: Resource) -> Identity | None:
    """The identity of a proxy that somebody certifies."""
    identity = identity_of(memo, resource)
    return identity if identity is not None and identity.provider else None


def identity_of(memo: Memo, resource: Resource) -> Identity | None:
    """None, too, where its SPIFFE id cannot be made, of which a diagnostic tells."""
    selecting = selecting_identity(memo, resource)
    return _give(selecting, resource) if selecting is not None else None


def selecting_identity(memo: Memo, resource: Resource) -> Resource | None:
    """Of all that select a proxy the one that asks for most labels, and of those the one of the smallest name."""
    return next((one for one in memo.ask(IDENTITIES_OF, resource.key.mesh) if selects(one, resource)), None)


def selects(identity: Resource, resource: Resource) -> bool:
    """Without a selector, nobody."""
    selector = cast(MeshIdentity, identity.spec).selector
    wanted = selector.dataplane.match_labels if selector is not None and selector.dataplane is not None else None
    return wanted is not None and _is_of_zone(identity, resource) and has_labels(resource, wanted)


def has_tls(memo: Memo, resource: Resource) -> bool:
    """Whether a proxy takes mutual TLS, and can call by it."""
    return mesh_spec(memo, resource.key.mesh).mtls.backend is not None or certified(memo, resource) is not None


def accepted_uris(memo: Memo, resource: Resource, service: str) -> Iterator[str]:
    """The ids of which callers of a service accept any from this proxy.

    While a mesh has a backend and identities, a proxy may go from one to another in between: its callers are ready for
    each that it could have.
    """
    mesh = resource.key.mesh
    if mesh_spec(memo, mesh).mtls.backend is None:
        identity = certified(memo, resource)
        yield from (identity.uri,) if identity is not None else ()
        return
    yield f"spiffe://{mesh}/{service}"
    for one in memo.ask(IDENTITIES_OF, mesh):
        given = _give(one, resource) if _is_of_zone(one, resource) else None
        yield from (given.uri,) if given is not None else ()


def shown_uris(memo: Memo, resource: Resource) -> Iterator[frozenset[str]]:
    """What each of its tag sets shows by itself (kuma-core §6.3); a client without inbounds shows its workload."""
    identity = certified(memo, resource)
    if identity is not None:
        yield frozenset({identity.uri})
        return
    for tags in cast(Dataplane, resource.spec).tag_sets or ({},):
        uris = {f"kuma://{key}/{value}" for key, value in tags.items()}
        yield frozenset(uris | {f"spiffe://{resource.key.mesh}/{service_name(resource, tags)}"})


def backend_uris(resource: Resource) -> tuple[str, ...]:
    """The URIs that a Mesh's backend certifies: a SPIFFE id for each service, then one URI for each tag."""
    mesh, tag_sets = resource.key.mesh, cast(Dataplane, resource.spec).tag_sets or ({},)
    services = {f"spiffe://{mesh}/{service_name(resource, tags)}" for tags in tag_sets}
    tags = {f"kuma://{key}/{value}" for tag_set in tag_sets for key, value in tag_set.items()}
    return (*sorted(services), *sorted(tags))


def spiffe_id(identity: Resource, resource: Resource) -> str | None:
    """What the templates give for a proxy; None where a part is missing or the whole is no SPIFFE id."""
    domain, path = trust_domain(identity, resource.zone), fill_template(*path_parts(identity, resource))
    uri = f"spiffe://{domain}{path}"
    return uri if domain and path and len(uri) <= _LONGEST and _SPIFFE.fullmatch(uri) else None


def path_parts(identity: Resource, resource: Resource) -> tuple[str, Mapping[str, str], Mapping[str, str]]:
    """The template of the path, and what may stand in it."""
    kubernetes = resource.labels.get(ENVIRONMENT) == "kubernetes"
    template = cast(MeshIdentity, identity.spec).spiffe_id.path or (_POD_PATH if kubernetes else _PATH)
    words = {
        "Mesh": resource.key.mesh,
        "Zone": resource.zone or _ONLY_ZONE,
        "Namespace": resource.namespace,
        "ServiceAccount": resource.labels.get(SERVICE_ACCOUNT, ""),
        "Workload": resource.labels.get(WORKLOAD, ""),
    }
    return template, {word: value for word, value in words.items() if value}, resource.labels


def trust_domain(identity: Resource, zone: str) -> str | None:
    """The same for all proxies of a zone; a label is one of the MeshIdentity itself."""
    template = cast(MeshIdentity, identity.spec).spiffe_id.trust_domain or _DOMAIN
    words = {"Mesh": identity.key.mesh, "Zone": identity.zone or zone or _ONLY_ZONE}
    return fill_template(template, words, identity.labels)


def _give(identity: Resource, resource: Resource) -> Identity | None:
    uri, provider = spiffe_id(identity, resource), cast(MeshIdentity, identity.spec).provider
    if uri is None:
        return None
    return Identity(identity.kri(), uri, provider.type if provider is not None else "", _certification(identity))


def _certification(identity: Resource) -> Certification:
    provider = cast(MeshIdentity, identity.spec).provider
    if provider is not None and provider.type == _SPIRE:
        timeout = provider.spire.agent.timeout if provider.spire is not None else None
        return Certification(agent_nanoseconds=timeout or _AGENT_NANOSECONDS)
    bundled = provider.bundled if provider is not None else None
    if bundled is None:
        return Certification()
    seconds = (bundled.certificate_parameters.expiry or 0) // 10**9
    return Certification(IDENTITY_AUTHORITY + identity.key.name, _given_sources(bundled), seconds)


def _given_sources(bundled: BundledProvider) -> tuple[str, ...]:
    """Secrets of the mesh; what is kept elsewhere is handed to the server."""
    if bundled.ca is None:
        return ()
    names = (_secret_name(bundled.ca.certificate), _secret_name(bundled.ca.private_key))
    return names if all(names) else ()


def _secret_name(source: SecureDataSource) -> str:
    return source.secret_ref.name if source.secret_ref is not None else ""


def _backend_sources(backend: CertificateBackend) -> tuple[str, ...]:
    """Of an authority that is provided."""
    names = tuple(str((backend.conf.get(field) or {}).get("secret", "")) for field in ("cert", "key"))
    return names if backend.type == "provided" and all(names) else ()


def _is_of_zone(identity: Resource, resource: Resource) -> bool:
    """What a zone says is about its own proxies."""
    return identity.labels.get(ORIGIN) != "zone" or identity.zone in {"", resource.zone}


# --- A mesh -------------------------------------------------------------------------------------------------------


def _identities_of(memo: Memo, mesh: str) -> tuple[Resource, ...]:
    """In the order in which they come to be asked."""
    found = (one for key in memo.read(KEYS, (IDENTITY, mesh)) if (one := memo.read(RESOURCE, key)) is not None)
    return tuple(sorted(found, key=lambda one: (-_asked_labels(one), one.name, one.key)))


def _asked_labels(identity: Resource) -> int:
    selector = cast(MeshIdentity, identity.spec).selector
    return len(selector.dataplane.match_labels) if selector is not None and selector.dataplane is not None else 0


def _telling_labels(memo: Memo, mesh: str) -> frozenset[str]:
    return frozenset(label for one in memo.ask(IDENTITIES_OF, mesh) for label in _looks_at(one))


def _looks_at(identity: Resource) -> Iterator[str]:
    spec = cast(MeshIdentity, identity.spec)
    path = spec.spiffe_id.path
    if spec.selector is not None and spec.selector.dataplane is not None:
        yield from spec.selector.dataplane.match_labels
    yield from _LABEL.findall(path)
    if ".ServiceAccount" in (path or _POD_PATH):
        yield SERVICE_ACCOUNT
    if ".Zone" in path + (spec.spiffe_id.trust_domain or _DOMAIN) or identity.labels.get(ORIGIN) == "zone":
        yield ZONE


def _trusted(memo: Memo, mesh: str) -> tuple[Trusted, ...]:
    """Empty where a mesh knows no trust domains. A backend's certificates stand in the domain of the mesh's name."""
    identities = memo.ask(IDENTITIES_OF, mesh)
    written = [memo.read(RESOURCE, key) for key in memo.read(KEYS, (TRUST, mesh))]
    if not identities and not written:
        return ()
    found = {_written_trust(cast(MeshTrust, one.spec)) for one in written if one is not None}
    found.update(made for one in identities for made in _made_trusts(memo, one))
    backend = mesh_spec(memo, mesh).mtls.backend
    if backend is not None:
        found.add(Trusted(mesh, authority=backend.name, sources=_backend_sources(backend)))
    return tuple(sorted(found))


def _believed(memo: Memo, mesh: str) -> tuple[Trusted, ...]:
    """The domain of a backend is the mesh's name; an authority is one of the mesh, whoever it is that believes it."""
    found, backend = memo.ask(TRUSTED, mesh), mesh_spec(memo, mesh).mtls.backend
    if not found and backend is not None:
        found = (Trusted(mesh, authority=backend.name, sources=_backend_sources(backend)),)
    return tuple(one._replace(mesh=mesh) if one.authority else one for one in found)


def _everybody(memo: Memo, _: None) -> tuple[Trusted, ...]:
    meshes = sorted(key.name for key in memo.read(KEYS, ("Mesh", "")))
    return tuple(sorted({one for mesh in meshes for one in memo.ask(BELIEVED, mesh)}))


def _written_trust(trust: MeshTrust) -> Trusted:
    return Trusted(trust.trust_domain, "\n".join(bundle.pem.value.strip() for bundle in trust.ca_bundles) + "\n")


def _made_trusts(memo: Memo, identity: Resource) -> Iterator[Trusted]:
    """The MeshTrusts that Kuma would make with an identity, one for each zone where its domain says the zone."""
    provider = cast(MeshIdentity, identity.spec).provider
    bundled = provider.bundled if provider is not None and provider.type == _BUNDLED else None
    if bundled is None or bundled.mesh_trust_creation != "Enabled":
        return
    made = _certification(identity)
    template = cast(MeshIdentity, identity.spec).spiffe_id.trust_domain or _DOMAIN
    zones = memo.ask(ZONES, identity.key.mesh) if ".Zone" in template and not identity.zone else ("",)
    for zone in zones:
        domain = trust_domain(identity, zone)
        if domain:
            yield Trusted(domain, authority=made.authority, sources=made.sources)


def _zones(memo: Memo, mesh: str) -> tuple[str, ...]:
    """Those that are written; else those in which proxies are, all of which are looked at for it."""
    written = memo.read(KEYS, ("Zone", ""))
    if written:
        return tuple(sorted(key.name for key in written))
    proxies = (read_proxy(memo, key) for key in proxy_keys(memo, mesh))
    return tuple(sorted({proxy.zone for proxy in proxies if proxy is not None}))


IDENTITIES_OF: Final[Query[str, tuple[Resource, ...]]] = Query("identities of", _identities_of)
TELLING_LABELS: Final[Query[str, frozenset[str]]] = Query("telling labels", _telling_labels)
"""By mesh: labels of proxies that decide who they are."""
TRUSTED: Final[Query[str, tuple[Trusted, ...]]] = Query("trusted", _trusted)
BELIEVED: Final[Query[str, tuple[Trusted, ...]]] = Query("believed elsewhere", _believed)
"""By mesh: what leads proxies of other meshes to believe those of it; empty where nothing does."""
EVERYBODY: Final[Query[None, tuple[Trusted, ...]]] = Query("everybody believed", _everybody)
"""The same of all meshes together."""
ZONES: Final[Query[str, tuple[str, ...]]] = Query("zones", _zones)
