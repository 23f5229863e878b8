"""MeshCircuitBreaker: limits of load, and hosts set aside when they fail (kuma-policies §2.2)."""

from collections.abc import Collection, Iterator
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection as OutlierDetectionMessage

from compiler.envoy.common import set_duration
from compiler.envoy.policy import Hooks, Policy, Site
from compiler.mesh.policy import Inbounds, Matter, Need, PolicyKind
from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.model import Spec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import Duration, Percentage

_LARGEST: Final = 2**32 - 1
"""What the field for a factor holds; millions of deviations are never reached anyway."""


class ConnectionLimits(Spec, frozen=True):
    """Of one proxy; what is unset is Envoy's default (1024, 1024, 1024, 3)."""

    max_connections: int | None = None
    max_connection_pools: int | None = None
    max_pending_requests: int | None = None
    max_requests: int | None = None
    max_retries: int | None = None


class Consecutive(Spec, frozen=True):
    consecutive: int | None = None


class SuccessRate(Spec, frozen=True):
    minimum_hosts: int | None = None
    request_volume: int | None = None
    standard_deviation_factor: Percentage | None = None


class FailurePercentage(Spec, frozen=True):
    minimum_hosts: int | None = None
    request_volume: int | None = None
    threshold: int | None = None


class Detectors(Spec, frozen=True):
    total_failures: Consecutive | None = None
    gateway_failures: Consecutive | None = None
    local_origin_failures: Consecutive | None = None
    success_rate: SuccessRate | None = None
    failure_percentage: FailurePercentage | None = None


class OutlierDetection(Spec, frozen=True):
    disabled: bool = False
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: int | None = None
    split_external_and_local_errors: bool = False
    healthy_panic_threshold: Percentage | None = None
    detectors: Detectors = Detectors()


class CircuitBreaker(Spec, frozen=True):
    connection_limits: ConnectionLimits = ConnectionLimits()
    outlier_detection: OutlierDetection | None = None


def set_limits(conf: CircuitBreaker, cluster: Cluster, _: Site) -> None:
    """What remains of each limit is always counted, so that a dashboard can show it before a limit is set."""
    threshold = cluster.circuit_breakers.thresholds.add(track_remaining=True)
    for name in ConnectionLimits.__struct_fields__:
        limit = getattr(conf.connection_limits, name)
        if limit is not None:
            getattr(threshold, name).value = limit
    if conf.outlier_detection is not None and not conf.outlier_detection.disabled:
        _set_detection(conf.outlier_detection, cluster)


def _set_detection(conf: OutlierDetection, cluster: Cluster) -> None:
    detection = cluster.outlier_detection
    set_duration(detection.interval, conf.interval)
    set_duration(detection.base_ejection_time, conf.base_ejection_time)
    if conf.max_ejection_percent is not None:
        detection.max_ejection_percent.value = conf.max_ejection_percent
    detection.split_external_local_origin_errors = conf.split_external_and_local_errors
    if conf.healthy_panic_threshold is not None:
        cluster.common_lb_config.healthy_panic_threshold.value = float(conf.healthy_panic_threshold)
    _set_consecutive(conf.detectors, detection)
    _set_success_rate(conf.detectors.success_rate, detection)
    _set_failure_percentage(conf.detectors.failure_percentage, detection)


def _set_consecutive(detectors: Detectors, detection: OutlierDetectionMessage) -> None:
    """Detectors that are not listed are switched off: Envoy has some of them on by default."""
    for detector, field, enforcing in (
        (detectors.total_failures, detection.consecutive_5xx, detection.enforcing_consecutive_5xx),
        (
            detectors.gateway_failures,
            detection.consecutive_gateway_failure,
            detection.enforcing_consecutive_gateway_failure,
        ),
        (
            detectors.local_origin_failures,
            detection.consecutive_local_origin_failure,
            detection.enforcing_consecutive_local_origin_failure,
        ),
    ):
        enforcing.value = 100 if detector is not None else 0
        if detector is not None and detector.consecutive is not None:
            field.value = detector.consecutive


def _set_success_rate(conf: SuccessRate | None, detection: OutlierDetectionMessage) -> None:
    """Of local errors apart where they are split, for then Envoy has that on by default too."""
    enforcing = 100 if conf is not None else 0
    detection.enforcing_success_rate.value = enforcing
    if detection.split_external_local_origin_errors:
        detection.enforcing_local_origin_success_rate.value = enforcing
    if conf is None:
        return
    if conf.minimum_hosts is not None:
        detection.success_rate_minimum_hosts.value = conf.minimum_hosts
    if conf.request_volume is not None:
        detection.success_rate_request_volume.value = conf.request_volume
    if conf.standard_deviation_factor is not None:
        detection.success_rate_stdev_factor.value = min(round(conf.standard_deviation_factor * 1000), _LARGEST)


def _set_failure_percentage(conf: FailurePercentage | None, detection: OutlierDetectionMessage) -> None:
    enforcing = 100 if conf is not None else 0
    detection.enforcing_failure_percentage.value = enforcing
    if detection.split_external_local_origin_errors:
        detection.enforcing_failure_percentage_local_origin.value = enforcing
    if conf is None:
        return
    if conf.minimum_hosts is not None:
        detection.failure_percentage_minimum_hosts.value = conf.minimum_hosts
    if conf.request_volume is not None:
        detection.failure_percentage_request_volume.value = conf.request_volume
    if conf.threshold is not None:
        detection.failure_percentage_threshold.value = conf.threshold


def tells_local_failures(conf: CircuitBreaker) -> bool | None:
    """Envoy sets errors of its own apart, or takes them for those of the host."""
    detection = conf.outlier_detection
    if detection is None or detection.detectors.local_origin_failures is None:
        return None
    return detection.split_external_and_local_errors or detection.disabled


def decides(conf: CircuitBreaker) -> Collection[Matter]:
    """What is switched off says nothing."""
    detection = conf.outlier_detection
    if detection is None or detection.disabled or detection.healthy_panic_threshold is None:
        return ()
    return (Matter.PANIC_THRESHOLD,)


def check(policy: PolicySpec) -> Iterator[Finding]:
    """An object without fields adds nothing to what others say, nor takes it back."""
    for side, items in (("to", policy.to), ("rules", policy.rules), ("from", policy.from_)):
        for index, item in enumerate(items):
            if (item.default or {}).get("connectionLimits") == {}:
                at = join("", side, index, "default", "connectionLimits")
                message = "connectionLimits without a limit change nothing: what is said elsewhere holds"
                yield Finding(at, NO_EFFECT, message, "add a limit, or take it out", on_key=True)


POLICY: Final = Policy(
    PolicyKind(
        type="MeshCircuitBreaker",
        conf=CircuitBreaker,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            to=frozenset({"Mesh", "MeshService", "MeshExternalService", "MeshMultiZoneService"}),
            from_=frozenset({"Mesh"}),
            rules=True,
        ),
        inbounds=Inbounds.WHOLE,
        outbound=True,
        always=True,
        check=check,
        matters=frozenset({Matter.PANIC_THRESHOLD}),
        decides=decides,
        needs=(
            Need(
                ("outlierDetection", "detectors", "localOriginFailures"),
                tells_local_failures,
                "local failures are told apart only where splitExternalAndLocalErrors is true",
                "set splitExternalAndLocalErrors: true",
            ),
        ),
    ),
    Hooks(cluster=set_limits),
)
