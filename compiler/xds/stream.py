"""One proxy's stream: reads requests into the state machine, writes what the machine owes, and ends for a reason."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from compiler.xds.events import Request, Response
from compiler.xds.limits import Limits
from compiler.xds.metrics import Metrics
from compiler.xds.node import Node
from compiler.xds.served import SDS, ProxyConfig
from compiler.xds.sources import SecretSource
from compiler.xds.subscription import Subscription, TooManyNamesError
from compiler.xds.writing import Writes

Context = Any
"""grpc.aio's ServicerContext, whose stubs lack the raw-bytes form."""


class StreamEndedError(Exception):
    """The server ends this stream; the client is told the code and why."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all streams of a server share. `on_event` is told of every stream after something happened to it."""

    limits: Limits
    metrics: Metrics
    writes: Writes
    secrets: SecretSource | None
    on_write: Callable[["Stream"], None]
    on_event: Callable[["Stream"], None]
    wall_clock: Callable[[], float]


async def read_request(context: Context, protocol: ModuleType) -> tuple[Request, Node | None] | None:
    """None when the client has closed its side."""
    message = await context.read()
    if message is grpc.aio.EOF:
        return None
    try:
        request: tuple[Request, Node | None] = protocol.read_request(message)
    except DecodeError as error:
        raise StreamEndedError(grpc.StatusCode.INVALID_ARGUMENT, "not a discovery request") from error
    return request


class Stream:
    """Two tasks, one reading and one writing, around one machine; the writer is the gRPC handler's own task."""

    def __init__(
        self, node: Node, machine: Subscription, protocol: ModuleType, context: Context, around: Surroundings
    ) -> None:
        self.node = node
        self.machine = machine
        self.protocol = protocol
        self.since = around.wall_clock()
        self.acked: ProxyConfig | None = None
        self._context = context
        self._around = around
        self._idle: asyncio.Future[None] | None = None
        self._ending: StreamEndedError | None = None
        self._closed = False
        self._writer: asyncio.Task[None] | None = None
        self._stuck = False
        self._secret_tasks: dict[str, asyncio.Task[None]] = {}
        self._secrets_known: set[str] = set()
        self._patience: asyncio.TimerHandle | None = None

    async def run(self, first: Request) -> None:
        """Until the client goes. Raises StreamEndedError when it is the server that ends it."""
        reader: asyncio.Task[None] | None = None
        self._writer = asyncio.current_task()
        try:
            self._take_request(first)
            reader = asyncio.create_task(self._read())
            await self._write()
        finally:
            self._close(reader)
        if self._ending is not None:
            raise self._ending

    def end(self, code: grpc.StatusCode, reason: str) -> None:
        """No event reaches the machine from here on; its memory may pass to the node's next stream at once."""
        if self._ending is None:
            self._ending = StreamEndedError(code, reason)
        self._retire()

    def set_config(self, config: ProxyConfig) -> None:
        self.machine.on_config(config)
        self._fetch_secrets()
        self._note_event()

    def refresh_secrets(self) -> None:
        """What rotated is fetched anew; until it is there the client keeps what it has."""
        for task in self._secret_tasks.values():
            task.cancel()
        self._secret_tasks.clear()
        self._secrets_known.clear()
        self._fetch_secrets()

    def audit(self) -> None:
        corrections = self.machine.audit()
        if corrections:
            self._around.metrics.audit.inc(corrections)
            self._stir()

    async def _read(self) -> None:
        try:
            while not self._closed:
                received = await read_request(self._context, self.protocol)
                if received is None or self._closed:
                    break
                self._take_request(received[0])
        except StreamEndedError as error:
            self.end(error.code, error.reason)
        except grpc.aio.UsageError:
            pass  # The RPC ended while it was being read.
        self._retire()

    def _take_request(self, request: Request) -> None:
        answers = request.nonce and self._is_answer(request)
        try:
            self.machine.on_request(request, self._around.wall_clock())
        except TooManyNamesError as error:
            raise StreamEndedError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"too many names of {error}") from error
        if answers:
            counters = self._around.metrics.of(request.type_url)
            (counters.acks if request.error is None else counters.nacks).inc()
        if request.type_url == SDS:
            self._fetch_secrets()
        self._note_event()

    def _is_answer(self, request: Request) -> bool:
        state = self.machine.types.get(request.type_url)
        return state is not None and request.nonce in state.flights

    async def _write(self) -> None:
        while not self._closed:
            response = self.machine.take()
            if response is None:
                await self._rest()
            else:
                await self._write_response(response)

    async def _rest(self) -> None:
        self._idle = asyncio.get_running_loop().create_future()
        try:
            await self._idle
        finally:
            self._idle = None

    def _stir(self) -> None:
        """An idle writer is woken only if something may be owed: after most ACKs nothing is."""
        if self._idle is not None and not self._idle.done() and (self._closed or self.machine.may_owe):
            self._idle.set_result(None)

    async def _write_response(self, response: Response) -> None:
        message = self.protocol.write_response(response)
        self._around.on_write(self)
        self._around.writes.begin(self, self._give_up_writing)
        try:
            await self._write_within_budget(message)
        except asyncio.CancelledError:
            if not self._stuck or self._writer is None:
                raise
            self._writer.uncancel()
        finally:
            self._around.writes.end(self)
        counters = self._around.metrics.of(response.type_url)
        counters.pushes.inc()
        counters.bytes.inc(len(message))

    async def _write_within_budget(self, message: bytes) -> None:
        budget = self._around.writes.budget_for(len(message))
        if not budget.take_at_once(len(message)):
            await budget.take(len(message))
        try:
            await self._context.write(message)
        finally:
            budget.give_back(len(message))

    def _give_up_writing(self) -> None:
        """The write is broken off, since no word to this client would ever be read."""
        if self._writer is not None and not self._stuck:
            self._stuck = True
            self.end(grpc.StatusCode.DEADLINE_EXCEEDED, "the client does not read")
            self._writer.cancel()

    def _note_event(self) -> None:
        self._watch_patience()
        self._around.on_event(self)
        self._stir()

    def _watch_patience(self) -> None:
        if self._patience is None and self.machine.is_awaiting_subscriptions:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(self._around.limits.patience, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if not self._closed and self.machine.is_awaiting_subscriptions:
            self.machine.on_patience_lost()
            self._note_event()

    def _fetch_secrets(self) -> None:
        if self._around.secrets is None or self._closed:
            return
        for name in self.machine.wanted_secrets - self._secret_tasks.keys() - self._secrets_known:
            self._secret_tasks[name] = asyncio.create_task(self._fetch_secret(self._around.secrets, name))

    async def _fetch_secret(self, secrets: SecretSource, name: str) -> None:
        while (secret := await secrets.get(self.node.id, name)) is None:  # noqa: ASYNC110  # makers have no bell to ring
            await asyncio.sleep(self._around.limits.secret_retry)
        del self._secret_tasks[name]
        self._secrets_known.add(name)
        if not self._closed:
            self.machine.on_secret(name, secret)
            self._note_event()

    def _retire(self) -> None:
        if not self._closed:
            self._closed = True
            self.machine.close()
        self._stir()

    def _close(self, reader: asyncio.Task[None] | None) -> None:
        self._retire()
        for task in (reader, *self._secret_tasks.values()):
            if task is not None:
                task.cancel()
        if self._patience is not None:
            self._patience.cancel()
