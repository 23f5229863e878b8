"""Values of a proxy patch: YAML to Envoy's messages, messages into each other, and JSON patches of them."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import jsonpatch
from google.protobuf import json_format
from google.protobuf.message import Message

from compiler.envoy.packing import UndecodableError, UnknownTypeError, message_type, pack, repack, unpack
from compiler.source.parse import parse_file

Plain = dict[str, Any]
Operation = Mapping[str, Any]

_REMEMBERED: Final = 512
_INDEX: Final = re.compile(r"-?\d+")
_UNREADABLE: Final = (json_format.ParseError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What the decoder of protobuf's JSON raises for one value or another that is none."""
_WELL_KNOWN: Final = "google.protobuf."
_STRUCT: Final = "google.protobuf.Struct"


class PatchError(ValueError):
    """A change that cannot be made, in words."""


class UnknownExtensionError(PatchError):
    """An extension that Envoy's API does not have."""


@lru_cache(maxsize=_REMEMBERED)  # a pure function of the text
def read_yaml(text: str) -> Plain:
    """One mapping. The caller changes nothing in it."""
    parsed = parse_file("", "", text.encode())
    if parsed.diagnostics and parsed.failed:
        raise PatchError(f"it is no YAML: {parsed.diagnostics[0].message}")
    if len(parsed.value) != 1:
        raise PatchError("it must be one mapping, which is one message of Envoy's")
    return dict(parsed.value[0].value)


def read_value(text: str, kind: type[Message]) -> Message:
    """The message that a value holds. The caller changes nothing in it."""
    return _read_value(text, kind.DESCRIPTOR.full_name)


@lru_cache(maxsize=_REMEMBERED)  # a pure function of the text and the name of the class
def _read_value(text: str, name: str) -> Message:
    kind = message_type(name)
    plain = dict(read_yaml(text))
    url = plain.pop("@type", None)
    if url is not None and str(url).rpartition("/")[2] != name:
        raise PatchError(f"it is a {url}, where a {name} is wanted")
    return from_plain(plain, kind)


def from_plain(plain: Mapping[str, Any], kind: type[Message]) -> Message:
    """Raises `PatchError` for what the message does not have."""
    message = kind()
    try:
        for url in _types(plain):
            message_type(url)
        json_format.ParseDict(dict(plain), message)
        repack(message)
    except (UnknownTypeError, UndecodableError) as error:
        raise UnknownExtensionError(str(error)) from error
    except _UNREADABLE as error:
        raise PatchError(_first_sentence(str(error))) from error
    return message


def to_plain(message: Message) -> Plain:
    """In protobuf's JSON form; holes for addresses are texts like others."""
    plain: Plain = json_format.MessageToDict(message)
    return plain


def _types(plain: Any) -> Iterator[str]:
    if isinstance(plain, Mapping):
        if isinstance(plain.get("@type"), str):
            yield plain["@type"]
        for value in plain.values():
            yield from _types(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from _types(value)


def _first_sentence(text: str) -> str:
    return text.split("\n", 1)[0].removesuffix(".").removesuffix(",")


# --- Merging ------------------------------------------------------------------------------------------------------


def merge(target: Any, patch: Message) -> None:
    """As protobuf merges, lists grow; durations and other well-known messages are replaced as wholes."""
    for field, value in patch.ListFields():
        mine = getattr(target, field.name)
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            _merge_map(mine, value, messages=inner.fields_by_name["value"].message_type is not None)
        elif field.is_repeated:
            mine.extend(value)
        elif inner is None:
            setattr(target, field.name, value)
        elif inner.full_name.startswith(_WELL_KNOWN) and inner.full_name != _STRUCT:
            mine.CopyFrom(value)
        else:
            mine.SetInParent()
            merge(mine, value)


def _merge_map(mine: Any, value: Any, *, messages: bool) -> None:
    for key in value:
        if messages:
            mine[key].CopyFrom(value[key])
        else:
            mine[key] = value[key]


def merge_extension(target: Any, patch: Any) -> None:
    """What is inside of a filter's `typed_config`: both must be of one type."""
    if not patch.HasField("typed_config"):
        return
    if not target.HasField("typed_config"):
        target.typed_config.CopyFrom(patch.typed_config)
        return
    if target.typed_config.type_url != patch.typed_config.type_url:
        wanted, given = target.typed_config.type_url, patch.typed_config.type_url
        raise PatchError(f"the filter is a {wanted}, and the value a {given}")
    merged = unpack(target.typed_config)
    merge(merged, unpack(patch.typed_config))
    target.typed_config.CopyFrom(pack(merged))


# --- JSON patches -------------------------------------------------------------------------------------------------


def patch_message(message: Message, operations: Sequence[Operation]) -> Message:
    """The message that its JSON form becomes."""
    return from_plain(patch_plain(to_plain(message), operations), type(message))


def patch_plain(plain: Plain, operations: Sequence[Operation]) -> Plain:
    """RFC 6902, and as Kuma does: adding makes parents, what is missing need not be removed, -1 is the last entry."""
    patched: Any = copy.deepcopy(plain)
    for operation in operations:
        patched = _patch_once(patched, operation)
        if not isinstance(patched, dict):
            raise PatchError(f"{operation['op']} {operation['path']!r} leaves no message")
    found: Plain = patched
    return found


def _patch_once(plain: Any, operation: Operation) -> Any:
    kind, path = operation["op"], operation["path"]
    steps = _steps(path)
    if kind == "add":
        _make_parents(plain, steps)
    step = {**operation, "path": _settled(plain, steps, adds=kind in ("add", "move", "copy"))}
    if kind == "remove" and not _is_there(plain, _steps(step["path"])):
        return plain
    if "from" in operation:
        step["from"] = _settled(plain, _steps(operation["from"]), adds=False)
    if kind in ("add", "replace"):
        step["value"] = copy.deepcopy(operation.get("value"))
    try:
        return jsonpatch.JsonPatch([step]).apply(plain, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise PatchError(f"{kind} {path!r} finds nothing to change") from error


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _settled(plain: Any, steps: Sequence[str], *, adds: bool) -> str:
    """The pointer with negative places counted from the front; adding, the end is one place more."""
    settled, value = "", plain
    for position, step in enumerate(steps):
        length = len(value) + (adds and position == len(steps) - 1) if isinstance(value, list) else 0
        counted = _from_front(value, step, length)
        settled += "/" + counted.replace("~", "~0").replace("/", "~1")
        value = _inside(value, counted)
    return settled


def _from_front(value: Any, step: str, length: int) -> str:
    """A place before the first stays what it is, and leads to nothing."""
    if isinstance(value, list) and step.startswith("-") and _INDEX.fullmatch(step) and length + int(step) >= 0:
        return str(length + int(step))
    return step


def _inside(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None


def _is_there(plain: Any, steps: Sequence[str]) -> bool:
    value = plain
    for step in steps:
        named = isinstance(value, dict) and step in value
        placed = isinstance(value, list) and step.isdecimal() and int(step) < len(value)
        if not named and not placed:
            return False
        value = _inside(value, step)
    return True


def _make_parents(plain: Any, steps: Sequence[str]) -> None:
    """Lists where a place in a list comes next, objects elsewhere."""
    value = plain
    for step, after in pairwise(steps):
        if isinstance(value, dict) and value.get(step) is None:
            value[step] = [] if after == "-" or _INDEX.fullmatch(after) else {}
        value = _inside(value, _from_front(value, step, len(value) if isinstance(value, list) else 0))
