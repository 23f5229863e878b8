"""Snapshots: what the replicas of a shape share is put together once, and each adds what it has of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from compiler.diagnostics import Code, Diagnostic, Position, Severity, Subject
from compiler.envoy.names import TRUST_BUNDLE, bundle_secret, own_secret
from compiler.envoy.policy import HOOKS, Policies
from compiler.envoy.resources import ResourceType
from compiler.envoy.translate import UserSecret, secret_names, user_secrets, uses_tls
from compiler.memo import Memo, Query
from compiler.mesh.calls import Upstream
from compiler.mesh.graph import mesh_spec
from compiler.mesh.holes import fill, texts_of
from compiler.mesh.names import NO_MESH
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Proxy
from compiler.mesh.resolve import PROXY
from compiler.mesh.services import Port
from compiler.mesh.shape import REPLICA, Shape
from compiler.mesh.upstreams import destination_port
from compiler.mesh.value import Value
from compiler.mesh.zones.gates import IS_GATED
from compiler.mesh.zones.passing import Passage
from compiler.mesh.zones.views import PLAIN, View
from compiler.resources.findings import PORT_CONFLICT
from compiler.resources.model import ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.names import CERTIFICATE, FROM_AGENT, NodeId, SecretName
from compiler.snapshot.parts import ASSIGNMENT, Assignment, PartKey, list_parts
from compiler.snapshot.patched import MATCHES_NOTHING, PATCH_FAILS, added_twice, changes_of, with_patches
from compiler.snapshot.references import ADDRESS, ORPHAN, Links, Reference, check_links
from compiler.snapshot.rendering import Part, Problem
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.template import Template, fill_each

INCONSISTENT: Final = Code(
    "inconsistent-snapshot",
    Severity.ERROR,
    "resources of one proxy that do not fit together",
    "A resource names another that the proxy does not have, or two of them exclude each other. This is usually a "
    "mistake of the compiler rather than of the documents: please report it with the commit.",
)

Named = Mapping[str, Rendered]
Resources = Mapping[ResourceType, Named]
_TYPES: Final = tuple(ResourceType)


class Common(NamedTuple):
    """What all replicas of a shape have; `templates` are what each has of its own.

    Of load assignments, which zones see differently, only the place among the types is kept. `changes` are the patches
    that hold, and whether each found something.
    """

    mesh: str
    workload: str
    resources: Resources
    templates: tuple[Template, ...]
    secrets: tuple[SecretName, ...]
    problems: tuple[Problem, ...]
    changes: tuple[tuple[Origin, bool], ...]


class Placed(Value, frozen=True):
    """Replicas at these addresses, in one zone."""

    shape: Shape
    addresses: tuple[str, ...]
    zone: str


class Caller(NamedTuple):
    """Replicas in one zone."""

    shape: Shape
    zone: str


class Templates(NamedTuple):
    """What each replica has of its own, and what those of one zone share."""

    placed: tuple[Template, ...]
    named: tuple[Template, ...]


class Calls(Value, frozen=True):
    """The endpoints of all destinations of a shape, as one zone sees them."""

    assignments: tuple[Assignment, ...]


class Called(NamedTuple):
    """The load assignments of all these destinations; no type where there are none."""

    resources: Resources
    problems: tuple[Problem, ...]


class Taken(NamedTuple):
    """A proxy's snapshot, and what is wrong with it."""

    key: ResourceKey
    snapshot: Snapshot
    problems: tuple[Problem, ...]
    changes: tuple[tuple[Origin, bool], ...] = ()


