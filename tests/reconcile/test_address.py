"""Where the daemon may listen."""

import socket

import pytest

from compiler.reconcile.address import Refusal, is_loopback, parse_address, require_free

LIKE_LOOPBACK = ("127.0.0.1.example.org", "127.example.org", "localhost.example.org", "::1.example.org")
"""Names that only begin like an address of this machine."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("127.0.0.1:5678", "127.0.0.1:5678"),
        ("localhost:0", "127.0.0.1:0"),
        ("[::1]:80", "[::1]:80"),
        ("127.9.9.9:1", "127.9.9.9:1"),
    ],
)
def test_loopback_addresses_are_taken(text: str, shown: str) -> None:
    assert str(parse_address("--xds", text)) == shown


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1"])
def test_what_is_this_machines_is_known_without_asking_anybody(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", [*LIKE_LOOPBACK, "128.0.0.1", "0.0.0.0", "::", "::2", "example.org", ""])
def test_everything_else_may_be_another_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0:5678", "[::]:5678", "192.168.1.4:5678", "example.org:5678", ":5678"),
        *(f"{host}:5678" for host in LIKE_LOOPBACK),
    ],
)
def test_any_other_address_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(Refusal, match="loopback") as caught:
        parse_address("--xds", text)
    assert caught.value.code == 64


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:http", "127.0.0.1:٣", f"127.0.0.1:{'1' * 5000}"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refusal, match=r"127\.0\.0\.1:5678"):
        parse_address("--xds", text)


def test_a_taken_port_is_a_sentence_even_where_its_holder_would_share_it() -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Refusal, match=f"--xds 127.0.0.1:{port}") as caught:
            require_free("--xds", parse_address("--xds", f"127.0.0.1:{port}"))
    assert caught.value.code == 69
