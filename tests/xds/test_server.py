"""The server as a proxy meets it: publish this, ask for that, get exactly so much, over a real loopback stream."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from google.protobuf.any_pb2 import Any as AnyMessage

from compiler.http2.calls import Caller
from compiler.xds.limits import Limits
from compiler.xds.node import Node
from compiler.xds.remembered import UnrepairedNack
from compiler.xds.served import CDS, EDS, LDS, SDS, ProxyConfig, Resource
from compiler.xds.server import XdsServer
from compiler.xds.sources import CurrentGeneration
from compiler.xds.status import render_status
from tests.xds.adsclient import AdsClient
from tests.xds.build import NODE, config, frame, generation
from tests.xds.carrying import make_server

pytestmark = pytest.mark.usefixtures("carried")
both = pytest.mark.parametrize("full_state", [False, True], ids=["delta", "sotw"])
FAST = Limits(first_request=1.0, write=0.5, patience=0.05, secret_retry=0.05, audit_interval=0.1)


def cluster(name: str, seconds: int = 1) -> Resource:
    message = Cluster(name=name)
    message.connect_timeout.seconds = seconds
    return frame(name, message)


def listener(name: str, prefix: str = "") -> Resource:
    return frame(name, Listener(name=name, stat_prefix=prefix))


ONE = config("one", {CDS: [cluster("a"), cluster("b")], LDS: [listener("in")]})
TWO = config("two", {CDS: [cluster("a", 2), cluster("b")], LDS: [listener("in")]})


@asynccontextmanager
async def serving(*configs: ProxyConfig, **settings: Any) -> AsyncIterator[tuple[XdsServer, CurrentGeneration, int]]:
    source = CurrentGeneration(generation(1, dict.fromkeys((NODE,), configs[0])) if configs else None)
    server = make_server(source, limits=settings.pop("limits", FAST), **settings)
    port = await server.serve("127.0.0.1:0")
    try:
        yield server, source, port
    finally:
        await server.stop(grace=0.2)


@asynccontextmanager
async def connected(port: int, node: str = NODE, *, full_state: bool = False) -> AsyncIterator[AdsClient]:
    client = AdsClient(port, node, full_state=full_state)
    try:
        yield client
    finally:
        await client.close()


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Each test has a loop of its own; its arguments are pytest's parameters."""

    def run(**arguments: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**arguments), 20))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    run.__signature__ = __import__("inspect").signature(test)  # type: ignore[attr-defined]
    return run


def names(response: Any) -> list[str]:
    if hasattr(response, "removed_resources"):
        return [each.name for each in response.resources]
    return [Cluster.FromString(each.value).name for each in response.resources]


async def accept_all(server: XdsServer, client: AdsClient) -> None:
    """Clusters, then listeners, as Envoy asks for them, until the server knows that all was accepted."""
    for url in (CDS, LDS):
        await client.subscribe(url)
        await client.answer(await client.receive())
    await until(lambda: server.list_proxies()[0].fully_acked)


async def until(holds: Callable[[], bool]) -> None:
    """The test's own time limit ends a wait for what never comes."""
    while not holds():
        await asyncio.sleep(0.005)


@both
@on_a_loop
async def test_a_proxy_asks_for_its_clusters_and_gets_them(full_state: bool) -> None:
    async with serving(ONE) as (_, _, port), connected(port, full_state=full_state) as client:
        await client.subscribe(CDS)
        response = await client.receive()
        assert response.type_url == CDS
        assert names(response) == ["a", "b"]
        packed = response.resources[0] if full_state else response.resources[0].resource
        assert Cluster.FromString(packed.value).connect_timeout.seconds == 1


@both
@on_a_loop
async def test_a_change_is_pushed_and_measured_to_its_last_ack(full_state: bool) -> None:
    async with serving(ONE) as (server, source, port), connected(port, full_state=full_state) as client:
        await accept_all(server, client)
        source.publish(generation(2, {NODE: TWO}))
        assert not await server.wait_delivered("two", 0.05)
        await client.answer(await client.receive())
        assert await server.wait_delivered("two", 5)
        delivery = server.delivery
        assert delivery is not None
        assert delivery.first_push is not None
        assert delivery.last_ack is not None
        assert delivery.published <= delivery.first_push < delivery.last_ack


@both
@on_a_loop
async def test_only_the_streams_whose_configuration_changed_are_woken(full_state: bool) -> None:
    async with serving(ONE) as (server, source, port), connected(port, full_state=full_state) as client:
        await accept_all(server, client)
        same = config("one", {CDS: [cluster("a"), cluster("b")], LDS: [listener("in")]})
        change = source.publish(generation(2, {NODE: same, "default.other": TWO}))
        assert change.nodes == {"default.other"}
        assert await client.is_silent()