def _common(memo: Memo, shape: Shape) -> Common:
    proxy = memo.ask(PROXY, shape)
    listed = memo.ask(LISTED, shape)
    parts = tuple(memo.ask(*part) for part in listed)
    changes = changes_of(proxy, parts, memo.read(HOOKS, None))
    problems = tuple(problem for part in parts for problem in part.problems)
    if changes:
        problems += tuple(added_twice(listed, parts))
    return Common(
        mesh=proxy.mesh,
        workload=proxy.workload,
        resources=_by_type((one for part in parts for one in part.rendered), calls=_has_endpoints(proxy)),
        templates=tuple(template for part in parts for template in part.templates),
        secrets=_secrets(proxy),
        problems=(*problems, *_inconsistencies(parts, proxy, tuple(origin for origin, found in changes if found))),
        changes=changes,
    )


def _listed(proxy: Proxy, policies: Policies) -> Iterator[PartKey]:
    return with_patches(list_parts(proxy, policies), proxy, policies)


def _by_type(rendered: Iterable[Rendered], *, calls: bool) -> Resources:
    """By name in each type, the types in their order."""
    found: dict[ResourceType, dict[str, Rendered]] = {kind: {} for kind in ResourceType}
    for one in rendered:
        found[one.type][one.name] = one
    kept = ResourceType.ENDPOINT if calls else None
    return {kind: dict(sorted(named.items())) for kind, named in found.items() if named or kind is kept}


def _inconsistencies(parts: Sequence[Part], proxy: Proxy, patches: tuple[Origin, ...]) -> Iterator[Problem]:
    """Every cluster with endpoints by EDS has a load assignment in every zone; one port twice is a user's mistake."""
    links = {reference: link for part in parts for reference, link in part.links.items()}
    links |= {Reference(ResourceType.ENDPOINT, one.destination.name): Links() for one in proxy.listed}
    links |= {Reference(ResourceType.ENDPOINT, one.cluster): Links() for one in _passages(proxy)}
    for found in check_links(links, secret_names(proxy)):
        if found.rule == ORPHAN and patches:
            continue  # what a patch took out wanted it, and nobody asks for it now
        causes = next((part.causes for part in parts if found.owner in part.links), ())
        if found.rule == ADDRESS:
            yield Problem(PORT_CONFLICT, f"{found.owner} {found.message}", causes)
            continue
        near = tuple(origin for origin in causes if origin in patches)
        code = PATCH_FAILS if patches else INCONSISTENT
        yield Problem(code, f"{found.owner} {found.message}", (*near, *patches[::-1]))


def _templates(memo: Memo, shape: Shape) -> Templates:
    found = memo.ask(COMMON, shape).templates
    placed = tuple([one for one in found if one.is_placed])
    return Templates(placed, tuple([one for one in found if not one.is_placed]))


def _filled(memo: Memo, placed: Placed) -> tuple[Rendered, ...]:
    """What replicas at these addresses have of their own."""
    texts = texts_of(placed.shape.resource, placed.addresses, placed.zone)
    return fill_each(memo.ask(TEMPLATES, placed.shape).placed, texts)


def _named(memo: Memo, caller: Caller) -> tuple[Rendered, ...]:
    """What names the proxies of a shape, in one zone."""
    texts = texts_of(caller.shape.resource, (), caller.zone)
    return fill_each(memo.ask(TEMPLATES, caller.shape).named, texts)


def _zoned(memo: Memo, caller: Caller) -> Resources:
    return _with(memo.ask(COMMON, caller.shape).resources, memo.ask(NAMED, caller))


def _own(memo: Memo, placed: Placed) -> Resources:
    return _with(memo.ask(ZONED, Caller(placed.shape, placed.zone)), memo.ask(FILLED, placed))


def _with(shared: Resources, filled: Sequence[Rendered]) -> Resources:
    """With what is not shared; the maps of other types stay the same ones."""
    own = dict[ResourceType, dict[str, Rendered]]()
    for one in filled:
        own.setdefault(one.type, {})[one.name] = one
    whole = {kind: dict(sorted({**shared.get(kind, {}), **named}.items())) for kind, named in own.items()}
    return {kind: whole[kind] if kind in whole else shared[kind] for kind in _TYPES if kind in whole or kind in shared}


