"""The xDS resource types that a snapshot holds, in the order in which they are delivered."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import Message


class ResourceType(Enum):
    """One xDS type: its file in a snapshot and its type URL."""

    CLUSTER = ("clusters", "type.googleapis.com/envoy.config.cluster.v3.Cluster")
    ENDPOINT = ("endpoints", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment")
    SECRET = ("secrets", "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret")
    EXTENSION = ("extensions", "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig")
    LISTENER = ("listeners", "type.googleapis.com/envoy.config.listener.v3.Listener")
    ROUTE = ("routes", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration")

    def __init__(self, file: str, type_url: str) -> None:
        self.file = file
        self.type_url = type_url

    __hash__ = object.__hash__  # members are one of a kind; Python's own hash of them is three times as slow


@dataclass(frozen=True, slots=True)
class EnvoyResources:
    """What one proxy is to hold: messages by type and name. A secret is a name only, resolved when it is served."""

    messages: Mapping[ResourceType, Mapping[str, Message]]
    secrets: tuple[str, ...] = ()
