"""Snapshots: what the replicas of a shape share is put together once, and each adds what it has of its own."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from compiler.diagnostics import Code, Diagnostic, Position, Severity, Subject
from compiler.envoy.names import identity_secret
from compiler.envoy.resources import ResourceType
from compiler.envoy.translate import secret_names
from compiler.memo import Memo, Query
from compiler.mesh.graph import mesh_spec
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Proxy, Value
from compiler.mesh.resolve import PROXY, destination_port
from compiler.mesh.services import Port
from compiler.mesh.shape import REPLICA, Replica, Shape, fill
from compiler.resources.model import ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.parts import ASSIGNMENT, Assignment, Part, PartKey, Problem, list_parts
from compiler.snapshot.references import Links, Reference, check_links
from compiler.snapshot.snapshot import NodeId, SecretName, Snapshot
from compiler.snapshot.template import Template

INCONSISTENT: Final = Code(
    "inconsistent-snapshot",
    Severity.ERROR,
    "resources of one proxy that do not fit together",
    "A resource names another that the proxy does not have, or two of them exclude each other. This is usually a "
    "mistake of the compiler rather than of the documents: please report it with the commit.",
)

Named = Mapping[str, Rendered]
Resources = Mapping[ResourceType, Named]


class Common(NamedTuple):
    """What all replicas of a shape have but for endpoints; `templates` are what each has of its own."""

    mesh: str
    workload: str
    resources: Resources
    templates: tuple[Template, ...]
    secrets: tuple[SecretName, ...]
    problems: tuple[Problem, ...]


class Placed(Value, frozen=True):
    """Replicas at these addresses."""

    shape: Shape
    addresses: tuple[str, ...]


class Calls(Value, frozen=True):
    """The destinations of a shape, as one zone sees them."""

    assignments: tuple[tuple[str, Port], ...]
    preferred_zone: str | None


class Called(NamedTuple):
    """The load assignments of all these destinations."""

    named: Named
    problems: tuple[Problem, ...]


class Taken(NamedTuple):
    """A proxy's snapshot, and what is wrong with it."""

    key: ResourceKey
    snapshot: Snapshot
    problems: tuple[Problem, ...]


def _common(memo: Memo, shape: Shape) -> Common:
    proxy = memo.ask(PROXY, shape)
    parts = tuple(memo.ask(*part) for part in memo.ask(LISTED, shape))
    problems = tuple(problem for part in parts for problem in part.problems)
    return Common(
        mesh=proxy.mesh,
        workload=proxy.workload,
        resources=_by_type(one for part in parts for one in part.rendered),
        templates=tuple(template for part in parts for template in part.templates),
        secrets=_secrets(proxy),
        problems=(*problems, *_inconsistencies(parts, proxy)),
    )


def _by_type(rendered: Iterable[Rendered]) -> Resources:
    """By name in each type."""
    found: dict[ResourceType, dict[str, Rendered]] = {kind: {} for kind in ResourceType}
    for one in rendered:
        found[one.type][one.name] = one
    return {kind: dict(sorted(named.items())) for kind, named in found.items() if named}


def _inconsistencies(parts: Iterable[Part], proxy: Proxy) -> Iterator[Problem]:
    """Every cluster with endpoints by EDS has a load assignment in every zone."""
    links = {reference: link for part in parts for reference, link in part.links.items()}
    links |= {Reference(ResourceType.ENDPOINT, one.destination.name): Links() for one in proxy.upstreams}
    for found in check_links(links, secret_names(proxy)):
        yield Problem(INCONSISTENT, f"{found.owner} {found.message}")


def _filled(memo: Memo, placed: Placed) -> tuple[Rendered, ...]:
    """What replicas at these addresses have of their own."""
    return tuple(template.fill(placed.addresses) for template in memo.ask(TEMPLATES, placed.shape))