def _called(memo: Memo, calls: Calls) -> Called:
    parts = [memo.ask(ASSIGNMENT, one) for one in calls.assignments]
    rendered = {one.name: one for part in parts for one in part.rendered}
    resources = {ResourceType.ENDPOINT: dict(sorted(rendered.items()))} if rendered else {}
    return Called(resources, tuple(problem for part in parts for problem in part.problems))


def _take(memo: Memo, key: ResourceKey) -> Taken:
    replica = memo.ask(REPLICA, key)
    if replica is None:
        raise LookupError(f"{key} is no proxy")
    common = memo.ask(COMMON, replica.shape)
    called = memo.ask(CALLED_FROM, Caller(replica.shape, replica.zone))
    placed = Placed(replica.shape, replica.addresses, replica.zone)
    own = memo.ask(OWN, placed) if common.templates else common.resources
    resources = {**own, **called.resources}
    node = NodeId(common.mesh or NO_MESH, replica.zone, common.workload, replica.name)
    problems = [one._replace(message=fill(one.message, replica.texts)) for one in common.problems]
    return Taken(key, Snapshot(node, resources, common.secrets), (*problems, *called.problems), common.changes)


def _calls(memo: Memo, caller: Caller) -> Calls:
    mesh, proxy = caller.shape.resource.key.mesh, memo.ask(PROXY, caller.shape)
    zone = _preferred_zone(memo, mesh, caller.zone)
    meshes = (mesh, *(bundle.mesh for bundle in proxy.bundles if bundle.mesh))
    side = PLAIN if proxy.tls is None and not proxy.memberships else ""
    sides = {one: side for one in meshes if memo.ask(IS_GATED, one)}
    called = [_assignment(one, caller.zone, zone, sides.get(one.destination.mesh)) for one in proxy.listed]
    passed = [_passed(one, caller.zone) for one in _passages(proxy)]
    return Calls((*called, *passed))


def _assignment(upstream: Upstream, zone: str, preferred: str | None, side: str | None) -> Assignment:
    """Where a policy spreads calls over zones, it alone says which are preferred; no side where zones see the same."""
    destination = upstream.destination
    port = destination_port(destination)
    seen = View(port, zone, side) if side is not None else None
    if upstream.spread is None:
        return Assignment(destination.name, port, preferred, seen=seen)
    return Assignment(destination.name, port, zone, upstream.spread, seen)


def _has_endpoints(proxy: Proxy) -> bool:
    return bool(proxy.listed or _passages(proxy))


def _passages(proxy: Proxy) -> tuple[Passage, ...]:
    return tuple([one for gate in proxy.gates for one in gate.passages])


def _passed(passage: Passage, zone: str) -> Assignment:
    port = Port(passage.service, passage.section, passage.subset)
    return Assignment(passage.cluster, port, None, seen=View(port, zone, passage.side))


def _preferred_zone(memo: Memo, mesh: str, zone: str) -> str | None:
    """None where all endpoints are equal to the proxies of the zone."""
    return zone if zone and mesh_spec(memo, mesh).routing.locality_aware_load_balancing else None


def _secrets(proxy: Proxy) -> tuple[SecretName, ...]:
    """Names and what they stand for; the server resolves them (design D14)."""
    if proxy.memberships:
        found = [one._replace(mesh=each.mesh) for each in proxy.memberships for one in _secrets(each)]
        return tuple({one.name: one for one in reversed(found)}[name] for name in secret_names(proxy))
    theirs = {one.name: one for one in user_secrets(proxy)}
    named = tuple(
        _user_secret(theirs[name]) if name in theirs else _own_secret(name, proxy) for name in secret_names(proxy)
    )
    if proxy.tls is not None and proxy.tls.agent_id and uses_tls(proxy):
        return (SecretName(proxy.tls.agent_id, "", proxy.identities, kind=FROM_AGENT), *named)
    return named


