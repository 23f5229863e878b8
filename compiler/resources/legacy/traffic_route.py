"""TrafficRoute to MeshHTTPRoute, MeshTCPRoute and MeshLoadBalancingStrategy."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Policy, Surroundings, differs, number, unsayable
from compiler.resources.legacy.load_balancer import read_load_balancer
from compiler.resources.legacy.route_rule import read_filters, read_match
from compiler.resources.legacy.said import Said
from compiler.resources.legacy.selectors import ANY, matches, read_name, read_proxies, read_services
from compiler.resources.model import PROTOCOL, SERVICE

_HTTP: Final = frozenset({"http", "http2", "grpc"})
_MOST_WEIGHT: Final = 1_000_000
_EVERYTHING: Final = {"path": {"type": "PathPrefix", "value": "/"}}

Shares = Sequence[tuple[int | None, Mapping[str, str], str]]


def convert_traffic_route(legacy: Legacy, surroundings: Surroundings) -> Conversion:
    """A route for each service that is called, and how its endpoints are chosen."""
    found: list[Finding] = []
    routes = [
        route
        for tags, pointer in matches(legacy, "destinations")
        if (route := _route(legacy, tags[SERVICE], pointer, surroundings, found)) is not None
    ]
    balancer = read_load_balancer(legacy.content["conf"], join(legacy.pointer, "conf"))
    services = read_services(legacy, "destinations", found)
    policies = []
    for proxies in read_proxies(legacy, "sources", found):
        for kind in sorted({kind for kind, _ in routes}):
            to = [entry for one, entry in routes if one == kind]
            policies.append(Policy(kind, {"targetRef": proxies, "to": to}))
        if balancer is not None:
            to = [{"targetRef": service, "default": balancer} for service in services]
            policies.append(Policy("MeshLoadBalancingStrategy", {"targetRef": proxies, "to": to}))
    if not policies and not found:
        message = "all calls go where they go anyway, so that this changes nothing"
        found.append(Finding(join(legacy.pointer, "conf"), NO_EFFECT, message, "take the document out", on_key=True))
    return Conversion(number(policies), tuple(found))


def _route(
    legacy: Legacy, service: str, pointer: str, surroundings: Surroundings, found: list[Finding]
) -> tuple[str, Mapping[str, Any]] | None:
    """The type of route and its entry; None where every call goes where it was sent anyway."""
    at, conf = join(legacy.pointer, "conf"), legacy.content["conf"]
    if not conf.get("http") and _is_unchanged(_shares(conf, at), service):
        return None
    if service == ANY:
        message = "a newer route is for one service, not for all of them"
        found.append(unsayable(join(pointer, SERVICE), message, "write one policy for each service"))
        return None
    target = Said({"kind": "MeshService", "name": read_name(service, join(pointer, SERVICE), found)}, pointer)
    kind = _kind(conf, service, surroundings, at, found)
    if kind == "MeshTCPRoute":
        return kind, {"targetRef": target, "rules": [{"default": {"backendRefs": _backends(conf, at, service, found)}}]}
    return kind, {"targetRef": target, "rules": _http_rules(conf, at, service, found)}


def _kind(conf: Mapping[str, Any], service: str, known: Surroundings, at: str, found: list[Finding]) -> str:
    """A service that speaks HTTP keeps its requests apart; TCP is right for any, if nothing is known of it."""
    protocol = known.protocols.get(service)
    if conf.get("http") or protocol in _HTTP:
        return "MeshHTTPRoute"
    if protocol is None:
        message = "connections are routed, not requests, since the route does not say that the service speaks HTTP"
        found.append(differs(at, message, "meshwright migrate looks it up; or write a MeshHTTPRoute"))
    return "MeshTCPRoute"


def _http_rules(conf: Mapping[str, Any], at: str, service: str, found: list[Finding]) -> Said:
    rules: list[Any] = []
    for index, rule in enumerate(conf.get("http", ())):
        pointer = join(at, "http", index)
        default: dict[str, Any] = {"backendRefs": _backends(rule, pointer, service, found)}
        if filters := read_filters(rule, pointer, found):
            default["filters"] = filters
        rules.append(
            Said({"matches": [read_match(rule["match"], join(pointer, "match"), found)], "default": default}, pointer)
        )
    if not _is_unchanged(_shares(conf, at), service):
        rules.append({"matches": [_EVERYTHING], "default": {"backendRefs": _backends(conf, at, service, found)}})
    if len(conf.get("http", ())) > 1:
        message = "of several entries that match, the most specific one decides now, not the first"
        found.append(differs(join(at, "http"), message))
    return Said(rules, join(at, "http") if "http" in conf else at)


def _shares(conf: Mapping[str, Any], at: str) -> Shares:
    """Where it goes; without a weight where all of it goes to one place."""
    if "split" in conf:
        return [
            (share["weight"], share["destination"], join(at, "split", index))
            for index, share in enumerate(conf["split"])
        ]
    return [(None, conf["destination"], join(at, "destination"))]


def _is_unchanged(shares: Shares, service: str) -> bool:
    """A share of nothing goes nowhere."""
    kept = [tags for weight, tags, _ in shares if weight != 0]
    return all(set(tags) - {PROTOCOL} == {SERVICE} and tags[SERVICE] in (ANY, service) for tags in kept)


def _backends(conf: Mapping[str, Any], at: str, service: str, found: list[Finding]) -> list[Any]:
    shares = [share for share in _shares(conf, at) if share[0] != 0]
    for weight, _, pointer in shares:
        if weight is not None and weight > _MOST_WEIGHT:
            found.append(
                unsayable(join(pointer, "weight"), f"a weight is {_MOST_WEIGHT} at most", "divide all of them")
            )
    return [
        Said(_backend(tags, pointer, service, found) | ({} if weight is None else {"weight": weight}), pointer)
        for weight, tags, pointer in shares
    ]


def _backend(tags: Mapping[str, str], pointer: str, service: str, found: list[Finding]) -> dict[str, Any]:
    """A service, or those of its proxies that have the other tags; `*` is the service that was called."""
    at = pointer if pointer.endswith("/destination") else join(pointer, "destination")
    written = tags[SERVICE] if tags[SERVICE] != ANY else service
    name = read_name(written, join(at, SERVICE), found)
    subset = {key: Said(value, join(at, key)) for key, value in tags.items() if key not in (SERVICE, PROTOCOL)}
    for key in [key for key, said in subset.items() if said.value == ANY]:
        message = f"a backendRef cannot ask for any value of {key}"
        found.append(unsayable(join(at, key), message, "name the value, or take the tag out"))
    return (
        {"kind": "MeshServiceSubset", "name": name, "tags": subset} if subset else {"kind": "MeshService", "name": name}
    )
