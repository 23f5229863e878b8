"""What the proxy in front of a service does with a call: its chain for the caller's TLS, its permissions."""

from dataclasses import dataclass
from typing import Any, Final

from envoy.config.rbac.v3.rbac_pb2 import RBAC as RbacRules
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import SubjectAltNameMatcher
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext

from compiler.envoy.names import NETWORK_RBAC_FILTER
from compiler.envoy.packing import unpack
from compiler.envoy.resources import ResourceType
from compiler.review.promises.routing.answer import CannotTell
from compiler.review.promises.routing.held import Callee, Fleet, Held, is_http, terminal_filter
from compiler.review.promises.routing.match import Request, matches_header, matches_string
from compiler.snapshot.names import FROM_AGENT

_HTTP_RBAC: Final = "envoy.extensions.filters.http.rbac.v3.RBAC"
_NETWORK_RBAC: Final = "envoy.extensions.filters.network.rbac.v3.RBAC"
_URI: Final = SubjectAltNameMatcher.SanType.URI


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call at the proxy of a service. `chain` is None where the two could not agree on TLS, for the reason `why`."""

    held: Held
    chain: Any
    identities: tuple[str, ...] = ()
    why: str = ""


def arrive(fleet: Fleet, caller: Held, cluster: str, callee: Callee) -> Arrival:
    """The filter chain that takes the connection; both sides check each other's certificate."""
    held = fleet[callee.node]
    listener = held.find(ResourceType.LISTENER, callee.listener)
    socket = caller.find(ResourceType.CLUSTER, cluster).transport_socket
    if not socket.name:
        return _in_plaintext(held, listener)
    context: Any = unpack(socket.typed_config)
    if not isinstance(context, UpstreamTlsContext):
        raise CannotTell(f"a cluster with the transport socket {socket.name}")
    announced = list(context.common_tls_context.alpn_protocols)
    chain = _best_chain(listener, "tls", announced)
    if chain is None or not chain.HasField("transport_socket"):
        return Arrival(held, None, why=f"{callee.node} does not speak the mesh's TLS there")
    why = _distrust(context, chain, caller, held)
    return Arrival(held, None if why else chain, caller.uris, why)


def _in_plaintext(held: Held, listener: Any) -> Arrival:
    chain = _best_chain(listener, "raw_buffer", [])
    if chain is None or chain.HasField("transport_socket"):
        return Arrival(held, None, why="the caller comes in plaintext, and the service requires TLS")
    return Arrival(held, chain)


def _best_chain(listener: Any, transport: str, protocols: list[str]) -> Any:
    """The most specific that matches: by protocols, then by transport, then the one without conditions."""
    best, rank = None, -1
    for chain in listener.filter_chains:
        match = chain.filter_chain_match
        wanted = set(match.application_protocols)
        if match.transport_protocol not in {"", transport} or (wanted and wanted.isdisjoint(protocols)):
            continue
        found = 2 * bool(match.transport_protocol) + bool(wanted)
        if found > rank:
            best, rank = chain, found
    return best


def _distrust(context: Any, chain: Any, caller: Held, callee: Held) -> str:
    """Why one of the two refuses the other's certificate; empty where neither does."""
    server: Any = unpack(chain.transport_socket.typed_config)
    if not isinstance(server, DownstreamTlsContext):
        raise CannotTell(f"a chain with the transport socket {chain.transport_socket.name}")
    if not _accepts(context, callee.uris):
        return f"the caller does not accept the identity of {callee.snapshot.node}"
    if server.require_client_certificate.value and not caller.uris:
        return "the caller has no certificate"
    if caller.uris and not _accepts(server, caller.uris):
        return f"{callee.snapshot.node} does not accept the caller's identity"
    if not _believes(caller, callee, context) or (caller.uris and not _believes(callee, caller, server)):
        return "the two trust different authorities"
    return ""


