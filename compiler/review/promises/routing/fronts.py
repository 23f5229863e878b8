"""A builtin gateway's listeners as doors: one for each chain, as a request goes on once it is decrypted."""

import re
from typing import Any, Final

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from google.protobuf.message import Message

from compiler.envoy.packing import rewrite, unpack

_FRONT: Final = re.compile(r".+:(?:HTTPS?|TCP|TLS):[0-9]+")
_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def is_front(listener: str) -> bool:
    """Whether a listener of this name takes calls from outside of the mesh: `edge:HTTPS:8443`."""
    return _FRONT.fullmatch(listener) is not None


def front_of(chain: str) -> str:
    """The listener of a chain, `edge:HTTPS:8443` of `edge:HTTPS:8443:*.example`; empty for any other name."""
    listener = chain.rpartition(":")[0]
    return listener if is_front(listener) else ""


def choose_chain(listener: Any, host: str) -> str | None:
    """The chain of the closest server name; None where connections that ask for this host are refused."""
    ranked = [(rank, chain.name) for chain in listener.filter_chains if (rank := _rank(chain, host)) is not None]
    return max(ranked)[1] if ranked else None


def _rank(chain: Any, host: str) -> int | None:
    """The longer name is the closer one, and one that is no wildcard is as long as can be."""
    names = chain.filter_chain_match.server_names
    if not names:
        return 0
    fitting = (len(name) for name in names if name == host or (name.startswith("*.") and host.endswith(name[1:])))
    return max(fitting, default=None)


def door(listener: Any, name: str) -> Any:
    """The listener with this chain alone, and without TLS, whose certificate no test has; None where it has no such.

    Strangers come by https then. A proxy of another mesh, which is asked for its certificate, passes on a call by http.
    """
    chain = next((one for one in listener.filter_chains if one.name == name), None)
    if chain is None:
        return None
    found: Any = type(listener)()
    found.CopyFrom(listener)
    found.name, found.traffic_direction = name, TrafficDirection.OUTBOUND
    found.ClearField("listener_filters")
    del found.filter_chains[:]
    found.filter_chains.append(chain)
    only = found.filter_chains[0]
    if only.HasField("transport_socket") and not _is_for_proxies(only):
        rewrite(only, _come_encrypted)
    only.ClearField("transport_socket")
    only.ClearField("filter_chain_match")
    return found


def _is_for_proxies(chain: Any) -> bool:
    context: Any = unpack(chain.transport_socket.typed_config)
    return isinstance(context, DownstreamTlsContext) and context.require_client_certificate.value


def _come_encrypted(message: Message) -> None:
    if message.DESCRIPTOR.full_name == _MANAGER:
        connections: Any = message
        connections.scheme_header_transformation.scheme_to_overwrite = "https"
