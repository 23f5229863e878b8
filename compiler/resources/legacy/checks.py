"""What legacy policies must hold beyond their schemas: what Kuma refuses, at the field that it names."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from compiler.resources.checks.policy import check_retries
from compiler.resources.findings import BAD_VALUE, DUPLICATE_NAME, MISSING_FIELD, Finding, join
from compiler.resources.legacy.check_names import check_template, check_virtual_outbound
from compiler.resources.legacy.check_route import check_traffic_route
from compiler.resources.model import PROTOCOL, SERVICE
from compiler.resources.values import Duration

_ONE_SIDED: Final = frozenset({"ProxyTemplate", "TrafficTrace", "VirtualOutbound"})
_INBOUND: Final = frozenset({"FaultInjection", "RateLimit", "TrafficPermission"})
_WITHOUT_CONF: Final = frozenset({"ProxyTemplate", "TrafficLog", "TrafficPermission", "TrafficTrace"})
_FAULTY: Final = ("http", "http2", "grpc")
_LEAST_INTERVAL: Final = Duration(50_000_000)


def check_legacy(kind: str, content: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Selectors, then what the type says."""
    if kind in _ONE_SIDED:
        yield from _check_selectors(kind, content, "selectors", pointer)
    else:
        yield from _check_selectors(kind, content, "sources", pointer)
        yield from _check_selectors(kind, content, "destinations", pointer)
    if "conf" in content:
        yield from _OF_KIND.get(kind, _nothing_more)(content["conf"], join(pointer, "conf"))
    elif kind not in _WITHOUT_CONF:
        yield Finding(join(pointer, "conf"), MISSING_FIELD, f"a {kind} says nothing without conf")


def _check_selectors(kind: str, content: Mapping[str, Any], side: str, pointer: str) -> Iterator[Finding]:
    if not content.get(side):
        hint = "a selector of kuma.io/service: '*' is for all"
        yield Finding(join(pointer, side), MISSING_FIELD, f"a {kind} needs an entry in {side}", hint)
    needs_service = (kind not in _INBOUND and kind not in _ONE_SIDED) or kind == "ProxyTemplate"
    for index, selector in enumerate(content.get(side, ())):
        match, at = selector["match"], join(pointer, side, index, "match")
        if needs_service and SERVICE not in match:
            yield Finding(at, MISSING_FIELD, f"the tag {SERVICE} is missing", f"{SERVICE}: '*' stands for all")
        if side == "destinations" and needs_service:
            yield from _check_only_service(match, at)
        if side == "destinations" and kind == "FaultInjection":
            yield from _check_protocol(match, at)


def _check_only_service(match: Mapping[str, str], at: str) -> Iterator[Finding]:
    for key in match:
        if key != SERVICE:
            message = f"outgoing traffic is told apart by {SERVICE} alone, so {key} cannot be asked for"
            yield Finding(join(at, key), BAD_VALUE, message, "take it out", on_key=True)


def _check_protocol(match: Mapping[str, str], at: str) -> Iterator[Finding]:
    hint = "one of http, http2 and grpc"
    if PROTOCOL not in match:
        yield Finding(at, MISSING_FIELD, f"the tag {PROTOCOL} is missing: faults are of HTTP", hint)
    elif match[PROTOCOL] not in _FAULTY:
        yield Finding(join(at, PROTOCOL), BAD_VALUE, f"there are no faults of {match[PROTOCOL]}", hint)


def _check_circuit_breaker(conf: Mapping[str, Any], at: str) -> Iterator[Finding]:
    if not conf.get("detectors") and not conf.get("thresholds"):
        yield Finding(at, MISSING_FIELD, "neither a detector nor a threshold is given", "give one of them")
        return
    for name in ("detectors", "thresholds"):
        if name in conf and not conf[name]:
            yield Finding(join(at, name), MISSING_FIELD, f"{name} is empty", "take it out", on_key=True)


def _check_retry(conf: Mapping[str, Any], at: str) -> Iterator[Finding]:
    for protocol in ("http", "grpc"):
        back_off = conf.get(protocol, {}).get("backOff")
        if back_off is not None and "baseInterval" not in back_off:
            pointer = join(at, protocol, "backOff", "baseInterval")
            yield Finding(pointer, MISSING_FIELD, "baseInterval is missing: how long the first wait is", "such as 25ms")
    yield from check_retries(conf, at)
    http, grpc = conf.get("http", {}), conf.get("grpc", {}).get("retryOn", ())
    for index, condition in enumerate(http.get("retryOn", ())):
        if condition == "retriable_status_codes" and not http.get("retriableStatusCodes"):
            pointer = join(at, "http", "retryOn", index)
            yield Finding(pointer, MISSING_FIELD, f"{condition} needs retriableStatusCodes", "list them")
    if len(set(grpc)) != len(grpc):
        yield Finding(join(at, "grpc", "retryOn"), DUPLICATE_NAME, "retryOn names a condition twice", on_key=True)


def _check_fault(conf: Mapping[str, Any], at: str) -> Iterator[Finding]:
    for name, field in (("delay", "value"), ("abort", "httpStatus"), ("responseBandwidth", "limit")):
        if name in conf:
            for wanted in ("percentage", field):
                if wanted not in conf[name]:
                    yield Finding(join(at, name, wanted), MISSING_FIELD, f"{wanted} of {name} is missing")


def _check_rate_limit(conf: Mapping[str, Any], at: str) -> Iterator[Finding]:
    at = join(at, "http")
    if "http" not in conf:
        yield Finding(at, MISSING_FIELD, "http is missing: the limit")
        return
    for wanted in ("requests", "interval"):
        if wanted not in conf["http"]:
            yield Finding(join(at, wanted), MISSING_FIELD, f"{wanted} is missing")
    interval = conf["http"].get("interval")
    if interval is not None and Duration.parse(interval) < _LEAST_INTERVAL:
        yield Finding(join(at, "interval"), BAD_VALUE, f"the interval must be {_LEAST_INTERVAL} or more")


def _nothing_more(_: Mapping[str, Any], __: str) -> Iterator[Finding]:
    return iter(())


_OF_KIND: Final[Mapping[str, Callable[[Mapping[str, Any], str], Iterator[Finding]]]] = {
    "CircuitBreaker": _check_circuit_breaker,
    "FaultInjection": _check_fault,
    "ProxyTemplate": check_template,
    "RateLimit": _check_rate_limit,
    "Retry": _check_retry,
    "TrafficRoute": check_traffic_route,
    "VirtualOutbound": check_virtual_outbound,
}
