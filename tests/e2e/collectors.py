"""Collectors of spans, logs and metrics as a test has them: what came is there to be looked at.

The messages at hand have the names of an older OTLP; on the wire they are the same.
"""

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from tests.e2e.traffic import PATIENCE

_SERVICES = {
    "trace": ("opentelemetry.proto.collector.trace.v1.TraceService", traces.ExportTraceServiceRequest),
    "logs": ("opentelemetry.proto.collector.logs.v1.LogsService", logs.ExportLogsServiceRequest),
    "metrics": ("opentelemetry.proto.collector.metrics.v1.MetricsService", metrics.ExportMetricsServiceRequest),
}
METRICS_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


@dataclass
class Collector:
    """OTLP by gRPC."""

    port: int = 0
    requests: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _SERVICES})

    @property
    def spans(self) -> list[tuple[str, Any]]:
        """Each with the service that it is of."""
        return [
            (_attributes(group.resource)["service.name"], span)
            for request in self.requests["trace"]
            for group in request.resource_spans
            for scope in group.instrumentation_library_spans
            for span in scope.spans
        ]

    @property
    def records(self) -> list[Any]:
        return [
            record
            for request in self.requests["logs"]
            for group in request.resource_logs
            for scope in group.instrumentation_library_logs
            for record in scope.logs
        ]


def _attributes(holder: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in holder.attributes}


attributes = _attributes


@contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    for name, (service, kind) in _SERVICES.items():
        handler = grpc.unary_unary_rpc_method_handler(_take(collector.requests[name]), kind.FromString, lambda _: b"")
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Export": handler})])
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None)


def _take(requests: list[Any]) -> Callable[[Any, Any], bytes]:
    def take(request: Any, _: Any) -> bytes:
        requests.append(request)
        return b""

    return take


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def answering(path: Path, text: str) -> Iterator[list[str]]:
    """A server of HTTP on a Unix socket that says the same to everyone; the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

        def address_string(self) -> str:
            return "unix"

    with _UnixServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield asked
        finally:
            server.shutdown()
            path.unlink()


def wait_for(holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first value that is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found