@both
@on_a_loop
async def test_a_refusal_is_answered_with_the_last_good_configuration_and_is_listed(full_state: bool) -> None:
    async with serving(ONE) as (server, source, port), connected(port, full_state=full_state) as client:
        await accept_all(server, client)
        source.publish(generation(2, {NODE: TWO}))
        await client.answer(await client.receive(), error="x" * 1000 + "the reason")
        repair = await client.receive()
        packed = repair.resources[0] if full_state else repair.resources[0].resource
        assert Cluster.FromString(packed.value).connect_timeout.seconds == 1
        (status,) = server.list_proxies()
        nack = status.types[CDS].nack
        assert nack is not None
        assert (len(nack.message), nack.message[-10:], nack.digest) == (400, "the reason", "two")
        assert (status.acked_digest, status.digest, status.fully_acked) == ("one", "two", False)
        assert render_status(status)["types"][CDS]["nack"]["resources"] == ("a",)


@on_a_loop
async def test_a_delta_client_that_claims_all_it_has_is_sent_nothing() -> None:
    async with serving(ONE) as (_, _, port), connected(port) as client:
        claims = {each.name: each.version for each in ONE.of(CDS).values()}
        await client.subscribe(CDS, initial_resource_versions=claims)
        assert await client.is_silent()


@on_a_loop
async def test_an_unknown_proxy_is_held_listed_and_served_once_a_commit_knows_it() -> None:
    async with serving() as (server, source, port), connected(port, "default.new") as client:
        await client.subscribe(CDS)
        await until(lambda: bool(server.list_proxies()))
        (status,) = server.list_proxies()
        assert (status.node, status.mesh, status.known, status.digest) == ("default.new", "default", False, None)
        source.publish(generation(1, {"default.new": ONE}))
        assert names(await client.receive()) == ["a", "b"]


@on_a_loop
async def test_a_removed_proxy_keeps_its_configuration_while_it_is_connected() -> None:
    async with serving(ONE) as (server, source, port), connected(port) as client:
        await accept_all(server, client)
        source.publish(generation(2, {}))
        (status,) = server.list_proxies()
        assert (status.known, status.digest) == (False, "one")
        assert await client.is_silent()


@on_a_loop
async def test_a_new_stream_of_a_node_takes_over() -> None:
    async with serving(ONE) as (server, _, port), connected(port) as old, connected(port) as new:
        await old.subscribe(CDS)
        await old.receive()
        await new.subscribe(CDS)
        assert names(await new.receive()) == ["a", "b"]
        assert await old.end_code() is grpc.StatusCode.ABORTED
        assert len(server.list_proxies()) == 1


@on_a_loop
async def test_shutting_down_ends_streams_with_unavailable() -> None:
    async with serving(ONE) as (server, _, port), connected(port) as client:
        await client.subscribe(CDS)
        await client.receive()
        await server.stop(grace=1)
        assert await client.end_code() is grpc.StatusCode.UNAVAILABLE


@on_a_loop
async def test_a_revoked_proxy_is_cut_off() -> None:
    async with serving(ONE) as (server, _, port), connected(port) as client:
        await client.subscribe(CDS)
        await client.receive()
        assert server.disconnect(NODE, "revoked")
        assert await client.end_code() is grpc.StatusCode.PERMISSION_DENIED
        assert not server.disconnect("default.nobody", "revoked")


@on_a_loop
async def test_a_stream_that_proves_nothing_is_refused_before_it_gets_anything() -> None:
    async def admit(node: Node, caller: Caller) -> str | None:
        return node.id if caller.metadata.get("authorization") == "Bearer right" else None

    async with serving(ONE, admit=admit) as (server, _, port), connected(port) as client:
        await client.subscribe(CDS)
        assert await client.end_code() is grpc.StatusCode.PERMISSION_DENIED
        assert server.list_proxies() == ()


@on_a_loop
async def test_a_stream_that_says_nothing_is_ended() -> None:
    async with serving(ONE) as (_, _, port), connected(port) as client:
        await client.call.wait_for_connection()
        assert await client.end_code() is grpc.StatusCode.DEADLINE_EXCEEDED


@on_a_loop
async def test_bytes_that_are_no_request_end_their_stream_only() -> None:
    async with serving(ONE) as (_, _, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
        )()
        await call.write(b"\xff\xff\xff")
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        async with connected(port) as client:
            await client.subscribe(CDS)
            assert names(await client.receive()) == ["a", "b"]


