"""The mesh as tables: resources by key, and indexes that find what an edit concerns without visiting the rest.

`load` writes what differs between two sets of resources; everything else is asked through the memo.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from heapq import nsmallest
from typing import Final, NamedTuple, cast

from msgspec.structs import replace

from compiler.memo import Input, Memo, Query
from compiler.mesh.match import Pair, proxy_pairs, selector_pairs, source_tags
from compiler.mesh.rules import meant_names
from compiler.resources.model import (
    ENVIRONMENT,
    MESH,
    ORIGIN,
    SERVICE,
    WORKLOAD,
    ZONE,
    Dataplane,
    DataplaneSet,
    Mesh,
    Policy,
    Resource,
    ResourceKey,
    TargetRef,
)

Keys = frozenset[ResourceKey]
_NONE: Final[Keys] = frozenset()

RESOURCE: Final[Input[ResourceKey, Resource | None]] = Input("resource", None)
"""Every resource of the repository."""
KEYS: Final[Input[tuple[str, str], Keys]] = Input("keys", _NONE)
"""By type and mesh."""
CARRIERS: Final[Input[tuple[str, Pair], Keys]] = Input("carriers", _NONE)
"""By mesh and pair: the Dataplanes that carry this label or tag."""
SELECTORS: Final[Input[tuple[str, Pair | None], Keys]] = Input("selectors", _NONE)
"""By mesh and pair: policies that select only proxies that carry it; with `ANYWHERE`, those that may select any proxy
by whatever it carries; with None, those that look at nothing but a proxy's profile."""
ABOUT: Final[Input[tuple[str, str, str | None], Keys]] = Input("about", _NONE)
"""By mesh, kind and name: of the last ones, those with a `to` that may mean something of that name; with None, any."""
COMING_IN: Final[Input[tuple[str, str], Keys]] = Input("coming in", _NONE)
"""By mesh and kind: of the same ones, those with `rules` or `from`."""
SERVICE_NAMES: Final[Input[tuple[str, str], Keys]] = Input("service names", _NONE)
"""By mesh and name: the Dataplanes whose inbounds offer a service of this name (kuma-core §2.5)."""
NAMES: Final[Input[str, frozenset[str]]] = Input("names", frozenset())
"""By mesh: every service name that some Dataplane offers."""

TRIMMED: Final[Input[tuple[str, Pair | None], Keys]] = Input("trimmed", _NONE)
"""By mesh and pair: MeshTrafficPermissions for the graph of callers, which knows fewer tags (kuma-core §6.3)."""

ASKED: Final[Input[tuple[str, Pair], Keys]] = Input("asked", _NONE)
"""By mesh and pair: policies that look at it, so that proxies that differ by it are no replicas of each other."""

EXAMPLES: Final[Input[str, tuple[ResourceKey, ...]]] = Input("examples", ())
"""By mesh: a few that may be proxies, kept for as long as they are there. Nothing may depend on which they are: who
looks for any proxy at all looks among them first, and leans on none that comes or goes elsewhere."""
_EXAMPLES: Final = 8

ANYWHERE: Final[Pair] = ("", "")
ANY_ZONE: Final[Pair] = (f"label:{ZONE}", "*")
"""What a policy that stays in its zone asks for."""
WILDCARD: Final = "0.0.0.0"  # noqa: S104  # Envoy matches a redirected connection to it (design D9)
_EVERYWHERE: Final = frozenset({f"label:{MESH}", f"label:{ORIGIN}", f"label:{ENVIRONMENT}", f"label:{ZONE}"})
"""Labels that most proxies share: a poor choice for an index."""

Slot = tuple[Input[tuple[object, ...], Keys], tuple[object, ...]]


def load(memo: Memo, changes: Iterable[tuple[Resource | None, Resource | None]]) -> None:
    """Write what differs; nothing is looked at but the resources that changed, as they were and as they are."""
    moves: dict[Slot, tuple[set[ResourceKey], set[ResourceKey]]] = defaultdict(lambda: (set(), set()))
    for old, new in changes:
        key = cast(Resource, new or old).key
        if memo.write(RESOURCE, key, new):
            _move(moves, old, new)
    for (table, slot), (gone, come) in moves.items():
        if gone != come:
            memo.write(table, slot, (memo.read(table, slot) - gone) | come)
    _load_names(memo, moves)
    _load_examples(memo, moves)


