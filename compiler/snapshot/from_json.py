"""The message of a canonical JSON, as `json_format` makes it, at a tenth of its cost: what a lost image is made from.

Only what canonical JSON holds is understood, so this is no parser for what people write.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from compiler.envoy.packing import message_type

__all__ = ["Pieces", "fill_message"]

Pieces: TypeAlias = dict[tuple[str, bytes], bytes]
"""The bytes of what recurs by the thousand, by type and JSON: TLS contexts, filters, the labels of endpoints."""

_Set: TypeAlias = Callable[[Any, Any, Pieces], None]
"""Puts a plain value into a message."""
_Make: TypeAlias = Callable[[Mapping[str, Any], Pieces], bytes]
_Convert: TypeAlias = Callable[[Any], Any]

_REMEMBERED: Final = 4096
_ENDPOINT: Final = "envoy.config.endpoint.v3.LbEndpoint"
_RECURRENT: Final = frozenset(
    (
        "envoy.config.cluster.v3.CircuitBreakers",
        "envoy.config.cluster.v3.OutlierDetection",
        "envoy.config.core.v3.ConfigSource",
        "envoy.config.core.v3.Metadata",
        "envoy.config.route.v3.RetryPolicy",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig",
    )
)
"""Beside every Any and LbEndpoint: worth finding again by their JSON."""


def fill_message(message: Message, plain: Mapping[str, Any], pieces: Pieces) -> None:
    """`pieces` is kept from one message to the next, and emptied here when it is full."""
    _setter_of(message.DESCRIPTOR)(message, plain, pieces)


@cache  # a pure function of a descriptor of the process-wide pool
def _setter_of(descriptor: Descriptor) -> _Set:
    if descriptor.full_name == _ENDPOINT:
        return _endpoint_setter(descriptor)
    if descriptor.full_name in _RECURRENT:
        return _remembering_setter(descriptor)
    return _WELL_KNOWN.get(descriptor.full_name) or _fields_setter(descriptor)


@cache  # a pure function of a descriptor of the process-wide pool
def _fields_setter(descriptor: Descriptor) -> _Set:
    fields = {field.json_name: field for field in descriptor.fields}
    setters: dict[str, _Set] = {}  # filled in as fields are met: types are recursive, and few of their fields are used

    def set_fields(message: Any, plain: Mapping[str, Any], pieces: Pieces) -> None:
        for name, value in plain.items():
            setter = setters.get(name)
            if setter is None:
                setter = setters[name] = _field_setter(fields[name])
            setter(message, value, pieces)

    return set_fields


def _field_setter(field: FieldDescriptor) -> _Set:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return _map_setter(field.name, kind)
    if kind is not None:
        return _messages_setter(field.name, kind) if field.is_repeated else _message_setter(field.name, kind)
    return _scalars_setter(field) if field.is_repeated else _scalar_setter(field)


def _scalar_setter(field: FieldDescriptor) -> _Set:
    name, convert = field.name, _converter(field)

    def set_scalar(message: Any, plain: Any, _: Pieces) -> None:
        setattr(message, name, plain if convert is None else convert(plain))

    return set_scalar


def _scalars_setter(field: FieldDescriptor) -> _Set:
    name, convert = field.name, _converter(field)

    def set_scalars(message: Any, plain: Any, _: Pieces) -> None:
        getattr(message, name).extend(plain if convert is None else map(convert, plain))

    return set_scalars


def _message_setter(name: str, kind: Descriptor) -> _Set:
    setter = _setter_of(kind) if kind.full_name in _WELL_KNOWN else None

    def set_message(message: Any, plain: Any, pieces: Pieces) -> None:
        child = getattr(message, name)
        child.SetInParent()
        (setter or _setter_of(kind))(child, plain, pieces)

    return set_message


def _messages_setter(name: str, kind: Descriptor) -> _Set:
    def set_messages(message: Any, plain: Any, pieces: Pieces) -> None:
        add, setter = getattr(message, name).add, _setter_of(kind)
        for each in plain:
            setter(add(), each, pieces)

    return set_messages


def _map_setter(name: str, entry: Descriptor) -> _Set:
    key_of = _key_converter(entry.fields_by_name["key"])
    value = entry.fields_by_name["value"]
    convert = _converter(value)

    def set_map(message: Any, plain: Mapping[str, Any], pieces: Pieces) -> None:
        held = getattr(message, name)
        for key, each in plain.items():
            if value.message_type is not None:
                _setter_of(value.message_type)(held[key_of(key)], each, pieces)
            else:
                held[key_of(key)] = each if convert is None else convert(each)

    return set_map


def _converter(field: FieldDescriptor) -> _Convert | None:
    """None where the plain value is the field's."""
    return _number_of(field.enum_type) if field.enum_type is not None else _CONVERTERS.get(field.type)


def _number_of(enum: EnumDescriptor) -> _Convert:
    """A number that the enum does not name stands for itself; the one of NullValue is null."""
    numbers: dict[object, int] = {name: value.number for name, value in enum.values_by_name.items()}
    return lambda plain: numbers.get(plain, plain or 0)


def _key_converter(field: FieldDescriptor) -> _Convert:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return str
        case FieldDescriptor.TYPE_BOOL:
            return "true".__eq__
    return int


