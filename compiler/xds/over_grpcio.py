"""The same calls carried by grpcio: slower, for clients that should not get along with our own HTTP/2."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc import aio

from compiler.http2.calls import Application, Caller, Open
from compiler.http2.status import Status
from compiler.xds.limits import Limits

_OPENING_STREAMS = 100_000
_OPENING_SECONDS = 60
"""Of streams that were not looked at yet gRPC refuses some from 1,000 on, and a fleet comes back at once."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}

Context = Any
"""grpc.aio's ServicerContext, whose stubs lack the raw-bytes form."""


class GrpcioTransport:
    """Plaintext only: grpcio takes no SSLContext."""

    def __init__(self, methods: Mapping[str, Open], limits: Limits) -> None:
        self._methods = methods
        self._limits = limits
        self._server: aio.Server | None = None

    async def serve(self, address: str, *, tls: ssl.SSLContext | None = None) -> int:
        if tls is not None:
            raise ValueError("this transport carries no TLS")
        self._server = aio.server(options=_list_options(self._limits))
        for path, opened in self._methods.items():
            service, _, method = path.strip("/").partition("/")
            handler = grpc.stream_stream_rpc_method_handler(_handle(opened))
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        port: int = self._server.add_insecure_port(address)
        await self._server.start()
        return port

    async def stop(self, grace: float) -> None:
        if self._server is not None:
            await self._server.stop(grace)


class GrpcioCall:
    """Two tasks: one reads; the other writes, and is the gRPC handler's own."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._caller = _describe(context)
        self._stirred = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._ending: tuple[Status, str] | None = None
        self._writer = asyncio.current_task()
        self._writing = False

    @property
    def caller(self) -> Caller:
        return self._caller

    def stir(self) -> None:
        self._stirred.set()

    def finish(self, code: Status, reason: str) -> None:
        """A write that is under way is broken off: its client does not read."""
        if self._ending is not None:
            return
        self._ending = (code, reason)
        self._free.set()
        self._stirred.set()
        if self._writing and self._writer is not None:
            self._writer.cancel()

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    async def run(self, application: Application) -> None:
        """Until the client goes or the call is finished."""
        reader = asyncio.create_task(self._read(application))
        try:
            await self._write(application)
        finally:
            reader.cancel()
            application.lose()
        if self._ending is not None and self._ending[0] is not Status.OK:
            code, reason = self._ending
            await self._context.abort(_CODES[code], reason)

    async def _read(self, application: Application) -> None:
        try:
            while self._ending is None:
                message = await self._context.read()
                if message is aio.EOF:
                    application.half_close()
                    return
                application.receive(message)
                await self._free.wait()
        except aio.UsageError:
            self.finish(Status.OK, "")  # The RPC ended while it was being read.

    async def _write(self, application: Application) -> None:
        while self._ending is None:
            self._stirred.clear()
            message = application.pull()
            if message is None:
                await self._stirred.wait()
                continue
            try:
                self._writing = True
                await self._context.write(message)
            except asyncio.CancelledError:
                if self._ending is None or self._writer is None:
                    raise
                self._writer.uncancel()
            finally:
                self._writing = False


def _handle(opened: Open) -> Callable[[object, Context], Awaitable[None]]:
    async def serve_stream(_requests: object, context: Context) -> None:
        call = GrpcioCall(context)
        await call.run(opened(call))

    return serve_stream


def _describe(context: Context) -> Caller:
    identity = {key: tuple(values) for key, values in (context.auth_context() or {}).items()}
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Caller(context.peer(), identity, metadata)


def _list_options(limits: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", limits.metadata_bytes),
        ("grpc.absolute_max_metadata_size", limits.metadata_bytes),
        ("grpc.keepalive_time_ms", int(limits.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", int(limits.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.server_handshake_timeout_ms", int(limits.handshake * 1000)),
        ("grpc.max_concurrent_streams", 100),
        ("grpc.server.max_pending_requests", _OPENING_STREAMS),
        ("grpc.server.max_pending_requests_hard_limit", _OPENING_STREAMS),
        ("grpc.server_max_unrequested_time_in_server", _OPENING_SECONDS),
        ("grpc.so_reuseport", 0),
    ]
