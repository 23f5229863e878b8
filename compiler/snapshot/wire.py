"""A serialised message in pieces around its holes: to fill them in takes no message, only lengths written anew."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from google.protobuf import any_pb2
from msgspec import Struct

from compiler.envoy.packing import message_type
from compiler.mesh.holes import HOLE, SYMBOL

__all__ = ["SYMBOL_BYTES", "Cut", "cut", "fill_in", "varint"]

_REMEMBERED: Final = 1024
"""Messages cut up, some megabytes: the replicas of a shape come one after another."""
_SHORT: Final = 1000
"""Bytes of what may well be in many messages, such as what a policy says in every listener."""
SYMBOL_BYTES: Final = re.compile(SYMBOL.pattern.encode())
_HOLE: Final = HOLE.encode()
_ANY: Final = any_pb2.Any.DESCRIPTOR
_SIZES: Final = {1: 8, 5: 4}
"""Of what is as long as its wire type says."""
_VARINT, _LENGTH = 0, 2
_ONE_BYTE: Final = 0x7F
"""The largest number that is written in one."""


class Cut(Struct, frozen=True, cache_hash=True):
    """Bytes as they are, and what goes in between: the text of a number, or another such thing behind its length.

    `first` stands before all that goes in, and each of `rest` behind one of these. `texts` are the numbers of all texts
    in it, as they come; `least` is how long it is without what goes in.
    """

    first: bytes
    rest: "tuple[tuple[int | Cut, bytes], ...]"
    texts: tuple[int, ...]
    least: int

    def fill(self, texts: Sequence[bytes]) -> bytes:
        """The message with these texts in its holes."""
        written = [texts[number] for number in self.texts]
        return b"".join(fill_in(_around(self, tuple(map(len, written))), written))


@lru_cache(maxsize=_REMEMBERED)  # the key is all that decides the pieces
def _around(cut: Cut, sizes: tuple[int, ...]) -> tuple[bytes, ...]:
    """The message around texts of these sizes, with an empty piece where each goes."""
    return tuple(_lay_out(cut, iter(sizes))[1])


def _lay_out(cut: Cut, sizes: Iterator[int]) -> tuple[int, list[bytes]]:
    """How long it is with the texts, and the pieces around them."""
    size, last, laid = cut.least, cut.first, list[bytes]()
    for one, piece in cut.rest:
        if isinstance(one, int):
            size += next(sizes)
            laid += last, b""
            last = piece
            continue
        length, around = _lay_out(one, sizes)
        written = varint(length)
        size += len(written) + length
        around[0] = last + written + around[0]
        last = around.pop() + piece
        laid += around
    laid.append(last)
    return size, laid


def fill_in(around: Sequence[bytes], texts: Sequence[bytes]) -> list[bytes]:
    """The pieces with these texts in the place of the empty ones, every second of them."""
    filled = [*around]
    filled[1::2] = texts
    return filled


def cut(body: bytes) -> Cut:
    """A serialised Any of a message with holes."""
    return _cut_message(_ANY, body)


def _cut_message(kind: Any, serialised: bytes) -> Cut:
    """A byte of a number may look like a hole's: then another is looked for, or something is looked into in vain.

    Most numbers are a byte, and most of the time is spent here: only those that are not are worth a call.
    """
    pieces, between, texts = list[bytes](), list[Cut](), list[int]()
    at = done = 0
    hole = serialised.find(_HOLE)
    while hole >= 0:
        tag, at = serialised[at], at + 1
        if tag > _ONE_BYTE:
            tag, at = _read_varint(serialised, at - 1)
        if tag & 7 != _LENGTH:
            at = _skip_number(serialised, at, tag & 7)
        else:
            length, begun = serialised[at], at + 1
            if length > _ONE_BYTE:
                length, begun = _read_varint(serialised, at)
            after = begun + length
            if hole < begun:
                hole = serialised.find(_HOLE, begun)
            if begun <= hole < after:
                find = _cut_alike if length < _SHORT else _cut_field
                found = find(_kind_inside(kind, tag >> 3, serialised), serialised[begun:after])
                pieces.append(serialised[done:at])
                between.append(found)
                texts += found.texts
                done = after
            at = after
        if hole < at:
            hole = serialised.find(_HOLE, at)
    return _join([*pieces, serialised[done:]], between, texts)


def _skip_number(serialised: bytes, at: int, wire_type: int) -> int:
    return _read_varint(serialised, at)[1] if wire_type == _VARINT else at + _SIZES[wire_type]


def _kind_inside(kind: Any, number: int, serialised: bytes) -> Any:
    """Of the message that a field of this one holds; None of a text."""
    if kind is _ANY:
        return message_type(any_pb2.Any.FromString(serialised).type_url).DESCRIPTOR
    return kind.fields_by_number[number].message_type


def _cut_field(kind: Any, serialised: bytes) -> Cut:
    """A message of this kind, or a text."""
    if kind is not None:
        return _cut_message(kind, serialised)
    found = SYMBOL_BYTES.split(serialised)
    texts = [int(number) for number in found[1::2]]
    return _join(found[::2], texts, texts)


def _join(pieces: Sequence[bytes], between: Sequence[int | Cut], texts: Sequence[int]) -> Cut:
    return Cut(pieces[0], tuple(zip(between, pieces[1:], strict=True)), tuple(texts), sum(map(len, pieces)))


_cut_alike = lru_cache(maxsize=256)(_cut_field)  # the key is the kind and the bytes, which are all that decides


def _read_varint(serialised: bytes, at: int) -> tuple[int, int]:
    """The number that is written there, and where the next thing begins."""
    number = shift = 0
    while True:
        byte = serialised[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if not byte & 0x80:
            return number, at
        shift += 7


@lru_cache(maxsize=4096)  # the key is the number
def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have the eighth bit set."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
