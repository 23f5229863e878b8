"""MeshHTTPRoute: where requests go, and how they are changed on the way (kuma-policies §2.4)."""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from compiler.envoy.policy import Policy
from compiler.mesh.destination import Destination
from compiler.mesh.gateways.precedence import precedence
from compiler.mesh.http_route import (
    Backend,
    HeaderChange,
    HeaderMatch,
    HostFromPath,
    HttpRoute,
    Mirror,
    PathChange,
    QueryMatch,
    Redirect,
    Rewrite,
    RouteMatch,
)
from compiler.mesh.merge import RouteRule
from compiler.mesh.order import Origin
from compiler.mesh.policy import FindBackend, Matter, PolicyKind, reference_of
from compiler.resources.findings import EXCLUSIVE_FIELDS, NO_EFFECT, Finding
from compiler.resources.model import Conf, Spec
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix

DEFAULT_ROUTE: Final = base64.b64encode(
    hashlib.sha256(b'[{"path":{"value":"/","type":"PathPrefix"}}]').digest()
).decode()
"""The name of the route that takes what no other does (kuma-core §5.3)."""


_HOSTS: Final = frozenset({"host", ":authority"})
"""To Envoy these are no headers: what is set is the host of the request."""


class Route(Spec, frozen=True):
    """Rules are merged by their matches rather than decoded into one conf."""

    rules: tuple[dict[str, Any], ...] = ()


def shape_routes(
    rules: Sequence[RouteRule], destination: Destination | None, find: FindBackend
) -> tuple[HttpRoute, ...]:
    """In the order in which they are tried; what no rule takes goes to the destination, where there is one."""
    shaped = [route for rule in rules for route in _shape(rule, destination, find)]
    shaped.sort(key=lambda route: precedence(route.match))
    if destination is not None and all(route.match != RouteMatch() for route in shaped):
        shaped.append(HttpRoute(DEFAULT_ROUTE, RouteMatch(), (Backend(destination),), ()))
    return tuple(shaped)


def _shape(rule: RouteRule, destination: Destination | None, find: FindBackend) -> Iterator[HttpRoute]:
    filters = tuple(rule.conf.get("filters") or ())
    origin = rule.origins[-1]
    route = HttpRoute(
        name=f"{origin.kri}rule_{_item_index(origin)}",
        match=RouteMatch(),
        backends=tuple(_backends(rule, destination, find)),
        confs=(),
        request_headers=_headers(filters, "RequestHeaderModifier", "requestHeaderModifier"),
        response_headers=_headers(filters, "ResponseHeaderModifier", "responseHeaderModifier"),
        redirect=_redirect(filters),
        rewrite=_rewrite(filters),
        mirrors=tuple(_mirrors(filters, rule.backends or origin, find)),
        origins=rule.origins,
        inline=tuple(_inline(rule.conf)),
    )
    for match in rule.matches or ({},):
        yield replace(route, match=_match(match))


def _inline(conf: Conf) -> Iterator[tuple[str, Conf]]:
    """Ours: what Kuma says by a MeshTimeout and a MeshRetry to the route."""
    if conf.get("timeout"):
        yield "MeshTimeout", {"http": conf["timeout"]}
    if conf.get("retry"):
        yield "MeshRetry", conf["retry"]


def _item_index(origin: Origin) -> str:
    """`/to/1/rules/0` is of item 1; a MeshGatewayRoute has rules only."""
    steps = origin.pointer.split("/")
    return steps[2] if steps[1] == "to" else steps[-1]


def _backends(rule: RouteRule, destination: Destination | None, find: FindBackend) -> Iterator[Backend]:
    references = rule.conf.get("backendRefs")
    if references is None or not references:
        yield Backend(destination)
        return
    for reference in references:
        weight = reference.get("weight", 1)
        yield Backend(find(reference_of(reference), rule.backends or rule.origins[-1]), weight)


def _match(conf: Conf) -> RouteMatch:
    path = conf.get("path") or {}
    return RouteMatch(
        path_type=path.get("type", "PathPrefix"),
        path=path.get("value", "/"),
        method=conf.get("method") or "",
        headers=_header_matches(conf.get("headers") or ()),
        query=tuple(
            QueryMatch(query["name"], query.get("type", "Exact"), query.get("value", ""))
            for query in conf.get("queryParams") or ()
        ),
    )


def _header_matches(confs: Iterable[Conf]) -> tuple[HeaderMatch, ...]:
    """Of several matches of one header the first holds (kuma-policies §1.3)."""
    first: dict[str, HeaderMatch] = {}
    for conf in confs:
        name = conf["name"]
        first.setdefault(name, HeaderMatch(name, conf.get("type", "Exact"), conf.get("value", "")))
    return tuple(first.values())


def _filters(filters: Iterable[Conf], kind: str, field: str) -> Iterator[Conf]:
    return (one[field] for one in filters if one["type"] == kind and one.get(field) is not None)


def _headers(filters: Iterable[Conf], kind: str, field: str) -> HeaderChange:
    found = list(_filters(filters, kind, field))
    return HeaderChange(
        set=tuple(
            (pair["name"], pair["value"])
            for one in found
            for pair in one.get("set") or ()
            if pair["name"].lower() not in _HOSTS
        ),
        add=tuple((pair["name"], pair["value"]) for one in found for pair in one.get("add") or ()),
        remove=tuple(name for one in found for name in one.get("remove") or ()),
    )


