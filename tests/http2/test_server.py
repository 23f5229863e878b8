"""Sockets: who does not shake hands, does not read, does not go, or comes in a crowd."""

import asyncio
import gc
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.http2 import frames
from compiler.http2.bounds import Bounds
from compiler.http2.server import Http2Server, name_address
from tests.http2.conversation import Conversation, Told, data, headers, list_ours, message, request, settings
from tests.http2.test_clients import Served, run, served, tls_of_client, tls_of_server

HELLO = (
    frames.PREFACE
    + settings((frames.INITIAL_WINDOW_SIZE, frames.LARGEST_WINDOW))
    + frames.write_window_update(0, frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW)
    + frames.SETTINGS_ACK
    + headers(1, Conversation().encoder.encode(request()))
)


async def connect(
    here: Served, said: bytes = b"", *, secured: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = here.address.rpartition(":")
    tls = tls_of_client() if secured else None
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=tls, server_hostname="localhost" if secured else None
    )
    writer.write(said)
    return reader, writer


async def until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("said", [b"", frames.PREFACE[:10], frames.PREFACE, frames.PREFACE + settings()])
def test_who_does_not_shake_hands_is_sent_away(said: bytes) -> None:
    async def work() -> None:
        async with served(bounds=Bounds(handshake=0.2, linger=0.2)) as here:
            reader, writer = await connect(here, said)
            await reader.read()
            await until(lambda: here.server.connections == 0)
            writer.close()

    run(work())


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01", b"no TLS at all"])
def test_who_does_not_shake_hands_with_tls_is_sent_away(said: bytes) -> None:
    async def work() -> None:
        async with served(bounds=Bounds(handshake=0.2, linger=0.2), tls=tls_of_server(verify=True)) as here:
            reader, writer = await connect(here, said)
            await reader.read()
            await until(lambda: here.server.connections == 0)
            writer.close()

    run(work())


def test_who_shakes_hands_stays() -> None:
    async def work() -> None:
        async with served(bounds=Bounds(handshake=0.6)) as here:
            _, writer = await connect(here, HELLO)
            await asyncio.sleep(1.2)
            assert here.server.connections == 1
            writer.close()

    run(work())


def test_who_does_not_leave_after_a_fault_is_cut_off() -> None:
    async def work() -> None:
        async with served(bounds=Bounds(linger=0.3)) as here:
            reader, writer = await connect(here, HELLO + data(0, b""))
            farewell = await reader.read()
            assert frames.Fault.PROTOCOL_ERROR in farewell
            assert here.server.connections == 1
            writer.write(bytes(1000))
            await until(lambda: here.server.connections == 0)
            assert here.calls[0].lost == 1

    run(work())


@pytest.mark.parametrize("secured", [False, True], ids=["plaintext", "TLS"])
def test_who_does_not_read_costs_a_message_and_is_served_once_it_reads(secured: bool) -> None:
    tls = tls_of_server(verify=False) if secured else None

    async def work() -> None:
        async with served(application=Told, tls=tls) as here:
            reader, writer = await connect(here, HELLO, secured=secured)
            await until(lambda: bool(here.calls))
            app = here.calls[0]
            app.say(*[bytes(3_000_000)] * 20)
            await asyncio.sleep(0.3)
            assert app.pulled < 12, "as many as the buffers of the system take"
            read = 0
            while read < 60_000_000:
                read += len(await reader.read(1_000_000))
            await until(lambda: app.pulled == 21)
            writer.close()

    run(work())


@pytest.mark.parametrize("secured", [False, True], ids=["plaintext", "TLS"])
def test_a_client_that_is_gone_is_lost(secured: bool) -> None:
    tls = tls_of_server(verify=False) if secured else None

    async def work() -> None:
        async with served(application=Told, tls=tls) as here:
            _, writer = await connect(here, HELLO, secured=secured)
            await until(lambda: bool(here.calls))
            writer.transport.abort()
            await until(lambda: here.calls[0].lost == 1)
            here.calls[0].say(b"x")
            assert here.server.connections == 0

    run(work())


def test_a_fault_over_tls_is_told_before_the_end() -> None:
    async def work() -> None:
        async with served(tls=tls_of_server(verify=False), bounds=Bounds(linger=0.3)) as here:
            reader, writer = await connect(here, HELLO + data(0, b""), secured=True)
            said = await reader.read()
            assert b"never opened" in said
            writer.close()
            await until(lambda: here.server.connections == 0)
            assert here.calls[0].lost == 1

    run(work())


def test_a_client_that_goes_while_it_is_written_to_is_lost_after_the_write() -> None:
    async def work() -> None:
        async with served(application=Told) as here:
            _, writer = await connect(here, HELLO)
            await until(lambda: bool(here.calls))
            writer.transport.abort()
            app = here.calls[0]
            for _ in range(3):
                app.say(b"x")
                assert app.lost == 0, "never while it speaks"
            await until(lambda: app.lost == 1)

    run(work())


