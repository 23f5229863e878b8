"""A delta xDS server that gives a real Envoy the resources that a test holds, and remembers what it was asked."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import grpc.aio
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from google.protobuf.message import Message

TYPE = "type.googleapis.com/envoy.config."
LISTENERS = f"{TYPE}listener.v3.Listener"
CLUSTERS = f"{TYPE}cluster.v3.Cluster"

Resources = Mapping[str, Sequence[Message]]


@dataclass
class XdsServer:
    """`port` once it listens; `tokens` are the authorization headers of its streams."""

    resources: Resources
    port: int = 0
    tokens: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    async def stream(
        self, incoming: AsyncIterator[DeltaDiscoveryRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[DeltaDiscoveryResponse]:
        self.tokens += [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
        async for request in incoming:
            if request.HasField("error_detail"):
                self.refusals.append(request.error_detail.message)
            if not request.response_nonce:
                yield self._answer(request.type_url)

    def _answer(self, type_url: str) -> DeltaDiscoveryResponse:
        response = DeltaDiscoveryResponse(type_url=type_url, nonce="1", system_version_info="1")
        for message in self.resources.get(type_url, ()):
            resource = response.resources.add(name=message.name, version="1")  # type: ignore[attr-defined]
            resource.resource.Pack(message)
        return response


@asynccontextmanager
async def serve_xds(
    resources: Resources, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[XdsServer]:
    serving = XdsServer(resources)
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(
        serving.stream, DeltaDiscoveryRequest.FromString, DeltaDiscoveryResponse.SerializeToString
    )
    service = "envoy.service.discovery.v3.AggregatedDiscoveryService"
    methods = {"DeltaAggregatedResources": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    place = "127.0.0.1:0"
    serving.port = server.add_secure_port(place, credentials) if credentials else server.add_insecure_port(place)
    await server.start()
    try:
        yield serving
    finally:
        await server.stop(0)
