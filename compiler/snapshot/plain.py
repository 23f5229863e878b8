"""Single values as protobuf's JSON mapping writes them: a function for each kind of field, chosen once.

The same as `json_format` gives, at a fraction of its cost; the tests hold the two together over arbitrary messages.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from math import isfinite, isnan
from operator import attrgetter
from struct import Struct
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration

Writer: TypeAlias = Callable[[Any], Any]

_FLOAT32: Final = Struct("<f")
_FEWEST_DIGITS: Final = 6
"""A float of four bytes has between 6 and 9 significant digits."""
_LONGEST_SECONDS: Final = 315_576_000_000
"""The bound of a Duration by its definition: 10,000 years."""


def writer_of(field: FieldDescriptor) -> Writer | None:
    """For one value of a scalar field; None where the value stands for itself."""
    if field.enum_type is not None:
        return _enum_writer(field.enum_type)
    return _SCALARS.get(field.type)


def write_key(key: object) -> str:
    """A map's key is text in JSON, whatever its type."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _enum_writer(enum: EnumDescriptor) -> Writer:
    """A number that the enum does not name stays a number."""
    if enum.full_name == "google.protobuf.NullValue":
        return lambda _: None
    names = {number: value.name for number, value in enum.values_by_number.items()}
    return lambda number: names.get(number, number)


def _write_bytes(value: bytes) -> str:
    return b64encode(value).decode()


def _write_double(value: float) -> float | str:
    if isfinite(value):
        return value
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _write_float(value: float) -> float | str:
    """The shortest decimal that is the same four bytes."""
    if not isfinite(value):
        return _write_double(value)
    digits = _FEWEST_DIGITS
    while _narrowed(rounded := float(f"{value:.{digits}g}")) != value:
        digits += 1
    return rounded


def _narrowed(value: float) -> float:
    """Infinite where rounding has passed the largest float of four bytes."""
    try:
        return float(_FLOAT32.unpack(_FLOAT32.pack(value))[0])
    except OverflowError:
        return float("inf")


def _write_duration(duration: Duration) -> str:
    """Raises ValueError for one that is out of range or of two signs."""
    if duration.nanos == 0 and 0 <= duration.seconds <= _LONGEST_SECONDS:
        return f"{duration.seconds}s"
    return duration.ToJsonString()


def _write_own(message: Any) -> str:
    """Timestamp and FieldMask know their form; raises ValueError for what has none."""
    return str(message.ToJsonString())


def _write_struct(struct: Any) -> dict[str, Any]:
    return {key: _write_value(value) for key, value in struct.fields.items()}


def _write_list(values: Any) -> list[Any]:
    return [_write_value(value) for value in values.values]


def _write_value(value: Any) -> Any:
    """Raises ValueError for a number that would come back as text."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            if not isfinite(value.number_value):
                message = f"a Struct cannot hold {value.number_value}"
                raise ValueError(message)
            return value.number_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _write_struct(value.struct_value)
        case "list_value":
            return _write_list(value.list_value)
    return None


def _wrapped(write: Writer | None) -> Writer:
    return attrgetter("value") if write is None else lambda wrapper: write(wrapper.value)


_SCALARS: Final[Mapping[int, Writer]] = {
    FieldDescriptor.TYPE_INT64: str,
    FieldDescriptor.TYPE_UINT64: str,
    FieldDescriptor.TYPE_SINT64: str,
    FieldDescriptor.TYPE_FIXED64: str,
    FieldDescriptor.TYPE_SFIXED64: str,
    FieldDescriptor.TYPE_FLOAT: _write_float,
    FieldDescriptor.TYPE_DOUBLE: _write_double,
    FieldDescriptor.TYPE_BYTES: _write_bytes,
}
WRAPPERS: Final[Mapping[str, Writer]] = {
    "google.protobuf.BoolValue": _wrapped(None),
    "google.protobuf.StringValue": _wrapped(None),
    "google.protobuf.Int32Value": _wrapped(None),
    "google.protobuf.UInt32Value": _wrapped(None),
    "google.protobuf.Int64Value": _wrapped(str),
    "google.protobuf.UInt64Value": _wrapped(str),
    "google.protobuf.FloatValue": _wrapped(_write_float),
    "google.protobuf.DoubleValue": _wrapped(_write_double),
    "google.protobuf.BytesValue": _wrapped(_write_bytes),
}
WELL_KNOWN: Final[Mapping[str, Writer]] = {
    **WRAPPERS,
    "google.protobuf.Duration": _write_duration,
    "google.protobuf.Timestamp": _write_own,
    "google.protobuf.FieldMask": _write_own,
    "google.protobuf.Struct": _write_struct,
    "google.protobuf.ListValue": _write_list,
    "google.protobuf.Value": _write_value,
}
"""Messages that JSON writes as a value rather than as their fields; ValueError for a value that it has no form for."""
