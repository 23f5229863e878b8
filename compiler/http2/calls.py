"""What a server of calls and its transport say to each other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from compiler.http2.status import Status


@dataclass(frozen=True, slots=True)
class Caller:
    """What a connection and a call's headers say of who is there.

    `address` is written as gRPC does: `ipv4:127.0.0.1:40000`, `ipv6:[::1]:40000`, `unix:…`.
    `identity` is of a client's certificate, its keys those of gRPC's `auth_context`; it is empty in plaintext.
    `metadata` are the headers without those of HTTP/2 and gRPC themselves, and without binary ones.
    """

    address: str
    identity: Mapping[str, tuple[bytes, ...]]
    metadata: Mapping[str, str]


class Application(Protocol):
    """One call's other side; everything is called on the event loop."""

    def receive(self, message: bytes) -> None:
        """One whole message."""

    def pull(self) -> bytes | None:
        """The next message, None where there is none now; the one before has wholly gone to the socket."""

    def half_close(self) -> None:
        """The client will say no more."""

    def lose(self) -> None:
        """The call is over: reset, its connection lost, or finished and written. Called once, and last."""


class Call(Protocol):
    """One call as its application sees it; after its end every method does nothing."""

    @property
    def caller(self) -> Caller: ...

    def stir(self) -> None:
        """Something may be owed: `pull` is called, at once or as soon as it can be written."""

    def finish(self, code: Status, reason: str) -> None:
        """The call ends with this status; `lose` follows, never before this returns.

        Where a message is half written, the stream is reset instead.
        """

    def hold(self) -> None:
        """Messages are kept unread and the client gets no more room, until `release`."""

    def release(self) -> None: ...


Open = Callable[[Call], Application]
"""Called when a call's headers have come."""
