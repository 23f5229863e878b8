"""MeshGlobalRateLimit: how many requests all proxies of a service let through together (kuma-policies §3.2).

A service apart counts; what it is to count by (compiler/snapshot/rate_limits.py) is made of what the routes say of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimit as RateLimitFilter
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from google.protobuf.message import Message

from compiler.envoy.clusters import HTTP
from compiler.envoy.common import set_duration
from compiler.envoy.names import RATE_LIMITS
from compiler.envoy.outside import encrypt, outside_cluster
from compiler.envoy.packing import pack
from compiler.envoy.policy import Hooks, Policy, Site, Stage, StagedHttpFilter
from compiler.envoy.refusals import TOO_MANY, check_refusal, limit_status
from compiler.envoy.resources import ResourceType
from compiler.envoy.routes import header_options
from compiler.mesh.http_route import HeaderChange
from compiler.mesh.policy import NO_REQUESTS, Inbounds, Need, PolicyKind, Reached
from compiler.mesh.value import Owner
from compiler.resources.checks.telemetry import UNVERIFIED
from compiler.resources.findings import BAD_VALUE, MISSING_FIELD, NO_EFFECT, Finding, join
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.model import Spec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import Duration

FILTER: Final = "envoy.filters.http.ratelimit"
SERVICE: Final = "kuma.io/service"
INBOUND: Final = "inbound"
_UNITS: Final = {"1s": "second", "1m": "minute", "1h": "hour", "24h": "day"}
_NANOSECONDS: Final = {Duration.parse(interval): unit for interval, unit in _UNITS.items()}
_SHADOW: Final = "Shadow"
_PORTS: Final = {"http": 80, "https": 443}
_LISTENER: Final = "self_inbound_dp_"


class Rate(Spec, frozen=True):
    num: int
    interval: Duration

    @property
    def described(self) -> Mapping[str, Any]:
        """As the service reads it."""
        return {"unit": _NANOSECONDS.get(self.interval, ""), "requests_per_unit": self.num}


class Limit(Spec, frozen=True):
    value: str
    request_rate: Rate | None = None


class ByHeader(Spec, frozen=True):
    """Limits of single values of a header."""

    name: str
    limits: tuple[Limit, ...] = ()


class Header(Spec, frozen=True):
    name: str
    value: str


class Headers(Spec, frozen=True):
    set: tuple[Header, ...] = ()
    add: tuple[Header, ...] = ()


class Answer(Spec, frozen=True):
    status: int = TOO_MANY
    headers: Headers = Headers()


class Http(Spec, frozen=True):
    disabled: bool = False
    request_rate: Rate | None = None
    ratelimit_on_request: tuple[ByHeader, ...] = ()
    on_rate_limit: Answer = Answer()


class Service(Spec, frozen=True):
    url: str = ""
    timeout: Duration | None = None
    limit_on_service_fail: bool = False

    @property
    def address(self) -> tuple[str, int]:
        return urlsplit(self.url).hostname or "", _port(self.url) or _PORTS.get(urlsplit(self.url).scheme, 0)

    @property
    def is_encrypted(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def cluster(self) -> str:
        host, port = self.address
        return f"system_ratelimit_{host.replace(':', '_')}-{port}{'_tls' * self.is_encrypted}" if host else ""


class Backend(Spec, frozen=True):
    rate_limit_service: Service = Service()


class GlobalLimit(Spec, frozen=True):
    http: Http = Http()
    mode: str = "Limit"
    backend: Backend = Backend()

    @property
    def limits(self) -> bool:
        return not self.http.disabled and self.has_rates

    @property
    def has_rates(self) -> bool:
        rates = (one.request_rate for each in self.http.ratelimit_on_request for one in each.limits)
        return any(rate is not None for rate in (self.http.request_rate, *rates))


def add_filter(conf: GlobalLimit, site: Site) -> Iterator[StagedHttpFilter]:
    """Before the limit that a proxy keeps alone has let a request through nobody is asked (Stage)."""
    if not conf.limits or site.owner is None:
        return
    service, answer = conf.backend.rate_limit_service, conf.http.on_rate_limit
    message = RateLimitFilter(domain=site.owner.mesh)
    set_duration(message.timeout, service.timeout)
    message.failure_mode_deny = service.limit_on_service_fail and conf.mode != _SHADOW
    for status in (message.rate_limited_status, *((message.status_on_error,) if message.failure_mode_deny else ())):
        status.code = cast(Any, limit_status(answer.status))
    message.rate_limited_as_resource_exhausted = site.protocol == "grpc"
    sets, adds = (tuple((one.name, one.value) for one in each) for each in (answer.headers.set, answer.headers.add))
    message.response_headers_to_add.extend(header_options(HeaderChange(set=sets, add=adds)))
    if service.cluster:
        message.rate_limit_service.transport_api_version = ApiVersion.V3
        message.rate_limit_service.grpc_service.envoy_grpc.cluster_name = service.cluster
    yield Stage.GLOBAL_LIMIT, HttpFilter(name=FILTER, typed_config=pack(message))


def describe_requests(conf: GlobalLimit, route: Route, site: Site) -> None:
    """What is counted, and beside it how much of it is allowed: Envoy asks by the one, and ignores the other."""
    if not conf.limits or site.owner is None:
        return
    section = site.name.removeprefix(_LISTENER)
    service = {"key": SERVICE, "value": site.owner.service}
    counted: dict[str, Any] = {"key": INBOUND, "value": section}
    if conf.http.request_rate is not None:
        _describe(route, (service, counted), "")
        counted |= _limited(conf.http.request_rate, conf.mode)
    for each in conf.http.ratelimit_on_request:
        limited = [one for one in each.limits if one.request_rate is not None]
        if limited:
            _describe(route, (service, counted), each.name)
            entries = [_value(each.name, one, conf.mode) for one in limited]
            counted["descriptors"] = [*counted.get("descriptors", ()), *entries]
    told = route.metadata.filter_metadata[RATE_LIMITS]
    told.update({"domain": site.owner.mesh, "descriptors": [{**service, "descriptors": [counted]}]})


def _describe(route: Route, keys: tuple[Mapping[str, Any], ...], header: str) -> None:
    limit = route.route.rate_limits.add()
    for key in keys:
        action = limit.actions.add().generic_key
        action.descriptor_key, action.descriptor_value = key["key"], key["value"]
    if header:
        said = limit.actions.add().request_headers
        said.header_name, said.descriptor_key = header, header


def _value(name: str, limit: Limit, mode: str) -> Mapping[str, Any]:
    rate = limit.request_rate
    return {"key": name, "value": limit.value, **(_limited(rate, mode) if rate is not None else {})}


def _limited(rate: Rate, mode: str) -> Mapping[str, Any]:
    shadow = {"shadow_mode": True} if mode == _SHADOW else {}
    return {"rate_limit": rate.described, **shadow}


def add_service(conf: GlobalLimit, _: Owner | None) -> Iterator[tuple[ResourceType, Message]]:
    service = conf.backend.rate_limit_service
    if conf.limits and service.cluster:
        cluster = outside_cluster(service.cluster, *service.address, http2=True)
        if service.is_encrypted:
            encrypt(cluster, service.address[0], alpn=("h2",))
        yield ResourceType.CLUSTER, cluster


def check(policy: PolicySpec) -> Iterator[Finding]:
    for part in ("to", "from_"):
        for index, item in enumerate(getattr(policy, part)):
            pointer = join("", part.rstrip("_"), index, "default")
            yield from _check_http((item.default or {}).get("http") or {}, join(pointer, "http"))
            service = ((item.default or {}).get("backend") or {}).get("rateLimitService") or {}
            at = join(pointer, "backend", "rateLimitService")
            yield from _check_url(service.get("url"), join(at, "url"))
            if service.get("limitOnServiceFail") and (item.default or {}).get("mode") == _SHADOW:
                message = "in mode Shadow nothing is refused, whatever the service does"
                yield Finding(join(at, "limitOnServiceFail"), NO_EFFECT, message, "take it out", on_key=True)


def _check_http(http: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from check_refusal(http.get("onRateLimit") or {}, join(pointer, "onRateLimit"))
    yield from _check_rate(http.get("requestRate"), join(pointer, "requestRate"))
    for place, each in enumerate(http.get("ratelimitOnRequest") or ()):
        for index, limit in enumerate(each["limits"]):
            at = join(pointer, "ratelimitOnRequest", place, "limits", index)
            if limit.get("requestRate") is None:
                message = "a value without requestRate is not limited"
                yield Finding(at, MISSING_FIELD, message, "say how many requests are let through")
            yield from _check_rate(limit.get("requestRate"), join(at, "requestRate"))


def _check_rate(rate: Mapping[str, Any] | None, pointer: str) -> Iterator[Finding]:
    if rate is not None and Duration.parse(rate["interval"]) not in _NANOSECONDS:
        message = "the service counts by 1s, 1m, 1h or 24h"
        yield Finding(join(pointer, "interval"), BAD_VALUE, message, "MeshRateLimit takes any interval")


def _port(url: str) -> int | None:
    """None where none is written; 0, which is no port, where it is too large for one."""
    try:
        return urlsplit(url).port
    except ValueError:
        return 0


def _check_url(url: str | None, pointer: str) -> Iterator[Finding]:
    """The schema has judged its form."""
    if url is None:
        return
    parts = urlsplit(url)
    if _port(url) == 0:
        yield Finding(pointer, BAD_VALUE, "the port must be from 1 to 65535")
    if parts.scheme == "https":
        yield Finding(pointer, UNVERIFIED, "the service's certificate is not checked")
    if parts.path not in ("", "/"):
        yield Finding(pointer, BAD_VALUE, "the protocol of rate limits has no path", "take the path out")


def idle(policy: PolicySpec, reached: Reached) -> str:
    """Requests are counted; what is said of gateways is theirs to judge."""
    if policy.to or reached.selected & HTTP:
        return ""
    return NO_REQUESTS


def _is_asked(conf: GlobalLimit) -> bool | None:
    return conf.has_rates or conf.http.disabled if conf.backend.rate_limit_service.url else None


POLICY: Final = Policy(
    PolicyKind(
        type="MeshGlobalRateLimit",
        conf=GlobalLimit,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            to=frozenset({"Mesh"}),
            from_=frozenset({"Mesh"}),
            gateways_only=frozenset({"to"}),
        ),
        inbounds=Inbounds.WHOLE,
        names_owner=True,
        check=check,
        idle=idle,
        needs=(
            Need(
                ("backend",),
                _is_asked,
                "no policy that holds here says how many requests there may be: the service is asked nothing",
                "add http.requestRate",
            ),
        ),
    ),
    Hooks(route_filters=describe_requests, http_filters=add_filter, resources=add_service),
)