def _move(
    moves: dict[Slot, tuple[set[ResourceKey], set[ResourceKey]]], old: Resource | None, new: Resource | None
) -> None:
    was = set(_slots(old)) if old is not None else set()
    now = set(_slots(new)) if new is not None else set()
    for slot in was - now:
        moves[slot][0].add(cast(Resource, old).key)
    for slot in now - was:
        moves[slot][1].add(cast(Resource, new).key)


def _load_names(memo: Memo, moves: Mapping[Slot, object]) -> None:
    touched = [cast(tuple[str, str], key) for table, key in moves if cast(object, table) is SERVICE_NAMES]
    for mesh in {mesh for mesh, _ in touched}:
        names = {name for other, name in touched if other == mesh}
        offered = {name for name in names if memo.read(SERVICE_NAMES, (mesh, name))}
        memo.write(NAMES, mesh, (memo.read(NAMES, mesh) - names) | offered)


def _load_examples(memo: Memo, moves: Mapping[Slot, object]) -> None:
    for mesh in {str(slot[1]) for table, slot in moves if cast(object, table) is KEYS and slot[0] in _PROXIES}:
        proxies = proxy_keys(memo, mesh)
        kept = [key for key in memo.read(EXAMPLES, mesh) if key in proxies]
        wanted = min(_EXAMPLES, len(proxies))
        others = nsmallest(wanted - len(kept), proxies.difference(kept)) if len(kept) < wanted else ()
        memo.write(EXAMPLES, mesh, (*kept, *others))


def _slots(resource: Resource) -> Iterator[Slot]:
    """Where a resource stands in the indexes."""
    yield cast(Slot, (KEYS, (resource.key.type, resource.key.mesh)))
    if isinstance(resource.spec, Policy):
        yield from _policy_slots(resource, resource.spec)
        for pair in _asked_pairs(resource):
            yield cast(Slot, (ASKED, (resource.key.mesh, pair)))
        if resource.key.type == "MeshTrafficPermission" and resource.spec.target_ref.kind != "Dataplane":
            pairs = sorted(trimmed_tags(resource.spec.target_ref).items())
            yield cast(Slot, (TRIMMED, (resource.key.mesh, pairs[0] if pairs else None)))
    if is_proxy(resource):
        resource = as_dataplane(resource)
        for pair in proxy_pairs(resource):
            if pair[0] not in _EVERYWHERE:
                yield cast(Slot, (CARRIERS, (resource.key.mesh, pair)))
        for name in offered_names(resource):
            yield cast(Slot, (SERVICE_NAMES, (resource.key.mesh, name)))


def _policy_slots(policy: Resource, spec: Policy) -> Iterator[Slot]:
    mesh, kind = policy.key.mesh, policy.key.type
    pair = ANYWHERE if spec.target_ref.kind == "MeshHTTPRoute" else index_pair(selector_pairs(policy))
    yield cast(Slot, (SELECTORS, (mesh, pair)))
    if pair is None:
        yield from (cast(Slot, (ABOUT, (mesh, kind, name))) for name in _names(spec))
        if spec.rules or spec.from_:
            yield cast(Slot, (COMING_IN, (mesh, kind)))


def _names(spec: Policy) -> frozenset[str | None]:
    """What `to` may mean; None is among them where it may mean anything."""
    return frozenset(name for item in spec.to for name in meant_names(item.target_ref) or (None,))


def _asked_pairs(policy: Resource) -> Iterator[Pair]:
    yield from selector_pairs(policy) or ()
    if policy.zone and policy.labels.get(ORIGIN) == "zone":
        yield ANY_ZONE


GRAPH_TAGS: Final = (SERVICE, "k8s.kuma.io/namespace", "k8s.kuma.io/service-name", "k8s.kuma.io/service-port")


def trimmed_tags(target: TargetRef) -> Mapping[str, str]:
    """The tags of a policy's top level that the graph of callers knows; without the others it selects more."""
    return {key: value for key, value in source_tags(target).items() if key in GRAPH_TAGS}


def index_pair(pairs: Iterable[Pair] | None) -> Pair | None:
    """The pair under which a selector is filed: the first that is not shared by most."""
    return next((pair for pair in pairs or () if pair[0] not in _EVERYWHERE), None)


def offered_names(resource: Resource) -> frozenset[str]:
    """Services that exist because a Dataplane says so: its inbounds' service tags, else its workload."""
    dataplane = cast(Dataplane, resource.spec)
    return frozenset(service_name(resource, inbound.tags) for inbound in dataplane.networking.inbound)


