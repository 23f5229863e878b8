"""Arbitrary messages of Envoy's API, made from their descriptors."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from compiler.envoy.packing import message_type, pack

_DEPTH = 5
_INSIDE_ANY = (
    "google.protobuf.Struct",
    "google.protobuf.Duration",
    "google.protobuf.StringValue",
    "google.protobuf.Empty",
    "envoy.extensions.filters.http.rbac.v3.RBAC",
    "envoy.extensions.filters.http.set_metadata.v3.Config",
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "xds.type.v3.TypedStruct",
)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_BITS = {
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: _TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
}
# A Struct's -0.0 is written 0 by the JSON mapping of protobuf: the one double whose sign is lost.
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
_PLAIN = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=6,
)


@st.composite
def messages(draw: st.DrawFn, type_name: str, depth: int = 0) -> Message:
    """A message of that type, some of its fields set."""
    message = message_type(type_name)()
    fill(draw, message, depth)
    return message


def fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    match message.DESCRIPTOR.full_name:
        case "google.protobuf.Any":
            if depth < _DEPTH:
                message.CopyFrom(pack(draw(messages(draw(st.sampled_from(_INSIDE_ANY)), depth + 1))))
        case "google.protobuf.Struct":
            message.update(draw(st.dictionaries(_TEXT, _PLAIN, max_size=4)))
        case "google.protobuf.Value":
            message.string_value = draw(_TEXT)
        case "google.protobuf.Duration" | "google.protobuf.Timestamp":
            message.seconds = draw(st.integers(0, 10**9))
            message.nanos = draw(st.integers(0, 999_999)) * 1000  # finer than envoy-data-plane can keep
        case _:
            _fill_fields(draw, message, depth)


def _fill_fields(draw: st.DrawFn, message: Any, depth: int) -> None:
    fields = [field for field in message.DESCRIPTOR.fields if depth < _DEPTH or field.message_type is None]
    if fields:
        for field in draw(st.lists(st.sampled_from(fields), max_size=6 if depth < 2 else 2)):
            _fill_field(draw, message, field, depth)


def _fill_field(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _fill_map(draw, value, field.message_type.fields_by_name, depth)
    elif field.message_type is not None and field.is_repeated:
        fill(draw, value.add(), depth + 1)
    elif field.message_type is not None:
        value.SetInParent()
        fill(draw, value, depth + 1)
    elif field.is_repeated:
        value.extend(draw(st.lists(_scalar(field), max_size=3)))
    else:
        setattr(message, field.name, draw(_scalar(field)))


def _fill_map(draw: st.DrawFn, mapping: Any, entry: Any, depth: int) -> None:
    for key in draw(st.lists(_scalar(entry["key"]), max_size=4)):
        if entry["value"].message_type is None:
            mapping[key] = draw(_scalar(entry["value"]))
        else:
            inner = GetMessageClass(entry["value"].message_type)()
            fill(draw, inner, depth + 1)
            mapping[key].CopyFrom(inner)


def _scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from(sorted(field.enum_type.values_by_number))
    return _BITS[field.type]