def _user_secret(secret: UserSecret) -> SecretName:
    return SecretName(secret.name, "", sources=secret.sources, kind=CERTIFICATE if secret.is_certificate else "")


def _own_secret(name: str, proxy: Proxy) -> SecretName:
    made = proxy.certification
    if name == TRUST_BUNDLE:
        return SecretName(name, "", trusted=proxy.trusted)
    for bundle in proxy.bundles:
        if name == bundle_secret(bundle.mesh):
            return SecretName(name, "", trusted=bundle.trusted)
    if proxy.tls is not None and name == own_secret(proxy.tls):
        return SecretName(name, made.authority, proxy.identities, made.seconds, made.sources)
    return SecretName(name, made.authority, sources=made.sources)


def causes_of(memo: Memo, key: ResourceKey, kind: ResourceType, name: str) -> tuple[Origin, ...]:
    """The policies behind a resource of a proxy, the most telling first; none where only the Dataplane is."""
    replica = memo.ask(REPLICA, key)
    listed = memo.ask(LISTED, replica.shape) if replica is not None else ()
    parts = (memo.ask(*part) for part in listed)
    return next((part.causes for part in parts if Reference(kind, name) in part.links), ())


def report(taken: Taken, resources: ResourceSet) -> Iterator[Diagnostic]:
    """At the policy behind a problem where one was written, else at the Dataplane."""
    for problem in taken.problems:
        written = [origin for origin in problem.origins if origin.policy in resources.sources]
        key = written[0].policy if written else taken.key
        position, path = _place(resources, key, written[0].pointer if written else "")
        hint = None
        if written[1:]:
            hint = "also involved: " + ", ".join(sorted({origin.policy.name for origin in written[1:]}))
        yield Diagnostic(position, problem.code, problem.message, hint, Subject(key.type, key.mesh, key.name), path)


def report_unmatched(changes: Iterable[tuple[Origin, bool]], resources: ResourceSet) -> Iterator[Diagnostic]:
    """Of what holds at some proxy, what found something at none; `changes` are those of all proxies."""
    held = set(changes)
    for origin in sorted({origin for origin, found in held if not found and (origin, True) not in held}):
        position, path = _place(resources, origin.policy, origin.pointer)
        subject = Subject(origin.policy.type, origin.policy.mesh, origin.policy.name)
        message = "no proxy that the policy selects has anything that this matches"
        yield Diagnostic(position, MATCHES_NOTHING, message, "see its match", subject, path)


def _place(resources: ResourceSet, key: ResourceKey, pointer: str) -> tuple[Position, str]:
    source = resources.sources[key]
    return source.position(pointer), source.path(pointer)


COMMON: Final[Query[Shape, Common]] = Query("common resources", _common)
TEMPLATES: Final[Query[Shape, Templates]] = Query("templates", _templates)
FILLED: Final[Query[Placed, tuple[Rendered, ...]]] = Query("filled", _filled)
NAMED: Final[Query[Caller, tuple[Rendered, ...]]] = Query("named in a zone", _named)
ZONED: Final[Query[Caller, Resources]] = Query("zoned resources", _zoned)
LISTED: Final[Query[Shape, tuple[PartKey, ...]]] = Query(
    "listed", lambda memo, shape: tuple(_listed(memo.ask(PROXY, shape), memo.read(HOOKS, None)))
)
CALLS: Final[Query[Caller, Calls]] = Query("calls", _calls)
OWN: Final[Query[Placed, Resources]] = Query("own resources", _own)
CALLED: Final[Query[Calls, Called]] = Query("called", _called)
CALLED_FROM: Final[Query[Caller, Called]] = Query(
    "called from", lambda memo, caller: memo.ask(CALLED, memo.ask(CALLS, caller))
)
"""Replicas lean on one value where each would lean on all that it is found by."""
SNAPSHOT: Final[Query[ResourceKey, Taken]] = Query("snapshots", _take)
