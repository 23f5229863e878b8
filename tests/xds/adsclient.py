"""A bare ADS client over a real gRPC stream, for tests that say what is asked and what comes back."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
ANSWER = 5.0
SILENCE = 0.2


class AdsClient:
    """One stream; the node goes with the first request only, as Envoy does."""

    def __init__(self, port: int, node: str, *, full_state: bool = False) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        method = "StreamAggregatedResources" if full_state else "DeltaAggregatedResources"
        response = DiscoveryResponse if full_state else DeltaDiscoveryResponse
        self.call: Any = self._channel.stream_stream(
            f"/{SERVICE}/{method}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=response.FromString,
        )()
        self._request: Any = DiscoveryRequest if full_state else DeltaDiscoveryRequest
        self._full_state = full_state
        self._node: str | None = node

    async def subscribe(self, type_url: str, names: Sequence[str] = (), **rest: object) -> None:
        field = "resource_names" if self._full_state else "resource_names_subscribe"
        await self._send(type_url=type_url, **{field: names}, **rest)

    async def answer(self, response: Any, error: str | None = None, names: Sequence[str] = ()) -> None:
        fields: dict[str, object] = {"type_url": response.type_url, "response_nonce": response.nonce}
        if self._full_state:
            fields |= {"resource_names": names}
        if error is not None:
            fields["error_detail"] = {"code": 3, "message": error}
        await self._send(**fields)

    async def receive(self) -> Any:
        response = await asyncio.wait_for(self.call.read(), ANSWER)
        assert response is not grpc.aio.EOF
        return response

    async def is_silent(self) -> bool:
        """Ends the stream's reading: nothing can be received afterwards."""
        try:
            await asyncio.wait_for(self.call.read(), SILENCE)
        except TimeoutError:
            return True
        return False

    async def end_code(self) -> grpc.StatusCode:
        code: grpc.StatusCode = await asyncio.wait_for(self.call.code(), ANSWER)
        return code

    async def close(self) -> None:
        self.call.cancel()
        await self._channel.close()

    async def _send(self, **fields: object) -> None:
        request = self._request(**fields)
        if self._node is not None:
            request.node.id, self._node = self._node, None
        await self.call.write(request)
