"""How a call begins: its first request is read, who its node may be is asked, then it has a stream."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType

from google.protobuf.message import DecodeError

from compiler.http2.calls import Call
from compiler.http2.status import Status
from compiler.xds.node import Node
from compiler.xds.stream import Stream

Enter = Callable[[Node | None, Call, ModuleType], Awaitable[Stream]]
"""The stream of a node that was admitted. Raises RefusedError."""


class RefusedError(Exception):
    """The call gets no stream; the client is told the code and why."""

    def __init__(self, code: Status, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Conversation:
    """What the transport speaks to. Until the node is admitted nothing more of the client is read."""

    def __init__(
        self,
        call: Call,
        protocol: ModuleType,
        *,
        seconds: float,
        enter: Enter,
        leave: Callable[[Stream], None],
        refused: Callable[[Status], None],
    ) -> None:
        self._call = call
        self._protocol = protocol
        self._enter = enter
        self._leave = leave
        self._refused = refused
        self._stream: Stream | None = None
        self._entering: asyncio.Task[None] | None = None
        self._half_closed = False
        self._silence = asyncio.get_running_loop().call_later(seconds, self._lose_patience)

    def receive(self, message: bytes) -> None:
        if self._stream is not None:
            self._stream.receive(message)
        elif self._entering is None:
            self._silence.cancel()
            self._call.hold()
            self._entering = asyncio.get_running_loop().create_task(self._open(message))

    def pull(self) -> bytes | None:
        return self._stream.pull() if self._stream is not None else None

    def half_close(self) -> None:
        self._half_closed = True
        if self._stream is not None:
            self._stream.half_close()
        elif self._entering is None:
            self._call.finish(Status.OK, "")

    def lose(self) -> None:
        self._silence.cancel()
        if self._entering is not None:
            self._entering.cancel()
        if self._stream is not None:
            self._stream.lose()
            self._leave(self._stream)

    async def _open(self, message: bytes) -> None:
        """Whatever goes wrong in between, the call ends."""
        try:
            request, node = self._protocol.read_request(message)
            stream = await self._enter(node, self._call, self._protocol)
        except DecodeError:
            self._refuse(Status.INVALID_ARGUMENT, "not a discovery request")
        except RefusedError as error:
            self._refuse(error.code, error.reason)
        else:
            self._stream = stream
            stream.take_request(request)
            self._call.release()
            if self._half_closed:
                stream.half_close()
        finally:
            if self._stream is None:
                self._call.finish(Status.INTERNAL, "not admitted")

    def _lose_patience(self) -> None:
        self._refuse(Status.DEADLINE_EXCEEDED, "no first request")

    def _refuse(self, code: Status, reason: str) -> None:
        self._refused(code)
        self._call.finish(code, reason)
