"""Route configurations: how requests are matched, and where they go."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RedirectAction, Route, RouteAction, VirtualHost
from envoy.config.route.v3.route_components_pb2 import RouteMatch as RouteMatchMessage
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute
from envoy.type.v3.percent_pb2 import FractionalPercent

from compiler.envoy.policy import Direction, Policies, Site, each_hook
from compiler.mesh.calls import Inbound, Outbound, Principal, SourceRule
from compiler.mesh.http_route import (
    Backend,
    HeaderChange,
    HeaderMatch,
    HttpRoute,
    Mirror,
    PathChange,
    QueryMatch,
    Redirect,
    RouteMatch,
)
from compiler.mesh.value import Confs, UriMatch
from compiler.resources.values import Percentage

_REDIRECTS: Final = {
    301: RedirectAction.RedirectResponseCode.MOVED_PERMANENTLY,
    302: RedirectAction.RedirectResponseCode.FOUND,
    303: RedirectAction.RedirectResponseCode.SEE_OTHER,
    307: RedirectAction.RedirectResponseCode.TEMPORARY_REDIRECT,
    308: RedirectAction.RedirectResponseCode.PERMANENT_REDIRECT,
}
_ANYTHING: Final = ".*"
_MILLION: Final = 1_000_000


def inbound_routes(inbound: Inbound, policies: Policies) -> RouteConfiguration:
    """Everything goes to the workload; callers with confs of their own have a route of their own before it."""
    configuration = RouteConfiguration(name=inbound.name, request_headers_to_remove=["x-kuma-tags"])
    host = configuration.virtual_hosts.add(name=inbound.name, domains=["*"])
    for rule in inbound.source_rules:
        host.routes.append(_workload_route(inbound, rule.confs, policies, rule))
    host.routes.append(_workload_route(inbound, inbound.confs, policies, None))
    return configuration


def outbound_routes(outbound: Outbound, policies: Policies) -> RouteConfiguration:
    """Routes in the order in which they are tried."""
    configuration = RouteConfiguration(name=outbound.name)
    host = VirtualHost(name=outbound.name, domains=["*"])
    called = outbound.destination
    site = Site(Direction.OUTBOUND, outbound.name, called.protocol, called.service.name, owner=outbound.owner)
    for route in outbound.routes:
        messages = tuple(route_messages(route, site, policies))
        for hook, conf, here in each_hook("routed", _own_confs(route, outbound), policies, site):
            for message in messages:
                hook(conf, message, here)
        host.routes.extend(messages)
    configuration.virtual_hosts.append(host)
    return configuration


def routed_confs(outbound: Outbound) -> Confs:
    """What single routes have instead of what the outbound has, each conf once."""
    own = (applied for route in outbound.routes for applied in _own_confs(route, outbound))
    return tuple({(applied.policy, applied.conf): applied for applied in own}.values())


def _own_confs(route: HttpRoute, outbound: Outbound) -> Confs:
    """By identity first: most routes share the outbound's."""
    if route.confs is outbound.confs or route.confs == outbound.confs:
        return ()
    return tuple(applied for applied in route.confs if applied not in outbound.confs)


def _workload_route(inbound: Inbound, confs: Confs, policies: Policies, rule: SourceRule | None) -> Route:
    route = Route()
    route.match.prefix = "/"
    if rule is not None:
        route.match.headers.extend(_caller_matchers(rule.callers))
    route.route.cluster = inbound.name
    _decorate(route, confs, policies, Site(Direction.INBOUND, inbound.name, inbound.protocol, owner=inbound.owner))
    return route


def _caller_matchers(callers: Principal) -> Iterator[HeaderMatcher]:
    yield from (caller_matcher(match) for match in callers.present)
    for match in callers.absent:
        matcher = caller_matcher(match)
        matcher.invert_match = True
        yield matcher


def caller_matcher(match: UriMatch) -> HeaderMatcher:
    """The caller's URIs as its own proxy's certificate shows them.

    The header is set by this proxy and never taken from the client (`SANITIZE_SET`), and holds every URI, where
    Envoy's own inputs join several of them into one string (kuma-policies §1.8).
    """
    rest = "[^;,]*" if match.prefix else ""
    matcher = HeaderMatcher(name="x-forwarded-client-cert")
    matcher.string_match.safe_regex.regex = f'(.*;)?URI="?{re.escape(match.value)}{rest}"?([;,].*)?'
    return matcher


