"""YAML 1.2 core schema: what a plain or tagged scalar means, and nothing of YAML 1.1."""

import math
import re
from dataclasses import dataclass

from compiler.diagnostics import Code, Severity

BAD_SCALAR = Code(
    "bad-scalar",
    Severity.ERROR,
    "a tagged scalar does not fit its tag",
    "`!!int`, `!!float`, `!!bool` and `!!null` are accepted only before a scalar that reads as such.",
)
CUSTOM_TAG = Code(
    "custom-tag",
    Severity.ERROR,
    "a tag outside the YAML core schema is used",
    "Only !!str, !!int, !!float, !!bool, !!null, !!map and !!seq mean anything here; other tags would be ignored.",
)
NOT_FINITE = Code(
    "not-finite",
    Severity.ERROR,
    "a number is infinite or not a number",
    "JSON, and so Envoy's configuration, has neither infinity nor NaN.",
)
NUMBER_OUT_OF_RANGE = Code(
    "number-out-of-range",
    Severity.ERROR,
    "an integer does not fit into 64 bits",
    "Integers lie between -2^63 and 2^64-1; longer digits are text and are quoted.",
)

Scalar = str | int | float | bool | None

CORE = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_ACCEPTED: dict[str, tuple[type, ...]] = {
    CORE + "int": (int,),
    CORE + "float": (int, float),
    CORE + "bool": (bool,),
    CORE + "null": (type(None),),
}
_NUMBER_STARTS = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
# Longer digits than this are no number that a double or 64 bits could hold; Python would spend time on them.
_MAX_DIGITS = 400


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a scalar has no value; the message never repeats it, for it may be a password without its quotes."""

    code: Code
    message: str
    hint: str


def resolve_plain(text: str) -> Scalar | Refusal:
    """`no`, `on`, `1:30` and dates are strings, `0777` is 777, as the core schema says."""
    if text in _WORDS:
        return _WORDS[text]
    return _resolve_number(text) if text[0] in _NUMBER_STARTS else text


def resolve_tagged(tag: str, text: str) -> Scalar | Refusal:
    """The value that an explicit tag demands of the text."""
    if tag in ("!", CORE + "str"):
        return text
    if tag not in _ACCEPTED:
        return refuse_tag()
    value = resolve_plain(text)
    if value.__class__ in _ACCEPTED[tag]:
        return float(value) if tag == CORE + "float" else value  # type: ignore[arg-type]  # accepted as a number
    if isinstance(value, Refusal):
        return value
    word = tag.removeprefix(CORE)
    return Refusal(BAD_SCALAR, f"this is no {word}", f"remove the tag !!{word}, or mend the value")


def refuse_tag() -> Refusal:
    """A tag that would otherwise be dropped in silence."""
    return Refusal(CUSTOM_TAG, "this tag means nothing here", "remove the tag")


def shorten(text: str) -> str:
    """Enough of a value to find it again, safe to print."""
    return ascii(text if len(text) <= 40 else text[:37] + "...")


def _resolve_number(text: str) -> Scalar | Refusal:
    if len(text) > _MAX_DIGITS:
        return _refuse_digits() if _FLOAT.fullmatch(text) or _BASED.fullmatch(text) else text
    if _DECIMAL.fullmatch(text):
        return _within_64_bits(int(text))
    if _BASED.fullmatch(text):
        return _within_64_bits(int(text, 0))
    if _FLOAT.fullmatch(text):
        return _finite(float(text))
    return _refuse_not_finite() if _NOT_FINITE.fullmatch(text) else text


def _within_64_bits(number: int) -> int | Refusal:
    return number if -(2**63) <= number < 2**64 else _refuse_digits()


def _finite(number: float) -> float | Refusal:
    return number if math.isfinite(number) else _refuse_not_finite()


def _refuse_digits() -> Refusal:
    return Refusal(NUMBER_OUT_OF_RANGE, "this number does not fit into 64 bits", "quote it if it is text")


def _refuse_not_finite() -> Refusal:
    return Refusal(NOT_FINITE, "this is not a finite number", "leave it out, or quote it if it is text")
