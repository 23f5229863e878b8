"""Names of the mesh are answered from the snapshot's table, all others by the resolvers that were there before."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from compiler.dataplane.bootstrap import DataplaneError, SocketAddress
from compiler.dataplane.dns import server as dns_server
from compiler.dataplane.dns import upstream
from compiler.dataplane.dns.answering import answer
from compiler.dataplane.dns.names import Names, read_names
from compiler.dataplane.dns.server import NameServer, name_server
from compiler.dataplane.dns.upstream import read_resolvers
from compiler.dataplane.http_client import Answer, Question
from compiler.dataplane.http_server import serve
from tests.e2e.places import free_port

TABLE = {
    "records": [
        {"name": "backend.svc.mesh.local", "ips": ["241.0.0.3", "::ffff:f100:3"]},
        {"name": "v4.mesh.", "ips": ["241.0.0.4"]},
        {"name": "many.mesh", "ips": [f"10.0.{number // 250}.{number % 250}" for number in range(500)]},
    ],
    "ttl": 7,
    "extraLabels": {"mesh": "default"},
}
NAMES = read_names(json.dumps(TABLE).encode())


def found(query: dns.message.Message, names: Names = NAMES) -> dns.message.Message | None:
    answered = answer(query.to_wire(), names)
    return None if answered is None else dns.message.from_wire(answered)


def texts(message: dns.message.Message | None) -> list[str]:
    assert message is not None
    return [str(one) for rrset in message.answer for one in rrset]


def test_a_name_has_the_addresses_of_the_kind_that_is_asked_for() -> None:
    assert texts(found(dns.message.make_query("backend.svc.mesh.local", "A"))) == ["241.0.0.3"]
    assert texts(found(dns.message.make_query("BACKEND.svc.Mesh.Local.", "AAAA"))) == ["::ffff:241.0.0.3"]
    six = found(dns.message.make_query("v4.mesh", "AAAA"))
    assert texts(six) == []
    assert six is not None
    assert six.rcode() == dns.rcode.NOERROR
    assert texts(found(dns.message.make_query("v4.mesh", "MX"))) == []


def test_an_answer_lives_as_long_as_the_table_says_and_is_no_guess() -> None:
    response = found(dns.message.make_query("v4.mesh", "A"))
    assert response is not None
    assert response.answer[0].ttl == 7
    assert response.flags & dns.flags.AA


@pytest.mark.parametrize("name", ["example.com", "mesh", "xbackend.svc.mesh.local", "a.v4.mesh"])
def test_other_names_are_not_ours(name: str) -> None:
    assert found(dns.message.make_query(name, "A")) is None


def test_what_does_not_fit_is_cut_off_and_said_to_be() -> None:
    response = found(dns.message.make_query("many.mesh", "A"))
    assert response is not None
    assert response.flags & dns.flags.TC


def test_whatever_comes_in_is_no_error() -> None:
    chance = random.Random(7)
    valid = dns.message.make_query("v4.mesh", "A").to_wire()
    for _ in range(3000):
        size = chance.randrange(60)
        answer(bytes(chance.randrange(256) for _ in range(size)), NAMES)
        spoilt = bytearray(valid)
        spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        answer(bytes(spoilt), NAMES)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"records": [{"name": 1}]}', b'{"records": [{"name": "a", "ips": ["x"]}]}']
)
def test_a_table_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="the table of names cannot be read"):
        read_names(body)


@asynccontextmanager
async def resolver() -> AsyncIterator[tuple[SocketAddress, list[str]]]:
    """Somebody else's, by UDP and TCP, that knows every name."""
    asked: list[str] = []

    def reply(query: bytes) -> bytes:
        message = dns.message.from_wire(query)
        asked.append(message.question[0].name.to_text())
        response = dns.message.make_response(message)
        response.answer.append(dns.rrset.from_text(message.question[0].name, 60, "IN", "A", "192.0.2.9"))
        return bytes(response.to_wire())

    class Datagrams(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
            self.transport = transport

        def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
            self.transport.sendto(reply(data), sender)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upstream.framed(reply(await upstream.read_framed(reader))))
        writer.close()

    port = free_port()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", port))
    async with await asyncio.start_server(talk, "127.0.0.1", port):
        yield SocketAddress("127.0.0.1", port), asked
    transport.close()


