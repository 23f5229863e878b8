"""What of a snapshot tests go without: logs and traces, limits, faults, agents that decide, and compression."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.message import Message

_HTTP: Final = "envoy.extensions.filters.http"
_NETWORK: Final = "envoy.extensions.filters.network"
_FILTERS: Final = frozenset(
    {
        f"{_HTTP}.compressor.v3.Compressor",
        f"{_HTTP}.ext_authz.v3.ExtAuthz",
        f"{_HTTP}.fault.v3.HTTPFault",
        f"{_HTTP}.local_ratelimit.v3.LocalRateLimit",
        f"{_HTTP}.ratelimit.v3.RateLimit",
        f"{_NETWORK}.connection_limit.v3.ConnectionLimit",
        f"{_NETWORK}.local_ratelimit.v3.LocalRateLimit",
    }
)
"""A limit would count requests of different tests together, a fault strikes by chance, nobody is there to be asked."""


def leave_out(message: Message) -> None:
    """Of one message, as `rewrite` hands them out."""
    edit = _EDITS.get(message.DESCRIPTOR.full_name)
    if edit is not None:
        edit(message)


def _thin_manager(connections: Any) -> None:
    connections.ClearField("access_log")
    connections.ClearField("tracing")
    _drop(connections.http_filters)


def _thin_proxy(proxy: Any) -> None:
    proxy.ClearField("access_log")


def _thin_chain(chain: Any) -> None:
    _drop(chain.filters)


def _thin_route(route: Any) -> None:
    """What is said of a filter that is not there."""
    for name in [name for name, packed in route.typed_per_filter_config.items() if _is_left_out(packed)]:
        del route.typed_per_filter_config[name]


def _drop(filters: Any) -> None:
    kept = [one for one in filters if not _is_left_out(one.typed_config)]
    del filters[:]
    filters.extend(kept)


def _is_left_out(packed: any_pb2.Any) -> bool:
    return packed.type_url.rpartition("/")[2] in _FILTERS


_EDITS: Final[Mapping[str, Callable[[Any], None]]] = {
    f"{_NETWORK}.http_connection_manager.v3.HttpConnectionManager": _thin_manager,
    f"{_NETWORK}.tcp_proxy.v3.TcpProxy": _thin_proxy,
    "envoy.config.listener.v3.FilterChain": _thin_chain,
    "envoy.config.route.v3.Route": _thin_route,
}
