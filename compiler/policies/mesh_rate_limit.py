"""MeshRateLimit: how many requests and connections a proxy lets through by itself (kuma-policies §2.11)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.filters.network.local_ratelimit.v3.local_rate_limit_pb2 import (
    LocalRateLimit as ConnectionLimit,
)
from envoy.type.v3.token_bucket_pb2 import TokenBucket

from compiler.envoy.clusters import HTTP
from compiler.envoy.common import set_duration
from compiler.envoy.packing import pack
from compiler.envoy.policy import Hooks, Policy, Site, Stage, StagedFilter
from compiler.envoy.refusals import TOO_MANY, check_refusal, limit_status
from compiler.envoy.routes import header_options
from compiler.mesh.http_route import HeaderChange
from compiler.mesh.policy import Inbounds, PolicyKind, Reached
from compiler.resources.findings import BAD_VALUE, EXCLUSIVE_FIELDS, MISSING_FIELD, NO_EFFECT, Finding, join
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.model import Spec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import Duration

FILTER: Final = "envoy.filters.http.local_ratelimit"
CONNECTION_FILTER: Final = "envoy.filters.network.local_ratelimit"
_SHORTEST: Final = Duration(50 * 10**6)
_RATES: Final = {"http": "requestRate", "tcp": "connectionRate"}


class Rate(Spec, frozen=True):
    num: int
    interval: Duration


class Header(Spec, frozen=True):
    name: str
    value: str


class Headers(Spec, frozen=True):
    set: tuple[Header, ...] = ()
    add: tuple[Header, ...] = ()


class Answer(Spec, frozen=True):
    status: int = TOO_MANY
    headers: Headers = Headers()


class HttpLimit(Spec, frozen=True):
    disabled: bool = False
    request_rate: Rate | None = None
    on_rate_limit: Answer = Answer()


class TcpLimit(Spec, frozen=True):
    disabled: bool = False
    connection_rate: Rate | None = None


class Local(Spec, frozen=True):
    http: HttpLimit = HttpLimit()
    tcp: TcpLimit = TcpLimit()


class RateLimit(Spec, frozen=True):
    local: Local = Local()


def limit_requests(conf: RateLimit, route: Route, site: Site) -> None:
    """A bucket for each class of callers; without runtime keys, which would switch every limit at once."""
    http = conf.local.http
    if http.disabled or http.request_rate is None:
        return
    limit = LocalRateLimit(stat_prefix="rate_limit")
    limit.status.code = cast(Any, limit_status(http.on_rate_limit.status))
    _fill(limit.token_bucket, http.request_rate)
    for share in (limit.filter_enabled, limit.filter_enforced):
        share.default_value.numerator = 100
    limit.response_headers_to_add.extend(header_options(_change(http.on_rate_limit.headers)))
    limit.rate_limited_as_resource_exhausted = site.protocol == "grpc"
    route.typed_per_filter_config[FILTER].CopyFrom(pack(limit))


def limit_connections(conf: RateLimit, _: Site) -> Iterator[StagedFilter]:
    """Taken before a caller has shown who it is, so it is one limit for all of them."""
    tcp = conf.local.tcp
    if not tcp.disabled and tcp.connection_rate is not None:
        limit = ConnectionLimit(stat_prefix="tcp_rate_limit")
        _fill(limit.token_bucket, tcp.connection_rate)
        yield Stage.LIMIT, Filter(name=CONNECTION_FILTER, typed_config=pack(limit))


def _fill(bucket: TokenBucket, rate: Rate) -> None:
    bucket.max_tokens = rate.num
    bucket.tokens_per_fill.value = rate.num
    set_duration(bucket.fill_interval, rate.interval)


def _change(headers: Headers) -> HeaderChange:
    """A value with commas is one value, which Kuma splits (kuma-policies §1.3)."""
    sets, adds = (tuple((one.name, one.value) for one in each) for each in (headers.set, headers.add))
    return HeaderChange(set=sets, add=adds)


def check(policy: PolicySpec) -> Iterator[Finding]:
    for part in ("to", "from_", "rules"):
        for index, item in enumerate(getattr(policy, part)):
            pointer = join("", part.rstrip("_"), index)
            yield from _check_local((item.default or {}).get("local") or {}, join(pointer, "default", "local"))
            if part == "rules" and item.matches:
                yield from _check_matched(item.default or {}, item.matches, pointer)


def _check_local(local: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    for protocol, rate in _RATES.items():
        limit = local.get(protocol)
        if limit is None:
            continue
        at = join(pointer, protocol)
        yield from check_refusal(limit.get("onRateLimit") or {}, join(at, "onRateLimit"))
        if rate not in limit and not limit.get("disabled"):
            yield Finding(at, MISSING_FIELD, f"a limit needs {rate}, or disabled: true", on_key=True)
        elif rate in limit and Duration.parse(limit[rate]["interval"]) <= _SHORTEST:
            message = "the interval must be longer than 50ms"
            yield Finding(join(at, rate, "interval"), BAD_VALUE, message, "make num and interval larger together")


def _check_matched(conf: Mapping[str, Any], matches: tuple[Any, ...], pointer: str) -> Iterator[Finding]:
    if "tcp" in conf.get("local", {}) and any("spiffeID" in match for match in matches):
        message = "a connection is counted before its caller is known: tcp cannot depend on spiffeID"
        at = join(pointer, "default", "local", "tcp")
        yield Finding(at, EXCLUSIVE_FIELDS, message, "limit connections in a rule without matches", on_key=True)
    for index, match in enumerate(matches):
        if "sni" in match:
            message = "no caller of a sidecar is told apart by SNI: the match changes nothing"
            yield Finding(join(pointer, "matches", index, "sni"), NO_EFFECT, message, "name callers by spiffeID")


def idle(policy: PolicySpec, reached: Reached) -> str:
    """Connections are limited everywhere, requests where there are some."""
    confs = [(item.default or {}).get("local") or {} for item in (*policy.from_, *policy.rules, *policy.to)]
    if any("tcp" in conf for conf in confs) or reached.selected & HTTP:
        return ""
    return "nothing that it selects takes requests: limit connections by local.tcp"


POLICY: Final = Policy(
    PolicyKind(
        type="MeshRateLimit",
        conf=RateLimit,
        targets=TargetMatrix(
            top=frozenset(
                {"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshHTTPRoute", "MeshGateway", "Dataplane"}
            ),
            to=frozenset({"Mesh"}),
            from_=frozenset({"Mesh"}),
            rules=True,
            gateways_only=frozenset({"to"}),
            never_gateways=frozenset({"rules", "from"}),
            system_only=frozenset({"MeshHTTPRoute", "MeshGateway"}),
        ),
        inbounds=Inbounds.BY_SOURCE,
        check=check,
        idle=idle,
    ),
    Hooks(route_filters=limit_requests, network_filters=limit_connections),
    slots=((Stage.LIMIT, HttpFilter(name=FILTER, typed_config=pack(LocalRateLimit(stat_prefix="rate_limit")))),),
)
