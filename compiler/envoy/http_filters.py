"""The HTTP filter chain: fixed slots, always there, so that policies change what is in a slot and not the listener.

The slot of permissions is an extension resource (ECDS): a change bites on kept-alive connections within milliseconds
where a change of the listener would wait for a drain (docs/decisions/0004). Until it arrives, it denies.
"""

from collections.abc import Iterable, Iterator

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.rbac.v3.rbac_pb2 import RBAC as RbacRules
from envoy.config.rbac.v3.rbac_pb2 import Permission as RbacPermission
from envoy.config.rbac.v3.rbac_pb2 import Principal as RbacPrincipal
from envoy.extensions.filters.http.grpc_stats.v3.config_pb2 import FilterConfig as GrpcStats
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC as HttpRbac
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NetworkRbac
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from msgspec.structs import replace

from compiler.envoy.common import ads
from compiler.envoy.names import GRPC_STATS_FILTER, ROUTER_FILTER, permission_name
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Policies, Site, Stage, StagedHttpFilter, each_hook
from compiler.envoy.routes import header_matcher
from compiler.mesh.calls import Permission, PermissionEntry, Principal
from compiler.mesh.http_route import RouteMatch
from compiler.mesh.value import Confs, UriMatch

DENY = "Deny"
SHADOW = "AllowWithShadowDeny"


def http_filters(
    confs: Confs,
    policies: Policies,
    site: Site,
    permissions: str | None,
    others: Iterable[StagedHttpFilter] = (),
) -> Iterator[HttpFilter]:
    """In the order in which a request passes them; `permissions` names the inbound whose callers are judged.

    Confs of several classes of callers may ask for filters of one name: the first is there, once.
    """
    found = [*_own_filters(site.protocol, permissions), *others]
    if site.direction is Direction.INBOUND:
        found += (slot for policy in policies.values() for slot in policy.slots)
    for hook, conf, here in each_hook("http_filters", confs, policies, site):
        found += hook(conf, here)
    ordered = {staged[1].name: staged for staged in reversed(found)}
    return (staged[1] for staged in sorted(ordered.values(), key=lambda staged: (staged[0], staged[1].name)))


def _own_filters(protocol: str, permissions: str | None) -> Iterator[StagedHttpFilter]:
    if permissions is not None:
        yield Stage.PERMISSION, permission_slot(permissions)
    if protocol == "grpc":
        stats = GrpcStats(emit_filter_state=True)
        stats.stats_for_all_methods.value = False
        yield Stage.STATISTICS, HttpFilter(name=GRPC_STATS_FILTER, typed_config=pack(stats))
    yield Stage.LAST, HttpFilter(name=ROUTER_FILTER, typed_config=pack(Router()))


def permission_slot(inbound: str) -> HttpFilter:
    """Denies everyone until the permissions have arrived, and does not make the listener wait for them."""
    slot = HttpFilter(name=permission_name(inbound))
    discovery = slot.config_discovery
    discovery.config_source.CopyFrom(ads())
    discovery.type_urls.append("type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC")
    discovery.default_config.CopyFrom(pack(HttpRbac(rules=RbacRules())))
    discovery.apply_default_config_without_warming = True
    return slot


def http_permission(inbound: str, permission: Permission) -> TypedExtensionConfig:
    """What stands in the slot."""
    rules, shadow = _rules(permission)
    filter_config = HttpRbac(rules=rules, shadow_rules=shadow)
    return TypedExtensionConfig(name=permission_name(inbound), typed_config=pack(filter_config))


def network_permission(stat_prefix: str, permission: Permission) -> NetworkRbac:
    """For ports that do not speak HTTP: part of the filter chain, since only a drain ends a live TCP connection.

    Nothing there is a request, so what allows some of them allows nobody, and what denies some denies the caller.
    """
    entries = (one for one in permission.entries if one.action == DENY or not one.requests)
    rules, shadow = _rules(Permission(tuple(replace(one, requests=()) if one.requests else one for one in entries)))
    return NetworkRbac(stat_prefix=f"{stat_prefix}.", rules=rules, shadow_rules=shadow)


