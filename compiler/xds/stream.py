"""One proxy's stream: requests go into the state machine, what the machine owes is pulled when it can be written."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

from google.protobuf.message import DecodeError

from compiler.http2.calls import Call
from compiler.http2.status import Status
from compiler.xds.budget import ByteBudget
from compiler.xds.events import Request
from compiler.xds.limits import Limits
from compiler.xds.metrics import Metrics
from compiler.xds.node import Node
from compiler.xds.served import SDS, ProxyConfig
from compiler.xds.sources import SecretSource
from compiler.xds.subscription import Subscription, TooManyNamesError
from compiler.xds.writing import Writes


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


class Written(NamedTuple):
    """A message on its way to the socket, and whose budget its bytes are of."""

    type_url: str
    size: int
    budget: ByteBudget


@dataclass(slots=True)
class Awaited:
    """A message that waits for its budget; in the machine it is in flight already."""

    written: Written
    message: bytes
    granted: bool = False


class Stream:
    """A machine and the call that it speaks on. At most one response is on its way to the socket; nothing queues."""

    def __init__(
        self, node: Node, machine: Subscription, protocol: ModuleType, call: Call, around: Surroundings
    ) -> None:
        self.node = node
        self.machine = machine
        self.protocol = protocol
        self.since = around.wall_clock()
        self.acked: ProxyConfig | None = None
        self._call = call
        self._around = around
        self._closed = False
        self._written: Written | None = None
        self._awaited: Awaited | None = None
        self._secrets_known: set[str] = set()
        self._secret_retry: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None

    # What the call says.

    def receive(self, message: bytes) -> None:
        try:
            request: Request = self.protocol.read_request(message)[0]
        except DecodeError:
            self.end(Status.INVALID_ARGUMENT, "not a discovery request")
        else:
            self.take_request(request)

    def pull(self) -> bytes | None:
        """The next message; what was pulled before has been written."""
        self._note_written()
        if self._closed:
            return None
        if self._awaited is not None:
            return self._pull_awaited()
        response = self.machine.take() if self.machine.may_owe else None
        if response is None:
            return None
        message: bytes = self.protocol.write_response(response)
        self._around.on_write(self)
        self._around.writes.begin(self, self._give_up_writing)
        budget = self._around.writes.budget_for(len(message))
        if budget.take_at_once(len(message)):
            self._written = Written(response.type_url, len(message), budget)
            return message
        self._awaited = Awaited(Written(response.type_url, len(message), budget), message)
        budget.wait_for(len(message), self._note_grant)
        return None

    def half_close(self) -> None:
        """The client says no more, and Envoy asks for nothing so: the stream is over."""
        self._retire()
        self._call.finish(Status.OK, "")

    def lose(self) -> None:
        """Nobody can be written to any more; what it had of the budgets goes to others."""
        self._retire()

    # What the server says.

    def end(self, code: Status, reason: str) -> None:
        """No event reaches the machine from here on; its memory may pass to the node's next stream at once."""
        if not self._closed:
            self._around.metrics.ended.labels(code.name).inc()
        self._retire()
        self._call.finish(code, reason)

    def set_config(self, config: ProxyConfig) -> None:
        self.machine.on_config(config)
        self._fetch_secrets()
        self._note_event()

    def refresh_secrets(self) -> None:
        """What rotated is fetched anew; until it is there the client keeps what it has."""
        if not self._closed:
            self._secrets_known.clear()
            self._fetch_secrets()
            self._note_event()

    def audit(self) -> None:
        corrections = self.machine.audit()
        if corrections:
            self._around.metrics.audit.inc(corrections)
            self._stir()

    def take_request(self, request: Request) -> None:
        if self._closed:
            return
        answers = request.nonce and self._is_answer(request)
        try:
            self.machine.on_request(request, self._around.wall_clock())
        except TooManyNamesError as error:
            self.end(Status.RESOURCE_EXHAUSTED, f"too many names of {error}")
            return
        if answers:
            self._around.metrics.of(request.type_url).note_answer(accepted=request.error is None)
        if request.type_url == SDS:
            self._fetch_secrets()
        self._note_event()

    def _is_answer(self, request: Request) -> bool:
        state = self.machine.types.get(request.type_url)
        return state is not None and request.nonce in state.flights

    # Writing.

    def _stir(self) -> None:
        """Only if something may be owed: after most ACKs nothing is."""
        if not self._closed and self.machine.may_owe:
            self._call.stir()

    def _pull_awaited(self) -> bytes | None:
        """What the budget had no room for, once it has."""
        awaited = self._awaited
        if awaited is None or not awaited.granted:
            return None
        self._awaited, self._written = None, awaited.written
        return awaited.message

    def _note_grant(self) -> None:
        """In a turn of its own: the one that gave it back is being written to at this moment."""
        if self._awaited is not None:
            self._awaited.granted = True
            asyncio.get_running_loop().call_soon(self._call.stir)

    def _note_written(self) -> None:
        written = self._written
        if written is None:
            return
        self._written = None
        self._around.writes.end(self)
        written.budget.give_back(written.size)
        self._around.metrics.of(written.type_url).note_push(written.size)

    def _give_up_writing(self) -> None:
        """The write is broken off, since no word to this client would ever be read."""
        self.end(Status.DEADLINE_EXCEEDED, "the client does not read")

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
        """What cannot be had is asked for again after a while: its makers have no bell to ring."""
        source = self._around.secrets
        if source is None or self._closed:
            return
        if self.machine.types[SDS].names <= self._secrets_known:
            return
        for name in self.machine.wanted_secrets - self._secrets_known:
            secret = source.get(self.node.id, name)
            if secret is not None:
                self._secrets_known.add(name)
                self.machine.on_secret(name, secret)
            elif self._secret_retry is None:
                loop = asyncio.get_running_loop()
                self._secret_retry = loop.call_later(self._around.limits.secret_retry, self._retry_secrets)

    def _retry_secrets(self) -> None:
        self._secret_retry = None
        if not self._closed:
            self._fetch_secrets()
            self._note_event()

    def _retire(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.machine.close()
        self._give_back()
        for timer in (self._patience, self._secret_retry):
            if timer is not None:
                timer.cancel()

    def _give_back(self) -> None:
        self._around.writes.end(self)
        awaited, self._awaited = self._awaited, None
        written, self._written = self._written, None
        if awaited is not None and not awaited.granted:
            awaited.written.budget.withdraw(self._note_grant)
            return
        held = awaited.written if awaited is not None else written
        if held is not None:
            held.budget.give_back(held.size)
