"""MeshGatewayRoutes, which came before MeshHTTPRoutes and MeshTCPRoutes, read as those (kuma-policies §4.2)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from compiler.mesh.merge import RouteRule
from compiler.mesh.order import Origin
from compiler.resources.model import SERVICE, Conf, MeshGatewayRoute, Resource
from compiler.resources.specs.gateways import (
    HeaderFilter,
    NamedMatch,
    Redirect,
    RequestMatch,
    Rewrite,
    RouteBackend,
    RouteFilter,
)

_PATHS: Final = {"EXACT": "Exact", "PREFIX": "PathPrefix", "REGEX": "RegularExpression"}
_NAMED: Final = {
    "EXACT": "Exact",
    "REGEX": "RegularExpression",
    "ABSENT": "Absent",
    "PRESENT": "Present",
    "PREFIX": "Prefix",
}


def request_rules(route: Resource) -> tuple[RouteRule, ...]:
    """In the order in which they are written; none where the route is one of connections."""
    http = cast(MeshGatewayRoute, route.spec).conf.http
    return tuple(
        _rule(
            route,
            f"/conf/http/rules/{index}",
            tuple(_match(one) for one in rule.matches),
            {
                "filters": _joined(found for one in rule.filters for found in _filters(one)),
                "backendRefs": [_backend(one) for one in rule.backends],
            },
        )
        for index, rule in enumerate(http.rules if http is not None else ())
    )


def connection_rules(route: Resource) -> tuple[RouteRule, ...]:
    """One at most; none where the route is one of requests."""
    tcp = cast(MeshGatewayRoute, route.spec).conf.tcp
    rules = tcp.rules[:1] if tcp is not None else ()
    return tuple(
        _rule(route, "/conf/tcp/rules/0", (), {"backendRefs": [_backend(one) for one in rule.backends]})
        for rule in rules
    )


def backends_of(route: Resource) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The tags of everything that it sends to, each with its pointer."""
    conf = cast(MeshGatewayRoute, route.spec).conf
    for index, rule in enumerate(conf.http.rules if conf.http is not None else ()):
        at = f"/conf/http/rules/{index}"
        yield from ((f"{at}/backends/{place}/destination", one.destination) for place, one in enumerate(rule.backends))
        for place, one in enumerate(rule.filters):
            if one.mirror is not None:
                yield f"{at}/filters/{place}/mirror/backend/destination", one.mirror.backend.destination
    for index, tcp in enumerate(conf.tcp.rules if conf.tcp is not None else ()):
        at = f"/conf/tcp/rules/{index}/backends"
        yield from ((f"{at}/{place}/destination", one.destination) for place, one in enumerate(tcp.backends))


def _rule(route: Resource, pointer: str, matches: tuple[Conf, ...], conf: Conf) -> RouteRule:
    origin = Origin(route.kri(), route.key, pointer)
    return RouteRule(matches, conf, (origin,), origin)


def _match(match: RequestMatch) -> Conf:
    found: dict[str, Any] = {
        "headers": [_named(one) for one in match.headers],
        "queryParams": [_named(one) for one in match.query_parameters],
    }
    if match.path is not None:
        kind, value = _PATHS[match.path.match], match.path.value
        bare = value.rstrip("/") or "/" if kind == "PathPrefix" else value
        found["path"] = {"type": kind, "value": bare}
    if match.method:
        found["method"] = match.method
    return found


def _named(match: NamedMatch) -> Conf:
    return {"name": match.name, "type": _NAMED[match.match], "value": match.value}


def _backend(backend: RouteBackend) -> Conf:
    """Tags choose endpoints of the service that one of them names."""
    tags = {key: value for key, value in backend.destination.items() if key != SERVICE}
    name = backend.destination.get(SERVICE, "")
    return {"kind": "MeshServiceSubset", "name": name, "tags": tags, "weight": backend.weight}


def _joined(filters: Iterable[Conf]) -> list[Conf]:
    """A rule rewrites once, and a MeshGatewayRoute may say by several filters what."""
    found = list(filters)
    rewrites = [one["urlRewrite"] for one in found if one["type"] == "URLRewrite"]
    kept = [one for one in found if one["type"] != "URLRewrite"]
    merged = {name: value for one in rewrites for name, value in one.items() if value}
    return [*kept, {"type": "URLRewrite", "urlRewrite": merged}] if merged else kept


def _filters(one: RouteFilter) -> Iterator[Conf]:
    if one.request_header is not None:
        yield {"type": "RequestHeaderModifier", "requestHeaderModifier": _headers(one.request_header)}
    if one.response_header is not None:
        yield {"type": "ResponseHeaderModifier", "responseHeaderModifier": _headers(one.response_header)}
    if one.mirror is not None:
        mirror: dict[str, Any] = {"backendRef": _backend(one.mirror.backend)}
        if one.mirror.percentage is not None:
            mirror["percentage"] = one.mirror.percentage
        yield {"type": "RequestMirror", "requestMirror": mirror}
    if one.redirect is not None:
        yield {"type": "RequestRedirect", "requestRedirect": _redirect(one.redirect)}
    if one.rewrite is not None:
        rewrite = {**_path(one.rewrite), "hostToBackendHostname": one.rewrite.host_to_backend_hostname}
        yield {"type": "URLRewrite", "urlRewrite": rewrite}


def _headers(change: HeaderFilter) -> Conf:
    return {
        "set": [{"name": one.name, "value": one.value} for one in change.set],
        "add": [{"name": one.name, "value": one.value} for one in change.add],
        "remove": list(change.remove),
    }


def _redirect(redirect: Redirect) -> Conf:
    found: dict[str, Any] = {"statusCode": redirect.status_code, **_path(redirect.path)}
    written = {"scheme": redirect.scheme, "hostname": redirect.hostname, "port": redirect.port}
    return found | {name: value for name, value in written.items() if value}


def _path(rewrite: Rewrite | None) -> dict[str, Any]:
    if rewrite is not None and rewrite.replace_full is not None:
        return {"path": {"type": "ReplaceFullPath", "replaceFullPath": rewrite.replace_full}}
    if rewrite is not None and rewrite.replace_prefix_match is not None:
        return {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": rewrite.replace_prefix_match}}
    return {}
