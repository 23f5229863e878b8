"""Who Envoy asks whether a request may pass, as a test has them: an agent that judges, a service that counts."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import trustme
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse

AGENT = "envoy.service.auth.v3.Authorization", "Check", CheckRequest
SERVICE = "envoy.service.ratelimit.v3.RateLimitService", "ShouldRateLimit", RateLimitRequest
_FORBIDDEN = 7


@dataclass
class Decider:
    """What it was asked, and what it says to everyone."""

    says: Callable[[Any], Any]
    port: int = 0
    asked: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def allow(**headers: str) -> CheckResponse:
    """With headers that the request is given."""
    response = CheckResponse()
    response.ok_response.SetInParent()
    for name, value in headers.items():
        header = response.ok_response.headers.add().header
        header.key, header.value = name, value
    return response


def deny(status: int, text: str = "") -> CheckResponse:
    response = CheckResponse()
    response.status.code = _FORBIDDEN
    response.denied_response.status.code = cast(Any, status)
    response.denied_response.body = text
    return response


def within(_: Any) -> RateLimitResponse:
    return RateLimitResponse(overall_code=RateLimitResponse.Code.OK)


def beyond(_: Any) -> RateLimitResponse:
    return RateLimitResponse(overall_code=RateLimitResponse.Code.OVER_LIMIT)


def counted(request: Any) -> tuple[str, list[dict[str, str]]]:
    """The domain, and what is counted there."""
    found = [{entry.key: entry.value for entry in one.entries} for one in request.descriptors]
    return request.domain, found


@contextmanager
def running(
    kind: tuple[str, str, type[Any]], says: Callable[[Any], Any], *, certificate: trustme.LeafCert | None = None
) -> Iterator[Decider]:
    """In plaintext, or by TLS with a certificate."""
    decider = Decider(says)

    def answer(request: Any, _: Any) -> Any:
        decider.asked.append(request)
        return decider.says(request)

    service, method, message = kind
    handler = grpc.unary_unary_rpc_method_handler(answer, message.FromString, lambda said: said.SerializeToString())
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
    if certificate is None:
        decider.port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes()
        decider.port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield decider
    finally:
        server.stop(None)
