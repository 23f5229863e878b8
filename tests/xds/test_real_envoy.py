"""A real Envoy takes what is served, keeps what was good when it refuses, and takes the next good configuration."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from compiler.xds.served import CDS, EDS, LDS, RDS, ProxyConfig, Resource
from compiler.xds.server import XdsServer
from compiler.xds.sources import CurrentGeneration
from tests.e2e.places import free_port
from tests.xds.build import NODE, config, generation
from tests.xds.carrying import make_server
from tests.xds.real_envoy import (
    application,
    cluster,
    endpoints,
    fetch,
    find_envoy,
    listener,
    routes,
    running_envoy,
)

BINARY = find_envoy()
pytestmark = [
    pytest.mark.usefixtures("carried"),
    pytest.mark.skipif(BINARY is None, reason="NO ENVOY on PATH or beside the interpreter: nothing real is tested"),
]
both = pytest.mark.parametrize("full_state", [False, True], ids=["delta", "sotw"])
IN_TIME = 30.0


class Mesh:
    """Publishes one configuration after the other to one Envoy."""

    def __init__(self, source: CurrentGeneration, server: XdsServer) -> None:
        self.source = source
        self.server = server
        self.number = 0

    def publish(self, proxy: ProxyConfig) -> None:
        self.number += 1
        self.source.publish(generation(self.number, {NODE: proxy}))

    async def accepts(self, proxy: ProxyConfig) -> bool:
        self.publish(proxy)
        return await self.server.wait_delivered(proxy.digest, IN_TIME)

    async def refuses(self, proxy: ProxyConfig, type_url: str) -> str:
        """The refusal's text."""
        self.publish(proxy)
        machine = self.server.find_machine(NODE)
        assert machine is not None
        while type_url not in machine.memory.nacks:
            await asyncio.sleep(0.01)
        return machine.memory.nacks[type_url].message


async def becomes(port: int, wanted: tuple[int, str, str]) -> None:
    for _ in range(200):
        seen = await fetch(port)
        if seen == wanted:
            return
        await asyncio.sleep(0.05)
    assert seen == wanted


def proxy(
    digest: str, listeners: Iterable[Resource], clusters: Iterable[Resource], route: Resource | None, *apps: int
) -> ProxyConfig:
    kept = tuple(clusters)
    return config(
        digest,
        {
            CDS: kept,
            EDS: [endpoints(each.name, *apps) for each in kept],
            LDS: listeners,
            RDS: [] if route is None else [route],
        },
    )


@both
def test_a_real_envoy_follows_heals_and_follows_again(full_state: bool, tmp_path: Path) -> None:
    async def scenario() -> None:
        source = CurrentGeneration()
        server = make_server(source)
        port = await server.serve("127.0.0.1:0")
        with application("hello") as app, application("other") as other:
            async with running_envoy(str(BINARY), tmp_path, port, NODE, full_state=full_state):
                mesh = Mesh(source, server)
                await follow(mesh, app, other)
                await server.stop(grace=1)
                await restart_unnoticed(source, port)

    asyncio.run(asyncio.wait_for(scenario(), 60))


async def restart_unnoticed(source: CurrentGeneration, port: int) -> None:
    """A new server process, as far as memory goes: Envoy comes back, and is sent nothing."""
    server = make_server(source)
    assert await server.serve(f"127.0.0.1:{port}") == port
    while not any(proxy.fully_acked for proxy in server.list_proxies()):
        await asyncio.sleep(0.05)
    collected = [sample for metric in server.metrics.registry.collect() for sample in metric.samples]
    assert not any(each.value for each in collected if each.name == "meshwright_xds_pushes_total")
    assert any(each.value for each in collected if each.name == "meshwright_xds_streams")
    await server.stop(grace=1)


async def follow(mesh: Mesh, app: int, other: int) -> None:
    door, second = free_port(), free_port()
    first = proxy("one", [listener("in", door, "r")], [cluster("a")], routes("r", "a", "1"), app)
    mesh.publish(first)
    await becomes(door, (200, "hello", "1"))

    moved = proxy("two", [listener("in", door, "r")], [cluster("b")], routes("r", "b", "2"), other)
    await becomes(door, (200, "hello", "1"))
    assert await mesh.accepts(moved)
    assert await fetch(door) == (200, "other", "2")

    await refuse_and_heal(mesh, door, second, other)
    await lose_and_regain_routes(mesh, door, other)


async def refuse_and_heal(mesh: Mesh, door: int, second: int, app: int) -> None:
    """One refusal with the whole response, one with a part of it; neither costs a request."""
    listeners = [listener("in", door, "r")]
    zero = proxy("zero", listeners, [cluster("b"), cluster("c", 0)], routes("r", "b", "zero"), app)
    assert "ConnectTimeout" in await mesh.refuses(zero, CDS)
    assert await fetch(door) == (200, "other", "2")

    foreign = [*listeners, listener("far", second, "r", address="192.0.2.1")]
    unbindable = proxy("far", foreign, [cluster("b")], routes("r", "b", "far"), app)
    assert "192.0.2.1" in await mesh.refuses(unbindable, LDS)
    assert await fetch(door) == (200, "other", "2")

    good = proxy("good", [*listeners, listener("near", second, "r")], [cluster("b")], routes("r", "b", "3"), app)
    assert await mesh.accepts(good)
    await becomes(second, (200, "other", "3"))
    assert await fetch(door) == (200, "other", "3")
    assert mesh.server.list_proxies()[0].types[LDS].nack is None


async def lose_and_regain_routes(mesh: Mesh, door: int, app: int) -> None:
    """The same routes come back after they were dropped: they must be sent again, whatever version Envoy claims."""
    inline = proxy("inline", [listener("in", door, "r", inline_to="b")], [cluster("b")], None, app)
    by_name = proxy("named", [listener("in", door, "r")], [cluster("b")], routes("r", "b", "3"), app)
    assert await mesh.accepts(inline)
    await becomes(door, (200, "other", "inline"))
    await asyncio.sleep(1.5)  # The old listener drains for a second, then its routes are unsubscribed.
    assert await mesh.accepts(by_name)
    await becomes(door, (200, "other", "3"))
    assert mesh.server.list_proxies()[0].types[RDS].nack is None
