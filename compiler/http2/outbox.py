"""What a connection has to say and has not said yet."""

from typing import Protocol


class Wire(Protocol):
    """A socket, or what stands for one."""

    def send(self, pieces: list[bytes | memoryview]) -> bool:
        """False where not all was taken; the rest is kept, and `Connection.drain` is called once it is gone."""

    def close(self) -> None:
        """Once all is sent, and the peer had time to read it."""

    def abort(self) -> None:
        """At once. Neither calls the connection any more."""


class Outbox:
    """Pieces are collected during a turn and sent as one; while the socket takes no more, only replies are added."""

    __slots__ = ("_pieces", "_wire", "blocked", "size")

    def __init__(self, wire: Wire) -> None:
        self.blocked = False
        self.size = 0
        self._pieces: list[bytes | memoryview] = []
        self._wire = wire

    def put(self, piece: bytes | memoryview) -> None:
        self._pieces.append(piece)
        self.size += len(piece)

    def flush(self) -> bool:
        """True where the socket has taken everything."""
        if self.blocked:
            return False
        if self._pieces:
            self.blocked = not self._send()
        return not self.blocked

    def empty(self) -> None:
        """The wire keeps what its socket does not take: nothing will follow."""
        if self._pieces:
            self._send()

    def _send(self) -> bool:
        pieces, self._pieces = self._pieces, []
        self.size = 0
        return self._wire.send(pieces)
