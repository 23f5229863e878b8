"""The least delta xDS server that gives a real Envoy one HTTP listener, for tests of what runs beside it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc
import grpc.aio
import pytest
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"


def answering_listener(port: int) -> Listener:
    """Answers every request with 200 by itself."""
    manager = HttpConnectionManager(stat_prefix="test")
    host = manager.route_config.virtual_hosts.add(name="all", domains=["*"])
    route = host.routes.add()
    route.match.prefix = "/"
    route.direct_response.status = 200
    manager.http_filters.add(name="router").typed_config.Pack(Router())
    listener = Listener(name="inbound")
    listener.address.socket_address.address = "127.0.0.1"
    listener.address.socket_address.port_value = port
    listener.filter_chains.add().filters.add(name="http").typed_config.Pack(manager)
    return listener


Serving = Callable[[int], AbstractAsyncContextManager[tuple[int, list[DeltaDiscoveryRequest]]]]


@pytest.fixture
def serving() -> Serving:
    """An xDS server whose one listener is on the given port."""
    return _serving


@asynccontextmanager
async def _serving(port: int) -> AsyncIterator[tuple[int, list[DeltaDiscoveryRequest]]]:
    """The server's own port, and the requests as they come in."""
    requests: list[DeltaDiscoveryRequest] = []

    async def stream(
        incoming: AsyncIterator[DeltaDiscoveryRequest], _context: object
    ) -> AsyncIterator[DeltaDiscoveryResponse]:
        async for request in incoming:
            requests.append(request)
            if not request.response_nonce:
                yield _answer(request.type_url, port)

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(
        stream, DeltaDiscoveryRequest.FromString, DeltaDiscoveryResponse.SerializeToString
    )
    service = "envoy.service.discovery.v3.AggregatedDiscoveryService"
    methods = {"DeltaAggregatedResources": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    own_port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield own_port, requests
    finally:
        await server.stop(0)


def _answer(type_url: str, port: int) -> DeltaDiscoveryResponse:
    """Clusters are asked for first, and listeners only once that was answered, if by nothing."""
    response = DeltaDiscoveryResponse(type_url=type_url, nonce="1", system_version_info="1")
    if type_url == LISTENER_TYPE:
        resource = response.resources.add(name="inbound", version="1")
        resource.resource.Pack(answering_listener(port))
    return response
