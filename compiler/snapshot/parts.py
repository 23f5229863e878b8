"""Parts of a proxy: each is translated, rendered and checked once, however many proxies share it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace as with_fields
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from msgspec.structs import replace

from compiler.diagnostics import Code, Severity
from compiler.envoy.clusters import inbound_cluster
from compiler.envoy.endpoints import load_assignment
from compiler.envoy.listeners import inbound_listener
from compiler.envoy.policy import HOOKS
from compiler.envoy.resources import ResourceType
from compiler.envoy.translate import (
    Built,
    inbound_traffic,
    name_of,
    outbound_resources,
    transparent_resources,
    upstream_resources,
)
from compiler.memo import Memo, Query
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Confs, Inbound, Outbound, Permission, Proxy, Transparent, Upstream, Value
from compiler.mesh.services import ENDPOINTS, Port
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.constraints import check_constraints
from compiler.snapshot.findings import Reading
from compiler.snapshot.reading import read
from compiler.snapshot.references import Links, Reference, links_of
from compiler.snapshot.template import Template, has_holes, make_template, without_holes
from compiler.snapshot.traps import known_traps

ENVOY_REFUSES: Final = Code(
    "envoy-refuses",
    Severity.ERROR,
    "configuration that Envoy would refuse",
    "The documents are right by themselves, but a field of the configuration that follows from them is outside of what "
    "Envoy takes. The message names the field; the place is the policy, or else the Dataplane, that it comes from.",
)


RENDERED: Final = "JSON rendered"
"""The counter of resources of which JSON was made; those of replicas are counted by the query that fills them in."""


class Problem(NamedTuple):
    """A mistake in a resource; the policies behind it, the most telling first."""

    code: Code
    message: str
    origins: tuple[Origin, ...] = ()


class Part(NamedTuple):
    """The resources of one part of a proxy, what they name, the policies behind them, what Envoy would refuse.

    `templates` are resources that each replica has of its own.
    """

    rendered: tuple[Rendered, ...]
    links: Mapping[Reference, Links]
    causes: tuple[Origin, ...]
    problems: tuple[Problem, ...]
    templates: tuple[Template, ...] = ()


PartKey = tuple[Query[Any, Part], Value]
"""What is asked to get a part."""


class Assignment(Value, frozen=True):
    """The endpoints of a cluster as one zone sees them; without a preferred zone all are equal."""

    cluster: str
    port: Port
    preferred_zone: str | None


def list_parts(proxy: Proxy) -> Iterator[PartKey]:
    """All but the endpoints, which change more often and are not the same in every zone."""
    for inbound in proxy.inbounds:
        at_workload = replace(inbound, address="", port=0, permission=Permission())
        yield INBOUND_LISTENER, replace(inbound, **_NOWHERE)
        yield INBOUND_CLUSTER, at_workload
        yield INBOUND_TRAFFIC, replace(at_workload, permission=inbound.permission, **_NOWHERE)
    yield from ((OUTBOUND, outbound) for outbound in proxy.outbounds)
    yield from ((UPSTREAM, upstream) for upstream in proxy.upstreams)
    if proxy.transparent is not None:
        yield TRANSPARENT, proxy.transparent


_NOWHERE: Final[Mapping[str, Any]] = {"workload_address": "", "workload_port": 0, "workload_version": 0}


def _inbound_listener(memo: Memo, inbound: Inbound) -> Part:
    message = inbound_listener(inbound, memo.read(HOOKS, None))
    return _own_part(memo, ResourceType.LISTENER, message, _inbound_origins(inbound))


def _inbound_cluster(memo: Memo, inbound: Inbound) -> Part:
    message = inbound_cluster(inbound, memo.read(HOOKS, None))
    return _own_part(memo, ResourceType.CLUSTER, message, _inbound_origins(inbound))


def _inbound_traffic(memo: Memo, inbound: Inbound) -> Part:
    return _part(memo, inbound_traffic(inbound, memo.read(HOOKS, None)), _inbound_origins(inbound))


def _inbound_origins(inbound: Inbound) -> list[Origin]:
    return [*_origins(inbound.confs), *(entry.origin for entry in inbound.permission.entries)]


def _outbound(memo: Memo, outbound: Outbound) -> Part:
    routes = [origin for route in outbound.routes for origin in (*route.origins, *_origins(route.confs))]
    return _part(memo, outbound_resources(outbound, memo.read(HOOKS, None)), [*routes, *_origins(outbound.confs)])


def _upstream(memo: Memo, upstream: Upstream) -> Part:
    return _part(memo, upstream_resources(upstream, memo.read(HOOKS, None)), _origins(upstream.confs))


def _transparent(memo: Memo, transparent: Transparent) -> Part:
    return _part(memo, transparent_resources(transparent, memo.read(HOOKS, None)), _origins(transparent.confs))


def _assignment(memo: Memo, wanted: Assignment) -> Part:
    endpoints = memo.ask(ENDPOINTS, wanted.port)
    message = load_assignment(wanted.cluster, endpoints, wanted.preferred_zone)
    part = _part(memo, iter([(ResourceType.ENDPOINT, message)]), ())
    return part._replace(rendered=tuple(_in_localities(one) for one in part.rendered))


def _in_localities(assignment: Rendered) -> Rendered:
    """Zones prefer different endpoints and list the same ones: apart from each other, the lists are stored once."""
    return with_fields(assignment, pieces=tuple(_BESIDE_LISTS.split(assignment.member)))


_BESIDE_LISTS: Final = re.compile(rb'(?="(?:lbEndpoints|locality)": )')


def _part(memo: Memo, built: Built, origins: Iterable[Origin]) -> Part:
    causes = tuple(dict.fromkeys(origins))
    made = [_one(kind, message, causes) for kind, message in built]
    memo.count(RENDERED, len(made))
    return Part(
        tuple(one.rendered for one in made),
        {Reference(one.rendered.type, one.rendered.name): one.links for one in made},
        causes,
        tuple(problem for one in made for problem in one.problems),
    )


class _One(NamedTuple):
    rendered: Rendered
    links: Links
    problems: tuple[Problem, ...]


def _one(kind: ResourceType, message: Message, causes: tuple[Origin, ...]) -> _One:
    """Read once for everything that is wanted of it."""
    name, reading = name_of(message), read(message)
    problems = tuple(_refused(kind, name, message, causes, reading))
    return _One(render(kind, name, message, reading), links_of(kind, name, message, reading), problems)


def _own_part(memo: Memo, kind: ResourceType, message: Message, origins: Iterable[Origin]) -> Part:
    """Of something that replicas have one each of, unless they all listen or connect at the same place."""
    name, causes = name_of(message), tuple(dict.fromkeys(origins))
    if not has_holes(message):
        return _part(memo, iter([(kind, message)]), causes)
    memo.count(RENDERED, 1)
    whole, reading = without_holes(message), read(message)
    problems = tuple(_refused(kind, name, whole, causes, read(whole)))
    links = {Reference(kind, name): links_of(kind, name, message, reading)}
    return Part((), links, causes, problems, (make_template(kind, name, message, reading),))


def _refused(
    kind: ResourceType, name: str, message: Message, causes: tuple[Origin, ...], reading: Reading
) -> Iterator[Problem]:
    for violation in (*check_constraints(message, reading), *known_traps(message, reading)):
        text = f"Envoy would refuse {kind.file} {name!r} at {violation.path}: {violation.message}"
        yield Problem(ENVOY_REFUSES, text, causes)


def _origins(confs: Confs) -> list[Origin]:
    """Of each kind the item that overrides the others."""
    return [applied.origins[-1] for applied in confs if applied.origins]


_RECENT: Final = 1000
"""Some ten megabytes of each kind of part."""

INBOUND_LISTENER: Final[Query[Inbound, Part]] = Query("inbound listeners", _inbound_listener, _RECENT)
INBOUND_CLUSTER: Final[Query[Inbound, Part]] = Query("inbound clusters", _inbound_cluster, _RECENT)
INBOUND_TRAFFIC: Final[Query[Inbound, Part]] = Query("inbound traffic", _inbound_traffic, _RECENT)
OUTBOUND: Final[Query[Outbound, Part]] = Query("outbound resources", _outbound, _RECENT)
UPSTREAM: Final[Query[Upstream, Part]] = Query("upstream resources", _upstream, _RECENT)
ASSIGNMENT: Final[Query[Assignment, Part]] = Query("load assignments", _assignment)
TRANSPARENT: Final[Query[Transparent, Part]] = Query("transparent resources", _transparent, _RECENT)
