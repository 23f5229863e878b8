"""A message type with a field of every kind that protobuf has, many of which Envoy's API lacks; and values for it."""

from collections.abc import Callable
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from compiler.envoy.packing import message_type, pack

EVERYTHING = "type.googleapis.com/tests.Everything"
_FIELD = descriptor_pb2.FieldDescriptorProto
_KEY_WORDS = "int64 uint64 int32 fixed64 fixed32 bool string uint32 sfixed32 sfixed64 sint32 sint64"
_KEYS = tuple(_KEY_WORDS.split())
_SCALARS = ("double", "float", "bytes", *_KEYS)
_MESSAGE_WORDS = """
Any BoolValue BytesValue DoubleValue Duration FieldMask FloatValue Int32Value Int64Value ListValue StringValue
Struct Timestamp UInt32Value UInt64Value Value
"""
_MESSAGES = tuple(_MESSAGE_WORDS.split())
_FILES = (any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
_NANOS = st.sampled_from((0, 1, 1000, 10**6, 999_999_999)) | st.integers(0, 10**9 - 1)
_DEEPEST = 3
_MOST_NANOS = 2**31 - 1
_WORD = st.text(st.sampled_from("abcz_0"), max_size=6)
_VALUES: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: _TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=5),
    FieldDescriptor.TYPE_ENUM: st.integers(0, 4),
    **dict.fromkeys(
        (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32),
        st.integers(-(2**31), 2**31 - 1),
    ),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), st.integers(0, 2**32 - 1)),
    **dict.fromkeys(
        (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64),
        st.integers(-(2**63), 2**63 - 1),
    ),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), st.integers(0, 2**64 - 1)),
}


def everything_type() -> type[Message]:
    """Each kind of field alone, with presence, repeated, and as the key or the value of a map."""
    pool = descriptor_pool.Default()
    try:
        pool.FindMessageTypeByName("tests.Everything")
    except KeyError:
        pool.Add(_describe_file())
    return message_type(EVERYTHING)


def _describe_file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="tests/everything.proto", package="tests", syntax="proto3")
    file.dependency.extend(module.DESCRIPTOR.name for module in _FILES)
    colours = file.enum_type.add(name="Colour")
    for number, name in enumerate(("NONE", "RED", "GREEN")):
        colours.value.add(name=name, number=number)
    message = file.message_type.add(name="Everything")
    message.oneof_decl.add(name="either")
    kinds = [
        *((name, getattr(_FIELD, f"TYPE_{name.upper()}"), "") for name in _SCALARS),
        ("colour", _FIELD.TYPE_ENUM, ".tests.Colour"),
        ("nothing", _FIELD.TYPE_ENUM, ".google.protobuf.NullValue"),
        *((f"a_{name.lower()}", _FIELD.TYPE_MESSAGE, f".google.protobuf.{name}") for name in _MESSAGES),
        ("itself", _FIELD.TYPE_MESSAGE, ".tests.Everything"),
    ]
    for kind in kinds:
        _add_fields(message, *kind)
    for key in _KEYS:
        _add_map(message, f"by_{key}", getattr(_FIELD, f"TYPE_{key.upper()}"), (_FIELD.TYPE_INT32, ""))
    for index, field in enumerate(message.field):
        field.number = index + 1
    _give_presence(message)
    return file


def _add_fields(message: Any, name: str, kind: Any, type_name: str) -> None:
    described = {"type": kind, "type_name": type_name or None}
    one, many = _FIELD.LABEL_OPTIONAL, _FIELD.LABEL_REPEATED
    message.field.add(name=f"one_{name}", label=one, **described)
    message.field.add(name=f"many_{name}", label=many, **described)
    message.field.add(name=f"either_{name}", label=one, oneof_index=0, **described)
    message.field.add(name=f"maybe_{name}", label=one, proto3_optional=True, **described)
    _add_map(message, f"named_{name}", _FIELD.TYPE_STRING, (kind, type_name))


def _add_map(message: Any, name: str, key: Any, value: tuple[Any, str]) -> None:
    entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=key, label=_FIELD.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=value[0], type_name=value[1] or None, label=_FIELD.LABEL_OPTIONAL)
    type_name = f".tests.Everything.{entry.name}"
    message.field.add(name=name, type=_FIELD.TYPE_MESSAGE, type_name=type_name, label=_FIELD.LABEL_REPEATED)


