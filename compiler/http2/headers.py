"""Headers of a call: those of a request are judged, those of an answer are written; none of it keeps state."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from compiler.http2.status import Status

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE: Final = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_PSEUDO: Final = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_CONNECTIONS: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_OF_PROTOCOL: Final = frozenset(
    {"te", "content-type", "content-length", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"}
)
_CONTENT_TYPE: Final = re.compile(r"application/grpc(?:[+;].*)?", re.DOTALL)
_TIMEOUT: Final = re.compile(r"(\d{1,8})([HMSmun])")
_SECONDS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_PRINTED: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_LONGEST_REASON: Final = 1024


class MalformedError(Exception):
    """Headers that are none by RFC 9113 §8."""


class RefusedError(Exception):
    """Headers as they should be, of a call that is not served."""

    def __init__(self, code: Status, reason: str, http: int = 200) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.http = http


@dataclass(frozen=True, slots=True)
class Request:
    """`length` is what `content-length` promises, -1 where it does not; `timeout` is in seconds."""

    path: str
    metadata: Mapping[str, str]
    compressed: bool
    length: int
    timeout: float | None


def read_request(fields: Iterable[tuple[bytes, bytes]]) -> Request:
    """Raises MalformedError, and RefusedError for what is no gRPC."""
    pseudo, regular = _divide(fields)
    if pseudo.keys() - {b":authority"} != {b":method", b":scheme", b":path"} or not pseudo[b":path"]:
        raise MalformedError("a request has :method, :scheme and :path")
    length = _read_length(regular.pop("content-length", None))
    if regular.get("te", "trailers") != "trailers":
        raise MalformedError("te is anything but trailers")
    if pseudo[b":method"] != b"POST":
        raise RefusedError(Status.UNKNOWN, "gRPC is POST", 405)
    if not _CONTENT_TYPE.fullmatch(regular.get("content-type", "")):
        raise RefusedError(Status.UNKNOWN, "the content-type is not application/grpc", 415)
    return Request(
        path=pseudo[b":path"].decode("latin-1"),
        metadata={name: value for name, value in regular.items() if name not in _OF_PROTOCOL and name[-4:] != "-bin"},
        compressed=regular.get("grpc-encoding", "identity") != "identity",
        length=length,
        timeout=_read_timeout(regular.get("grpc-timeout")),
    )


def check_trailers(fields: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises MalformedError: a pseudo-header has no place after a call's messages."""
    pseudo, _ = _divide(fields)
    if pseudo:
        raise MalformedError("a pseudo-header among trailers")


def measure(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """As RFC 9113 §6.5.2 counts a list of headers."""
    return sum(len(name) + len(value) + 32 for name, value in fields)


def _divide(fields: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], dict[str, str]]:
    """The pseudo-headers, and the others; of those that come twice the values are joined."""
    pseudo: dict[bytes, bytes] = {}
    regular: dict[str, str] = {}
    for name, value in fields:
        if not _VALUE.fullmatch(value):
            raise MalformedError("a header's value holds what none may")
        if name[:1] == b":":
            if regular or name in pseudo or name not in _PSEUDO:
                raise MalformedError("a pseudo-header is unknown, comes twice, or late")
            pseudo[name] = value
            continue
        if not _TOKEN.fullmatch(name) or name in _OF_CONNECTIONS:
            raise MalformedError("a header's name is none of HTTP/2")
        known, text = name.decode("ascii"), value.decode("latin-1")
        regular[known] = f"{regular[known]},{text}" if known in regular else text
    return pseudo, regular


def _read_length(text: str | None) -> int:
    if text is None:
        return -1
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise MalformedError("content-length is no number")
    return int(text)


def _read_timeout(text: str | None) -> float | None:
    if text is None:
        return None
    found = _TIMEOUT.fullmatch(text)
    if not found:
        raise RefusedError(Status.INTERNAL, "malformed grpc-timeout")
    return int(found[1]) * _SECONDS[found[2]]


def write_trailers(code: Status, reason: str) -> bytes:
    """A reason is percent-encoded, as gRPC does."""
    block = _literal(b"grpc-status", b"%d" % code)
    if reason:
        block += _literal(b"grpc-message", quote(reason[:_LONGEST_REASON], safe=_PRINTED).encode("ascii"))
    return block


def write_refusal(code: Status, reason: str, http: int = 200) -> bytes:
    """Headers and trailers in one, for a call that was never opened."""
    start = RESPONSE if http == 200 else b"\x08" + _string(b"%d" % http) + _CONTENT
    return start + write_trailers(code, reason)


def _literal(name: bytes, value: bytes) -> bytes:
    """Without indexing: nothing that is sent changes the state of the peer's table (RFC 7541 §6.2.2)."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    """RFC 7541 §5.2, in plain octets."""
    return _integer(len(text)) + text


def _integer(number: int) -> bytes:
    """Behind one bit (RFC 7541 §5.1)."""
    if number < 127:
        return bytes((number,))
    octets = bytearray((127,))
    number -= 127
    while number >= 128:
        octets.append(number & 127 | 128)
        number >>= 7
    octets.append(number)
    return bytes(octets)


_CONTENT: Final = b"\x0f\x10" + _string(b"application/grpc")
RESPONSE: Final = b"\x88" + _CONTENT + _literal(b"grpc-accept-encoding", b"identity")
"""`:status 200` and what goes with it; 8 and 31 are the places of names in the static table (RFC 7541, appendix A)."""
