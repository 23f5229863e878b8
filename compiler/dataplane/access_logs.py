"""Access logs on their way to TCP collectors: Envoy writes lines to a pipe, we send each where it says."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

PIPE = "access-logs.pipe"
LONGEST_LINE = 1024 * 1024
MOST_COLLECTORS = 64
MOST_WAITING = 1024
"""Lines for one collector; what comes while it takes none is dropped, as memory is the proxy's."""

_CONNECT_SECONDS = 5.0
_WRITE_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_REPORT_SECONDS = 60.0

log = structlog.get_logger("dataplane")


def make_pipe(work_dir: Path) -> Path:
    """Before Envoy starts, which would make a file of that name; one that a killed run left is made anew."""
    path = work_dir / PIPE
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return path


async def stream_access_logs(pipe: Path) -> None:
    """For as long as it is not cancelled; a line that is no message is counted and dropped."""
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    # For writing too: the pipe then never ends, whoever else closes it.
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    collectors: dict[str, Collector] = {}
    try:
        async for line in _lines(reader):
            deliver(line, collectors)
    finally:
        transport.close()
        for collector in collectors.values():
            collector.task.cancel()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A line that is too long is passed over to its end."""
    while True:
        try:
            yield await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            await reader.readexactly(error.consumed)
        except asyncio.IncompleteReadError:
            return


def deliver(line: bytes, collectors: dict[str, "Collector"]) -> None:
    message = read_message(line)
    if message is None:
        log.warning("access log line passed over", bytes=len(line))
        return
    if message.address not in collectors:
        if len(collectors) >= MOST_COLLECTORS:
            log.warning("too many access log collectors", address=message.address)
            return
        collectors[message.address] = Collector(message.address)
    collectors[message.address].take(message.line)


@dataclass(frozen=True, slots=True)
class Message:
    """One line for one collector, its newline included."""

    address: str
    line: bytes


def read_message(line: bytes) -> Message | None:
    """As Envoy's JSON format wrote it (docs/dataplane-run.md)."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("address"), str) or "message" not in value:
        return None
    message = value["message"]
    text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    return Message(value["address"], text.rstrip("\n").encode() + b"\n")


@dataclass
class Collector:
    """Lines of one address over one connection, in order; it is made again when it breaks."""

    address: str
    waiting: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    dropped: int = 0
    _reported: float = 0.0

    def __post_init__(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._send())

    def take(self, line: bytes) -> None:
        try:
            self.waiting.put_nowait(line)
        except asyncio.QueueFull:
            self.dropped += 1
            self._report()

    def _report(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._reported or now - self._reported > _REPORT_SECONDS:
            self._reported = now
            log.warning("access log lines dropped", address=self.address, lines=self.dropped)

    async def _send(self) -> None:
        """The line that a broken connection may have lost is sent again: rather twice than not at all."""
        line: bytes | None = None
        while True:
            with suppress(OSError):
                reader, writer = await self._connect()
                try:
                    while True:
                        line = line or await self.waiting.get()
                        if reader.at_eof():
                            raise ConnectionError
                        writer.write(line)
                        async with asyncio.timeout(_WRITE_SECONDS):
                            await writer.drain()
                        line = None
                finally:
                    writer.close()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.address.rpartition(":")
        if not port.isascii() or not port.isdigit() or len(port) > 5:
            raise OSError(f"{self.address} is no address")
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await asyncio.open_connection(host.strip("[]"), int(port))
