"""What is asked of Envoy's admin interface, over TCP and over a socket, and which answers count as no."""

import asyncio
from pathlib import Path

import pytest

from compiler.dataplane import drain
from compiler.dataplane.bootstrap import AdminAddress, SocketAddress, UnixSocket
from compiler.dataplane.drain import begin_drain, drain_inbound, post


class Admin:
    """Answers every request with one line and remembers what it was asked."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(request.split(b"\r\n")[0].decode())
        writer.write(self.answer)
        writer.close()

    async def start(self, path: Path | None) -> tuple[AdminAddress, asyncio.Server]:
        if path:
            return UnixSocket(path), await asyncio.start_unix_server(self.serve, path)
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return SocketAddress("127.0.0.1", server.sockets[0].getsockname()[1]), server


@pytest.mark.parametrize("by_socket", [True, False])
def test_health_checks_fail_before_listeners_drain(tmp_path: Path, *, by_socket: bool) -> None:
    async def scenario() -> list[str]:
        admin = Admin()
        address, server = await admin.start(tmp_path / "admin.sock" if by_socket else None)
        async with server:
            await begin_drain(address)
        return admin.asked

    assert asyncio.run(scenario()) == [
        "POST /healthcheck/fail HTTP/1.1",
        "POST /drain_listeners?graceful&skip_exit HTTP/1.1",
    ]


def test_an_inbound_drain_leaves_outbound_listeners_alone(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        admin = Admin()
        address, server = await admin.start(tmp_path / "admin.sock")
        async with server:
            await drain_inbound(address)
        return admin.asked

    assert asyncio.run(scenario()) == ["POST /drain_listeners?inboundonly&graceful&skip_exit HTTP/1.1"]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 405 No\r\n\r\n", b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 2000 OK\r\n"])
def test_any_answer_but_200_is_a_refusal(tmp_path: Path, answer: bytes) -> None:
    async def scenario() -> None:
        address, server = await Admin(answer).start(tmp_path / "admin.sock")
        async with server:
            await post(address, "/healthcheck/fail")

    with pytest.raises(ConnectionError, match="admin interface"):
        asyncio.run(scenario())


def test_an_admin_interface_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async def scenario() -> None:
        server = await asyncio.start_unix_server(hang, tmp_path / "admin.sock")
        async with asyncio.timeout(10):
            try:
                await post(UnixSocket(tmp_path / "admin.sock"), "/healthcheck/fail")
            finally:
                server.close()

    monkeypatch.setattr(drain, "_ANSWER_SECONDS", 0.1)
    with pytest.raises(TimeoutError):
        asyncio.run(scenario())
