"""What runs beside Envoy is told in a document on a socket of the proxy's own (docs/dataplane-run.md).

It comes by a route, so that a new document changes no listener.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValueOption, TrafficDirection
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from compiler.envoy.common import ads
from compiler.envoy.names import HTTP_FILTER, ROUTER_FILTER
from compiler.envoy.packing import pack
from compiler.mesh.holes import LONGEST_NAME, names_in

_PRIVATE: Final = 0o600


def document_listener(name: str, socket: str) -> Listener:
    connections = HttpConnectionManager()
    connections.rds.route_config_name = name
    connections.rds.config_source.CopyFrom(ads())
    listener = socket_listener(name, socket, connections)
    listener.traffic_direction = TrafficDirection.OUTBOUND
    return listener


def socket_listener(name: str, socket: str, connections: HttpConnectionManager) -> Listener:
    """On a socket in the working directory of the proxy, and of no direction: no call of the mesh passes it.

    `connections` has the routes.
    """
    listener = Listener(name=name, stat_prefix=name)
    listener.address.pipe.path, listener.address.pipe.mode = socket, _PRIVATE
    listener.filter_chains.add(filters=[requests_filter(name, connections)])
    return listener


def requests_filter(name: str, connections: HttpConnectionManager) -> Filter:
    """Requests go by routes, and nothing else is done with them."""
    connections.stat_prefix = name
    connections.http_filters.add(name=ROUTER_FILTER, typed_config=pack(Router()))
    return Filter(name=HTTP_FILTER, typed_config=pack(connections))


def document_routes(name: str, path: str, document: str) -> RouteConfiguration:
    """Who has the document already is told so."""
    configuration = RouteConfiguration(name=name)
    configuration.max_direct_response_body_size_bytes.value = longest(document)
    host = configuration.virtual_hosts.add(name=name, domains=["*"])
    host.routes.extend(told_routes(name, path, document))
    return configuration


def told_routes(name: str, path: str, document: str) -> Iterator[Route]:
    """The document at its path, or 304 to whoever shows its tag: names that are filled in are in the tag, too."""
    tag = "/".join((hashlib.sha256(document.encode()).hexdigest(), *names_in(document)))
    known = Route(name=f"{name}_not_modified")
    known.match.path = path
    known.match.headers.add(name="if-none-match").string_match.exact = tag
    known.direct_response.status = 304
    fresh = Route(name=f"{name}_document")
    fresh.match.path = path
    fresh.direct_response.status = 200
    fresh.direct_response.body.inline_string = document
    for route in (known, fresh):
        option = HeaderValueOption(append_action=HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD)
        option.header.key, option.header.value = "etag", tag
        route.response_headers_to_add.append(option)
        yield route


def longest(document: str) -> int:
    """The bytes of a document with the longest names in its holes."""
    return len(document.encode()) + LONGEST_NAME * len(names_in(document))
