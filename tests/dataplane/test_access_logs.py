"""Lines that Envoy writes to the pipe reach the collector that they name, in order, and nothing else is disturbed."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from compiler.dataplane import access_logs
from compiler.dataplane.access_logs import Message, make_pipe, read_message, stream_access_logs


def line(address: str, message: object) -> bytes:
    return json.dumps({"address": address, "message": message}).encode() + b"\n"


class Sink:
    """A collector."""

    def __init__(self) -> None:
        self.received = b""
        self.connections = 0
        self.server: asyncio.Server | None = None
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> str:
        self.server = await asyncio.start_server(self._take, "127.0.0.1", port)
        return f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while data := await reader.read(65536):
            self.received += data
        writer.close()

    async def wait_for(self, wanted: bytes) -> None:
        async with asyncio.timeout(10):
            while wanted not in self.received:
                await asyncio.sleep(0.01)


def stream(tmp_path: Path, scenario: Callable[[int], Awaitable[None]]) -> None:
    """What happens while the pipe is read; the scenario is given where to write."""

    async def run() -> None:
        pipe = make_pipe(tmp_path)
        task = asyncio.create_task(stream_access_logs(pipe))
        await asyncio.sleep(0.05)
        writing = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        try:
            await scenario(writing)
        finally:
            os.close(writing)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_each_line_goes_to_the_collector_that_it_names(tmp_path: Path) -> None:
    async def scenario(pipe: int) -> None:
        one, other = Sink(), Sink()
        first, second = await one.start(), await other.start()
        os.write(pipe, line(first, "a") + line(second, {"status": 200}) + line(first, "b\n"))
        await one.wait_for(b"b\n")
        await other.wait_for(b"}\n")
        assert (one.received, other.received) == (b"a\nb\n", b'{"status":200}\n')
        assert one.connections == other.connections == 1

    stream(tmp_path, scenario)


def test_what_is_no_message_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_logs, "LONGEST_LINE", 1000)

    async def scenario(pipe: int) -> None:
        sink = Sink()
        address = await sink.start()
        for wrong in (b"\n", b"plain\n", b"[]\n", b'{"address": 1, "message": ""}\n', b"x" * 5000 + b"\n", b"\xff\n"):
            os.write(pipe, wrong)
        os.write(pipe, line("nowhere", "a") + line("nowhere:²", "a") + line("127.0.0.1:1", "b") + line(address, "c"))
        await sink.wait_for(b"c\n")
        assert sink.received == b"c\n"

    stream(tmp_path, scenario)


def test_a_collector_that_comes_back_is_sent_what_waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_logs, "_RETRY_SECONDS", 0.05)

    async def scenario(pipe: int) -> None:
        first = Sink()
        address = await first.start()
        os.write(pipe, line(address, "a"))
        await first.wait_for(b"a\n")
        assert first.server is not None
        first.server.close()
        first.writers[0].close()
        await asyncio.sleep(0.2)
        os.write(pipe, line(address, "b") + line(address, "c"))
        await asyncio.sleep(0.2)
        second = Sink()
        await second.start(int(address.rpartition(":")[2]))
        await second.wait_for(b"c\n")
        assert second.received == b"b\nc\n"

    stream(tmp_path, scenario)


def test_a_collector_that_takes_nothing_costs_bounded_memory_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_logs, "MOST_WAITING", 10)

    async def scenario(pipe: int) -> None:
        sink = Sink()
        address = await sink.start()
        for number in range(100):
            os.write(pipe, line("127.0.0.1:1", f"lost {number}"))
        os.write(pipe, line(address, "here"))
        await sink.wait_for(b"here\n")

    stream(tmp_path, scenario)


def test_a_pipe_of_a_killed_run_is_made_anew_and_is_its_owners_alone(tmp_path: Path) -> None:
    make_pipe(tmp_path)
    pipe = make_pipe(tmp_path)
    assert pipe.is_fifo()
    assert pipe.stat().st_mode & 0o777 == 0o600


def test_a_message_is_text_with_one_newline_or_compact_json() -> None:
    assert read_message(line("a:1", "x\n\n")) == Message("a:1", b"x\n")
    assert read_message(line("a:1", {"b": ["ü", None]})) == Message("a:1", '{"b":["ü",null]}\n'.encode())
    assert read_message(b'{"address": "a:1"}') is None
