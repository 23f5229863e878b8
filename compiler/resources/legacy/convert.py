"""Which module converts which type, and the documents and resources that come of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compiler.resources.envelope import SYSTEM_NAMESPACE, Envelope
from compiler.resources.legacy.circuit_breaker import convert_circuit_breaker
from compiler.resources.legacy.conversion import NOTHING_KNOWN, Conversion, Legacy, Policy, Surroundings
from compiler.resources.legacy.fault_injection import convert_fault_injection
from compiler.resources.legacy.health_check import convert_health_check
from compiler.resources.legacy.proxy_template import convert_proxy_template
from compiler.resources.legacy.rate_limit import convert_rate_limit
from compiler.resources.legacy.retry import convert_retry
from compiler.resources.legacy.said import ConvertedPlacement, places, plain
from compiler.resources.legacy.timeout import convert_timeout
from compiler.resources.legacy.traffic_log import convert_traffic_log
from compiler.resources.legacy.traffic_permission import convert_traffic_permission
from compiler.resources.legacy.traffic_route import convert_traffic_route
from compiler.resources.legacy.traffic_trace import convert_traffic_trace
from compiler.resources.legacy.virtual_outbound import convert_virtual_outbound
from compiler.resources.model import MESH
from compiler.resources.resource_set import Placement

CONVERTERS: Final[Mapping[str, Callable[[Legacy, Surroundings], Conversion]]] = {
    "CircuitBreaker": convert_circuit_breaker,
    "FaultInjection": convert_fault_injection,
    "HealthCheck": convert_health_check,
    "ProxyTemplate": convert_proxy_template,
    "RateLimit": convert_rate_limit,
    "Retry": convert_retry,
    "Timeout": convert_timeout,
    "TrafficLog": convert_traffic_log,
    "TrafficPermission": convert_traffic_permission,
    "TrafficRoute": convert_traffic_route,
    "TrafficTrace": convert_traffic_trace,
    "VirtualOutbound": convert_virtual_outbound,
}
TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "CircuitBreaker": ("MeshCircuitBreaker",),
    "FaultInjection": ("MeshFaultInjection",),
    "HealthCheck": ("MeshHealthCheck",),
    "ProxyTemplate": ("MeshProxyPatch",),
    "RateLimit": ("MeshRateLimit",),
    "Retry": ("MeshRetry",),
    "Timeout": ("MeshTimeout",),
    "TrafficLog": ("MeshAccessLog",),
    "TrafficPermission": ("MeshTrafficPermission",),
    "TrafficRoute": ("MeshHTTPRoute", "MeshTCPRoute", "MeshLoadBalancingStrategy"),
    "TrafficTrace": ("MeshTrace",),
    "VirtualOutbound": ("HostnameGenerator",),
}
"""What each type can become."""
_OF_NO_MESH: Final = frozenset({"HostnameGenerator"})
_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class ConvertedDocument:
    """A document of a newer policy, and where each part of it was said."""

    type: str
    value: Mapping[str, Any]
    placement: Placement


def convert(envelope: Envelope, content: Mapping[str, Any], surroundings: Surroundings = NOTHING_KNOWN) -> Conversion:
    """Of a document that its schema and its checks accepted."""
    return CONVERTERS[envelope.type](Legacy(envelope.mesh, envelope.name, content, envelope.prefix), surroundings)


def write_documents(envelope: Envelope, conversion: Conversion) -> Iterator[ConvertedDocument]:
    """Whole documents, in the form of the legacy one; on Kubernetes in the system namespace, as what is for all is."""
    for policy in conversion.policies:
        elsewhere = {"": envelope.prefix, **dict(places(policy.spec))}
        placement = ConvertedPlacement(envelope.prefix, elsewhere, envelope.labels_pointer)
        yield ConvertedDocument(policy.type, _write(envelope, policy), placement)


def _write(envelope: Envelope, policy: Policy) -> Mapping[str, Any]:
    name = envelope.name[: _NAME - len(policy.suffix)] + policy.suffix
    meshed = policy.type not in _OF_NO_MESH
    spec = plain(policy.spec)
    if envelope.kubernetes:
        labels = {key: value for key, value in envelope.labels.items() if key != MESH}
        labels |= {MESH: envelope.mesh} if meshed else {}
        metadata = {"name": name, "namespace": SYSTEM_NAMESPACE} | ({"labels": labels} if labels else {})
        return {"apiVersion": "kuma.io/v1alpha1", "kind": policy.type, "metadata": metadata, "spec": spec}
    head = {"type": policy.type} | ({"mesh": envelope.mesh} if meshed else {}) | {"name": name}
    return head | ({"labels": dict(envelope.labels)} if envelope.labels else {}) | {"spec": spec}
