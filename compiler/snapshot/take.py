"""Snapshots: each part of a proxy is translated, rendered and checked once, however many proxies share it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace as with_fields
from typing import Final, NamedTuple

from google.protobuf.message import Message
from msgspec.structs import replace

from compiler.diagnostics import Code, Diagnostic, Position, Severity, Subject
from compiler.envoy.clusters import inbound_cluster
from compiler.envoy.endpoints import load_assignment
from compiler.envoy.listeners import inbound_listener
from compiler.envoy.names import identity_secret
from compiler.envoy.policy import HOOKS
from compiler.envoy.resources import ResourceType
from compiler.envoy.translate import (
    Built,
    inbound_traffic,
    name_of,
    outbound_resources,
    secret_names,
    transparent_resources,
    upstream_resources,
)
from compiler.memo import Memo, Query
from compiler.mesh.graph import mesh_spec
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Confs, Inbound, Outbound, Permission, Proxy, Transparent, Upstream, Value
from compiler.mesh.resolve import PROXY, destination_port
from compiler.mesh.services import ENDPOINTS, Port
from compiler.resources.model import ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.constraints import check_constraints
from compiler.snapshot.references import Links, Reference, check_links, links_of, listener_addresses
from compiler.snapshot.snapshot import NodeId, SecretName, Snapshot
from compiler.snapshot.traps import known_traps

ENVOY_REFUSES: Final = Code(
    "envoy-refuses",
    Severity.ERROR,
    "configuration that Envoy would refuse",
    "The documents are right by themselves, but a field of the configuration that follows from them is outside of what "
    "Envoy takes. The message names the field; the place is the policy, or else the Dataplane, that it comes from.",
)
INCONSISTENT: Final = Code(
    "inconsistent-snapshot",
    Severity.ERROR,
    "resources of one proxy that do not fit together",
    "A resource names another that the proxy does not have, or two of them exclude each other. This is usually a "
    "mistake of the compiler rather than of the documents: please report it with the commit.",
)


class Part(NamedTuple):
    """The resources of one part of a proxy, what they name, the policies behind them, what Envoy would refuse."""

    rendered: tuple[Rendered, ...]
    links: Mapping[Reference, Links]
    causes: tuple[Origin, ...]
    problems: tuple["Problem", ...]


class Problem(NamedTuple):
    """A mistake in a resource; the policies behind it, the most telling first."""

    code: Code
    message: str
    origins: tuple[Origin, ...] = ()


class Taken(NamedTuple):
    """A proxy's snapshot, and what is wrong with it."""

    key: ResourceKey
    snapshot: Snapshot
    problems: tuple[Problem, ...]


class Assignment(Value, frozen=True):
    """The endpoints of a cluster as one zone sees them; without a preferred zone all are equal."""

    cluster: str
    port: Port
    preferred_zone: str | None


def _take(memo: Memo, key: ResourceKey) -> Taken:
    proxy = memo.ask(PROXY, key)
    if proxy is None:
        raise LookupError(f"{key} is no proxy")
    parts = tuple(_parts(memo, proxy))
    resources: dict[ResourceType, dict[str, Rendered]] = {kind: {} for kind in ResourceType}
    for rendered in (one for part in parts for one in part.rendered):
        resources[rendered.type][rendered.name] = rendered
    problems = [problem for part in parts for problem in part.problems]
    problems += _inconsistencies(parts, proxy)
    ordered = {kind: dict(sorted(named.items())) for kind, named in resources.items() if named}
    return Taken(key, Snapshot(_node(proxy), ordered, _secrets(proxy)), tuple(problems))


def _parts(memo: Memo, proxy: Proxy) -> Iterator[Part]:
    routing = mesh_spec(memo, proxy.mesh).routing
    preferred = proxy.zone if routing.locality_aware_load_balancing and proxy.zone else None
    for inbound in proxy.inbounds:
        yield memo.ask(INBOUND_LISTENER, inbound)
        yield memo.ask(INBOUND_CLUSTER, replace(inbound, address="", port=0, permission=Permission()))
        yield memo.ask(INBOUND_TRAFFIC, _anywhere(inbound))
    yield from (memo.ask(OUTBOUND, outbound) for outbound in proxy.outbounds)
    for upstream in proxy.upstreams:
        yield memo.ask(UPSTREAM, upstream)
        port = destination_port(upstream.destination)
        yield memo.ask(ASSIGNMENT, Assignment(upstream.destination.name, port, preferred))
    if proxy.transparent is not None:
        yield memo.ask(TRANSPARENT, proxy.transparent)


def _anywhere(inbound: Inbound) -> Inbound:
    """What replicas have in common, which differ in where they listen and where their workload does."""
    return replace(inbound, address="", port=0, workload_address="", workload_port=0)


