"""Fields of Envoy resources by Envoy's own definitions, and what Envoy takes where a field is absent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.envoy.packing import UnknownTypeError, message_type
from compiler.envoy.resources import ResourceType
from compiler.review.fields import place_of


@dataclass(frozen=True, slots=True)
class Description:
    """A field by the message that has it, as Envoy's documentation is ordered; an entry of a list or a map is its
    field's.
    """

    message: str
    field: str

    @property
    def default(self) -> str | None:
        """What Envoy does where it is absent, as its API documentation says; None for what is not in our table."""
        return ENVOY_DEFAULTS.get(self.message.rpartition(".")[2], {}).get(self.field)


ENVOY_DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "Cluster": {
        "connect_timeout": "5s",
        "lb_policy": "ROUND_ROBIN",
        "per_connection_buffer_limit_bytes": "1 MiB",
        "dns_refresh_rate": "5s",
        "type": "STATIC",
    },
    "Thresholds": {
        "max_connections": "1024",
        "max_pending_requests": "1024",
        "max_requests": "1024",
        "max_retries": "3",
        "max_connection_pools": "no limit",
        "track_remaining": "false",
    },
    "OutlierDetection": {
        "consecutive_5xx": "5",
        "interval": "10s",
        "base_ejection_time": "30s",
        "max_ejection_time": "300s, or the base ejection time where that is longer",
        "max_ejection_percent": "10",
        "enforcing_consecutive_5xx": "100",
        "enforcing_success_rate": "100",
        "success_rate_minimum_hosts": "5",
        "success_rate_request_volume": "100",
        "success_rate_stdev_factor": "1900",
        "consecutive_gateway_failure": "5",
        "enforcing_consecutive_gateway_failure": "0",
        "split_external_local_origin_errors": "false",
        "consecutive_local_origin_failure": "5",
        "enforcing_consecutive_local_origin_failure": "100",
        "enforcing_local_origin_success_rate": "100",
        "failure_percentage_threshold": "85",
        "enforcing_failure_percentage": "0",
        "failure_percentage_minimum_hosts": "5",
        "failure_percentage_request_volume": "50",
    },
    "HttpProtocolOptions": {
        "idle_timeout": "1h",
        "max_connection_duration": "no limit",
        "max_stream_duration": "no limit",
        "max_headers_count": "100",
        "max_requests_per_connection": "no limit",
    },
    "RouteAction": {
        "timeout": "15s",
        "idle_timeout": "none of its own: the listener's stream idle timeout holds",
        "cluster_not_found_response_code": "SERVICE_UNAVAILABLE",
        "retry_policy": "no retries",
    },
    "RetryPolicy": {
        "num_retries": "1",
        "per_try_timeout": "the route's timeout",
        "per_try_idle_timeout": "no limit",
        "retry_back_off": "25ms, growing to 250ms",
        "host_selection_retry_max_attempts": "1",
    },
    "RetryBackOff": {"max_interval": "ten times the base interval"},
    "HttpConnectionManager": {
        "stream_idle_timeout": "5m",
        "request_timeout": "no limit",
        "request_headers_timeout": "no limit",
        "drain_timeout": "5s",
        "delayed_close_timeout": "1s",
        "codec_type": "AUTO",
        "server_name": "envoy",
        "forward_client_cert_details": "SANITIZE",
        "max_request_headers_kb": "60",
        "normalize_path": "false",
        "merge_slashes": "false",
        "use_remote_address": "false",
        "generate_request_id": "true",
    },
    "TcpProxy": {"idle_timeout": "1h", "max_connect_attempts": "1"},
    "Listener": {
        "per_connection_buffer_limit_bytes": "1 MiB",
        "enable_reuse_port": "true",
        "listener_filters_timeout": "15s",
        "drain_type": "DEFAULT",
    },
    "Policy": {"overprovisioning_factor": "140"},
    "LocalityLbEndpoints": {"priority": "0"},
    "LbEndpoint": {"load_balancing_weight": "1"},
    "CommonLbConfig": {"healthy_panic_threshold": "50%"},
    "RouteConfiguration": {"validate_clusters": "false, since the routes come by RDS"},
}
"""By message and field: the usual ones, from the comments of Envoy's v3 API (api-v3 of its documentation)."""


def describe(kind: ResourceType, resource: Any, steps: Sequence[str]) -> Description | None:
    """The field that a path through a resource's JSON ends at, there or absent; None where Envoy has no such field."""
    value: Any = resource
    message: Any = message_type(kind.type_url).DESCRIPTOR
    found = Description(message.full_name, "")
    for step in steps:
        known, value = _enter(value, step)
        if isinstance(known, list):
            if value is None:
                return None
        else:
            inner = message.fields_by_camelcase_name.get(step) if message is not None else None
            if inner is None and value is None:
                return None
            found = Description(message.full_name, inner.name) if inner is not None else found
            message = inner.message_type if inner is not None else message
        message = _described(value, message)
    return found


def _enter(value: Any, step: str) -> tuple[Any, Any]:
    """What was there, and what is there below it, None where that is absent."""
    if isinstance(value, list):
        place = place_of(step)
        return value, value[place] if place is not None and place < len(value) else None
    return value, value.get(step) if isinstance(value, dict) else None


def _described(value: Any, message: Any) -> Any:
    """An Any says what it is; of a map the values count."""
    if isinstance(value, dict) and isinstance(value.get("@type"), str):
        try:
            return message_type(value["@type"]).DESCRIPTOR
        except UnknownTypeError:
            return None
    if message is not None and message.GetOptions().map_entry:
        return message.fields_by_name["value"].message_type
    return message


__all__ = ["ENVOY_DEFAULTS", "Description", "describe"]
