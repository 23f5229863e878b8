"""Retry to MeshRetry: status codes and methods become conditions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Surroundings, unsayable
from compiler.resources.legacy.said import Said, given, pick
from compiler.resources.legacy.selectors import by_source

_HTTP: Final[Mapping[str, str]] = {
    "all_5xx": "5xx",
    "gateway_error": "GatewayError",
    "reset": "Reset",
    "connect_failure": "ConnectFailure",
    "envoy_ratelimited": "EnvoyRatelimited",
    "retriable_4xx": "Retriable4xx",
    "refused_stream": "RefusedStream",
    "http3_post_connect_failure": "Http3PostConnectFailure",
}
_GRPC: Final[Mapping[str, str]] = {
    "cancelled": "Canceled",
    "deadline_exceeded": "DeadlineExceeded",
    "internal": "Internal",
    "resource_exhausted": "ResourceExhausted",
    "unavailable": "Unavailable",
}
_BESIDE_CODES: Final = ("ConnectFailure", "RefusedStream")
"""What Kuma adds to status codes where no other condition is given."""
_NEVER: Final = {"numRetries": 0}
_ONCE: Final = {"numRetries": 1}
"""What Envoy does where nothing is said of it."""


def convert_retry(legacy: Legacy, _: Surroundings) -> Conversion:
    """A protocol that the policy does not name was not tried again, and says so now."""
    found: list[Finding] = []
    at, conf = join(legacy.pointer, "conf"), legacy.content["conf"]
    tcp = pick(conf, at, "tcp", "maxConnectAttempts")
    converted = {
        "http": _http(conf["http"], join(at, "http"), found) if "http" in conf else _NEVER,
        "grpc": _grpc(conf["grpc"], join(at, "grpc")) if "grpc" in conf else _NEVER,
        "tcp": given({"maxConnectAttempt": tcp}),
    }
    policies = by_source(legacy, "MeshRetry", Said(given(converted), at), found)
    return Conversion(policies, tuple(found))


def _http(http: Mapping[str, Any], at: str, found: list[Finding]) -> Said:
    return Said(given({**_tries(http, at), "retryOn": _conditions(http, at, found)}) or _ONCE, at)


def _grpc(grpc: Mapping[str, Any], at: str) -> Said:
    words = [Said(_GRPC[word], join(at, "retryOn", index)) for index, word in enumerate(grpc.get("retryOn", ()))]
    return Said(given({**_tries(grpc, at), "retryOn": words or None}) or _ONCE, at)


def _tries(conf: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    return {name: pick(conf, at, name) for name in ("numRetries", "perTryTimeout", "backOff")}


def _conditions(http: Mapping[str, Any], at: str, found: list[Finding]) -> Said | None:
    words = [_word(word, join(at, "retryOn", index), found) for index, word in enumerate(http.get("retryOn", ()))]
    codes = [
        Said(str(code), join(at, "retriableStatusCodes", i))
        for i, code in enumerate(http.get("retriableStatusCodes", ()))
    ]
    methods = [
        Said(f"HttpMethod{method.capitalize()}", join(at, "retriableMethods", index))
        for index, method in enumerate(http.get("retriableMethods", ()))
    ]
    known: Sequence[Any] = [word for word in words if word is not None]
    if codes and not words:
        known = _BESIDE_CODES
    together = [*known, *codes, *methods]
    return Said(together, join(at, "retryOn") if words else at) if together else None


def _word(word: str, pointer: str, found: list[Finding]) -> Said | None:
    """`retriable_status_codes` only says that there are such codes, which stand for themselves now."""
    if word == "retriable_headers":
        hint = "write a MeshRetry with retriableResponseHeaders"
        found.append(unsayable(pointer, "retriable_headers names no header to go by", hint))
    return Said(_HTTP[word], pointer) if word in _HTTP else None
