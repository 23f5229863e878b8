"""MeshRetry: which failed requests and connections are tried again, and how often (kuma-policies §2.12)."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from envoy.config.route.v3.route_components_pb2 import RetryPolicy, RouteAction
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.retry.host.omit_host_metadata.v3.omit_host_metadata_config_pb2 import OmitHostMetadataConfig
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import (
    PreviousPrioritiesConfig,
)
from msgspec import field

from compiler.envoy.clusters import HTTP
from compiler.envoy.common import set_duration, struct
from compiler.envoy.packing import pack
from compiler.envoy.policy import Hooks, Policy, Site
from compiler.envoy.routes import header_matcher
from compiler.mesh.http_route import HeaderMatch
from compiler.mesh.policy import PolicyKind
from compiler.resources.model import Conf, Spec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import Duration

_BASE_INTERVAL: Final = Duration(25 * 10**6)
"""Envoy refuses a back-off without one; Kuma's is 25ms (kuma-policies §8, defect 7)."""
_MAX_RATE_LIMITED: Final = Duration(300 * 10**9)
_LARGEST: Final = 2**31 - 1
"""What the field for a number of attempts holds; so many are never made."""
_HTTP_DEFAULT: Final = "gateway-error,connect-failure,refused-stream"
_GRPC_DEFAULT: Final = "cancelled,connect-failure,gateway-error,refused-stream,reset,resource-exhausted,unavailable"
_BY_HEADERS: Final = "retriable-headers"
"""Without this word Envoy does not look at the headers of an answer."""
_HTTP_TOKENS: Final = {
    "5xx": "5xx",
    "gatewayerror": "gateway-error",
    "reset": "reset",
    "retriable4xx": "retriable-4xx",
    "connectfailure": "connect-failure",
    "envoyratelimited": "envoy-ratelimited",
    "refusedstream": "refused-stream",
    "http3postconnectfailure": "http3-post-connect-failure",
}
_GRPC_TOKENS: Final = {
    "canceled": "cancelled",
    "deadlineexceeded": "deadline-exceeded",
    "internal": "internal",
    "resourceexhausted": "resource-exhausted",
    "unavailable": "unavailable",
}
"""Envoy's words; it ignores others in silence, so the schema knows all of Kuma's (kuma-policies §8, defect 6)."""
_METHOD: Final = "httpmethod"
_FORMATS: Final = {
    "Seconds": RetryPolicy.ResetHeaderFormat.SECONDS,
    "UnixTimestamp": RetryPolicy.ResetHeaderFormat.UNIX_TIMESTAMP,
}


class TcpRetry(Spec, frozen=True):
    max_connect_attempt: int | None = None


class BackOff(Spec, frozen=True):
    base_interval: Duration = _BASE_INTERVAL
    max_interval: Duration | None = None


class ResetHeader(Spec, frozen=True):
    name: str
    format: str


class RateLimitedBackOff(Spec, frozen=True):
    reset_headers: tuple[ResetHeader, ...] = ()
    max_interval: Duration = _MAX_RATE_LIMITED


class Header(Spec, frozen=True):
    name: str
    type: str = "Exact"
    value: str = ""


class HostSelection(Spec, frozen=True):
    predicate: str
    tags: dict[str, str] = field(default_factory=dict)
    update_frequency: int = 2

    def __hash__(self) -> int:
        """Confs are remembered by their values; the one of a mapping does not hash by itself."""
        return hash((self.predicate, tuple(sorted(self.tags.items())), self.update_frequency))


class GrpcRetry(Spec, frozen=True):
    num_retries: int | None = None
    per_try_timeout: Duration | None = None
    back_off: BackOff | None = None
    rate_limited_back_off: RateLimitedBackOff | None = None
    retry_on: tuple[str, ...] = ()


class HttpRetry(GrpcRetry, frozen=True):
    retriable_response_headers: tuple[Header, ...] = ()
    retriable_request_headers: tuple[Header, ...] = ()
    host_selection: tuple[HostSelection, ...] = ()
    host_selection_max_attempts: int | None = None


class Retry(Spec, frozen=True):
    """What is absent is not tried again."""

    tcp: TcpRetry | None = None
    http: HttpRetry | None = None
    grpc: GrpcRetry | None = None


def set_connect_attempts(conf: Retry, proxy: TcpProxy, _: Site) -> None:
    if conf.tcp is not None and conf.tcp.max_connect_attempt is not None:
        proxy.max_connect_attempts.value = conf.tcp.max_connect_attempt


