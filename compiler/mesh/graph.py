"""The mesh as tables: resources by key, and indexes that find what an edit concerns without visiting the rest.

`load` writes what differs between two sets of resources; everything else is asked through the memo.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from heapq import nsmallest
from typing import Final, NamedTuple, cast

from msgspec.structs import replace

from compiler.memo import Input, Memo, Query
from compiler.mesh.match import (
    BUILTIN_GATEWAY,
    Pair,
    is_builtin_gateway,
    proxy_pairs,
    selector_pairs,
    source_tags,
)
from compiler.mesh.rule_marks import marked_rules
from compiler.mesh.rules import meant_names
from compiler.resources.model import (
    DISPLAY_NAME,
    ENVIRONMENT,
    MESH,
    ORIGIN,
    SERVICE,
    WORKLOAD,
    ZONE,
    Dataplane,
    DataplaneSet,
    ExternalService,
    Mesh,
    MeshExternalService,
    MeshGateway,
    MeshMultiZoneService,
    MeshService,
    Policy,
    Resource,
    ResourceKey,
    TargetRef,
    ZoneEgress,
    ZoneIngress,
)
from compiler.resources.specs.dataplane import Networking, ZoneListener

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
WHOLE: Final[Input[tuple[str, str], Keys]] = Input("whole", _NONE)
"""By mesh and kind: of the same ones, those with a `default` for all of a proxy."""
SERVICE_NAMES: Final[Input[tuple[str, str], Keys]] = Input("service names", _NONE)
"""By mesh and name: the Dataplanes whose inbounds offer a service of this name (kuma-core §2.5), and ExternalServices
that are called so."""
SHOWN_AS: Final[Input[tuple[str, str, str], Keys]] = Input("shown as", _NONE)
"""By type, mesh and display name: services that go by another name, as copies that Kuma made for another zone do."""
NAMES: Final[Input[str, frozenset[str]]] = Input("names", frozenset())
"""By mesh: every service name that some Dataplane offers."""

CROSSING: Final[Input[None, Keys]] = Input("crossing", _NONE)
"""Of all meshes: the MeshGateways with a listener for proxies of other meshes."""

ZONE_LISTENERS: Final[Input[str, Keys]] = Input("zone listeners", _NONE)
"""By mesh: the Dataplanes by which a zone is entered or left."""

TRIMMED: Final[Input[tuple[str, Pair | None], Keys]] = Input("trimmed", _NONE)
"""By mesh and pair: MeshTrafficPermissions for the graph of callers, which knows fewer tags (kuma-core §6.3)."""

ASKED: Final[Input[tuple[str, Pair], Keys]] = Input("asked", _NONE)
"""By mesh and pair: policies that look at it, so that proxies that differ by it are no replicas of each other."""

ALIKE: Final[Input[tuple[str, str], Keys]] = Input("alike", _NONE)
"""By mesh and mark: the routes with such a rule."""

EXAMPLES: Final[Input[str, tuple[ResourceKey, ...]]] = Input("examples", ())
"""By mesh: a few that may be proxies, kept for as long as they are there. Nothing may depend on which they are: who
looks for any proxy at all looks among them first, and leans on none that comes or goes elsewhere."""
_EXAMPLES: Final = 8

ANYWHERE: Final[Pair] = ("", "")
ANY_ZONE: Final[Pair] = (f"label:{ZONE}", "*")
"""What a policy that stays in its zone asks for."""
WILDCARD: Final = "0.0.0.0"  # noqa: S104  # Envoy matches a redirected connection to it (design D9)
_EVERYWHERE: Final = frozenset({MESH, ORIGIN, ENVIRONMENT, ZONE})
"""Labels that most proxies share: a poor choice for an index."""
_COMMON_PAIRS: Final = frozenset(f"label:{label}" for label in _EVERYWHERE)

Slot = tuple[Input[tuple[object, ...], Keys], tuple[object, ...]]
Moves = defaultdict[Slot, list[ResourceKey]]
_NOWHERE: Final[frozenset[Slot]] = frozenset()
_SERVICES: Final = (MeshService, MeshExternalService, MeshMultiZoneService)


def load(memo: Memo, changes: Iterable[tuple[Resource | None, Resource | None]]) -> None:
    """Write what differs; nothing is looked at but the resources that changed, as they were and as they are."""
    gone: Moves = defaultdict(list)
    come: Moves = defaultdict(list)
    for old, new in changes:
        if memo.write(RESOURCE, cast(Resource, new or old).key, new):
            _move(gone, come, old, new)
    moved = dict.fromkeys((*gone, *come))
    for place in moved:
        stay = memo.read(*place).difference(gone[place]) if place in gone else memo.read(*place)
        memo.write(*place, stay.union(come[place]) if place in come else stay)
    _load_names(memo, moved)
    _load_examples(memo, moved)


def _move(gone: Moves, come: Moves, old: Resource | None, new: Resource | None) -> None:
    was, now = (frozenset(_slots(one)) if one is not None else _NOWHERE for one in (old, new))
    for slot in was - now:
        gone[slot].append(cast(Resource, old).key)
    for slot in now - was:
        come[slot].append(cast(Resource, new).key)


def _load_names(memo: Memo, moves: Iterable[Slot]) -> None:
    touched = [cast(tuple[str, str], key) for table, key in moves if cast(object, table) is SERVICE_NAMES]
    for mesh in {mesh for mesh, _ in touched}:
        names = {name for other, name in touched if other == mesh}
        offered = {name for name in names if memo.read(SERVICE_NAMES, (mesh, name))}
        memo.write(NAMES, mesh, (memo.read(NAMES, mesh) - names) | offered)


def _load_examples(memo: Memo, moves: Iterable[Slot]) -> None:
    for mesh in {str(slot[1]) for table, slot in moves if cast(object, table) is KEYS and slot[0] in _PROXIES}:
        by_kind = {kind: memo.read(KEYS, (kind, mesh)) for kind in _PROXIES}
        kept = [key for key in memo.read(EXAMPLES, mesh) if key in by_kind[key.type]]
        missing = min(_EXAMPLES, sum(map(len, by_kind.values()))) - len(kept)
        others = nsmallest(missing, proxy_keys(memo, mesh).difference(kept)) if missing else ()
        memo.write(EXAMPLES, mesh, (*kept, *others))


def _slots(resource: Resource) -> Iterator[Slot]:
    """Where a resource stands in the indexes."""
    yield cast(Slot, (KEYS, (resource.key.type, resource.key.mesh)))
    if isinstance(resource.spec, Policy):
        yield from _policy_slots(resource, resource.spec)
        for rule in marked_rules(resource):
            yield cast(Slot, (ALIKE, (resource.key.mesh, rule.mark)))
        for pair in _asked_pairs(resource):
            yield cast(Slot, (ASKED, (resource.key.mesh, pair)))
        if resource.key.type == "MeshTrafficPermission" and resource.spec.target_ref.kind != "Dataplane":
            pairs = sorted(trimmed_tags(resource.spec.target_ref).items())
            yield cast(Slot, (TRIMMED, (resource.key.mesh, pairs[0] if pairs else None)))
    if is_proxy(resource):
        resource = as_dataplane(resource)
        for pair in _filed_pairs(resource):
            yield cast(Slot, (CARRIERS, (resource.key.mesh, pair)))
        for name in offered_names(resource):
            yield cast(Slot, (SERVICE_NAMES, (resource.key.mesh, name)))
        if cast(Dataplane, resource.spec).networking.listeners:
            yield cast(Slot, (ZONE_LISTENERS, resource.key.mesh))
    yield from _service_slots(resource)


def _service_slots(resource: Resource) -> Iterator[Slot]:
    if isinstance(resource.spec, _SERVICES) and _is_renamed(resource):
        yield cast(Slot, (SHOWN_AS, (resource.key.type, resource.key.mesh, resource.name)))
    if isinstance(resource.spec, ExternalService):
        yield cast(Slot, (SERVICE_NAMES, (resource.key.mesh, resource.spec.tags.get(SERVICE, ""))))
    if isinstance(resource.spec, MeshGateway) and any(one.crosses for one in resource.spec.conf.listeners):
        yield cast(Slot, (CROSSING, None))


def _is_renamed(service: Resource) -> bool:
    """On Kubernetes the namespace is part of every name."""
    return service.key.name not in (service.name, f"{service.name}.{service.namespace}")


def _policy_slots(policy: Resource, spec: Policy) -> Iterator[Slot]:
    mesh, kind = policy.key.mesh, policy.key.type
    pair = ANYWHERE if spec.target_ref.kind == "MeshHTTPRoute" else index_pair(selector_pairs(policy))
    yield cast(Slot, (SELECTORS, (mesh, pair)))
    if pair is None:
        yield from (cast(Slot, (ABOUT, (mesh, kind, name))) for name in _names(spec))
        if spec.rules or spec.from_:
            yield cast(Slot, (COMING_IN, (mesh, kind)))
        if spec.default is not None:
            yield cast(Slot, (WHOLE, (mesh, kind)))


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
    return next((pair for pair in pairs or () if pair[0] not in _COMMON_PAIRS), None)


def offered_names(resource: Resource) -> frozenset[str]:
    """Services that exist because a Dataplane says so: its inbounds' service tags, else its workload."""
    dataplane = cast(Dataplane, resource.spec)
    return frozenset(service_name(resource, one.tags) for one in dataplane.networking.inbound if one.is_offered)


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
    bare = Resource(policy.key, policy.labels, Policy(target_ref=spec.target_ref, layer=spec.layer))
    names_routes = any(item.target_ref.kind == "MeshHTTPRoute" for item in spec.to)
    return Head(bare, _names(spec), names_routes, bool(spec.rules or spec.from_))