def _inbound_listener(memo: Memo, inbound: Inbound) -> Part:
    """Checked once for all replicas: an address cannot make the rest of a listener wrong."""
    checked = memo.ask(CHECKED_LISTENER, replace(_anywhere(inbound), address="0.0.0.0", port=1))  # noqa: S104  # nothing binds it
    message = inbound_listener(inbound, memo.read(HOOKS, None))
    links = {
        reference: with_fields(link, addresses=listener_addresses(message)) for reference, link in checked.links.items()
    }
    rendered = (render(ResourceType.LISTENER, inbound.name, message),)
    return Part(rendered, links, checked.causes, checked.problems)


def _checked_listener(memo: Memo, inbound: Inbound) -> Part:
    message = inbound_listener(inbound, memo.read(HOOKS, None))
    return _part(iter([(ResourceType.LISTENER, message)]), _inbound_origins(inbound))


def _inbound_cluster(memo: Memo, inbound: Inbound) -> Part:
    message = inbound_cluster(inbound, memo.read(HOOKS, None))
    return _part(iter([(ResourceType.CLUSTER, message)]), _inbound_origins(inbound))


def _inbound_traffic(memo: Memo, inbound: Inbound) -> Part:
    return _part(inbound_traffic(inbound, memo.read(HOOKS, None)), _inbound_origins(inbound))


def _inbound_origins(inbound: Inbound) -> list[Origin]:
    return [*_origins(inbound.confs), *(entry.origin for entry in inbound.permission.entries)]


def _outbound(memo: Memo, outbound: Outbound) -> Part:
    routes = [origin for route in outbound.routes for origin in (*route.origins, *_origins(route.confs))]
    return _part(outbound_resources(outbound, memo.read(HOOKS, None)), [*routes, *_origins(outbound.confs)])


def _upstream(memo: Memo, upstream: Upstream) -> Part:
    return _part(upstream_resources(upstream, memo.read(HOOKS, None)), _origins(upstream.confs))


def _transparent(memo: Memo, transparent: Transparent) -> Part:
    return _part(transparent_resources(transparent, memo.read(HOOKS, None)), _origins(transparent.confs))


def _assignment(memo: Memo, wanted: Assignment) -> Part:
    endpoints = memo.ask(ENDPOINTS, wanted.port)
    message = load_assignment(wanted.cluster, endpoints, wanted.preferred_zone)
    return _part(iter([(ResourceType.ENDPOINT, message)]), ())


def _part(built: Built, origins: Iterable[Origin]) -> Part:
    made = tuple((kind, name_of(message), message) for kind, message in built)
    causes = tuple(dict.fromkeys(origins))
    return Part(
        tuple(render(kind, name, message) for kind, name, message in made),
        {Reference(kind, name): links_of(kind, name, message) for kind, name, message in made},
        causes,
        tuple(problem for kind, name, message in made for problem in _refused(kind, name, message, causes)),
    )


def _refused(kind: ResourceType, name: str, message: Message, causes: tuple[Origin, ...]) -> Iterator[Problem]:
    for violation in (*check_constraints(message), *known_traps(message)):
        text = f"Envoy would refuse {kind.file} {name!r} at {violation.path}: {violation.message}"
        yield Problem(ENVOY_REFUSES, text, causes)


def _inconsistencies(parts: Iterable[Part], proxy: Proxy) -> Iterator[Problem]:
    links = {reference: link for part in parts for reference, link in part.links.items()}
    for found in check_links(links, secret_names(proxy)):
        yield Problem(INCONSISTENT, f"{found.owner} {found.message}")


def _origins(confs: Confs) -> list[Origin]:
    """Of each kind the item that overrides the others."""
    return [applied.origins[-1] for applied in confs if applied.origins]


def _node(proxy: Proxy) -> NodeId:
    return NodeId(proxy.mesh, proxy.zone, proxy.workload, proxy.name)


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
    proxy = memo.ask(PROXY, key)
    parts = _parts(memo, proxy) if proxy is not None else ()
    found = (part for part in parts if any(one.type is kind and one.name == name for one in part.rendered))
    return next((part.causes for part in found), ())


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


CHECKED_LISTENER: Final[Query[Inbound, Part]] = Query("checked listeners", _checked_listener)
INBOUND_LISTENER: Final[Query[Inbound, Part]] = Query("inbound listeners", _inbound_listener)
INBOUND_CLUSTER: Final[Query[Inbound, Part]] = Query("inbound clusters", _inbound_cluster)
INBOUND_TRAFFIC: Final[Query[Inbound, Part]] = Query("inbound traffic", _inbound_traffic)
OUTBOUND: Final[Query[Outbound, Part]] = Query("outbound resources", _outbound)
UPSTREAM: Final[Query[Upstream, Part]] = Query("upstream resources", _upstream)
ASSIGNMENT: Final[Query[Assignment, Part]] = Query("load assignments", _assignment)
TRANSPARENT: Final[Query[Transparent, Part]] = Query("transparent resources", _transparent)
SNAPSHOT: Final[Query[ResourceKey, Taken]] = Query("snapshots", _take)