def service_name(resource: Resource, tags: Mapping[str, str]) -> str:
    """What an inbound is called: its service tag, else the proxy's workload, else the proxy."""
    return tags.get(SERVICE) or resource.labels.get(WORKLOAD) or resource.name


class Head(NamedTuple):
    """A policy without its confs: whom it selects and what it is about do not depend on them."""

    policy: Resource
    names: frozenset[str | None]
    names_routes: bool
    comes_in: bool

    def may_mean(self, names: Iterable[str]) -> bool:
        """Whether some `to` may be about something of these names."""
        return None in self.names or not self.names.isdisjoint(names)


def _head(memo: Memo, key: ResourceKey) -> Head | None:
    policy = memo.read(RESOURCE, key)
    if policy is None or not isinstance(policy.spec, Policy):
        return None
    spec = policy.spec
    bare = Resource(policy.key, policy.labels, Policy(target_ref=spec.target_ref))
    names_routes = any(item.target_ref.kind == "MeshHTTPRoute" for item in spec.to)
    return Head(bare, _names(spec), names_routes, bool(spec.rules or spec.from_))


HEAD: Final[Query[ResourceKey, Head | None]] = Query("head", _head)


def pairs_to_file(proxy: Resource) -> list[Pair]:
    """The pairs of a proxy under which policies that ask for them are filed."""
    return sorted(pair for pair in proxy_pairs(proxy) if pair[0] not in _EVERYWHERE)


def is_everywhere(label: str) -> bool:
    """Whether most proxies carry this label."""
    return f"label:{label}" in _EVERYWHERE


def carriers(memo: Memo, mesh: str, pairs: Mapping[str, str], prefix: str) -> Iterator[Resource]:
    """Dataplanes that carry all of these labels (`label:`) or, on some inbound each, tags (`tag:`); by name."""
    wanted = sorted((f"{prefix}{key}", value) for key, value in pairs.items())
    first = index_pair(wanted)
    for key in sorted(memo.read(CARRIERS, (mesh, first)) if first is not None else proxy_keys(memo, mesh)):
        resource = read_proxy(memo, key)
        if resource is not None and set(wanted) <= proxy_pairs(resource):
            yield resource


_PROXIES: Final = ("Dataplane", "DataplaneSet")


def proxy_keys(memo: Memo, mesh: str) -> Keys:
    """All that may be proxies; of DataplaneSets only shared ones are (`read_proxy`)."""
    return memo.read(KEYS, ("Dataplane", mesh)) | memo.read(KEYS, ("DataplaneSet", mesh))


def mesh_spec(memo: Memo, mesh: str) -> Mesh:
    """Settings of a mesh; those of an empty Mesh where it is missing (a diagnostic says so)."""
    resource = memo.read(RESOURCE, ResourceKey("Mesh", "", mesh))
    return cast(Mesh, resource.spec) if resource is not None else Mesh()


def is_shared(resource: Resource) -> bool:
    """A DataplaneSet whose proxies register themselves: one snapshot for all of them (design D9)."""
    return isinstance(resource.spec, DataplaneSet) and resource.spec.registration is not None


def is_proxy(resource: Resource) -> bool:
    return isinstance(resource.spec, Dataplane) or is_shared(resource)


def as_dataplane(resource: Resource) -> Resource:
    """A shared set stands for proxies of any address: they listen on the wildcard and reach their workload locally."""
    if not isinstance(resource.spec, DataplaneSet):
        return resource
    networking = resource.spec.template.networking
    local = tuple(
        replace(inbound, address=WILDCARD, service_address=inbound.service_address or "127.0.0.1")
        for inbound in networking.inbound
    )
    spec = Dataplane(networking=replace(networking, address=WILDCARD, inbound=local))
    return Resource(resource.key, resource.labels, spec)


def read_proxy(memo: Memo, key: ResourceKey) -> Resource | None:
    """A proxy's resource, its spec a Dataplane."""
    resource = memo.read(RESOURCE, key)
    return as_dataplane(resource) if resource is not None and is_proxy(resource) else None


def _is_enabled(memo: Memo, zone: str) -> bool:
    resource = memo.read(RESOURCE, ResourceKey("Zone", "", zone))
    return resource is None or getattr(resource.spec, "enabled", True)


ZONE_ENABLED: Final[Query[str, bool]] = Query("zone enabled", _is_enabled)