def _give_presence(message: Any) -> None:
    """An `optional` field is the only arm of a oneof of its own; those come after the written ones."""
    for field in message.field:
        if field.proto3_optional:
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")


@st.composite
def everything(draw: st.DrawFn, depth: int = 0) -> Message:
    """Any of the fields with any value, also those that JSON has no form for."""
    message = everything_type()()
    fields: list[Any] = list(message.DESCRIPTOR.fields)
    for field in draw(st.lists(st.sampled_from(fields), max_size=8 if depth == 0 else 3)):
        _fill_field(draw, message, field, depth)
    return message


def _fill_field(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    value = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        for key in draw(st.lists(_VALUES[kind.fields_by_name["key"].type], max_size=3)):
            if kind.fields_by_name["value"].message_type is not None:
                _fill(draw, value[key], depth + 1)
            else:
                value[key] = draw(_VALUES[kind.fields_by_name["value"].type])
    elif kind is not None:
        for each in [value.add() for _ in range(draw(st.integers(0, 2)))] if field.is_repeated else [value]:
            each.SetInParent()
            _fill(draw, each, depth + 1)
    elif field.is_repeated:
        value.extend(draw(st.lists(_VALUES[field.type], max_size=3)))
    else:
        setattr(message, field.name, draw(_VALUES[field.type]))


def _fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    fill = _FILLED.get(message.DESCRIPTOR.name)
    if fill is not None:
        fill(draw, message, depth)
    else:
        message.value = draw(_VALUES[message.DESCRIPTOR.fields_by_name["value"].type])


def _fill_itself(draw: st.DrawFn, message: Any, depth: int) -> None:
    if depth < _DEEPEST:
        message.CopyFrom(draw(everything(depth)))


def _fill_any(draw: st.DrawFn, packed: Any, depth: int) -> None:
    if depth < _DEEPEST and draw(st.booleans()):
        inner = message_type(f"x/google.protobuf.{draw(st.sampled_from(_MESSAGES))}")()
        _fill(draw, inner, depth + 1)
        packed.CopyFrom(pack(draw(st.sampled_from([inner, draw(everything(depth + 1))]))))


def _fill_time(draw: st.DrawFn, time: Any, _: int) -> None:
    """Mostly in range, and of one sign."""
    time.seconds, time.nanos = draw(st.integers(0, 10**9) | st.integers(-(10**9), 10**12)), draw(_NANOS)
    if draw(st.integers(0, 9)) == 0:
        time.nanos = draw(st.integers(-_MOST_NANOS, _MOST_NANOS))


def _fill_mask(draw: st.DrawFn, mask: Any, _: int) -> None:
    mask.paths.extend(draw(st.lists(_WORD, max_size=2)))


def _fill_struct(draw: st.DrawFn, struct: Any, depth: int) -> None:
    for key in draw(st.lists(_TEXT, max_size=2)):
        _fill_value(draw, struct.fields[key], depth + 1)


def _fill_list(draw: st.DrawFn, values: Any, depth: int) -> None:
    for _ in range(draw(st.integers(0, 2))):
        _fill_value(draw, values.values.add(), depth + 1)


def _fill_value(draw: st.DrawFn, value: Any, depth: int) -> None:
    kind = draw(st.sampled_from(tuple(value.DESCRIPTOR.fields)))
    if kind.message_type is None:
        setattr(value, kind.name, 0 if kind.enum_type else draw(_VALUES[kind.type]))
    elif depth < _DEEPEST + 1:
        getattr(value, kind.name).SetInParent()
        _fill(draw, getattr(value, kind.name), depth + 1)


_FILLED: dict[str, Callable[[st.DrawFn, Any, int], None]] = {
    "Any": _fill_any,
    "Duration": _fill_time,
    "Everything": _fill_itself,
    "FieldMask": _fill_mask,
    "ListValue": _fill_list,
    "Struct": _fill_struct,
    "Timestamp": _fill_time,
    "Value": _fill_value,
}