def _believes(held: Held, other: Held, context: Any) -> bool:
    """What somebody wrote into a MeshTrust, or an agent of SPIRE knows, is believed to be right."""
    shown = next((one for one in other.snapshot.secrets if one.uris), None)
    name = context.common_tls_context.combined_validation_context.validation_context_sds_secret_config.name
    trusted = [one for secret in held.snapshot.secrets for one in secret.trusted if secret.name == name]
    if shown is None or (not trusted and any(one.kind == FROM_AGENT for one in held.snapshot.secrets)):
        return shown is not None
    domain = shown.uris[0].removeprefix("spiffe://").partition("/")[0]
    mesh, their_mesh = held.snapshot.node.mesh, other.snapshot.node.mesh
    if trusted:
        meant = [one for one in trusted if one.domain == domain]
        return any(one.pem or (one.authority, one.mesh or mesh) == (shown.authority, their_mesh) for one in meant)
    return mesh == their_mesh and any(one.authority == shown.authority for one in held.snapshot.secrets)


def _accepts(context: Any, uris: tuple[str, ...]) -> bool:
    validation = context.common_tls_context.combined_validation_context.default_validation_context
    names = [one for one in validation.match_typed_subject_alt_names if one.san_type == _URI]
    return not names or any(matches_string(one.matcher, uri) for one in names for uri in uris)


def admits(arrival: Arrival, request: Request) -> bool:
    """Whether every filter with permissions lets the call pass."""
    rules = [rule for rule in _permissions(arrival) if rule is not None]
    return all(_allows(rule, arrival.identities, request) for rule in rules)


def _permissions(arrival: Arrival) -> list[RbacRules | None]:
    """None for a filter without rules, which lets everyone pass."""
    found = []
    for one in arrival.chain.filters[:-1]:
        config = arrival.held.filter(one)
        if config.DESCRIPTOR.full_name == _NETWORK_RBAC or one.name == NETWORK_RBAC_FILTER:
            found.append(config.rules if config.HasField("rules") else None)
    last = arrival.held.filter(terminal_filter(arrival.chain))
    for one in last.http_filters if is_http(last) else ():
        config = arrival.held.filter(one)
        if config.DESCRIPTOR.full_name == _HTTP_RBAC:
            found.append(config.rules if config.HasField("rules") else None)
    return found


def _allows(rules: Any, identities: tuple[str, ...], request: Request) -> bool:
    """Of an ALLOW one policy must match, of a DENY none may."""
    matched = any(
        any(_permits(one, request) for one in policy.permissions)
        and any(_is(one, identities, request) for one in policy.principals)
        for policy in rules.policies.values()
    )
    return matched is not bool(rules.action == RbacRules.Action.DENY)


def _permits(permission: Any, request: Request) -> bool:
    match permission.WhichOneof("rule"):
        case "any":
            return bool(permission.any)
        case "and_rules":
            return all(_permits(one, request) for one in permission.and_rules.rules)
        case "or_rules":
            return any(_permits(one, request) for one in permission.or_rules.rules)
        case "not_rule":
            return not _permits(permission.not_rule, request)
        case "header":
            return matches_header(permission.header, request.header(permission.header.name))
        case "url_path":
            return matches_string(permission.url_path.path, request.bare_path)
        case other:
            raise CannotTell(f"a permission by {other}, which the Python engine does not know")


def _is(principal: Any, identities: tuple[str, ...], request: Request) -> bool:
    match principal.WhichOneof("identifier"):
        case "any":
            return bool(principal.any)
        case "and_ids":
            return all(_is(one, identities, request) for one in principal.and_ids.ids)
        case "or_ids":
            return any(_is(one, identities, request) for one in principal.or_ids.ids)
        case "not_id":
            return not _is(principal.not_id, identities, request)
        case "authenticated":
            name = principal.authenticated.principal_name
            any_name = not principal.authenticated.HasField("principal_name")
            return bool(identities) and (any_name or any(matches_string(name, one) for one in identities))
        case "header":
            return matches_header(principal.header, request.header(principal.header.name))
        case other:
            raise CannotTell(f"a principal by {other}, which the Python engine does not know")
