"""Certificates for the proxies of the served generation, from the authorities that the operator gave."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import islice
from typing import Final

import structlog
from cryptography import x509

from compiler.identity.authority import Authority, IdentityError, load_authority
from compiler.identity.clock import SteadyClock
from compiler.identity.leaf import rotation_period
from compiler.identity.secrets import IdentitySource, ServedSecret
from compiler.snapshot.served import ServedGeneration, ServedProxy
from compiler.xds.served import Resource

SCHEME: Final = "spiffe://"
_PLANNED_AT_ONCE: Final = 1000
"""Ten milliseconds of the event loop that the streams need too."""

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
        self._served: ServedGeneration | None = None
        self._naming: dict[str, set[str]] = {}
        self._unplanned: dict[str, datetime] = {}
        self._planned: dict[str, datetime] = {}
        self._due: list[tuple[datetime, str]] = []
        self._framed: dict[str, tuple[ServedSecret, Resource]] = {}
        self._callbacks: list[Callable[[str | None], None]] = []

    def serve(self, generation: ServedGeneration) -> None:
        """Before the generation is published: its proxies will ask for what it names."""
        former, self._served = self._served, generation
        before = former.proxies if former is not None else {}
        changed: dict[str, ServedProxy] = {}
        for node in generation.list_differing(former):
            proxy = generation.proxies.get(node)
            self._note_naming(node, proxy)
            if proxy is not None:
                changed[node] = proxy
        if self._take_lifetimes(changed.values()):
            self._plan_anew()
            self._tell(None)
            return
        for node, proxy in changed.items():
            if node in before and before[node].secrets != proxy.secrets:
                self._tell(node)

    async def get(self, node_id: str, name: str) -> Resource | None:
        """None is "not found", whatever the reason."""
        proxy = self._served.proxies.get(node_id) if self._served is not None else None
        named = next((secret for secret in proxy.secrets if secret.name == name), None) if proxy else None
        if named is None:
            return None
        try:
            secret = self._source.secret(node_id, name, named.uris, self._clock.now())
        except IdentityError as error:
            _log.error("secret-unavailable", secret=name, reason=str(error))
            return None
        return self._frame(secret) if secret is not None else None

    def subscribe(self, callback: Callable[[str | None], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def rotate_due(self) -> None:
        """Tells of every proxy that is owed another certificate; of proxies that came, some are planned each time."""
        now = self._clock.now()
        for node in tuple(islice(self._unplanned, _PLANNED_AT_ONCE)):
            self._plan(node, self._unplanned.pop(node))
        while self._due and self._due[0][0] <= now:
            moment, node = heappop(self._due)
            if self._planned.get(node) == moment:
                self._plan(node, now)
                self._tell(node)

    def _plan(self, node: str, now: datetime) -> None:
        """The first rotation after `now`; what the heap has of a node that is gone or planned anew is dropped there."""
        moment = self._source.next_rotation(now, (node,))
        if moment is not None:
            self._planned[node] = moment
            heappush(self._due, (moment, node))

    def _plan_anew(self) -> None:
        self._due.clear()
        self._planned.clear()
        now = self._clock.now()
        self._unplanned = {node: now for nodes in self._naming.values() for node in sorted(nodes)}

    def _note_naming(self, node: str, proxy: ServedProxy | None) -> None:
        """Which proxies of each mesh have secrets; one that is new is planned later, from the moment of its coming."""
        naming = self._naming.setdefault(node.partition(".")[0], set())
        if proxy is None or not proxy.secrets:
            naming.discard(node)
            self._planned.pop(node, None)
            self._unplanned.pop(node, None)
        elif node not in naming:
            naming.add(node)
            self._unplanned[node] = self._clock.now()

    def _frame(self, secret: ServedSecret) -> Resource:
        """What all proxies of a mesh are told alike is the same object each time, and framed once."""
        known = self._framed.get(secret.name)
        if known is not None and known[0] is secret:
            return known[1]
        resource = Resource(secret.name, secret.version, secret.resource)
        if secret.rotates is None:
            self._framed[secret.name] = secret, resource
        return resource

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

    def _tell(self, node: str | None) -> None:
        for callback in tuple(self._callbacks):
            callback(node)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Meshes whose proxies need certificates and that no authority was given for."""
        return tuple(sorted(mesh for mesh in self._naming.keys() - self._authorities.keys() if self._naming[mesh]))


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