def route_messages(route: HttpRoute, site: Site, policies: Policies) -> Iterator[Route]:
    """A path prefix takes two routes: the path itself, and what is below it (kuma-policies §2.4)."""
    path, kind = route.match.path, route.match.path_type
    if kind == "PathPrefix" and path != "/":
        yield from _split(route, _match(route.match, "Exact", path), site, policies, below=False)
        yield from _split(route, _match(route.match, "Prefix", f"{path}/"), site, policies, below=True)
    else:
        yield from _split(route, _match(route.match, kind, path), site, policies, below=kind == "PathPrefix")


def _match(match: RouteMatch, kind: str, path: str) -> RouteMatchMessage:
    message = RouteMatchMessage()
    match kind:
        case "Exact":
            message.path = path
        case "RegularExpression":
            message.safe_regex.regex = path
        case _:
            message.prefix = path
    if match.method:
        method = message.headers.add(name=":method")
        method.string_match.exact = match.method
    message.headers.extend(header_matcher(header) for header in match.headers)
    for query in match.query:
        _add_query(message, query)
    return message


def header_matcher(header: HeaderMatch) -> HeaderMatcher:
    """Kuma's header match (kuma-policies §1.3)."""
    matcher = HeaderMatcher(name=header.name)
    match header.type:
        case "Present":
            matcher.present_match = True
        case "Absent":
            matcher.present_match = False
        case "RegularExpression":
            matcher.string_match.safe_regex.regex = header.value
        case "Prefix" if not header.value:
            matcher.present_match = True
        case "Prefix":
            matcher.string_match.prefix = header.value
        case _:
            matcher.string_match.exact = header.value
    return matcher


def _add_query(message: RouteMatchMessage, query: QueryMatch) -> None:
    parameter = message.query_parameters.add(name=query.name)
    if query.type == "RegularExpression":
        parameter.string_match.safe_regex.regex = query.value
    else:
        parameter.string_match.exact = query.value


def _split(
    route: HttpRoute, match: RouteMatchMessage, site: Site, policies: Policies, *, below: bool
) -> Iterator[Route]:
    """Backends that do not exist answer 500 for their share of the requests (kuma-core §7.5)."""
    if route.redirect is not None:
        yield _finish(Route(name=route.name, match=match, redirect=_redirect(route.redirect, below=below)), route)
        return
    lost = sum(backend.weight for backend in route.backends if backend.destination is None)
    live = tuple(backend for backend in route.backends if backend.destination is not None and backend.weight)
    if lost or not live:
        yield _failing(
            route,
            match,
            share=lost * _MILLION // sum(backend.weight for backend in route.backends) if live else _MILLION,
        )
    if live:
        yield _forwarding(route, match, live, site, policies, below=below)


def _failing(route: HttpRoute, match: RouteMatchMessage, *, share: int) -> Route:
    failing = Route(name=route.name, match=match)
    if share < _MILLION:
        fraction = failing.match.runtime_fraction.default_value
        fraction.numerator, fraction.denominator = share, FractionalPercent.DenominatorType.MILLION
    failing.direct_response.status = 500
    return failing


def _forwarding(
    route: HttpRoute,
    match: RouteMatchMessage,
    backends: tuple[Backend, ...],
    site: Site,
    policies: Policies,
    *,
    below: bool,
) -> Route:
    message = Route(name=route.name, match=match)
    action = message.route
    _forward(action, backends)
    if any(one.destination is not None and one.destination.outside is not None for one in backends):
        action.auto_host_rewrite.value = True  # to the name that is looked up; services of the mesh have none
    if route.rewrite is not None:
        if route.rewrite.hostname:
            action.host_rewrite_literal = route.rewrite.hostname
        if route.rewrite.to_backend:
            action.auto_host_rewrite.value = True
        if (found := route.rewrite.from_path) is not None:
            action.host_rewrite_path_regex.pattern.regex = found.pattern
            action.host_rewrite_path_regex.substitution = found.substitution
        _rewrite_path(action, route.rewrite.path, below=below)
    for mirror in route.mirrors:
        _add_mirror(action, mirror)
    _decorate(message, route.confs, policies, site)
    return _finish(message, route)


