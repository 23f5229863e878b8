"""Which routes of the callers no test touches."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compiler.envoy.resources import ResourceType
from compiler.mesh.names import SHARED
from compiler.review.promises.routing.answer import Ask, Outcome, Taken
from compiler.review.promises.routing.fronts import front_of
from compiler.review.promises.routing.held import Fleet, Held, read_service_name

Place = tuple[str, str, int]
"""The version of a route configuration, a virtual host of it, and the index of a route there."""

Locate = Callable[[str, Taken], tuple[str, ...]]
"""Where a proxy's route was written."""


@dataclass(frozen=True, slots=True)
class RouteLine:
    """One route to a service (`mesh/name` and port), for all callers that have it, or one of a gateway's port.

    `written` is where, empty for the route that everything takes by default.
    """

    service: str
    port: str
    match: str
    written: tuple[str, ...]
    callers: tuple[str, ...]
    touched: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """Routes by service and in the order in which they are tried."""

    routes: tuple[RouteLine, ...]

    @property
    def touched(self) -> int:
        return sum(route.touched for route in self.routes)

    @property
    def untouched(self) -> tuple[RouteLine, ...]:
        return tuple(route for route in self.routes if not route.touched)


@dataclass(slots=True)
class _Line:
    places: set[Place] = field(default_factory=set)
    callers: set[str] = field(default_factory=set)


def measure(fleet: Fleet, asked: Iterable[tuple[Ask, Sequence[Outcome]]], locate: Locate) -> Coverage:
    """Of all proxies that call somebody over HTTP; a route that was taken by chance counts, too."""
    touched = {place for ask, outcomes in asked for place in _touched(fleet, ask, outcomes)}
    lines: dict[tuple[str, str, str, tuple[str, ...]], _Line] = {}
    known: dict[tuple[str, str], Sequence[tuple[Place, str, tuple[str, ...]]]] = {}
    for node in sorted(fleet.snapshots):
        held = fleet[node]
        for table in held.names(ResourceType.ROUTE):
            called = _called(held, table)
            if called is None:
                continue
            key = (table, held.version(ResourceType.ROUTE, table))
            if key not in known:
                known[key] = tuple(_routes(held, table, locate))
            for place, match, written in known[key]:
                line = lines.setdefault((*called, match, written), _Line())
                line.places.add(place)
                line.callers.add(_caller(held))
    found = (
        RouteLine(*key, tuple(sorted(line.callers)), not line.places.isdisjoint(touched)) for key, line in lines.items()
    )
    return Coverage(tuple(sorted(found, key=lambda route: (route.service, route.port))))


def _called(held: Held, table: str) -> tuple[str, str] | None:
    """The service and its port, or the gateway and its port; None for routes of an inbound."""
    service = read_service_name(table)
    if service is not None:
        return f"{service.mesh}/{service.name}", service.section
    gateway, _, port = front_of(table).partition(":")
    return (f"{held.snapshot.node.mesh}/{gateway}", port) if gateway else None


def _touched(fleet: Fleet, ask: Ask, outcomes: Sequence[Outcome]) -> Iterator[Place]:
    for outcome in outcomes:
        taken: Taken | None = outcome.answer.taken
        if taken is not None:
            yield fleet[ask.caller].version(ResourceType.ROUTE, taken.table), taken.host, taken.index


def _caller(held: Held) -> str:
    node = held.snapshot.node
    return f"{node.mesh}/{node.workload}" if node.proxy == SHARED else f"{node.mesh}/{node.workload or node.proxy}"


def _routes(held: Held, table: str, locate: Locate) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
    """A path prefix of a rule is two routes of Envoy's, and a lost share one before the others: both are one here."""
    version = held.version(ResourceType.ROUTE, table)
    is_gateway = bool(front_of(table))
    for host in held.find(ResourceType.ROUTE, table).virtual_hosts:
        below: Mapping[str, set[str]] = _prefixes(host.routes)
        for index, route in enumerate(host.routes):
            written = locate(str(held.snapshot.node), Taken(table, host.name, index))
            match = describe_match(route.match, below.get(route.name, set()))
            yield (version, host.name, index), f"{host.name} {match}" if is_gateway else match, written


def _prefixes(routes: Sequence[Any]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for route in routes:
        if route.match.WhichOneof("path_specifier") == "prefix":
            found.setdefault(route.name, set()).add(route.match.prefix)
    return found


def describe_match(match: Any, prefixes: set[str]) -> str:
    """What the route takes, as short as it can be said: `GET /items/* x-beta=1`."""
    parts = [_method(match), _path(match, prefixes)]
    parts += [_condition(one.name, one) for one in match.headers if one.name != ":method"]
    parts += [_condition(f"?{one.name}", one) for one in match.query_parameters]
    return " ".join(part for part in parts if part)


def _method(match: Any) -> str:
    return next((str(one.string_match.exact) for one in match.headers if one.name == ":method"), "")


def _path(match: Any, prefixes: set[str]) -> str:
    match match.WhichOneof("path_specifier"):
        case "path":
            return f"{match.path}/*" if f"{match.path}/" in prefixes else str(match.path)
        case "prefix":
            return f"{match.prefix}*"
        case "path_separated_prefix":
            return f"{match.path_separated_prefix}/*"
        case "safe_regex":
            return f"~{match.safe_regex.regex}"
        case other:
            return str(other)


def _condition(name: str, matcher: Any) -> str:
    if not matcher.HasField("string_match"):
        absent = matcher.HasField("present_match") and not matcher.present_match
        return f"!{name}" if absent else name
    text = matcher.string_match
    kind = text.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return f"{name}~{text.safe_regex.regex}"
    return f"{name}={getattr(text, kind)}{'*' if kind == 'prefix' else ''}"
