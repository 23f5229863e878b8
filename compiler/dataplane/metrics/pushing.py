"""Metrics pushed to a collector, every so often, through a socket of Envoy's."""

import asyncio
import time
from pathlib import Path

import grpc
import grpc.aio
import structlog

from compiler.dataplane.bootstrap import UnixSocket
from compiler.dataplane.http_client import Question, ask
from compiler.dataplane.metrics.collecting import Places, collect
from compiler.dataplane.metrics.document import Backend, Wanted
from compiler.dataplane.metrics.otlp import export_request

_EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
_SEND_SECONDS = 10.0
_FINE = range(200, 300)
_SERVICE_LABELS = ("kuma_workload", "kuma_io_service")

log = structlog.get_logger("dataplane")


async def push(backend: Backend, wanted: Wanted, places: Places) -> None:
    """For as long as it is not cancelled; a push that fails is told of, and the next one holds all that it held."""
    since = time.time_ns()
    service = next((wanted.extra_labels[name] for name in _SERVICE_LABELS if name in wanted.extra_labels), "")
    socket = places.work_dir / backend.socket
    while True:
        try:
            request = export_request(await collect(wanted, places), service, since)
            await _send(request.SerializeToString(), backend, socket)
        except (OSError, ValueError, grpc.aio.AioRpcError) as error:
            log.warning("metrics are not pushed", backend=backend.name, reason=_reason(error))
        await asyncio.sleep(backend.interval.total_seconds())


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error) or type(error).__name__


async def _send(request: bytes, backend: Backend, socket: Path) -> None:
    if backend.protocol == "grpc":
        await _call(request, socket)
        return
    question = Question(backend.path or "/v1/metrics", {"content-type": "application/x-protobuf"}, request)
    answer = await ask(UnixSocket(socket), question, _SEND_SECONDS)
    if answer.status not in _FINE:
        raise ConnectionError(f"it answered {answer.status}")


async def _call(request: bytes, socket: Path) -> None:
    options = [("grpc.default_authority", "localhost")]
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        await channel.unary_unary(_EXPORT)(request, timeout=_SEND_SECONDS)
