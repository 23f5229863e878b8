"""The driver's bare client speaks HTTP/2 as a library's server understands it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from benchmarks.wire import METHOD, Wire

_WINDOW = 65_535


@asynccontextmanager
async def _served(behave: Callable[..., Any]) -> AsyncIterator[str]:
    """A stream of grpcio's on a port of its own."""
    _, service, method = METHOD.split("/")
    handler = grpc.stream_stream_rpc_method_handler(behave)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def _connect(address: str, take: Callable[[bytes], None], *, reads: bool) -> Wire:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(lambda: Wire(address, take, reads=reads), host, int(port))
    return wire


def test_messages_of_every_size_go_there_and_come_back_in_order() -> None:
    """Beyond a window and a frame too, both ways."""

    async def echo(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        async for message in requests:
            yield message

    async def scenario() -> None:
        sent = [bytes([number]) * size for number, size in enumerate((0, 1, 100, 20_000, 3 * _WINDOW, 1_000_000, 5))]
        came: list[bytes] = []
        async with asyncio.timeout(20), _served(echo) as address:
            wire = await _connect(address, came.append, reads=True)
            wire.send(sent)
            while len(came) < len(sent):
                await asyncio.sleep(0.01)
            wire.close()
        assert came == sent

    asyncio.run(scenario())


def test_a_stream_that_the_server_ends_is_lost() -> None:
    async def refuse(_requests: AsyncIterator[bytes], context: Any) -> None:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")

    async def scenario() -> None:
        async with asyncio.timeout(20), _served(refuse) as address:
            wire = await _connect(address, lambda _: None, reads=True)
            wire.send([b"let me in"])
            await wire.lost.wait()

    asyncio.run(scenario())


def test_who_never_reads_gives_no_window_back() -> None:
    written = 0

    async def pour(_requests: AsyncIterator[bytes], context: Any) -> None:
        nonlocal written
        while True:
            await context.write(bytes(10_000))
            written += 1

    async def scenario() -> None:
        came: list[bytes] = []
        async with asyncio.timeout(20), _served(pour) as address:
            wire = await _connect(address, came.append, reads=False)
            while not written:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)  # what more would come, would be here by then
            assert sum(map(len, came)) <= _WINDOW
            before = written
            await asyncio.sleep(0.2)
            assert written == before
            wire.close()

    asyncio.run(scenario())
