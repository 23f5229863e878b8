"""Scalars of the mesh's YAML that need a type of their own: Go durations and percentages."""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeVar

from msgspec import convert

T = TypeVar("T")

_HOUR: Final = 3600 * 10**9
_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": _HOUR,
    "d": 24 * _HOUR,
    "w": 7 * 24 * _HOUR,
    "y": 365 * 24 * _HOUR,
}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w|y)")
_WHOLE: Final = re.compile(r"[+-]?(?:(?:\d+(?:\.\d+)?|\.\d+)(?:ns|us|µs|ms|s|m|h|d|w|y))+|[+-]?0")


class Duration(int):
    """A length of time in nanoseconds, written as Go writes it (`1h30m`, `250ms`, `0s`)."""

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> "Duration":
        """Raise ValueError where Go's time.ParseDuration would; d, w and y, which Kuma's Mesh has, are read too.

        Of a text, which is all that decides; a mesh writes the same few everywhere.
        """
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"{text!r} is not a duration such as 15s, 1h30m or 250ms")
        nanoseconds = sum(Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        return cls(int(-nanoseconds if text.startswith("-") else nanoseconds))

    def __str__(self) -> str:
        """The shortest Go form: 5400000000000 prints as 1h30m0s does in Go, without its zero parts."""
        if not self:
            return "0s"
        rest, text = abs(int(self)), "-" if self < 0 else ""
        for unit in ("h", "m", "s", "ms", "us", "ns"):
            count, rest = divmod(rest, _UNITS[unit])
            text += f"{count}{unit}" if count else ""
        return text

    __repr__ = __str__


class Percentage(Decimal):
    """A share of a hundred, written as an integer or as a decimal string (`50`, `"12.5"`)."""

    @classmethod
    def parse(cls, value: int | float | str) -> "Percentage":
        """Raise ValueError for what is no number."""
        try:
            return cls(str(value))
        except ArithmeticError as error:
            raise ValueError(f"{value!r} is not a percentage such as 50 or '12.5'") from error


def _decode(kind: type, value: object) -> object:
    if kind is Duration and isinstance(value, str):
        return Duration.parse(value)
    if kind is Percentage and isinstance(value, int | float | str):
        return Percentage.parse(value)
    raise NotImplementedError(f"no way to read a {kind.__name__}")


def decode(kind: type[T], value: object) -> T:
    """A typed value from plain YAML values; raises msgspec.ValidationError, which names the field."""
    return convert(value, kind, dec_hook=_decode)