class Vault:
    """A secret source that can be made to wait and to rotate."""

    def __init__(self) -> None:
        self.secrets: dict[str, Resource] = {}
        self.callbacks: list[Callable[[str | None], None]] = []

    def get(self, node_id: str, name: str) -> Resource | None:
        return self.secrets.get(name)

    def subscribe(self, callback: Callable[[str | None], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)


@on_a_loop
async def test_a_secret_comes_when_it_can_be_had_and_again_when_it_rotates() -> None:
    vault = Vault()
    async with serving(config("one", {}, ["id"]), secrets=vault) as (_, _, port), connected(port) as client:
        await client.subscribe(SDS, ["id"])
        await asyncio.sleep(0.1)
        for version, rotated in (("1", NODE), ("2", NODE), ("3", None)):
            vault.secrets["id"] = Resource("id", version, any_of(b""))
            vault.callbacks[0](rotated)
            response = await client.receive()
            assert [(each.name, each.version) for each in response.resources] == [("id", version)]
            await client.answer(response)


@on_a_loop
async def test_a_secret_that_the_configuration_does_not_list_is_not_found() -> None:
    vault = Vault()
    vault.secrets["theirs"] = Resource("theirs", "1", any_of(b""))
    async with serving(config("one", {}, ["id"]), secrets=vault) as (_, _, port), connected(port) as client:
        await client.subscribe(SDS, ["theirs"])
        response = await client.receive()
        assert (list(response.resources), list(response.removed_resources)) == ([], ["theirs"])


class Records:
    def __init__(self) -> None:
        self.kept: dict[str, UnrepairedNack] = {}

    def load(self, node_id: str) -> UnrepairedNack | None:
        return self.kept.get(node_id)

    def save(self, node_id: str, record: UnrepairedNack | None) -> None:
        self.kept.pop(node_id, None)
        if record is not None:
            self.kept[node_id] = record


@on_a_loop
async def test_an_unrepaired_refusal_is_repaired_by_the_next_server() -> None:
    records = Records()
    claims = {each.name: each.version for each in ONE.of(CDS).values()}
    async with serving(ONE, records=records) as (server, source, port), connected(port) as client:
        await accept_all(server, client)
        source.publish(generation(2, {NODE: TWO}))
        await client.answer(await client.receive(), error="no")
        await client.receive()
    assert records.kept[NODE].touched == ((CDS, "a"),)
    async with serving(ONE, records=records) as (_, _, port), connected(port) as client:
        await client.subscribe(CDS, initial_resource_versions=claims)
        repair = await client.receive()
        assert names(repair) == ["a"]
        await client.answer(repair)
        await client.subscribe(LDS)
        await client.answer(await client.receive())
        await until(lambda: not records.kept)
    assert records.kept == {}


@on_a_loop
async def test_a_reader_that_stops_is_cut_off_and_costs_nobody_else() -> None:
    """60 endpoints of 1 MB: far more than the transport takes without being read."""
    big = config("big", {EDS: [Resource("0", "1", any_of(b""))]})
    heavy = config("heavy", {EDS: [Resource(str(number), "1", any_of(bytes(1_000_000))) for number in range(60)]})
    source = CurrentGeneration(generation(1, {NODE: heavy, "default.light": big}))
    server = make_server(source, limits=FAST)
    port = await server.serve("127.0.0.1:0")
    options = [("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        stuck = channel.stream_stream(
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
        )()
        await stuck.write(_first_request([str(number) for number in range(60)]))
        async with connected(port, "default.light") as client:
            await client.subscribe(EDS, ["0"])
            await client.receive()
        await asyncio.sleep(1.2)
        assert NODE not in [status.node for status in server.list_proxies()]
    await server.stop(grace=0.2)


def any_of(value: bytes) -> bytes:
    return AnyMessage(type_url="type.googleapis.com/x", value=value).SerializeToString()


def _first_request(subscribed: list[str]) -> bytes:
    request = DeltaDiscoveryRequest(type_url=EDS, resource_names_subscribe=subscribed)
    request.node.id = NODE
    return request.SerializeToString()


@on_a_loop
async def test_metrics_count_pushes_answers_and_streams_by_type_and_no_proxy() -> None:
    async with serving(ONE) as (server, _, port), connected(port) as client:
        await accept_all(server, client)
        read = server.metrics.registry.get_sample_value
        assert read("meshwright_xds_pushes_total", {"type": "Cluster"}) == 1
        assert read("meshwright_xds_acks_total", {"type": "Listener"}) == 1
        assert read("meshwright_xds_streams", {"protocol": "delta"}) == 1


@on_a_loop
async def test_the_audit_sends_what_the_bookkeeping_lost() -> None:
    async with serving(ONE) as (server, _, port), connected(port) as client:
        await accept_all(server, client)
        machine = server.find_machine(NODE)
        assert machine is not None
        machine.types[CDS].let_go("a")
        assert names(await client.receive()) == ["a"]