def _redirect(filters: Iterable[Conf]) -> Redirect | None:
    conf = next(_filters(filters, "RequestRedirect", "requestRedirect"), None)
    if conf is None:
        return None
    return Redirect(
        status=conf.get("statusCode", 302),
        scheme=conf.get("scheme", ""),
        hostname=conf.get("hostname", ""),
        port=conf.get("port", 0),
        path=_path(conf.get("path")),
    )


def _rewrite(filters: Iterable[Conf]) -> Rewrite | None:
    conf = next(_filters(filters, "URLRewrite", "urlRewrite"), None)
    host = _host_set(filters)
    if conf is None:
        return Rewrite(host) if host else None
    from_path = conf.get("hostnameFromPath")
    return Rewrite(
        conf.get("hostname", host),
        _path(conf.get("path")),
        bool(conf.get("hostToBackendHostname")),
        HostFromPath(from_path["pattern"], from_path["substitution"]) if from_path else None,
    )


def _host_set(filters: Iterable[Conf]) -> str:
    changes = _filters(filters, "RequestHeaderModifier", "requestHeaderModifier")
    pairs = (pair for change in changes for pair in change.get("set") or ())
    return next((pair["value"] for pair in pairs if pair["name"].lower() in _HOSTS), "")


def _path(conf: Mapping[str, Any] | None) -> PathChange | None:
    if conf is None:
        return None
    if conf["type"] == "ReplaceRegexMatch":
        regex = conf["replaceRegexMatch"]
        return PathChange(conf["type"], regex["substitution"], regex["pattern"])
    value = conf.get("replaceFullPath") if conf["type"] == "ReplaceFullPath" else conf.get("replacePrefixMatch")
    return PathChange(conf["type"], value or "")


def _mirrors(filters: Iterable[Conf], origin: Origin, find: FindBackend) -> Iterator[Mirror]:
    """A mirror to nowhere mirrors nothing; validation warns of it."""
    for conf in _filters(filters, "RequestMirror", "requestMirror"):
        destination = find(reference_of(conf["backendRef"]), origin)
        if destination is not None:
            yield Mirror(destination, str(conf.get("percentage", 100)))


def check(policy: PolicySpec) -> Iterator[Finding]:
    for item, route in enumerate(policy.to):
        yield from _check_matches(route.rules or (), f"/to/{item}/rules")
        for index, rule in enumerate(route.rules or ()):
            yield from _check_rule(rule, f"/to/{item}/rules/{index}")


def _check_matches(rules: Sequence[Conf], pointer: str) -> Iterator[Finding]:
    """Of equal matches the first takes all requests; rules with equal lists of them are one rule."""
    taken: dict[RouteMatch, int] = {}
    for index, rule in enumerate(rules):
        for place, match in enumerate(rule.get("matches") or ()):
            at = f"{pointer}/{index}/matches/{place}"
            yield from _check_headers(match, at)
            first = taken.setdefault(_match(match), index)
            if first != index and rules[first].get("matches") != rule.get("matches"):
                message = f"no request gets here: rule {first + 1} takes them all"
                yield Finding(at, NO_EFFECT, message, "take it out, or make one of the two more specific")


def _check_headers(match: Conf, pointer: str) -> Iterator[Finding]:
    names = [header["name"] for header in match.get("headers") or ()]
    for index, name in enumerate(names):
        if name in names[:index]:
            message = f"of several matches of the header {name} the first counts"
            yield Finding(f"{pointer}/headers/{index}/name", NO_EFFECT, message, "say it in one expression")


def _check_rule(rule: Conf, pointer: str) -> Iterator[Finding]:
    """A redirected request goes nowhere, so that nothing else becomes of it (kuma-policies §8, defect 4)."""
    conf = rule.get("default") or {}
    kinds = [one["type"] for one in conf.get("filters") or ()]
    for name in ("timeout", "retry"):
        if name in conf and "RequestRedirect" in kinds:
            message = f"{name} is for nothing: a redirected request goes nowhere"
            yield Finding(f"{pointer}/default/{name}", EXCLUSIVE_FIELDS, message, "take it out", on_key=True)
    if conf.get("backendRefs") and "RequestRedirect" in kinds:
        message = "backendRefs get no request: all of them are redirected"
        yield Finding(f"{pointer}/default/backendRefs", NO_EFFECT, message, "take them out", on_key=True)
    for index, kind in enumerate(kinds):
        at = f"{pointer}/default/filters/{index}/type"
        if kind in {"URLRewrite", "RequestMirror"} and "RequestRedirect" in kinds[index:]:
            message = f"{kind} before RequestRedirect never runs: a redirected request goes nowhere"
            yield Finding(at, NO_EFFECT, message, "take one of them out")
        if kind == "RequestHeaderModifier" and "RequestRedirect" in kinds:
            message = "RequestHeaderModifier is for nothing: a redirected request goes nowhere"
            yield Finding(at, NO_EFFECT, message, "take it out, or change headers of the response")
        if kind in {"RequestRedirect", "URLRewrite"} and kind in kinds[:index]:
            yield Finding(at, EXCLUSIVE_FIELDS, f"{kind} stands twice in one rule", "keep one of them")


POLICY: Final = Policy(
    PolicyKind(
        type="MeshHTTPRoute",
        conf=Route,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "Dataplane", "MeshGateway"}),
            to=frozenset({"MeshService", "MeshExternalService", "MeshMultiZoneService"}),
            to_under={"MeshGateway": frozenset({"Mesh"})},
            system_only=frozenset({"MeshGateway"}),
        ),
        shape_routes=shape_routes,
        check=check,
        matters=frozenset({Matter.WAY}),
        decides=lambda _: (Matter.WAY,),
    )
)
