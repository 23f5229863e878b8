"""Certificates for the proxies of the served generation, from the authorities that the operator gave."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from cryptography import x509

from compiler.identity.authority import Authority, IdentityError, load_authority
from compiler.identity.clock import SteadyClock
from compiler.identity.leaf import rotation_period
from compiler.identity.secrets import IdentitySource
from compiler.snapshot.served import ServedGeneration, ServedProxy
from compiler.xds.served import Resource

SCHEME: Final = "spiffe://"
_log = structlog.get_logger()


def load_authorities(sources: Sequence[str]) -> Mapping[str, Authority]:
    """By the mesh that each certificate names; a source is `file:PATH` or `env:NAME`. Raises IdentityError."""
    authorities: dict[str, Authority] = {}
    for source in sources:
        authority = load_authority(source)
        mesh = _mesh_of(authority.certificate)
        if mesh is None:
            raise IdentityError(f"the certificate of {source} names no mesh: make one with `meshwright ca create`")
        if mesh in authorities:
            raise IdentityError(f"two authorities for mesh {mesh!r}; give --ca once for each mesh")
        authorities[mesh] = authority
    return authorities


class ServedIdentities:
    """A proxy is told the secrets that its snapshot names, and no others; what it may be is what its commit says."""

    def __init__(self, authorities: Mapping[str, Authority]) -> None:
        self._authorities = authorities
        self._clock = SteadyClock()
        self._lifetimes: Mapping[str, timedelta] = {}
        self._source = IdentitySource(authorities)
        self._proxies: Mapping[str, ServedProxy] = {}
        self._due: dict[str, datetime | None] = {}
        self._callbacks: list[Callable[[str | None], None]] = []

    def serve(self, generation: ServedGeneration) -> None:
        """Before the generation is published: its proxies will ask for what it names."""
        former, self._proxies = self._proxies, generation.proxies
        changed = {node: proxy for node, proxy in generation.proxies.items() if former.get(node) is not proxy}
        if self._take_lifetimes(changed.values()):
            self._tell(None)
            return
        for node, proxy in changed.items():
            before = former.get(node)
            if before is not None and before.secrets != proxy.secrets:
                self._tell(node)

    async def get(self, node_id: str, name: str) -> Resource | None:
        """None is "not found", whatever the reason."""
        proxy = self._proxies.get(node_id)
        named = next((secret for secret in proxy.secrets if secret.name == name), None) if proxy else None
        if named is None:
            return None
        try:
            secret = self._source.secret(node_id, name, named.uris, self._clock.now())
        except IdentityError as error:
            _log.error("secret-unavailable", secret=name, reason=str(error))
            return None
        return Resource(secret.name, secret.version, secret.resource) if secret is not None else None

    def subscribe(self, callback: Callable[[str | None], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def rotate_due(self) -> None:
        """Tells of every proxy that is owed another certificate since this was last asked."""
        due = self._list_due()
        rotated = [node for node, moment in due.items() if self._due.get(node, moment) != moment]
        self._due = due
        for node in rotated:
            self._tell(node)

    def _take_lifetimes(self, proxies: Iterable[ServedProxy]) -> bool:
        """Whether a mesh's certificates now live longer or shorter."""
        asked = {
            proxy.node.mesh: timedelta(seconds=secret.lifetime_seconds)
            for proxy in proxies
            for secret in proxy.secrets
            if secret.lifetime_seconds
        }
        lifetimes = {**self._lifetimes, **asked}
        if lifetimes == self._lifetimes:
            return False
        self._lifetimes = lifetimes
        self._source = IdentitySource(self._authorities, _usable(lifetimes))
        return True

    def _list_due(self) -> dict[str, datetime | None]:
        now = self._clock.now()
        return {
            node: self._source.next_rotation(now, (node,)) for node, proxy in self._proxies.items() if proxy.secrets
        }

    def _tell(self, node: str | None) -> None:
        for callback in tuple(self._callbacks):
            callback(node)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Meshes whose proxies need certificates and that no authority was given for."""
        meshes = {node.partition(".")[0] for node, proxy in self._proxies.items() if proxy.secrets}
        return tuple(sorted(meshes - self._authorities.keys()))


def _usable(lifetimes: Mapping[str, timedelta]) -> Mapping[str, timedelta]:
    """A commit that asks for what cannot be kept gets the usual lifetime, and stops nobody's certificates."""
    usable: dict[str, timedelta] = {}
    for mesh, lifetime in lifetimes.items():
        try:
            rotation_period(lifetime)
        except IdentityError as error:
            _log.error("lifetime-unusable", mesh=mesh, reason=str(error))
        else:
            usable[mesh] = lifetime
    return usable


def _mesh_of(certificate: x509.Certificate) -> str | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    meshes = [
        uri.removeprefix(SCHEME) for uri in uris if uri.startswith(SCHEME) and "/" not in uri.removeprefix(SCHEME)
    ]
    return meshes[0] if meshes else None