def _set_any(message: Any, plain: Mapping[str, Any], pieces: Pieces) -> None:
    """Nested ones are in it by their bytes; an empty one has no type."""
    if not plain:
        return
    message.type_url, message.value = plain["@type"], _remembered("", plain, pieces, _pack)


def _pack(plain: Mapping[str, Any], pieces: Pieces) -> bytes:
    """A type with a JSON form of its own has it as its `value`."""
    inner = message_type(plain["@type"])()
    held = {name: value for name, value in plain.items() if name != "@type"}
    fill_message(inner, held["value"] if inner.DESCRIPTOR.full_name in _WELL_KNOWN else held, pieces)
    return inner.SerializeToString(deterministic=True)


def _remembering_setter(descriptor: Descriptor) -> _Set:
    name, make = descriptor.full_name, _maker_of(descriptor)

    def set_remembered(message: Any, plain: Mapping[str, Any], pieces: Pieces) -> None:
        message.MergeFromString(_remembered(name, plain, pieces, make))

    return set_remembered


def _endpoint_setter(descriptor: Descriptor) -> _Set:
    """Those of a service differ in an address, which is put into what the others are."""
    set_fields, make = _fields_setter(descriptor), _maker_of(descriptor)

    def set_endpoint(message: Any, plain: Mapping[str, Any], pieces: Pieces) -> None:
        try:
            endpoint = plain["endpoint"]
            socket = endpoint["address"]["socketAddress"]
            address = socket["address"]
        except KeyError:
            set_fields(message, plain, pieces)
            return
        around = {**plain, "endpoint": {**endpoint, "address": {"socketAddress": {**socket, "address": ""}}}}
        message.MergeFromString(_remembered(_ENDPOINT, around, pieces, make))
        message.endpoint.address.socket_address.address = address

    return set_endpoint


def _maker_of(descriptor: Descriptor) -> _Make:
    """The bytes of a message of this type."""
    set_fields, kind = _fields_setter(descriptor), GetMessageClass(descriptor)

    def make(plain: Mapping[str, Any], pieces: Pieces) -> bytes:
        made = kind()
        set_fields(made, plain, pieces)
        return made.SerializeToString(deterministic=True)

    return make


def _remembered(kind: str, plain: Mapping[str, Any], pieces: Pieces, make: _Make) -> bytes:
    key = (kind, orjson.dumps(plain))
    value = pieces.get(key)
    if value is None:
        if len(pieces) >= _REMEMBERED:
            pieces.clear()
        value = pieces[key] = make(plain, pieces)
    return value


def _set_duration(message: Any, plain: str, _: Pieces) -> None:
    if "." in plain:
        message.FromJsonString(plain)
    else:
        message.seconds = int(plain[:-1])


def _set_own(message: Any, plain: str, _: Pieces) -> None:
    """Timestamp and FieldMask know their form."""
    message.FromJsonString(plain)


def _set_struct(message: Any, plain: Mapping[str, Any], pieces: Pieces) -> None:
    for name, value in plain.items():
        _set_value(message.fields[name], value, pieces)


def _set_list(message: Any, plain: list[Any], pieces: Pieces) -> None:
    for value in plain:
        _set_value(message.values.add(), value, pieces)


def _set_value(message: Any, plain: Any, pieces: Pieces) -> None:
    match plain:
        case None:
            message.null_value = 0
        case bool():
            message.bool_value = plain
        case str():
            message.string_value = plain
        case dict():
            message.struct_value.SetInParent()
            _set_struct(message.struct_value, plain, pieces)
        case list():
            message.list_value.SetInParent()
            _set_list(message.list_value, plain, pieces)
        case _:
            message.number_value = plain


def _wrapped(convert: _Convert | None = None) -> _Set:
    def set_wrapped(message: Any, plain: Any, _: Pieces) -> None:
        message.value = plain if convert is None else convert(plain)

    return set_wrapped


_CONVERTERS: Final[Mapping[int, _Convert]] = {
    FieldDescriptor.TYPE_INT64: int,
    FieldDescriptor.TYPE_UINT64: int,
    FieldDescriptor.TYPE_SINT64: int,
    FieldDescriptor.TYPE_FIXED64: int,
    FieldDescriptor.TYPE_SFIXED64: int,
    FieldDescriptor.TYPE_FLOAT: float,
    FieldDescriptor.TYPE_DOUBLE: float,
    FieldDescriptor.TYPE_BYTES: b64decode,
}
_WELL_KNOWN: Final[Mapping[str, _Set]] = {
    "google.protobuf.Any": _set_any,
    "google.protobuf.BoolValue": _wrapped(),
    "google.protobuf.BytesValue": _wrapped(b64decode),
    "google.protobuf.DoubleValue": _wrapped(float),
    "google.protobuf.Duration": _set_duration,
    "google.protobuf.FieldMask": _set_own,
    "google.protobuf.FloatValue": _wrapped(float),
    "google.protobuf.Int32Value": _wrapped(),
    "google.protobuf.Int64Value": _wrapped(int),
    "google.protobuf.ListValue": _set_list,
    "google.protobuf.StringValue": _wrapped(),
    "google.protobuf.Struct": _set_struct,
    "google.protobuf.Timestamp": _set_own,
    "google.protobuf.UInt32Value": _wrapped(),
    "google.protobuf.UInt64Value": _wrapped(int),
    "google.protobuf.Value": _set_value,
}
"""Messages that JSON writes as a value rather than as their fields."""
