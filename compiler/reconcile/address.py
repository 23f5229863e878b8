"""Where the daemon listens: loopback only for now, and a taken port is said before anything starts."""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from compiler.reconcile.exit_codes import UNAVAILABLE, USAGE

_LOCALHOST: Final = "localhost"
"""Of all names the one that is this machine's without anybody's being asked."""


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """Why `serve` does not start, as a sentence for its user, and the exit code that says so."""

    sentence: str
    code: int

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 lets the machine choose."""

    host: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(flag: str, text: str) -> Address:
    """HOST:PORT or [IPv6]:PORT on a loopback address; raises Refusal for any other."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise Refusal(f"{flag} {text!r} is not HOST:PORT; write for example 127.0.0.1:5678", USAGE)
    host = host.removeprefix("[").removesuffix("]")
    if not is_loopback(host):
        raise Refusal(
            f"{flag} {text!r} is not a loopback address: proxies and readers are not authenticated yet, "
            "so only this machine may connect; use 127.0.0.1",
            USAGE,
        )
    return Address("127.0.0.1" if host == _LOCALHOST else host, int(port))


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine; 127.0.0.1.example.com is a name like any other."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == _LOCALHOST


def listen(flag: str, address: Address) -> socket.socket:
    """A bound socket, not yet accepting; raises Refusal when the port is taken."""
    bound = socket.socket(address.family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address.host, address.port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise Refusal(
            f"cannot listen on {flag} {address}: {error.strerror}; is another instance running?", UNAVAILABLE
        ) from error
    return bound


def require_free(flag: str, address: Address) -> None:
    """Tried without SO_REUSEPORT: gRPC would share a taken port in silence."""
    listen(flag, address).close()


def bound_address(bound: socket.socket) -> Address:
    """Where a socket listens after port 0 was resolved."""
    host, port = bound.getsockname()[:2]
    return Address(host, port)
