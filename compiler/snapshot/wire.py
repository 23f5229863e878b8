"""A serialised message in pieces around its holes: to fill them in takes no message, only lengths written anew."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from msgspec import Struct

from compiler.envoy.packing import message_type
from compiler.mesh.holes import HOLE, SYMBOL

__all__ = ["SYMBOL_BYTES", "Cut", "Length", "cut", "in_turn", "varint"]

_REMEMBERED: Final = 1024
"""Messages cut up, some megabytes: the replicas of a shape come one after another."""
SYMBOL_BYTES: Final = re.compile(SYMBOL.pattern.encode())
_HOLE: Final = HOLE.encode()
_ANY: Final = "google.protobuf.Any"
_TYPE_URL, _VALUE = 1, 2
_SIZES: Final = {1: 8, 5: 4}
"""Of what is as long as its wire type says."""
_VARINT, _LENGTH = 0, 2


class Length(NamedTuple):
    """Of something with holes: `least` without what is in them, the texts, and which of those before it are inside."""

    least: int
    texts: tuple[int, ...]
    inside: tuple[int, ...]


class Cut(Struct, frozen=True, cache_hash=True):
    """Bytes as they are, and what goes in between: a text of this number, or the length of this number.

    `texts` are the numbers of the texts as they come.
    """

    pieces: tuple[bytes, ...]
    between: tuple[tuple[bool, int], ...]
    lengths: tuple[Length, ...]
    texts: tuple[int, ...]

    def fill(self, texts: Sequence[bytes]) -> bytes:
        """The message with these texts in its holes."""
        written = [texts[number] for number in self.texts]
        return b"".join(in_turn(_around(self, tuple(map(len, written))), written))


@lru_cache(maxsize=_REMEMBERED)  # the key is all that decides the pieces
def _around(cut: Cut, sizes: tuple[int, ...]) -> tuple[bytes, ...]:
    """The message around texts of these sizes."""
    size_of = dict(zip(cut.texts, sizes, strict=True))
    prefixes: list[bytes] = []
    whole: list[int] = []
    for least, texts, inside in cut.lengths:
        size = least + sum([size_of[text] for text in texts]) + sum([whole[one] for one in inside])
        prefixes.append(varint(size))
        whole.append(size + len(prefixes[-1]))
    pieces, rest = [], cut.pieces[0]
    for (is_text, number), piece in zip(cut.between, cut.pieces[1:], strict=True):
        if is_text:
            pieces.append(rest)
            rest = piece
        else:
            rest += prefixes[number] + piece
    return (*pieces, rest)


def in_turn(pieces: Sequence[bytes], filling: Sequence[bytes]) -> list[bytes]:
    """A piece first and last, and what is filled in between them."""
    joined = [b""] * (len(pieces) + len(filling))
    joined[::2], joined[1::2] = pieces, filling
    return joined


def cut(message: Message) -> Cut:
    """Of a message with holes."""
    knife = _Knife(message.SerializeToString(deterministic=True))
    knife.cut(message.DESCRIPTOR, 0, len(knife.serialised))
    texts = tuple([number for is_text, number in knife.between if is_text])
    pieces = (*knife.pieces, knife.serialised[knife.done :])
    return Cut(pieces, tuple(knife.between), tuple(knife.lengths), texts)


@dataclass
class _Knife:
    """What is cut off; `done` is how far."""

    serialised: bytes
    done: int = 0
    pieces: list[bytes] = field(default_factory=list)
    between: list[tuple[bool, int]] = field(default_factory=list)
    lengths: list[Length] = field(default_factory=list)

    def cut(self, kind: Any, at: int, end: int) -> Length:
        """A message from here to there. A byte of a number may look like a hole's: then it is looked into in vain."""
        serialised, least, packed = self.serialised, end - at, None
        inside: list[int] = []
        while at < end:
            tag, at = _read_varint(serialised, at)
            if tag & 7 == _VARINT:
                _, at = _read_varint(serialised, at)
                continue
            if tag & 7 != _LENGTH:
                at += _SIZES[tag & 7]
                continue
            length, begun = _read_varint(serialised, at)
            after = begun + length
            if kind.full_name == _ANY and tag >> 3 == _TYPE_URL:
                packed = message_type(serialised[begun:after].decode()).DESCRIPTOR
            if serialised.find(_HOLE, begun, after) >= 0:
                inside.append(self._cut_field(_Field(kind, tag >> 3, packed), at, begun, after))
                least -= after - at
            at = after
        return Length(least, (), tuple(inside))

    def _cut_field(self, met: "_Field", at: int, begun: int, after: int) -> int:
        """Its length, and what is behind it."""
        place = self._cut_off(at, begun, is_text=False)
        length = self.cut(met.message, begun, after) if met.message is not None else self._cut_text(begun, after)
        self.lengths.append(length)
        self.between[place] = (False, len(self.lengths) - 1)
        return len(self.lengths) - 1

    def _cut_text(self, begun: int, after: int) -> Length:
        least, texts = after - begun, []
        for symbol in SYMBOL_BYTES.finditer(self.serialised, begun, after):
            texts.append(int(symbol[1]))
            self._cut_off(symbol.start(), symbol.end(), is_text=True, number=texts[-1])
            least -= symbol.end() - symbol.start()
        return Length(least, tuple(texts), ())

    def _cut_off(self, start: int, end: int, *, is_text: bool, number: int = 0) -> int:
        self.pieces.append(self.serialised[self.done : start])
        self.between.append((is_text, number))
        self.done = end
        return len(self.between) - 1


class _Field(NamedTuple):
    """Of a message, or of the value in an Any."""

    kind: Any
    number: int
    packed: Any

    @property
    def message(self) -> Any:
        """What is inside of it; None of a text."""
        if self.kind.full_name == _ANY and self.number == _VALUE:
            return self.packed
        return self.kind.fields_by_number[self.number].message_type


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


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have the eighth bit set."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