Scenario = Callable[[NameServer, list[str]], Awaitable[None]]


def serving(work_dir: Path, scenario: Scenario, *dead: SocketAddress) -> None:
    async def run() -> None:
        async with resolver() as (known, asked):
            server = name_server(free_port(), work_dir, (*dead, known))
            async with server.listening():
                task = asyncio.create_task(server.follow())
                try:
                    async with asyncio.timeout(30):
                        await scenario(server, asked)
                finally:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


async def ask_udp(server: NameServer, name: str, kind: str = "A") -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    return await dns.asyncquery.udp(query, server.address.host, port=server.address.port, timeout=10)


async def ask_tcp(server: NameServer, name: str) -> dns.message.Message:
    query = dns.message.make_query(name, "A")
    return await dns.asyncquery.tcp(query, server.address.host, port=server.address.port, timeout=10)


def test_an_application_is_answered_by_udp_and_tcp_from_both(tmp_path: Path) -> None:
    async def scenario(server: NameServer, asked: list[str]) -> None:
        server.names = NAMES
        for ask in (ask_udp, ask_tcp):
            assert texts(await ask(server, "v4.mesh")) == ["241.0.0.4"]
            assert texts(await ask(server, "example.com")) == ["192.0.2.9"]
        assert asked == ["example.com."] * 2
        assert len(texts(await ask_tcp(server, "many.mesh"))) == 500

    serving(tmp_path, scenario)


def test_the_next_resolver_is_asked_where_one_is_silent_or_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "_ANSWER_SECONDS", 0.2)

    async def scenario(server: NameServer, _: list[str]) -> None:
        assert texts(await ask_udp(server, "example.com")) == ["192.0.2.9"]
        assert texts(await ask_tcp(server, "example.com")) == ["192.0.2.9"]
        server.resolvers = server.resolvers[:1]
        assert (await ask_udp(server, "example.com")).rcode() == dns.rcode.SERVFAIL

    serving(tmp_path, scenario, SocketAddress("127.0.0.1", free_port()))


def test_the_table_follows_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_server, "_EVERY_SECONDS", 0.02)
    bodies = [json.dumps(TABLE).encode()]
    tags: list[str] = []

    async def table(question: Question) -> Answer:
        tags.append(question.headers.get("if-none-match", ""))
        tag = str(len(bodies))
        return Answer(304) if tags[-1] == tag else Answer(200, {"etag": tag}, bodies[-1])

    async def scenario(server: NameServer, _: list[str]) -> None:
        assert not server.received
        async with await asyncio.start_unix_server(serve(table), tmp_path / "dns.sock"):
            while not server.received or "1" not in tags:
                await asyncio.sleep(0.01)
            assert texts(await ask_udp(server, "v4.mesh")) == ["241.0.0.4"]
            bodies.append(b"broken")
            while "2" not in tags:
                await asyncio.sleep(0.01)
            assert texts(await ask_udp(server, "v4.mesh")) == ["241.0.0.4"]
            bodies.append(b'{"records": [{"name": "new.mesh", "ips": ["241.0.0.5"]}]}')
            while "3" not in tags:
                await asyncio.sleep(0.01)
            assert texts(await ask_udp(server, "new.mesh")) == ["241.0.0.5"]
            assert texts(await ask_udp(server, "v4.mesh")) == ["192.0.2.9"]

    serving(tmp_path, scenario)


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    async def run() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as other:
            port = other.sockets[0].getsockname()[1]
            async with name_server(port, tmp_path, ()).listening():
                pass

    with pytest.raises(DataplaneError, match=r"DNS cannot be served at 127.0.0.1:\d+: "):
        asyncio.run(run())


def test_resolvers_are_those_of_the_machine(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# x\nsearch a\nnameserver 10.0.0.2\noptions ndots:5\nnameserver ::1\nnameserver\n" * 2)
    assert [str(one) for one in read_resolvers(file)] == ["10.0.0.2:53", "[::1]:53", "10.0.0.2:53"]
    assert read_resolvers(tmp_path / "absent") == ()