def set_retries(conf: Retry, route: RouteAction, site: Site) -> None:
    """HTTP/2 counts as HTTP, which Kuma leaves out (kuma-policies §8, defect 5)."""
    if site.protocol == "grpc":
        if conf.grpc is not None:
            _set_attempts(conf.grpc, route.retry_policy)
            route.retry_policy.retry_on = _join(_GRPC_TOKENS, conf.grpc.retry_on) or _GRPC_DEFAULT
    elif conf.http is not None:
        _set_attempts(conf.http, route.retry_policy)
        _set_http(conf.http, route.retry_policy)


def _set_attempts(conf: GrpcRetry, policy: RetryPolicy) -> None:
    if conf.num_retries is not None:
        policy.num_retries.value = conf.num_retries
    set_duration(policy.per_try_timeout, conf.per_try_timeout)
    if conf.back_off is not None:
        set_duration(policy.retry_back_off.base_interval, conf.back_off.base_interval)
        set_duration(policy.retry_back_off.max_interval, conf.back_off.max_interval)
    if conf.rate_limited_back_off is not None:
        limited = policy.rate_limited_retry_back_off
        for header in conf.rate_limited_back_off.reset_headers:
            limited.reset_headers.add(name=header.name, format=_FORMATS[header.format])
        set_duration(limited.max_interval, conf.rate_limited_back_off.max_interval)


def _set_http(conf: HttpRetry, policy: RetryPolicy) -> None:
    statuses = [int(word) for word in conf.retry_on if word.isdigit()]
    policy.retriable_status_codes.extend(statuses)
    tokens = [_join(_HTTP_TOKENS, conf.retry_on), "retriable-status-codes" if statuses else ""]
    policy.retry_on = ",".join(token for token in tokens if token) or _HTTP_DEFAULT
    if conf.retriable_response_headers:
        policy.retry_on += f",{_BY_HEADERS}"
    for method in _methods(conf.retry_on):
        policy.retriable_request_headers.add(name=":method").string_match.exact = method
    policy.retriable_headers.extend(_matchers(conf.retriable_response_headers))
    policy.retriable_request_headers.extend(_matchers(conf.retriable_request_headers))
    for selection in conf.host_selection:
        _set_hosts(selection, policy)
    if conf.host_selection_max_attempts is not None:
        policy.host_selection_retry_max_attempts = conf.host_selection_max_attempts


def _set_hosts(selection: HostSelection, policy: RetryPolicy) -> None:
    match selection.predicate:
        case "OmitPreviousHosts":
            predicate = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
            predicate.typed_config.CopyFrom(pack(PreviousHostsPredicate()))
        case "OmitHostsWithTags":
            omitted = OmitHostMetadataConfig()
            omitted.metadata_match.filter_metadata["envoy.lb"].CopyFrom(struct(selection.tags.items()))
            predicate = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.omit_host_metadata")
            predicate.typed_config.CopyFrom(pack(omitted))
        case "OmitPreviousPriorities":
            policy.retry_priority.name = "envoy.retry_priorities.previous_priorities"
            previous = PreviousPrioritiesConfig(update_frequency=min(selection.update_frequency, _LARGEST))
            policy.retry_priority.typed_config.CopyFrom(pack(previous))


def _join(tokens: dict[str, str], words: Sequence[str]) -> str:
    return ",".join(tokens[word.lower()] for word in words if word.lower() in tokens)


def _methods(words: Sequence[str]) -> Iterator[str]:
    return (word[len(_METHOD) :].upper() for word in words if word.lower().startswith(_METHOD))


def _matchers(headers: Sequence[Header]) -> Iterator[Any]:
    return (header_matcher(HeaderMatch(header.name, header.type, header.value)) for header in headers)


def mute(conf: Conf, protocol: str) -> str:
    part = "grpc" if protocol == "grpc" else "http" if protocol in HTTP else "tcp"
    return "" if conf.get(part) is not None else f"add {part}"


POLICY: Final = Policy(
    PolicyKind(
        type="MeshRetry",
        conf=Retry,
        targets=TargetMatrix(
            top=frozenset(
                {"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshHTTPRoute", "MeshGateway", "Dataplane"}
            ),
            to=frozenset({"Mesh", "MeshService", "MeshExternalService", "MeshMultiZoneService", "MeshHTTPRoute"}),
            to_under=dict.fromkeys(("MeshHTTPRoute", "MeshGateway"), frozenset({"Mesh", "MeshExternalService"})),
            system_only=frozenset({"MeshHTTPRoute", "MeshGateway"}),
        ),
        outbound=True,
        routes=True,
        mute=mute,
    ),
    Hooks(route=set_retries, tcp=set_connect_attempts),
)
