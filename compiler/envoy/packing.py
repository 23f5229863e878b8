"""Messages inside `google.protobuf.Any`: packed alike in every process, found by type URL, visited and rewritten."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

# Imported for what they register: the types that a Struct, a header value or a filter state may hold.
from google.protobuf import (
    any_pb2,
    descriptor_pool,
    duration_pb2,  # noqa: F401  # registers its types
    empty_pb2,  # noqa: F401  # registers its types
    message_factory,
    struct_pb2,  # noqa: F401  # registers its types
    timestamp_pb2,  # noqa: F401  # registers its types
    wrappers_pb2,  # noqa: F401  # registers its types
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

_ANY = "google.protobuf.Any"
_PACKAGE = re.compile(r"(?:envoy|xds|udpa)(?:\.[a-z][a-z0-9_]*)+(?=\.[A-Z])")


class UnknownTypeError(LookupError):
    """A type URL that names no message of Envoy's API; Envoy would refuse it too."""


class UndecodableError(ValueError):
    """An Any whose bytes are not a message of the type that it names."""


def pack(message: Message) -> any_pb2.Any:
    """Equal messages give equal bytes in every process; `Any.Pack` alone lets the order of maps through."""
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


def unpack(packed: any_pb2.Any) -> Message:
    """The message inside; raises `UnknownTypeError` and `UndecodableError`."""
    try:
        return message_type(packed.type_url).FromString(packed.value)
    except DecodeError as error:
        message = f"not a {packed.type_url}: {error}"
        raise UndecodableError(message) from error


@cache  # the classes of the process-wide descriptor pool: one answer for a type URL, for ever
def message_type(type_url: str) -> type[Message]:
    """The class that a type URL names; its module is imported when the type is first met."""
    name = type_url.rpartition("/")[2]
    package = _PACKAGE.match(name)
    try:
        return _registered(name)
    except KeyError:
        if package:
            _import_package(package[0])
    try:
        return _registered(name)
    except KeyError as error:
        message = f"no message type of Envoy's API is called {name!r}"
        raise UnknownTypeError(message) from error


def _registered(name: str) -> type[Message]:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


def _import_package(package: str) -> None:
    """A protobuf package is a Python package here, but a type does not say in which of its modules it is."""
    try:
        found = importlib.import_module(package)
    except ModuleNotFoundError:
        return
    for module in pkgutil.iter_modules(found.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")


def rewrite(message: Message, edit: Callable[[Message], None]) -> None:
    """`edit` is handed the message and every message inside, outermost first; nested Anys are packed anew."""
    edit(message)
    for field, value in message.ListFields():
        for _, child in _children(field, value):
            if isinstance(child, any_pb2.Any):
                _rewrite_packed(child, edit)
            else:
                rewrite(child, edit)


def repack(message: Message) -> None:
    """Afterwards all nested Anys are packed as `pack` packs, whoever packed them."""
    rewrite(message, lambda _: None)


def _rewrite_packed(packed: any_pb2.Any, edit: Callable[[Message], None]) -> None:
    if packed.type_url:
        inner = unpack(packed)
        rewrite(inner, edit)
        packed.value = inner.SerializeToString(deterministic=True)


def visit(message: Message, wanted: frozenset[str], path: str = "") -> Iterator[tuple[str, Message]]:
    """Every message of the wanted types (full names) with its path in the JSON form, outermost first.

    Looks through nested Anys; passes over an Any that cannot be read (the constraints report that).
    """
    if message.DESCRIPTOR.full_name in wanted:
        yield path, message
    kind: Any = type(message)
    towards = _fields_towards(kind, wanted)
    for field, value in message.ListFields():
        if field.number in towards:
            for step, child in _children(field, value):
                yield from _visit_child(child, wanted, f"{path}.{step}" if path else step)


def _visit_child(child: Message, wanted: frozenset[str], path: str) -> Iterator[tuple[str, Message]]:
    if not isinstance(child, any_pb2.Any):
        yield from visit(child, wanted, path)
        return
    try:
        inner = unpack(child)
    except (UnknownTypeError, UndecodableError):
        return
    yield from visit(inner, wanted, path)


def _children(field: FieldDescriptor, value: Any) -> Iterator[tuple[str, Message]]:
    """The messages that a set field holds, with the step that leads to each in the JSON form."""
    kind = field.message_type
    if kind is None:
        return
    if kind.GetOptions().map_entry:
        if kind.fields_by_name["value"].message_type is not None:
            yield from ((f'{field.json_name}["{key}"]', value[key]) for key in sorted(value))
    elif field.is_repeated:
        yield from ((f"{field.json_name}[{index}]", child) for index, child in enumerate(value))
    else:
        yield field.json_name, value


@cache  # one plan for a class and a set of names, both of them fixed when the program starts
def _fields_towards(message_class: type[Message], wanted: frozenset[str]) -> frozenset[int]:
    """The fields through which a wanted type or an Any can be reached."""
    fields = message_class.DESCRIPTOR.fields
    return frozenset(
        field.number
        for field in fields
        if field.message_type is not None and not reachable(field.message_type).isdisjoint(wanted | {_ANY})
    )


@cache  # a pure function of a descriptor of the process-wide pool
def reachable(descriptor: Descriptor) -> frozenset[str]:
    """The full names of all message types inside, its own included; an Any is not looked into."""
    found: dict[str, Descriptor] = {descriptor.full_name: descriptor}
    waiting = [descriptor]
    while waiting:
        inside = (field.message_type for field in waiting.pop().fields if field.message_type is not None)
        new = {kind.full_name: kind for kind in inside if kind.full_name not in found}
        found |= new
        waiting += new.values()
    return frozenset(found)
