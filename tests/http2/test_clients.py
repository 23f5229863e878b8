"""gRPC's own clients against our transport, over real sockets, in plaintext and with TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from compiler.http2.bounds import Bounds
from compiler.http2.calls import Call
from compiler.http2.server import Http2Server
from compiler.http2.status import Status
from tests.http2.conversation import PATH, Echo, Told

UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Served:
    """`calls` are what was opened, in order."""

    def __init__(self, bounds: Bounds | None = None, application: type[Told] = Echo) -> None:
        self.calls: list[Told] = []
        self._application = application
        self.server = Http2Server({PATH: self.open}, bounds)
        self.address = ""

    def open(self, call: Call) -> Told:
        self.calls.append(self._application(call))
        return self.calls[-1]


@asynccontextmanager
async def served(
    address: str = "127.0.0.1:0",
    *,
    bounds: Bounds | None = None,
    tls: ssl.SSLContext | None = None,
    application: type[Told] = Echo,
) -> AsyncIterator[Served]:
    here = Served(bounds, application)
    port = await here.server.serve(address, tls=tls)
    here.address = address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
    try:
        yield here
    finally:
        await here.server.stop(0.5)


def run(work: Coroutine[Any, Any, None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(60):
            await work

    asyncio.run(within())


def channel(here: Served, *options: tuple[str, Any]) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(here.address, options=[*UNLIMITED, *options])


async def talk(of: grpc.aio.Channel, said: Sequence[bytes], **options: Any) -> list[bytes]:
    async def say() -> AsyncIterator[bytes]:
        for each in said:
            yield each

    return [each async for each in of.stream_stream(PATH)(say(), **options)]


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix:"])
def test_messages_go_both_ways(address: str, tmp_path: Path) -> None:
    async def work() -> None:
        where = f"unix:{tmp_path}/socket" if address == "unix:" else address
        async with served(where) as here, channel(here) as client:
            said = [b"", b"a", b"b" * 50_000, b"c"]
            assert await talk(client, said, metadata=(("who", "me"),)) == said
            caller = here.calls[0].call.caller
            assert caller.address.startswith({"1": "ipv4:127.0.0.1:", "[": "ipv6:[::1]:", "u": "unix:"}[where[0]])
            assert caller.metadata["who"] == "me"

    run(work())


def test_large_messages_go_both_ways() -> None:
    async def work() -> None:
        bounds = Bounds(message_bytes=6_000_000)
        async with served(bounds=bounds) as here, channel(here) as client:
            said = [bytes([number]) * 5_000_000 for number in range(3)]
            assert await talk(client, said) == said

    run(work())


def test_many_calls_share_a_connection() -> None:
    async def work() -> None:
        async with served() as here, channel(here) as client:
            said = [[bytes([number]) * (1 + 2_000 * number), b"x"] for number in range(90)]
            assert await asyncio.gather(*(talk(client, each) for each in said)) == said
            assert here.server.connections == 1

    run(work())


def test_a_client_that_blocks_is_served_too() -> None:
    def ask(address: str) -> list[bytes]:
        with grpc.insecure_channel(address) as client:
            said: Iterator[bytes] = iter([b"a", b"b"])
            answers = client.stream_stream(PATH)(said, timeout=10)
            return list(answers)

    async def work() -> None:
        async with served() as here:
            assert await asyncio.to_thread(ask, here.address) == [b"a", b"b"]

    run(work())


class Refusing(Told):
    def receive(self, message: bytes) -> None:
        super().receive(message)
        self.call.finish(Status.PERMISSION_DENIED, f"nicht für {message.decode()}")


def test_an_end_carries_its_reason() -> None:
    async def work() -> None:
        async with served(application=Refusing) as here, channel(here) as client:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await talk(client, [b"dich"])
            assert (caught.value.code(), caught.value.details()) == (
                grpc.StatusCode.PERMISSION_DENIED,
                "nicht für dich",
            )
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.unary_unary("/no.Such/Method")(b"")
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
            assert here.server.connections == 1

    run(work())


def test_a_cancelled_call_is_lost() -> None:
    async def work() -> None:
        async with served() as here, channel(here) as client:
            call = client.stream_stream(PATH)()
            await call.write(b"x")
            assert await call.read() == b"x"
            call.cancel()
            while not here.calls[0].lost:
                await asyncio.sleep(0.01)
            assert await talk(client, [b"y"]) == [b"y"]

    run(work())


def test_a_deadline_is_the_clients_too() -> None:
    async def work() -> None:
        async with served() as here, channel(here) as client:
            call = client.stream_stream(PATH)(timeout=0.3)
            await call.write(b"x")
            assert await call.read() == b"x"
            assert await call.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            while not here.calls[0].lost:
                await asyncio.sleep(0.01)

    run(work())


def test_a_compressing_client_is_told_so() -> None:
    async def work() -> None:
        async with served() as here, channel(here) as client:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await talk(client, [b"x" * 1000], compression=grpc.Compression.Gzip)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED

    run(work())


def test_a_client_that_pings_is_answered() -> None:
    options = (
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_timeout_ms", 1000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    )

    async def work() -> None:
        async with served() as here, channel(here, *options) as client:
            call = client.stream_stream(PATH)()
            await call.write(b"x")
            assert await call.read() == b"x"
            await asyncio.sleep(1.5)
            await call.write(b"y")
            assert await call.read() == b"y"
            await call.done_writing()
            assert await call.code() == grpc.StatusCode.OK

    run(work())


def test_a_quiet_client_answers_our_pings() -> None:
    async def work() -> None:
        bounds = Bounds(keepalive_time=0.2, keepalive_timeout=1.0)
        async with served(bounds=bounds) as here, channel(here) as client:
            call = client.stream_stream(PATH)()
            await call.write(b"x")
            assert await call.read() == b"x"
            await asyncio.sleep(1.8)
            assert here.calls[0].lost == 0
            call.cancel()

    run(work())


def test_a_stopping_server_lets_calls_end() -> None:
    async def work() -> None:
        async with served() as here, channel(here) as client:
            call = client.stream_stream(PATH)()
            await call.write(b"x")
            assert await call.read() == b"x"
            stopping = asyncio.create_task(here.server.stop(100))
            await asyncio.sleep(0.1)
            await call.write(b"y")
            assert await call.read() == b"y"
            assert not stopping.done()
            await call.done_writing()
            assert await call.code() == grpc.StatusCode.OK
            await stopping
            assert (here.server.connections, here.calls[0].lost) == (0, 1)

    run(work())


def test_a_stopping_server_cuts_what_does_not_end() -> None:
    async def work() -> None:
        async with served() as here, channel(here) as client:
            call = client.stream_stream(PATH)()
            await call.write(b"x")
            assert await call.read() == b"x"
            await here.server.stop(0.1)
            assert await call.code() == grpc.StatusCode.UNAVAILABLE
            assert (here.server.connections, here.calls[0].lost) == (0, 1)

    run(work())


AUTHORITY = trustme.CA()


def tls_of_server(*, verify: bool) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(tls)
    AUTHORITY.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    return tls


def tls_of_client() -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.set_alpn_protocols(["h2"])
    AUTHORITY.configure_trust(tls)
    return tls


def secure_channel(here: Served, certificate: trustme.LeafCert | None = None) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        AUTHORITY.cert_pem.bytes(),
        certificate.private_key_pem.bytes() if certificate else None,
        b"".join(blob.bytes() for blob in certificate.cert_chain_pems) if certificate else None,
    )
    port = here.address.rpartition(":")[2]
    return grpc.aio.secure_channel(f"localhost:{port}", credentials, options=UNLIMITED)


def test_tls_carries_messages_of_any_size() -> None:
    async def work() -> None:
        async with (
            served(tls=tls_of_server(verify=False), bounds=Bounds(message_bytes=6_000_000)) as here,
            secure_channel(here) as client,
        ):
            said = [b"a", b"b" * 5_000_000, b"c"]
            assert await talk(client, said) == said
            assert here.calls[0].call.caller.identity == {}

    run(work())


def test_a_clients_certificate_is_its_identity_as_grpc_tells_it() -> None:
    certificate = AUTHORITY.issue_cert("proxy.mesh", "10.0.0.1", common_name="backend-1")

    async def work() -> None:
        async with served(tls=tls_of_server(verify=True)) as here, secure_channel(here, certificate) as client:
            assert await talk(client, [b"a"]) == [b"a"]
            ours = here.calls[0].call.caller.identity
            theirs = await identity_by_grpc(certificate)
            assert ours == {key: theirs[key] for key in ours}
            assert set(ours) == {"x509_common_name", "x509_subject_alternative_name", "x509_pem_cert"}

    run(work())


async def identity_by_grpc(certificate: trustme.LeafCert) -> dict[str, tuple[bytes, ...]]:
    """What a server of gRPC's own says of the same client."""
    seen: dict[str, tuple[bytes, ...]] = {}

    async def answer(_: bytes, context: Any) -> bytes:
        seen.update({key: tuple(values) for key, values in context.auth_context().items()})
        return b""

    issued = AUTHORITY.issue_cert("localhost")
    credentials = grpc.ssl_server_credentials(
        [(issued.private_key_pem.bytes(), b"".join(blob.bytes() for blob in issued.cert_chain_pems))],
        AUTHORITY.cert_pem.bytes(),
        require_client_auth=True,
    )
    server = grpc.aio.server()
    methods = {"Talk": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", methods),))
    here = Served()
    here.address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    await server.start()
    async with secure_channel(here, certificate) as client:
        await client.unary_unary(PATH)(b"")
    await server.stop(0)
    return seen


def test_a_client_without_a_certificate_is_not_let_in() -> None:
    async def work() -> None:
        async with served(tls=tls_of_server(verify=True)) as here, secure_channel(here) as client:
            with pytest.raises(grpc.aio.AioRpcError):
                await talk(client, [b"a"], timeout=2)
            assert here.calls == []

    run(work())


def test_who_does_not_name_http2_is_not_let_in() -> None:
    def ask(port: int) -> bytes:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        AUTHORITY.configure_trust(tls)
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            tls.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            secured.settimeout(5)
            return secured.recv(100)

    async def work() -> None:
        async with served(tls=tls_of_server(verify=False)) as here:
            assert await asyncio.to_thread(ask, int(here.address.rpartition(":")[2])) == b""

    run(work())
