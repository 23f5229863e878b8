"""Config trimming: which services a proxy is configured to call (kuma-core §6).

The graph of callers follows from MeshTrafficPermissions: what may be called is always reachable, and for `from` also
what Kuma's own, coarser graph lets through. It is kept as an index from the URIs that permissions name to the services
that name them, brought up to date before proxies are resolved, so that a new permission concerns its callers only.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from compiler.memo import Input, Memo, Query
from compiler.mesh.callers import EVERYONE
from compiler.mesh.calls import Permission, PermissionEntry
from compiler.mesh.confs import PERMISSION
from compiler.mesh.graph import GRAPH_TAGS, RESOURCE, SERVICE_NAMES, TRIMMED, mesh_spec, read_proxy, trimmed_tags
from compiler.mesh.identity import IDENTITIES_OF, has_tls
from compiler.mesh.layers import counting, layer_of
from compiler.mesh.members import MEMBERS, Member
from compiler.mesh.order import Origin, items_of, sort_items
from compiler.mesh.permission import ALLOW, DENY, Register, permission, register
from compiler.mesh.selection import HOLDER, PERMISSIONS, incoming
from compiler.mesh.services import SERVICE_KEYS, SERVICE_RESOURCE, Port
from compiler.mesh.shape import REPLICA, Shape
from compiler.mesh.value import UriMatch
from compiler.resources.model import SERVICE, Dataplane, MeshService, Policy, Resource, ResourceKey

_OPEN: Final = Permission((PermissionEntry(EVERYONE, ALLOW, Origin("", ResourceKey("", "", ""), "")),))
"""Where callers are not asked who they are."""
Uris = frozenset[str]
Keys = frozenset[ResourceKey]

CALLABLE: Final[Input[tuple[str, str | None], Keys]] = Input("callable", frozenset())
"""By mesh and URI: services with a permission that names it; with None, where a permission names no single caller."""
INDEXED: Final[Input[str, tuple[ResourceKey, ...]]] = Input("indexed", ())
"""By mesh: the services that stand in `CALLABLE`."""
NAMED: Final[Input[ResourceKey, frozenset[str | None]]] = Input("named", frozenset())
"""By service: the keys under which it stands there now."""


def index_callers(memo: Memo, meshes: Iterable[str]) -> None:
    """Bring the index up to date; of the services, only those whose permissions may have changed are looked at."""
    stale: dict[str, set[ResourceKey]] = defaultdict(set)
    for service in memo.stale(CALLERS):
        stale[service.mesh].add(service)
    for mesh in meshes:
        services = memo.ask(SERVICE_KEYS, mesh) if trims(memo, mesh) else ()
        before = memo.read(INDEXED, mesh)
        moved = set(services).symmetric_difference(before) if services != before else set()
        gone = moved.difference(services) if moved else moved
        _index(
            memo,
            mesh,
            {one: frozenset() if one in gone else memo.ask(CALLERS, one) for one in moved | stale[mesh]},
        )
        memo.forget(CALLERS, gone)
        memo.write(INDEXED, mesh, services)


def trims(memo: Memo, mesh: str) -> bool:
    """Without mutual TLS permissions forbid nothing, so nothing is trimmed by them."""
    spec = mesh_spec(memo, mesh)
    return spec.routing.auto_reachable and (spec.mtls.backend is not None or bool(memo.ask(IDENTITIES_OF, mesh)))


def reachable_services(memo: Memo, mesh: str, callers: Iterable[Uris]) -> Keys:
    """The services that at least one of these identities may call; asked once for all replicas."""
    return memo.ask(REACHABLE, (mesh, tuple(callers)))


def _reachable(memo: Memo, asked: tuple[str, tuple[Uris, ...]]) -> Keys:
    mesh, identities = asked
    uris: Uris = frozenset().union(*identities)
    shown = tuple(dict.fromkeys((uris, *identities)))
    found = memo.read(CALLABLE, (mesh, None)).union(*(memo.read(CALLABLE, (mesh, uri)) for uri in sorted(uris)))
    return frozenset(service for service in found if _is_callable(memo, service, shown))


def _is_callable(memo: Memo, service: ResourceKey, identities: Sequence[Uris]) -> bool:
    return any(permitted.admits(uris) for permitted in memo.ask(ADMITTED, service) for uris in identities)


def _admitted(memo: Memo, service: ResourceKey) -> tuple[Register, ...]:
    return tuple(register(permitted) for permitted in memo.ask(ADMISSIONS, service) if permitted.entries)


def _callers(memo: Memo, service: ResourceKey) -> frozenset[str | None]:
    return frozenset(name for permitted in memo.ask(ADMISSIONS, service) for name in _named(permitted))


def _index(memo: Memo, mesh: str, named: Mapping[ResourceKey, frozenset[str | None]]) -> None:
    """Each set of services is written once, whatever number of them move."""
    gone: dict[str | None, list[ResourceKey]] = defaultdict(list)
    come: dict[str | None, list[ResourceKey]] = defaultdict(list)
    for service, now in named.items():
        before = memo.read(NAMED, service)
        for name in before - now:
            gone[name].append(service)
        for name in now - before:
            come[name].append(service)
        memo.write(NAMED, service, now)
    for name in dict.fromkeys((*gone, *come)):
        stay = memo.read(CALLABLE, (mesh, name)).difference(gone.get(name, ()))
        memo.write(CALLABLE, (mesh, name), stay.union(come.get(name, ())))


def _named(permitted: Permission) -> Iterable[str | None]:
    """A caller that an entry admits shows each of its exact URIs: one of them is enough to find it by."""
    for entry in permitted.entries:
        if entry.action != DENY:
            yield next((match.value for match in entry.principal.present if _is_exact(match)), None)


def _is_exact(match: UriMatch) -> bool:
    return not match.prefix


def _admissions(memo: Memo, service: ResourceKey) -> frozenset[Permission]:
    """What the service's inbounds really permit and what Kuma's graph makes of `from`: one of them is enough."""
    if memo.ask(SERVICE_RESOURCE, service) is None:
        return frozenset()
    members = {_inbound(memo, member) for member in memo.ask(MEMBERS, Port(service, ""))}
    if any(one is not None and not has_tls(memo, one[0].resource) for one in members):
        return frozenset({_OPEN})
    found = {memo.ask(PERMISSION, (service.mesh, _permissions(memo, *one))) for one in members if one is not None}
    return frozenset((*found, _widened(memo, service)))


def _inbound(memo: Memo, member: Member) -> tuple[Shape, str] | None:
    replica = memo.ask(REPLICA, member.dataplane)
    return (replica.shape, member.section) if replica is not None else None


def _permissions(memo: Memo, shape: Shape, section: str) -> tuple[ResourceKey, ...]:
    return incoming(memo, memo.ask(HOLDER, shape), PERMISSIONS, section)


def _widened(memo: Memo, service: ResourceKey) -> Permission:
    """Kuma's graph: policies select a service by the few tags that it knows, and are widened by the rest."""
    tags = _graph_tags(memo, service)
    pairs = [None, *sorted(tags.items())]
    keys = sorted({key for pair in pairs for key in memo.read(TRIMMED, (service.mesh, pair))})
    policies = [policy for key in keys if (policy := memo.read(RESOURCE, key)) is not None]
    selected = counting([policy for policy in policies if _trimmed(policy).items() <= tags.items()], layer_of)
    items = sort_items(item for policy in selected for item in items_of(policy, "from"))
    return permission(service.mesh, (), items)


