"""Many clients at once on a real loopback server: a fleet that comes back, and clients that never read."""

import asyncio
import gc
import time
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from compiler.xds.admission import Conversation
from compiler.xds.limits import Limits
from compiler.xds.served import CDS, EDS, LDS, ProxyConfig, Resource
from compiler.xds.server import XdsServer
from compiler.xds.sources import CurrentGeneration
from compiler.xds.stream import Stream
from compiler.xds.subscription import Subscription
from compiler.xds.type_state import Flight, TypeState
from tests.xds.adsclient import SERVICE
from tests.xds.build import NODE, config, generation
from tests.xds.carrying import make_server
from tests.xds.test_server import any_of, cluster, connected, listener, on_a_loop, until

pytestmark = pytest.mark.usefixtures("carried")
METHOD = f"/{SERVICE}/DeltaAggregatedResources"
STREAMS_A_CONNECTION = 100


@on_a_loop
async def test_a_fleet_that_comes_back_at_once_is_refused_nothing() -> None:
    """More streams than grpcio lets wait by itself, opened while the server looks at none."""
    nodes = [f"default.p{number}" for number in range(1_500)]
    async with AsyncExitStack() as stack:
        port = await _serve(stack, dict.fromkeys(nodes, config("one", {CDS: [cluster("a")]})), Limits())
        calls = []
        for first in range(0, len(nodes), STREAMS_A_CONNECTION):
            channel = await _connect(stack, port)
            await channel.channel_ready()
            calls += [(node, channel.stream_stream(METHOD)()) for node in nodes[first : first + STREAMS_A_CONNECTION]]
        await asyncio.gather(*(call.write(_ask(node, CDS)) for node, call in calls))
        answers = await asyncio.gather(*(call.read() for _, call in calls))
        assert all(isinstance(answer, bytes) for answer in answers)


@on_a_loop
async def test_clients_that_never_read_hold_nobody_up() -> None:
    """Forty are owed 40 MB of a budget of 2; another's changes pass between, each in less than a second."""
    silent = [f"default.silent{number}" for number in range(40)]
    parts = [str(number) for number in range(5)]
    heavy = config("heavy", {EDS: [Resource(part, "1", any_of(bytes(200_000))) for part in parts]})
    light = [config(str(number), {CDS: [cluster("a", number + 1)], LDS: [listener("in")]}) for number in range(10)]
    limits = Limits(bytes_in_flight=2_000_000, small_bytes=100_000, write=5.0, crowded_write=4.0)
    source = CurrentGeneration(generation(1, {**dict.fromkeys(silent, heavy), NODE: light[0]}))
    async with AsyncExitStack() as stack:
        server = make_server(source, limits=limits)
        port = await server.serve("127.0.0.1:0")
        stack.push_async_callback(server.stop, 0.2)
        kept = [(await _connect(stack, port)).stream_stream(METHOD)() for _ in silent]
        for node, call in zip(silent, kept, strict=True):
            await call.write(_ask(node, EDS, *parts))
        client = await stack.enter_async_context(connected(port))
        await accept_first(server, client)
        for number, each in enumerate(light[1:], 2):
            begun = time.monotonic()
            source.publish(generation(number, {**dict.fromkeys(silent, heavy), NODE: each}))
            await client.answer(await client.receive())
            assert time.monotonic() - begun < 1.0


@on_a_loop
async def test_a_client_that_does_not_read_is_let_go_sooner_where_others_wait() -> None:
    """All of them have to be there before the first one is let go: who waits alone may wait for long."""
    parts = [str(number) for number in range(60)]
    heavy = config("heavy", {EDS: [Resource(part, "1", any_of(bytes(1_000_000))) for part in parts]})
    nodes = ("default.first", "default.second", "default.third")
    limits = Limits(bytes_in_flight=1_000_000, small_bytes=1_000, write=60.0, crowded_write=1.5)
    async with AsyncExitStack() as stack:
        server = make_server(CurrentGeneration(generation(1, dict.fromkeys(nodes, heavy))), limits=limits)
        port = await server.serve("127.0.0.1:0")
        stack.push_async_callback(server.stop, 0.2)
        calls = [(await _connect(stack, port)).stream_stream(METHOD)() for _ in nodes]
        for node, call in zip(nodes, calls, strict=True):
            await call.write(_ask(node, EDS, *parts))
        await until(lambda: len(server.list_proxies()) == len(nodes))
        begun = time.monotonic()
        await until(lambda: not server.list_proxies())
        assert time.monotonic() - begun < 10.0


@on_a_loop
async def test_streams_that_come_and_go_leave_nothing_to_the_garbage_collector() -> None:
    """It does not run while a fleet connects, and what was there by then it never looks at again."""
    first, second = (
        config(name, {CDS: [cluster("a", len(name))], LDS: [listener("in")]}) for name in ("one", "second")
    )
    source = CurrentGeneration(generation(1, {NODE: first}))
    server = make_server(source)
    port = await server.serve("127.0.0.1:0")
    gc.collect()
    gc.disable()
    try:
        for number, each in enumerate((second, first), 2):
            async with connected(port) as client:
                await accept_first(server, client)
                source.publish(generation(number, {NODE: each}))
                await client.answer(await client.receive())
            await until(lambda: not server.connected)
        await asyncio.sleep(0.05)
        assert not {Stream, Subscription, TypeState, Conversation, Flight} & {type(one) for one in gc.get_objects()}
    finally:
        gc.enable()
        await server.stop(0.2)


async def accept_first(server: XdsServer, client: Any) -> None:
    """As `accept_all`, beside proxies that never ACK."""
    for url in (CDS, LDS):
        await client.subscribe(url)
        await client.answer(await client.receive())
    await until(lambda: next(each for each in server.list_proxies() if each.node == NODE).fully_acked)


async def _serve(stack: AsyncExitStack, proxies: dict[str, ProxyConfig], limits: Limits) -> int:
    server = make_server(CurrentGeneration(generation(1, proxies)), limits=limits)
    stack.push_async_callback(server.stop, 0.2)
    return await server.serve("127.0.0.1:0")


async def _connect(stack: AsyncExitStack, port: int) -> grpc.aio.Channel:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options))


def _ask(node: str, type_url: str, *names: str) -> bytes:
    request = DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names)
    request.node.id = node
    return request.SerializeToString()
