from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from benchmarks.client import CDS, LDS, Names, Proxy
from compiler.envoy.resources import ResourceType

EDS = ResourceType.ENDPOINT.type_url


def read(requests: list[bytes]) -> list[DeltaDiscoveryRequest]:
    return [DeltaDiscoveryRequest.FromString(request) for request in requests]


def response(type_url: str, *messages: Any, removed: tuple[str, ...] = (), nonce: str = "1") -> bytes:
    built = DeltaDiscoveryResponse(type_url=type_url, nonce=nonce, removed_resources=removed)
    for message in messages:
        name = getattr(message, "name", "") or message.cluster_name
        resource = built.resources.add(name=name, version=f"v-{name}")
        resource.resource.Pack(message)
    return built.SerializeToString()


def eds_cluster(name: str) -> Cluster:
    cluster = Cluster(name=name, type=Cluster.EDS)
    cluster.eds_cluster_config.eds_config.ads.SetInParent()
    return cluster


def test_a_stream_opens_with_the_node_and_clusters() -> None:
    (first,) = read(Proxy("default.one", Names()).open())
    assert (first.node.id, first.type_url) == ("default.one", CDS)


def test_a_response_is_acked_before_what_it_names_is_asked_for() -> None:
    proxy = Proxy("default.one", Names())
    proxy.open()
    ack, endpoints, listeners = read(proxy.take(response(CDS, eds_cluster("backend"), nonce="7")))
    assert (ack.type_url, ack.response_nonce) == (CDS, "7")
    assert (endpoints.type_url, list(endpoints.resource_names_subscribe)) == (EDS, ["backend"])
    assert listeners.type_url == LDS


def test_what_nothing_names_any_more_is_given_up() -> None:
    proxy = Proxy("default.one", Names())
    proxy.open()
    proxy.take(response(CDS, eds_cluster("backend")))
    _, dropped = read(proxy.take(response(CDS, removed=("backend",))))
    assert (dropped.type_url, list(dropped.resource_names_unsubscribe)) == (EDS, ["backend"])


def test_a_proxy_is_settled_when_everything_named_has_come() -> None:
    proxy = Proxy("default.one", Names())
    proxy.open()
    proxy.take(response(CDS, eds_cluster("backend")))
    proxy.take(response(LDS, Listener(name="inbound")))
    assert not proxy.is_settled
    proxy.take(response(EDS, ClusterLoadAssignment(cluster_name="backend")))
    assert proxy.is_settled


def test_a_second_stream_claims_the_versions_of_the_first() -> None:
    proxy = Proxy("default.one", Names())
    proxy.open()
    proxy.take(response(CDS, eds_cluster("backend")))
    proxy.take(response(LDS, Listener(name="inbound")))
    proxy.take(response(EDS, ClusterLoadAssignment(cluster_name="backend")))
    claims = {request.type_url: dict(request.initial_resource_versions) for request in read(proxy.open())}
    assert claims == {CDS: {"backend": "v-backend"}, LDS: {"inbound": "v-inbound"}, EDS: {"backend": "v-backend"}}