def _own(memo: Memo, placed: Placed) -> Resources:
    """The types in which replicas differ, with what they share in them."""
    shared, filled = memo.ask(COMMON, placed.shape).resources, memo.ask(FILLED, placed)
    own = {kind: {one.name: one for one in filled if one.type is kind} for kind in {one.type for one in filled}}
    return {kind: dict(sorted({**shared.get(kind, {}), **named}.items())) for kind, named in own.items()}


def _called(memo: Memo, calls: Calls) -> Called:
    parts = [memo.ask(ASSIGNMENT, one) for one in list_assignments(calls)]
    rendered = {one.name: one for part in parts for one in part.rendered}
    return Called(dict(sorted(rendered.items())), tuple(problem for part in parts for problem in part.problems))


def list_assignments(calls: Calls) -> Iterator[Assignment]:
    """The load assignments that they are."""
    return (Assignment(name, port, calls.preferred_zone) for name, port in calls.assignments)


def _take(memo: Memo, key: ResourceKey) -> Taken:
    replica = memo.ask(REPLICA, key)
    if replica is None:
        raise LookupError(f"{key} is no proxy")
    common = memo.ask(COMMON, replica.shape)
    called = memo.ask(CALLED, calls_of(memo, replica))
    own = memo.ask(OWN, Placed(replica.shape, replica.addresses)) if common.templates else {}
    endpoints = {ResourceType.ENDPOINT: called.named} if called.named else {}
    resources = {kind: named for kind in ResourceType if (named := {**common.resources, **own, **endpoints}.get(kind))}
    node = NodeId(common.mesh, replica.zone, common.workload, replica.name)
    problems = [one._replace(message=fill(one.message, replica.addresses)) for one in common.problems]
    return Taken(key, Snapshot(node, resources, common.secrets), (*problems, *called.problems))


def calls_of(memo: Memo, replica: Replica) -> Calls:
    """The destinations of a replica."""
    mesh = replica.shape.resource.key.mesh
    return Calls(memo.ask(ASSIGNMENTS, replica.shape), _preferred_zone(memo, mesh, replica.zone))


def _assignments(memo: Memo, shape: Shape) -> tuple[tuple[str, Port], ...]:
    upstreams = memo.ask(PROXY, shape).upstreams
    return tuple((one.destination.name, destination_port(one.destination)) for one in upstreams)


def _preferred_zone(memo: Memo, mesh: str, zone: str) -> str | None:
    """None where all endpoints are equal to the proxies of the zone."""
    return zone if zone and mesh_spec(memo, mesh).routing.locality_aware_load_balancing else None


def _secrets(proxy: Proxy) -> tuple[SecretName, ...]:
    """Names and what they stand for; the server resolves them (design D14)."""
    identity = identity_secret(proxy.mesh)
    return tuple(
        SecretName(name, proxy.authority, proxy.identities, proxy.certificate_seconds)
        if name == identity
        else SecretName(name, proxy.authority)
        for name in secret_names(proxy)
    )


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


def _place(resources: ResourceSet, key: ResourceKey, pointer: str) -> tuple[Position, str]:
    source = resources.sources[key]
    return source.position(pointer), source.path(pointer)


COMMON: Final[Query[Shape, Common]] = Query("common resources", _common)
TEMPLATES: Final[Query[Shape, tuple[Template, ...]]] = Query(
    "templates", lambda memo, shape: memo.ask(COMMON, shape).templates
)
FILLED: Final[Query[Placed, tuple[Rendered, ...]]] = Query("filled", _filled)
LISTED: Final[Query[Shape, tuple[PartKey, ...]]] = Query(
    "listed", lambda memo, shape: tuple(list_parts(memo.ask(PROXY, shape)))
)
ASSIGNMENTS: Final[Query[Shape, tuple[tuple[str, Port], ...]]] = Query("assignments", _assignments)
OWN: Final[Query[Placed, Resources]] = Query("own resources", _own)
CALLED: Final[Query[Calls, Called]] = Query("called", _called)
SNAPSHOT: Final[Query[ResourceKey, Taken]] = Query("snapshots", _take)