HEAD: Final[Query[ResourceKey, Head | None]] = Query("head", _head)


def pairs_to_file(proxy: Resource) -> list[Pair]:
    """The pairs of a proxy under which policies that ask for them are filed."""
    return sorted(_filed_pairs(proxy))


def _filed_pairs(proxy: Resource) -> set[Pair]:
    """Of `proxy_pairs` those that not most proxies share."""
    labels = {(f"label:{key}", value) for key, value in proxy.labels.items() if key not in _EVERYWHERE}
    labels.add((f"label:{DISPLAY_NAME}", proxy.name))
    tags = {(f"tag:{key}", value) for tags in cast(Dataplane, proxy.spec).tag_sets for key, value in tags.items()}
    return labels | tags | ({BUILTIN_GATEWAY} if is_builtin_gateway(proxy) else set())


def is_everywhere(label: str) -> bool:
    """Whether most proxies carry this label."""
    return label in _EVERYWHERE


def carriers(memo: Memo, mesh: str, pairs: Mapping[str, str], prefix: str) -> Iterator[Resource]:
    """Dataplanes that carry all of these labels (`label:`) or, on some inbound each, tags (`tag:`); by name."""
    wanted = sorted((f"{prefix}{key}", value) for key, value in pairs.items())
    first = index_pair(wanted)
    others = {pair for pair in wanted if pair != first}
    for key in sorted(memo.read(CARRIERS, (mesh, first)) if first is not None else proxy_keys(memo, mesh)):
        resource = read_proxy(memo, key)
        if resource is not None and (not others or others <= proxy_pairs(resource)):
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
    return isinstance(resource.spec, (Dataplane, ZoneIngress, ZoneEgress)) or is_shared(resource)


