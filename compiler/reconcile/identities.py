"""Certificates and secrets for the proxies of the served generation, from what the operator gave."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import islice
from typing import Final

import structlog

from compiler.identity.authority import (
    Authority,
    AuthorityName,
    IdentityError,
    authority_name,
    load_authority,
    named_authority,
)
from compiler.identity.clock import SteadyClock
from compiler.identity.leaf import rotation_period
from compiler.identity.secrets import REMEMBERED_LEAVES, IdentitySource, ServedSecret
from compiler.identity.vault import VaultFolder
from compiler.snapshot.image.served import ServedGeneration, ServedProxy
from compiler.snapshot.names import SecretName
from compiler.xds.served import Resource

_OWNER: Final = re.compile(r"(?P<mesh>[-a-z0-9.]+)(?:/(?P<identity>[-a-z0-9.]+))?=(?P<source>.*)")
_PLANNED_AT_ONCE: Final = 1000
"""Ten milliseconds of the event loop that the streams need too."""
_ISSUED_AT_ONCE: Final = 8
"""Three milliseconds of it."""
_FRAMED_AT_ONCE: Final = 4096
_LARGEST_TROUBLE: Final = 20

_log = structlog.get_logger()


def load_authorities(sources: Sequence[str]) -> Mapping[AuthorityName, Authority]:
    """By whom each certificate names; a source is `file:PATH` or `env:NAME`. Raises IdentityError.

    One that came from elsewhere, and names nobody, is written `MESH=file:PATH` or `MESH/IDENTITY=file:PATH`.
    """
    authorities: dict[AuthorityName, Authority] = {}
    for written in sources:
        owner = _OWNER.fullmatch(written)
        source = owner["source"] if owner is not None else written
        authority = load_authority(source)
        name = AuthorityName(owner["mesh"], owner["identity"] or "") if owner is not None else None
        name = name or named_authority(authority.certificate)
        if name is None:
            raise IdentityError(
                f"the certificate of {source} names no mesh: make one with `meshwright ca create`, or say whose it is "
                f"with --ca MESH={source} or --ca MESH/IDENTITY={source}"
            )
        if name in authorities:
            whose = f"MeshIdentity {name.identity!r} of mesh {name.mesh!r}" if name.identity else f"mesh {name.mesh!r}"
            raise IdentityError(f"two authorities for {whose}; give --ca once for each")
        authorities[name] = authority
    return authorities


class ServedIdentities:
    """A proxy is told the secrets that its snapshot names, and no others; what it may be is what its commit says."""

    def __init__(self, authorities: Mapping[AuthorityName, Authority], folder: VaultFolder | None = None) -> None:
        self._authorities = authorities
        self._folder = folder or VaultFolder()
        self._vault = self._folder.read()
        self._clock = SteadyClock()
        self._lifetimes: Mapping[AuthorityName, timedelta] = {}
        self._source = self._make_source()
        self._wanted: Counter[tuple[str, SecretName]] = Counter()
        self._served: ServedGeneration | None = None
        self._naming: dict[str, set[str]] = {}
        self._unissued: dict[str, None] = {}
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
            proxy, known = generation.proxies.get(node), before.get(node)
            if proxy is not None and known is not None and proxy.secrets == known.secrets:
                continue
            self._count_wanted(node, known, proxy)
            self._note_naming(node, proxy)
            if proxy is not None:
                changed[node] = proxy
        if self._take_lifetimes(changed.values()):
            self._plan_anew()
            self._tell(None)
            return
        for node in (node for node in changed if node in before):
            self._tell(node)

    def get(self, node_id: str, name: str) -> Resource | None:
        """None is "not found", whatever the reason."""
        named = next((secret for secret in self._list_named(node_id) if secret.name == name), None)
        if named is None:
            return None
        try:
            secret = self._source.secret(node_id, named, self._clock.now())
        except IdentityError as error:
            _log.error("secret-unavailable", secret=name, reason=str(error))
            return None
        return self._frame(secret) if secret is not None else None

    def issue_some(self) -> bool:
        """Certificates of proxies that are still to come, made while nothing else is to do: a fleet comes at once.

        At most as many as are remembered; false once there are no more. What cannot be issued is told of when asked.
        """
        now = self._clock.now()
        for node in tuple(islice(self._unissued, _ISSUED_AT_ONCE)):
            del self._unissued[node]
            with suppress(IdentityError):
                for named in self._list_named(node):
                    self._source.secret(node, named, now)
        return bool(self._unissued)

    def look_at_secrets(self) -> None:
        """Where the operator has changed some, everybody is told what is new to them, without any commit."""
        vault = self._folder.changed()
        if vault is None or (vault.secrets, vault.troubles) == (self._vault.secrets, self._vault.troubles):
            return
        self._vault = vault
        self._source = self._make_source()
        self._plan_anew()
        _log.info("secrets-changed", secrets=len(vault.secrets), unusable=len(vault.troubles))
        self._tell(None)

    def _make_source(self) -> IdentitySource:
        return IdentitySource(self._authorities, _usable(self._lifetimes), self._vault)

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

    def _list_named(self, node: str) -> Sequence[SecretName]:
        proxy = self._served.proxies.get(node) if self._served is not None else None
        return proxy.secrets if proxy is not None else ()

    def _plan(self, node: str, now: datetime) -> None:
        """The first rotation after `now`; what the heap has of a node that is gone or planned anew is dropped there."""
        moments = [self._source.rotation(node, named, now) for named in self._list_named(node)]
        moment = min((one for one in moments if one is not None), default=None)
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
            self._unissued.pop(node, None)
        elif node not in naming:
            naming.add(node)
            self._unplanned[node] = self._clock.now()
            if len(self._unissued) < REMEMBERED_LEAVES:
                self._unissued[node] = None

    def _count_wanted(self, node: str, before: ServedProxy | None, after: ServedProxy | None) -> None:
        """What somebody needs at all, each once, however many proxies need it."""
        mesh = node.partition(".")[0]
        for named in before.secrets if before is not None else ():
            self._wanted[named.mesh or mesh, _without_node(named)] -= 1
        for named in after.secrets if after is not None else ():
            self._wanted[named.mesh or mesh, _without_node(named)] += 1

    def _frame(self, secret: ServedSecret) -> Resource:
        """What all proxies of a mesh are told alike is the same object each time, and framed once."""
        known = self._framed.get(secret.version)
        if known is not None and known[0] is secret:
            return known[1]
        resource = Resource(secret.name, secret.version, secret.resource)
        if secret.rotates is None:
            if len(self._framed) >= _FRAMED_AT_ONCE:
                self._framed.clear()
            self._framed[secret.version] = secret, resource
        return resource

    def _take_lifetimes(self, proxies: Iterable[ServedProxy]) -> bool:
        """Whether a mesh's certificates now live longer or shorter."""
        asked = {
            authority_name(secret.mesh or proxy.node.mesh, secret.authority): timedelta(seconds=secret.lifetime_seconds)
            for proxy in proxies
            for secret in proxy.secrets
            if secret.lifetime_seconds
        }
        lifetimes = {**self._lifetimes, **asked}
        if lifetimes == self._lifetimes:
            return False
        self._lifetimes = lifetimes
        self._source = self._make_source()
        return True

    def _tell(self, node: str | None) -> None:
        for callback in tuple(self._callbacks):
            callback(node)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What proxies need and cannot be given, in sentences; and what is wrong with the secrets at hand."""
        wanted = [key for key, count in self._wanted.items() if count > 0]
        found = {trouble for mesh, named in wanted for trouble in self._source.troubles(mesh, named)}
        return tuple(sorted({*found, *self._vault.troubles}))[:_LARGEST_TROUBLE]


def _without_node(named: SecretName) -> SecretName:
    """Without what differs from workload to workload."""
    return named._replace(uris=()) if named.uris else named


def _usable(lifetimes: Mapping[AuthorityName, timedelta]) -> Mapping[AuthorityName, timedelta]:
    """A commit that asks for what cannot be kept gets the usual lifetime, and stops nobody's certificates."""
    usable: dict[AuthorityName, timedelta] = {}
    for name, lifetime in lifetimes.items():
        try:
            rotation_period(lifetime)
        except IdentityError as error:
            _log.error("lifetime-unusable", mesh=name.mesh, identity=name.identity, reason=str(error))
        else:
            usable[name] = lifetime
    return usable