def _rules(permission: Permission) -> tuple[RbacRules, RbacRules | None]:
    """Callers that some entry admits; the shadow rules count those that `AllowWithShadowDeny` admits."""
    rules, shadow = RbacRules(), RbacRules(action=RbacRules.Action.DENY)
    denied: list[RbacPrincipal] = []
    for entry in permission.entries:
        if entry.action == DENY:
            denied.append(_judged(entry))
            continue
        _admit(rules, entry, denied)
        if entry.action == SHADOW:
            _admit(shadow, entry, denied)
    return rules, shadow if shadow.policies else None


def _admit(rules: RbacRules, entry: PermissionEntry, denied: Iterable[RbacPrincipal]) -> None:
    """The first entry that matches decides, so an admitted caller is one that no earlier denial names."""
    policy = rules.policies[entry.origin.kri]
    if not policy.permissions:
        policy.permissions.append(RbacPermission(any=True))
    policy.principals.append(_all([_judged(entry), *(_not(other) for other in denied)]))


def _judged(entry: PermissionEntry) -> RbacPrincipal:
    """Callers and their requests stand together, so that one expression says who may not, and what."""
    if not entry.requests:
        return _principal(entry.principal)
    return _all([_principal(entry.principal), _any([_request(one) for one in entry.requests])])


def _request(request: RouteMatch) -> RbacPrincipal:
    """Of a path without its query, once that is normalised (`names_paths`)."""
    conditions = [RbacPrincipal(header=header_matcher(header)) for header in request.headers]
    if request.method:
        method = RbacPrincipal()
        method.header.name = ":method"
        method.header.string_match.exact = request.method
        conditions.append(method)
    if has_path(request):
        conditions.append(_any([_path(matcher) for matcher in _paths(request)]))
    return _all(conditions) if conditions else RbacPrincipal(any=True)


def names_paths(permission: Permission) -> bool:
    """Whether some path decides who gets through, so that there must be one way only to write it."""
    return any(has_path(request) for entry in permission.entries for request in entry.requests)


def has_path(request: RouteMatch) -> bool:
    return (request.path_type, request.path) != ("PathPrefix", "/")


def _paths(request: RouteMatch) -> tuple[StringMatcher, ...]:
    """A prefix ends where a segment of the path does (kuma-core §7.5)."""
    match request.path_type:
        case "Exact":
            return (StringMatcher(exact=request.path),)
        case "RegularExpression":
            matcher = StringMatcher()
            matcher.safe_regex.regex = request.path
            return (matcher,)
    whole = request.path.rstrip("/")
    return StringMatcher(exact=whole), StringMatcher(prefix=f"{whole}/")


def _path(matcher: StringMatcher) -> RbacPrincipal:
    principal = RbacPrincipal()
    principal.url_path.path.CopyFrom(matcher)
    return principal


def _principal(principal: Principal) -> RbacPrincipal:
    matches = [_uri(match) for match in principal.present] + [_not(_uri(match)) for match in principal.absent]
    return _all(matches) if matches else RbacPrincipal(any=True)


def _uri(match: UriMatch) -> RbacPrincipal:
    """`principal_name` looks at every URI of the certificate (kuma-policies §1.8)."""
    principal = RbacPrincipal()
    name = principal.authenticated.principal_name
    if match.prefix:
        name.prefix = match.value
    else:
        name.exact = match.value
    return principal


def _not(principal: RbacPrincipal) -> RbacPrincipal:
    return RbacPrincipal(not_id=principal)


def _any(principals: list[RbacPrincipal]) -> RbacPrincipal:
    return principals[0] if len(principals) == 1 else RbacPrincipal(or_ids=RbacPrincipal.Set(ids=principals))


def _all(principals: list[RbacPrincipal]) -> RbacPrincipal:
    """Everyone, where it stands beside a condition, is no condition."""
    conditions = [principal for principal in principals if not principal.any] or principals
    return conditions[0] if len(conditions) == 1 else RbacPrincipal(and_ids=RbacPrincipal.Set(ids=conditions))