def as_dataplane(resource: Resource) -> Resource:
    """A shared set stands for proxies of any address: they listen on the wildcard and reach their workload locally."""
    if isinstance(resource.spec, (ZoneIngress, ZoneEgress)):
        return _as_zone_proxy(resource, resource.spec)
    if not isinstance(resource.spec, DataplaneSet):
        return resource
    template = resource.spec.template
    networking = template.networking
    local = tuple(
        replace(inbound, address=WILDCARD, service_address=inbound.service_address or "127.0.0.1")
        for inbound in networking.inbound
    )
    networking = replace(networking, address=WILDCARD, inbound=local)
    spec = Dataplane(networking, template.metrics, template.probes)
    return Resource(resource.key, resource.labels, spec)


def _as_zone_proxy(resource: Resource, spec: ZoneIngress | ZoneEgress) -> Resource:
    """A zone proxy of 2.x has one listener, and is of no mesh."""
    listener = ZoneListener(type=resource.key.type, port=spec.networking.port)
    labels = {**resource.labels, ZONE: spec.zone} if spec.zone else resource.labels
    advertised = spec.networking.advertised_address if isinstance(spec, ZoneIngress) else ""
    networking = Networking(
        address=spec.networking.address,
        advertised_address=advertised,
        admin=spec.networking.admin,
        listeners=(listener,),
    )
    return Resource(resource.key, labels, Dataplane(networking))


def read_proxy(memo: Memo, key: ResourceKey) -> Resource | None:
    """A proxy's resource, its spec a Dataplane."""
    resource = memo.read(RESOURCE, key)
    return as_dataplane(resource) if resource is not None and is_proxy(resource) else None


def _is_enabled(memo: Memo, zone: str) -> bool:
    resource = memo.read(RESOURCE, ResourceKey("Zone", "", zone))
    return resource is None or getattr(resource.spec, "enabled", True)


ZONE_ENABLED: Final[Query[str, bool]] = Query("zone enabled", _is_enabled)
"""Whether other zones call a zone's proxies; those of its own always do (kuma-core §2.3)."""
ALL_ENABLED: Final[Query[None, bool]] = Query(
    "all zones enabled", lambda memo, _: all(memo.ask(ZONE_ENABLED, key.name) for key in memo.read(KEYS, ("Zone", "")))
)