def test_a_crowd_is_let_in_while_the_others_are_served() -> None:
    async def work() -> None:
        async with served() as here:
            reader, writer = await connect(here, HELLO)
            loop = asyncio.get_running_loop()
            host, _, port = here.address.rpartition(":")
            crowd = [socket.socket() for _ in range(300)]
            for each in crowd:
                each.setblocking(False)
                with pytest.raises(BlockingIOError):
                    each.connect((host, int(port)))
            writer.write(data(1, message(b"still here?")))
            said = b""
            while b"still here?" not in said:
                said += await reader.read(1000)
            await until(lambda: here.server.connections == 301)
            for each in crowd:
                await loop.sock_sendall(each, HELLO + data(1, message(b"me too")))
            await until(lambda: sum(bool(app.received) for app in here.calls) == 301)
            for each in crowd:
                each.close()
            await until(lambda: here.server.connections == 1)

    run(work())


def test_a_server_without_files_goes_on_once_there_are_some() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def work() -> None:
        async with served() as here:
            one = await connect(here, HELLO)
            await until(lambda: len(here.calls) == 1)
            waiting = socket.socket()
            waiting.setblocking(False)
            lowest = os.open(os.devnull, os.O_RDONLY)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            try:
                host, _, port = here.address.rpartition(":")
                with pytest.raises(BlockingIOError):
                    waiting.connect((host, int(port)))
                await asyncio.sleep(0.3)
                assert here.server.connections == 1
                one[1].write(data(1, message(b"x")))
                await until(lambda: here.calls[0].received == [b"x"])
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: here.server.connections == 2)
            waiting.close()

    run(work())


def test_windows_below_the_protocols_own_are_refused() -> None:
    with pytest.raises(ValueError, match="65,535"):
        Bounds(window=1000)


def test_an_address_that_is_taken_is_refused(tmp_path: Path) -> None:
    async def work() -> None:
        for address in ("127.0.0.1:0", f"unix:{tmp_path}/socket"):
            async with served(address) as here:
                with pytest.raises(OSError, match=r"in use|already"):
                    await Http2Server({}).serve(here.address)

    run(work())


@pytest.mark.parametrize(
    ("family", "address", "written"),
    [
        (socket.AF_INET, ("192.0.2.1", 80), "ipv4:192.0.2.1:80"),
        (socket.AF_INET6, ("2001:db8::1", 80, 0, 0), "ipv6:[2001:db8::1]:80"),
        (socket.AF_INET6, ("::ffff:192.0.2.1", 80, 0, 0), "ipv4:192.0.2.1:80"),
        (socket.AF_UNIX, "", "unix:"),
    ],
)
def test_an_address_is_written_as_grpc_does(family: int, address: object, written: str) -> None:
    assert name_address(family, address) == written


def test_a_server_that_was_stopped_may_serve_again() -> None:
    async def work() -> None:
        async with served() as here:
            await here.server.stop(0)
            port = await here.server.serve("127.0.0.1:0")
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HELLO)
            await until(lambda: len(here.calls) == 1)
            writer.close()

    run(work())


def test_a_socket_file_that_nobody_listens_at_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    async def work() -> None:
        async with served(f"unix:{path}"):
            assert path.is_socket()
        assert not path.exists()

    run(work())


def test_connections_that_come_and_go_leave_nothing_to_the_garbage_collector() -> None:
    async def work(*, secured: bool) -> None:
        async with served(tls=tls_of_server(verify=False) if secured else None, bounds=Bounds(linger=0.1)) as here:
            gc.collect()
            gc.disable()
            for said in (b"", HELLO, HELLO + data(1, message(b"x") + b"\0"), HELLO + data(0, b""), b"GET /"):
                _, writer = await connect(here, said, secured=secured)
                await asyncio.sleep(0.05)
                writer.transport.abort()
            await until(lambda: here.server.connections == 0)
            await asyncio.sleep(0.05)
            assert not {"Connection", "Intake", "SocketWire", "TlsWire", "FrameReader"} & list_ours()

    try:
        run(work(secured=False))
        run(work(secured=True))
    finally:
        gc.enable()


@pytest.mark.parametrize("secured", [False, True], ids=["plaintext", "tls"])
@pytest.mark.parametrize("said", [HELLO, HELLO + data(0, b"")], ids=["silent", "at fault and never gone"])
def test_connections_that_the_server_ends_leave_nothing_to_the_garbage_collector(said: bytes, secured: bool) -> None:
    bounds = Bounds(keepalive_time=0.1, keepalive_timeout=0.1, linger=0.1)

    async def work() -> None:
        async with served(tls=tls_of_server(verify=False) if secured else None, bounds=bounds) as here:
            gc.collect()
            gc.disable()
            reader, writer = await connect(here, said, secured=secured)
            await until(lambda: here.server.connections == 1)
            await until(lambda: here.server.connections == 0)
            await asyncio.sleep(0.05)
            assert not {"Connection", "Intake", "SocketWire", "TlsWire", "FrameReader"} & list_ours()
            writer.transport.abort()
            del reader

    try:
        run(work())
    finally:
        gc.enable()