def _forward(action: RouteAction, backends: tuple[Backend, ...]) -> None:
    if len(backends) == 1:
        action.cluster = _cluster(backends[0])
        return
    for name, weight in _weights(backends):
        action.weighted_clusters.clusters.add(name=name).weight.value = weight


def _weights(backends: Iterable[Backend]) -> tuple[tuple[str, int], ...]:
    """One entry for a cluster, however often it was named, in the order in which it was first."""
    weights: dict[str, int] = {}
    for backend in backends:
        name = _cluster(backend)
        weights[name] = weights.get(name, 0) + backend.weight
    return tuple(weights.items())


def _cluster(backend: Backend) -> str:
    return backend.destination.name if backend.destination is not None else ""


def _redirect(redirect: Redirect, *, below: bool) -> RedirectAction:
    action = RedirectAction(
        response_code=_REDIRECTS[redirect.status], host_redirect=redirect.hostname, port_redirect=redirect.port
    )
    if redirect.scheme:
        action.scheme_redirect = redirect.scheme
    _rewrite_path(action, redirect.path, below=below)
    return action


def _rewrite_path(action: RouteAction | RedirectAction, change: PathChange | None, *, below: bool) -> None:
    """The slash between a replaced prefix and what is below it is kept (kuma-policies §8, defect 1)."""
    if change is None:
        return
    if change.type == "ReplacePrefixMatch" and below:
        action.prefix_rewrite = change.value.rstrip("/") + "/"
        return
    if change.type == "ReplaceRegexMatch":
        action.regex_rewrite.CopyFrom(RegexMatchAndSubstitute(substitution=change.value))
        action.regex_rewrite.pattern.regex = change.pattern
        return
    action.regex_rewrite.CopyFrom(RegexMatchAndSubstitute(substitution=_literal(change.value or "/")))
    action.regex_rewrite.pattern.regex = _ANYTHING


def _literal(text: str) -> str:
    r"""A backslash would start a reference to a group."""
    return text.replace("\\", "\\\\")


def _add_mirror(action: RouteAction, mirror: Mirror) -> None:
    policy = action.request_mirror_policies.add(cluster=mirror.destination.name)
    policy.runtime_fraction.default_value.CopyFrom(fraction(Percentage.parse(mirror.percentage)))


def fraction(percentage: Percentage) -> FractionalPercent:
    """The coarsest of Envoy's denominators that holds the number (kuma-policies §1.3)."""
    kinds = FractionalPercent.DenominatorType
    for factor, denominator in ((1, kinds.HUNDRED), (100, kinds.TEN_THOUSAND), (10_000, kinds.MILLION)):
        scaled = percentage * factor
        if scaled == int(scaled) or denominator == kinds.MILLION:
            return FractionalPercent(numerator=round(scaled), denominator=denominator)
    raise AssertionError("the last denominator takes every number")


def _finish(message: Route, route: HttpRoute) -> Route:
    message.request_headers_to_add.extend(header_options(route.request_headers))
    message.request_headers_to_remove.extend(route.request_headers.remove)
    message.response_headers_to_add.extend(header_options(route.response_headers))
    message.response_headers_to_remove.extend(route.response_headers.remove)
    return message


def header_options(change: HeaderChange) -> Iterator[HeaderValueOption]:
    """Headers that are set come before those that are added (kuma-policies §1.3)."""
    actions = HeaderValueOption.HeaderAppendAction
    for action, pairs in (
        (actions.OVERWRITE_IF_EXISTS_OR_ADD, change.set),
        (actions.APPEND_IF_EXISTS_OR_ADD, change.add),
    ):
        for key, value in pairs:
            option = HeaderValueOption(append_action=action)
            option.header.key, option.header.value = key, value
            yield option


def _decorate(route: Route, confs: Confs, policies: Policies, site: Site) -> None:
    for hook, conf, here in each_hook("route", confs, policies, site):
        hook(conf, route.route, here)
    for hook, conf, here in each_hook("route_filters", confs, policies, site):
        hook(conf, route, here)
