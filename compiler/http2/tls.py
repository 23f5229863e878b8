"""TLS between a connection and its socket."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from compiler.http2.connection import Connection, Surroundings
from compiler.http2.wire import SocketWire

_AT_ONCE: Final = 64 * 1024
"""Bytes that are decrypted at once."""


def secure(tls: ssl.SSLContext) -> None:
    """HTTP/2 is spoken with who names it (RFC 9113 §3.2)."""
    tls.set_alpn_protocols(["h2"])


class TlsWire:
    """To its socket's wire it is the listener, to its connection the wire; there is none before the handshake's end."""

    __slots__ = (
        "_address",
        "_around",
        "_blocked",
        "_connection",
        "_incoming",
        "_object",
        "_outgoing",
        "_over",
        "_wire",
    )

    def __init__(self, wire: SocketWire, around: Surroundings, address: str, tls: ssl.SSLContext) -> None:
        self._wire = wire
        self._around = around
        self._address = address
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._connection: Connection | None = None
        self._blocked = False
        self._over = False

    # For the socket's wire.

    def receive(self, received: bytes) -> None:
        if self._over:
            return
        self._incoming.write(received)
        try:
            if self._connection is None and not self._shake_hands():
                return
            decrypted, ended = self._read()
        except ssl.SSLError:
            self._end()
            return
        if decrypted and self._connection is not None:
            self._connection.receive(decrypted)
        if ended:
            self._end()
        elif not self._over:
            self._answer()

    def drain(self) -> None:
        self._blocked = False
        if self._flush() and self._connection is not None:
            self._connection.drain()

    def lose(self) -> None:
        connection = self._connection
        self._part()
        if connection is not None:
            connection.lose()

    # For the connection.

    def send(self, pieces: list[bytes | memoryview]) -> bool:
        """A record is encrypted at a time."""
        rest = memoryview(b"".join(pieces))
        try:
            while rest:
                taken = self._object.write(rest)  # by itself: mypyc 2.4 evaluates a call within a slice twice
                rest = rest[taken:]
        except ssl.SSLError:
            self._around.soon(self._end)
            return False
        return self._flush()

    def close(self) -> None:
        """With a word of farewell, so that nobody else could have cut the last one."""
        self._part()
        with suppress(ssl.SSLError):
            self._object.unwrap()
        if self._outgoing.pending:
            self._wire.send([self._outgoing.read()])
        self._wire.close()

    def abort(self) -> None:
        self._part()
        self._wire.abort()

    def _part(self) -> None:
        """The connection knows this, and neither is left to the garbage collector."""
        self._over = True
        self._connection = None

    # For the server.

    def look(self, now: float) -> None:
        if self._connection is not None:
            self._connection.look(now)

    def check_settled(self) -> None:
        if self._connection is not None:
            self._connection.check_settled()
        elif not self._over:
            self.abort()

    def retire(self) -> None:
        if self._connection is not None:
            self._connection.retire()
        elif not self._over:
            self.abort()

    def cut(self) -> None:
        if self._connection is not None:
            self._connection.cut()
        elif not self._over:
            self.abort()

    def _shake_hands(self) -> bool:
        """Raises SSLError; who names no protocol of ours is not served."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._answer()
            return False
        if self._object.selected_alpn_protocol() != "h2":
            raise ssl.SSLError("no h2 among the protocols of the client")
        self._connection = Connection(self, self._around, self._address, read_identity(self._object))
        return True

    def _read(self) -> tuple[bytes, bool]:
        """All that has come, and whether the peer has ended."""
        pieces: list[bytes] = []
        try:
            while piece := self._object.read(_AT_ONCE):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces), False
        except ssl.SSLZeroReturnError:
            pass
        return b"".join(pieces), True

    def _answer(self) -> None:
        """What TLS itself has to say; a peer that makes it talk and does not read is cut off."""
        if not self._blocked:
            self._flush()
        elif self._outgoing.pending > self._around.bounds.reply_bytes:
            self._wire.abort()
            self.lose()

    def _flush(self) -> bool:
        if self._outgoing.pending:
            self._blocked = not self._wire.send([self._outgoing.read()])
        return not self._blocked

    def _end(self) -> None:
        """An alert may still be on its way out."""
        connection = self._connection
        if not self._over:
            self.close()
        if connection is not None:
            connection.lose()


def read_identity(secured: ssl.SSLObject) -> Mapping[str, tuple[bytes, ...]]:
    """Of a certificate that was verified; the keys are gRPC's."""
    encoded = secured.getpeercert(binary_form=True)
    certificate: Mapping[str, Any] = secured.getpeercert() or {}
    if not certificate or encoded is None:
        return {}
    subject = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    identity = {
        "x509_common_name": tuple(name.encode() for name in subject[-1:]),
        "x509_subject_alternative_name": tuple(name.encode() for _, name in certificate.get("subjectAltName", ())),
        "x509_pem_cert": (ssl.DER_cert_to_PEM_cert(encoded).encode(),),
    }
    return {key: values for key, values in identity.items() if values}