def _trimmed(policy: Resource) -> Mapping[str, str]:
    return trimmed_tags(cast(Policy, policy.spec).target_ref)


def _graph_tags(memo: Memo, key: ResourceKey) -> Mapping[str, str]:
    """Those of the first Dataplane that offers the service; of a written one, what it selects by."""
    service = memo.read(RESOURCE, key)
    if service is not None and isinstance(service.spec, MeshService):
        tags: Mapping[str, str] = service.spec.selector.dataplane_tags or {}
        return {tag: value for tag, value in tags.items() if tag in GRAPH_TAGS}
    for dataplane in sorted(memo.read(SERVICE_NAMES, (key.mesh, key.name))):
        proxy = read_proxy(memo, dataplane)
        for inbound in cast(Dataplane, proxy.spec).networking.inbound if proxy is not None else ():
            if inbound.tags.get(SERVICE) == key.name:
                return {tag: value for tag, value in inbound.tags.items() if tag in GRAPH_TAGS}
    return {SERVICE: key.name}


REACHABLE: Final[Query[tuple[str, tuple[Uris, ...]], Keys]] = Query("reachable", _reachable)
ADMISSIONS: Final[Query[ResourceKey, frozenset[Permission]]] = Query("admissions", _admissions)
ADMITTED: Final[Query[ResourceKey, tuple[Register, ...]]] = Query("admitted", _admitted)
CALLERS: Final[Query[ResourceKey, frozenset[str | None]]] = Query("callers", _callers)
"""The keys under which a service belongs in `CALLABLE`."""
