"""Listeners with all that comes by RDS and ECDS in its place, as Kuma 2 has them, and back again (design D15).

What stands in a slot keeps the slot's name while it is inline, so it is known again however it was changed.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.message import Message

from compiler.envoy.packing import pack
from compiler.envoy.resources import ResourceType

Named = dict[str, Message]
HTTP_TYPE: Final = f"type.googleapis.com/{HttpConnectionManager.DESCRIPTOR.full_name}"


class Folding:
    """What the listeners of a part refer to, by name, and how they did."""

    def __init__(self, built: Iterable[tuple[ResourceType, Any]]) -> None:
        listed = list(built)
        self.routes: Named = {one.name: one for kind, one in listed if kind is ResourceType.ROUTE}
        self.extensions: Named = {one.name: one for kind, one in listed if kind is ResourceType.EXTENSION}
        self.sources: dict[str, Any] = {}
        self.slots: dict[str, Any] = {}

    def fold(self, listener: Any) -> None:
        """In place; two listeners may refer to one thing, and then each has it."""
        _edit_filters(listener, self._fill, self._route)

    def split(self, listener: Any) -> tuple[tuple[ResourceType, Message], ...]:
        """What the listener refers to again; of two that have come to differ the later one stays inline."""
        found: dict[tuple[ResourceType, str], Message] = {}

        def settle(kind: ResourceType, name: str, message: Message) -> bool:
            return found.setdefault((kind, name), message) == message

        def empty(slot: Any) -> None:
            discovery = self.slots.get(slot.name)
            if discovery is None or slot.typed_config.type_url not in discovery.type_urls:
                return
            extension = TypedExtensionConfig(name=slot.name, typed_config=slot.typed_config)
            if settle(ResourceType.EXTENSION, slot.name, extension):
                slot.config_discovery.CopyFrom(discovery)

        def unroute(connections: HttpConnectionManager) -> None:
            source = self.sources.get(connections.route_config.name)
            if source is None or not connections.HasField("route_config"):
                return
            routes = type(connections.route_config)()
            routes.CopyFrom(connections.route_config)
            if settle(ResourceType.ROUTE, routes.name, routes):
                connections.rds.CopyFrom(source)

        _edit_filters(listener, empty, unroute)
        return tuple((kind, message) for (kind, _), message in found.items())

    def rest(self) -> Iterator[tuple[ResourceType, Message]]:
        """What no listener referred to."""
        yield from ((ResourceType.ROUTE, one) for name, one in self.routes.items() if name not in self.sources)
        yield from ((ResourceType.EXTENSION, one) for name, one in self.extensions.items() if name not in self.slots)

    def _fill(self, slot: Any) -> None:
        extension: Any = self.extensions.get(slot.name) if slot.HasField("config_discovery") else None
        if extension is None:
            return
        self.slots[slot.name] = _copy(slot.config_discovery)
        slot.typed_config.CopyFrom(extension.typed_config)

    def _route(self, connections: HttpConnectionManager) -> None:
        routes = self.routes.get(connections.rds.route_config_name) if connections.HasField("rds") else None
        if routes is None:
            return
        self.sources[connections.rds.route_config_name] = _copy(connections.rds)
        connections.route_config.CopyFrom(routes)  # type: ignore[arg-type]  # it was made as one


def chains_of(listener: Any) -> Iterator[Any]:
    """All of them, that of what no other takes last."""
    yield from listener.filter_chains
    if listener.HasField("default_filter_chain"):
        yield listener.default_filter_chain


def edit_http(network_filter: Any, edit: Callable[[HttpConnectionManager], None]) -> None:
    """What is inside of a filter that handles requests; others are left alone."""
    if network_filter.typed_config.type_url == HTTP_TYPE:
        connections = HttpConnectionManager.FromString(network_filter.typed_config.value)
        edit(connections)
        network_filter.typed_config.CopyFrom(pack(connections))


def _edit_filters(
    listener: Any, edit: Callable[[Any], None], edit_connections: Callable[[HttpConnectionManager], None]
) -> None:
    def within(connections: HttpConnectionManager) -> None:
        edit_connections(connections)
        for http_filter in connections.http_filters:
            edit(http_filter)

    for chain in chains_of(listener):
        for network_filter in chain.filters:
            edit(network_filter)
            edit_http(network_filter, within)


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
