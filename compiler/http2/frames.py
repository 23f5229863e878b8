"""Frames of HTTP/2: their numbers, and how they are written (RFC 9113 §4, §6)."""

from collections.abc import Iterable
from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

DEFAULT_WINDOW: Final = 65_535
LARGEST_WINDOW: Final = 2**31 - 1
LARGEST_STREAM: Final = 2**31 - 1
SMALLEST_FRAME: Final = 16_384
"""What every peer takes; we take no more."""
LARGEST_FRAME: Final = 2**24 - 1

HEAD: Final = Struct(">HBBBL")
"""The length in two parts, kind, flags, stream."""
PREFIX: Final = Struct(">BL")
"""Of a gRPC message: whether it is compressed, and its length."""
_OPENING: Final = Struct(">HBBBLBL")
_WORD: Final = Struct(">L")
_SETTING: Final = Struct(">HL")


class Fault(IntEnum):
    """Error codes (RFC 9113 §7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class ConnectionFault(Exception):
    """The peer broke a rule that ends the connection."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault
        self.reason = reason


class StreamFault(Exception):
    """The peer broke a rule that ends one stream."""

    def __init__(self, stream: int, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.stream = stream
        self.fault = fault


def write_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    length = len(payload)
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def write_opening(stream: int, length: int) -> bytes:
    """The head of a DATA frame that holds one whole message of this length, and the message's prefix."""
    whole = length + 5
    return _OPENING.pack(whole >> 8, whole & 0xFF, DATA, 0, stream, 0, length)


def write_data_head(stream: int, length: int) -> bytes:
    return HEAD.pack(length >> 8, length & 0xFF, DATA, 0, stream)


def write_settings(settings: Iterable[tuple[int, int]]) -> bytes:
    return write_frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(number, value) for number, value in settings))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    return list(_SETTING.iter_unpack(payload))


def write_reset(stream: int, fault: Fault) -> bytes:
    return write_frame(RST_STREAM, 0, stream, _WORD.pack(fault))


def write_window_update(stream: int, increment: int) -> bytes:
    return write_frame(WINDOW_UPDATE, 0, stream, _WORD.pack(increment))


def write_goaway(last: int, fault: Fault, reason: str = "") -> bytes:
    return write_frame(GOAWAY, 0, 0, _WORD.pack(last) + _WORD.pack(fault) + reason.encode())


def read_word(payload: bytes, offset: int = 0) -> int:
    """31 bits: the first is reserved."""
    word: int = _WORD.unpack_from(payload, offset)[0]
    return word & 0x7FFFFFFF


SETTINGS_ACK: Final = write_frame(SETTINGS, ACK, 0)
KEEPALIVE: Final = write_frame(PING, 0, 0, b"keepaliv")
