"""Kubernetes' quantities and Go's durations, as far as injection looks into them."""

import re
from decimal import Decimal
from typing import Final

_SUFFIXES: Final = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_QUANTITY: Final = re.compile(
    r"(?P<number>\+?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18}))"
    r"(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<power>[-+]?[0-9]{1,2}))?",
    re.ASCII,
)
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION: Final = re.compile(r"(?:(?:[0-9]{1,15}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:h|ms|m|us|µs|ns|s))+|0", re.ASCII)
_DURATION_PART: Final = re.compile(r"([0-9.]+)(h|ms|m|us|µs|ns|s)", re.ASCII)


def is_quantity(text: str) -> bool:
    """`50m`, `0.5`, `64Mi`, `1e3`."""
    return bool(_QUANTITY.fullmatch(text))


def read_quantity(text: str) -> Decimal | None:
    """In units, such as cores or bytes; None for what is no quantity."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    power = Decimal(1).scaleb(int(found["power"])) if found["power"] else Decimal(1)
    return Decimal(found["number"]) * _SUFFIXES[found["suffix"] or ""] * power


def is_duration(text: str) -> bool:
    """As Go writes it, not negative."""
    return bool(_DURATION.fullmatch(text))


def read_duration(text: str) -> float | None:
    """In seconds; None for what is no duration."""
    if not is_duration(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
