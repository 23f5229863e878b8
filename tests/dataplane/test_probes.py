"""A probe by way of the sidecar says what the application says."""

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec

import grpc.aio
import pytest
import trustme

from compiler.dataplane.beside import BesideOptions, neighbours
from compiler.dataplane.bootstrap import DataplaneError, SocketAddress
from compiler.dataplane.http_client import Answer, Question, ask
from compiler.dataplane.http_server import serve
from compiler.dataplane.metrics.collecting import Places
from compiler.dataplane.probes import answer_probe
from tests.e2e.places import free_port

P = ParamSpec("P")
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


def awaited(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def probe(path: str, headers: Mapping[str, str] | None = None) -> Answer:
    return await answer_probe(Question(path, headers or {}))


@asynccontextmanager
async def application(tls: trustme.LeafCert | None = None) -> AsyncIterator[tuple[int, list[Question]]]:
    """Healthy at /healthz alone; it never answers /slow."""
    asked: list[Question] = []

    async def answer(question: Question) -> Answer:
        asked.append(question)
        if question.path == "/slow":
            await asyncio.sleep(60)
        return Answer(200 if question.path == "/healthz?deep=1" else 500, body=b"told")

    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.configure_cert(context)
    server = await asyncio.start_server(serve(answer), "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


@awaited
async def test_an_http_probe_is_asked_as_it_was_written() -> None:
    async with application() as (port, asked):
        answer = await probe(
            f"/{port}/healthz?deep=1", {"host": "10.0.0.1:9001", "x-own": "1", "x-kuma-probes-host": "shop.example"}
        )
        assert (answer.status, answer.body) == (200, b"told")
        assert (await probe(f"/{port}/other")).status == 500
    assert asked[0].headers["host"] == "shop.example"
    assert asked[0].headers["x-own"] == "1"
    assert asked[1].headers["host"] == f"127.0.0.1:{port}"
    assert not [name for question in asked for name in question.headers if name.startswith("x-kuma")]


@awaited
async def test_an_https_probe_takes_any_certificate() -> None:
    async with application(trustme.CA().issue_cert("shop.example")) as (port, _):
        assert (await probe(f"/{port}/healthz?deep=1", {"x-kuma-probes-scheme": "HTTPS"})).status == 200
        assert (await probe(f"/{port}/healthz?deep=1")).status == 503


@awaited
async def test_a_probe_ends_with_its_timeout() -> None:
    async with application() as (port, _), asyncio.timeout(30):
        answer = await probe(f"/{port}/slow", {"x-kuma-probes-timeout": "1"})
    assert (answer.status, answer.body) == (503, b"TimeoutError\n")


@awaited
async def test_a_tcp_probe_opens_the_port() -> None:
    async with application() as (port, _):
        assert (await probe(f"/tcp/{port}")).status == 200
    refused = await probe(f"/tcp/{free_port()}")
    assert refused.status == 503
    assert b"Connect call failed" in refused.body


@awaited
async def test_a_grpc_probe_asks_for_the_health_of_its_service() -> None:
    asked: list[bytes] = []

    async def check(request: bytes, _: object) -> bytes:
        asked.append(request)
        return SERVING if request == b"\n\x04shop" else NOT_SERVING

    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        assert (await probe(f"/grpc/{port}", {"x-kuma-probes-grpc-service": "shop"})).status == 200
        assert (await probe(f"/grpc/{port}")).status == 503
    finally:
        await server.stop(None)
    assert asked == [b"\n\x04shop", b""]
    gone = await probe(f"/grpc/{port}")
    assert gone.status == 503
    assert gone.body.startswith(b"UNAVAILABLE")


@pytest.mark.parametrize(
    "path", ["/", "/ready", "/0/x", "/65536/x", f"/{'1' * 5000}/x", "/²/x", "/tcp/", "/tcp/80/x", "/grpc/a"]
)
@awaited
async def test_what_is_no_probe_is_not_found(path: str) -> None:
    assert (await probe(path)).status == 404


@awaited
async def test_probes_are_taken_beside_envoy_at_every_address(tmp_path: Path) -> None:
    port = free_port()
    places = Places(SocketAddress("127.0.0.1", free_port()), tmp_path)
    async with application() as (behind, _), neighbours(places, BesideOptions(probes_port=port)):
        for host in ("127.0.0.1", "127.0.0.2"):
            answer = await ask(SocketAddress(host, port), Question(f"/{behind}/healthz?deep=1"))
            assert (answer.status, answer.body) == (200, b"told")
        with pytest.raises(DataplaneError, match=rf"^Probes cannot be answered at port {port}: "):
            async with neighbours(places, BesideOptions(probes_port=port)):
                pass
