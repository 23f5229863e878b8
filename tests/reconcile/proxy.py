"""A proxy that speaks delta ADS, asks for all clusters and ACKs what it gets."""

import queue
import threading
from collections.abc import Iterator

import grpc
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from google.rpc.status_pb2 import Status

CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


class Proxy:
    """`held` is what it was told; `ended` how its stream ended; names in `refuses` are NACKed."""

    def __init__(self, address: str, node: str, refuses: frozenset[str] = frozenset()) -> None:
        self.held: dict[str, str] = {}
        self.ended: grpc.StatusCode | None = None
        self._refuses = refuses
        self._requests: queue.SimpleQueue[DeltaDiscoveryRequest | None] = queue.SimpleQueue()
        self._channel = grpc.insecure_channel(address)
        call = self._channel.stream_stream(
            METHOD,
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )
        self._requests.put(DeltaDiscoveryRequest(node=Node(id=node), type_url=CDS))
        self._responses = call(self._ask(), wait_for_ready=True, timeout=120)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def names(self) -> set[str]:
        return set(self.held)

    def wait_end(self, seconds: float) -> grpc.StatusCode | None:
        self._thread.join(seconds)
        return self.ended

    def close(self) -> None:
        self._requests.put(None)
        self._channel.close()

    def _ask(self) -> Iterator[DeltaDiscoveryRequest]:
        while (request := self._requests.get()) is not None:
            yield request

    def _listen(self) -> None:
        try:
            for response in self._responses:
                self._take(response)
        except grpc.RpcError as error:
            self.ended = error.code()

    def _take(self, response: DeltaDiscoveryResponse) -> None:
        answer = DeltaDiscoveryRequest(type_url=CDS, response_nonce=response.nonce)
        refused = [resource.name for resource in response.resources if resource.name in self._refuses]
        if refused:
            answer.error_detail.CopyFrom(Status(code=13, message=f"will not have {refused}"))
        else:
            self.held |= {resource.name: resource.version for resource in response.resources}
            for name in response.removed_resources:
                self.held.pop(name, None)
        self._requests.put(answer)
