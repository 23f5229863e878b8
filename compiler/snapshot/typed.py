"""A resource as typed, validated dataclasses (envoy-data-plane): for people's own checks, and as a second decoder.

Importing envoy-data-plane takes most of a second, so it happens at the first use, package by package.
"""

import importlib
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import any_pb2

from compiler.envoy.packing import message_type, repack
from compiler.snapshot.canonical import Rendered

# Configuration that Envoy's API has and envoy-data-plane 2.2 has not: decoded by nobody, kept as the bytes they are.
_LACKING_WORDS = """
envoy.config.grpc_credential.v3.AwsIamConfig
envoy.config.listener.v3.ApiListenerManager
envoy.config.listener.v3.ListenerManager
envoy.config.listener.v3.ValidationListenerManager
envoy.config.trace.v3.OpenCensusConfig
envoy.extensions.filters.http.proto_message_logging.v3.MethodLogging
envoy.extensions.filters.http.proto_message_logging.v3.ProtoMessageLoggingConfig
envoy.extensions.injected_credentials.generic.v3.Generic
envoy.extensions.injected_credentials.oauth2.v3.OAuth2
udpa.type.v1.TypedStruct
xds.core.v3.Resource
xds.core.v3.ResourceName
xds.type.matcher.v3.CelMatcher
xds.type.matcher.v3.DoubleRangeMatcher
xds.type.matcher.v3.HttpAttributesCelMatchInput
xds.type.matcher.v3.IPMatcher
xds.type.matcher.v3.Int32RangeMatcher
xds.type.matcher.v3.Int64RangeMatcher
xds.type.matcher.v3.ServerNameMatcher
xds.type.v3.DoubleRange
xds.type.v3.Int32Range
xds.type.v3.Int64Range
xds.type.v3.TypedStruct
"""
LACKING = frozenset(_LACKING_WORDS.split())
_PACKAGE = re.compile(r"(?:envoy|google|xds|udpa)(?:\.[a-z][a-z0-9_]*)+(?=\.[A-Z])")
_ROOT = "envoy_data_plane"
_PREFIX = "type.googleapis.com/"


class UndefinedTypeError(LookupError):
    """A message type that envoy-data-plane does not define."""


def load(resource: Rendered) -> object:
    """The resource's dataclass; its fields are checked as it is built. A nested Any is one step further: `unpack`."""
    packed = any_pb2.Any.FromString(resource.body)
    return decode(packed.type_url, packed.value)


def decode(type_url: str, body: bytes) -> object:
    """The dataclass for a serialised message; raises `UndefinedTypeError`."""
    return _dataclass(type_url).parse(body)


def unpack(packed: Any) -> object:
    """What is inside an Any of the dataclasses; raises `UndefinedTypeError`."""
    return decode(packed.type_url, packed.value)


def roundtrips(resource: Rendered) -> bool:
    """Whether the dataclasses say the same as the message: decoded and encoded again, through every nested Any.

    Messages are compared, not bytes: envoy-data-plane writes maps in the order in which it read them. It keeps
    durations to the microsecond, so a finer one does not come back.
    """
    original = any_pb2.Any.FromString(resource.body)
    kind = message_type(original.type_url)
    again = kind.FromString(_reencoded(original.type_url, original.value))
    repack(again)
    return again == kind.FromString(original.value)


def _reencoded(type_url: str, body: bytes) -> bytes:
    if not type_url or type_url.rpartition("/")[2] in LACKING:
        return body
    message = decode(type_url, body)
    for packed in _packed_inside(message):
        packed.value = _reencoded(packed.type_url, packed.value)
    return bytes(message)  # type: ignore[call-overload, no-any-return]  # betterproto2 messages define __bytes__


def _packed_inside(value: object) -> Iterator[Any]:
    """The Anys of a dataclass, not those that are packed inside them."""
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None:
        if type(value).__name__ == "Any" and "type_url" in fields:
            yield value
            return
        for name in fields:
            yield from _packed_inside(getattr(value, name))
    elif isinstance(value, list):
        for each in value:
            yield from _packed_inside(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _packed_inside(each)


def _dataclass(type_url: str) -> Any:
    """A package's import enters its classes into the pool of envoy-data-plane, under their type URLs."""
    name = type_url.rpartition("/")[2]
    package = _PACKAGE.match(name)
    if package is not None:
        try:
            importlib.import_module(f"{_ROOT}.{package[0]}")
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith(_ROOT):
                raise
    known = importlib.import_module(f"{_ROOT}.message_pool").default_message_pool.url_to_type
    if f"{_PREFIX}{name}" not in known:
        message = f"envoy-data-plane does not define {name!r}"
        raise UndefinedTypeError(message)
    return known[f"{_PREFIX}{name}"]
