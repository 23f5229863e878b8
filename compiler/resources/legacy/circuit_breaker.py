"""CircuitBreaker to MeshCircuitBreaker: the same, in other words."""

from collections.abc import Mapping
from typing import Any, Final

from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Surroundings
from compiler.resources.legacy.numbers import as_decimal
from compiler.resources.legacy.said import Said, given, pick
from compiler.resources.legacy.selectors import by_source

_ERRORS: Final[Mapping[str, str]] = {
    "totalErrors": "totalFailures",
    "gatewayErrors": "gatewayFailures",
    "localErrors": "localOriginFailures",
    "failure": "failurePercentage",
}
_LIMITS: Final = ("maxConnections", "maxPendingRequests", "maxRequests", "maxRetries")
_OF_DETECTION: Final = ("interval", "baseEjectionTime", "maxEjectionPercent", "splitExternalAndLocalErrors")


def convert_circuit_breaker(legacy: Legacy, _: Surroundings) -> Conversion:
    """Limits and detectors."""
    found: list[Finding] = []
    at, conf = join(legacy.pointer, "conf"), legacy.content["conf"]
    limits = given({name: pick(conf, at, "thresholds", name) for name in _LIMITS})
    converted = given(
        {
            "connectionLimits": Said(limits, join(at, "thresholds")) if limits else None,
            "outlierDetection": _detection(conf, at, found),
        }
    )
    policies = by_source(legacy, "MeshCircuitBreaker", Said(converted, at), found)
    return Conversion(policies, tuple(found))


def _detection(conf: Mapping[str, Any], at: str, found: list[Finding]) -> Mapping[str, Any] | None:
    detectors = conf.get("detectors")
    settings = given({name: pick(conf, at, name) for name in _OF_DETECTION})
    if not detectors:
        for name in settings:
            message = f"{name} changes nothing without a detector"
            found.append(Finding(join(at, name), NO_EFFECT, message, on_key=True))
        return None
    at = join(at, "detectors")
    named = {_ERRORS[name]: Said(each, join(at, name)) for name, each in detectors.items() if name in _ERRORS}
    deviation = detectors.get("standardDeviation")
    rate = _success_rate(deviation, join(at, "standardDeviation")) if deviation is not None else None
    return {**settings, "detectors": Said(named | ({"successRate": rate} if rate else {}), at)}


def _success_rate(deviation: Mapping[str, Any], at: str) -> Said:
    names = {"requestVolume": "requestVolume", "minimumHosts": "minimumHosts", "factor": "standardDeviationFactor"}
    said = {new: Said(deviation[old], join(at, old)) for old, new in names.items() if old in deviation}
    if "standardDeviationFactor" in said:
        factor = said["standardDeviationFactor"]
        said["standardDeviationFactor"] = factor.with_value(as_decimal(factor.value))
    return Said(said, at)
