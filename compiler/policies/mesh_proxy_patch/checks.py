"""What is wrong in a proxy patch by itself: operations, matches, and values that are no messages of Envoy's."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from google.protobuf.message import Message

from compiler.diagnostics import Severity
from compiler.policies.mesh_proxy_patch.conf import LIST
from compiler.policies.mesh_proxy_patch.confinement import REACHES_OUT, reached_by_path, reaches
from compiler.policies.mesh_proxy_patch.values import PatchError, UnknownExtensionError, read_value, read_yaml
from compiler.resources.findings import BAD_VALUE, EXCLUSIVE_FIELDS, MISSING_FIELD, NO_EFFECT, Finding, join
from compiler.resources.model import Policy

MESSAGES: Final[Mapping[str, type[Message]]] = {
    "cluster": Cluster,
    "listener": Listener,
    "networkFilter": Filter,
    "httpFilter": HttpFilter,
    "virtualHost": VirtualHost,
}
_FILTERS: Final = frozenset({"networkFilter", "httpFilter"})
_BY_NAME: Final = frozenset({"AddBefore", "AddAfter", "Patch"})
_VALUED: Final = frozenset({"add", "replace"})
_MOVING: Final = frozenset({"move", "copy"})
_WRITTEN: Final = ("value", "jsonPatches")


def check(policy: Policy) -> Iterator[Finding]:
    """By modification; each has one block."""
    for index, written in enumerate((policy.default or {}).get(LIST) or ()):
        for block, change in written.items():
            pointer = join("/default", LIST, index, block)
            yield from _check_match(block, change, pointer)
            yield from _check_content(change, pointer)
            if change.get("value") is not None and change["operation"] != "Remove":
                yield from _check_value(block, change, join(pointer, "value"))
            yield from _check_patches(change, join(pointer, "jsonPatches"))


def _check_match(block: str, change: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    match, operation = change.get("match"), change["operation"]
    if block in _FILTERS and operation in _BY_NAME and not (match or {}).get("name"):
        message = f"{operation} needs the name of a filter"
        yield Finding(pointer, MISSING_FIELD, message, "add match.name, such as envoy.filters.http.router")
    if block in ("cluster", "listener") and operation == "Add" and match is not None:
        message = f"a {block} that is added matches nothing"
        yield Finding(join(pointer, "match"), EXCLUSIVE_FIELDS, message, "take it out", on_key=True)
    if block == "virtualHost" and operation == "Add" and (match or {}).get("name"):
        at = join(pointer, "match", "name")
        yield Finding(at, EXCLUSIVE_FIELDS, "a virtual host that is added has its name in value", "take it out")


def _check_content(change: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """A Patch has one of the two, what adds something a value, and Remove nothing."""
    given, operation = [name for name in _WRITTEN if change.get(name) is not None], change["operation"]
    allowed = () if operation == "Remove" else _WRITTEN if operation == "Patch" else ("value",)
    for name in given:
        if name not in allowed:
            message = f"{operation} takes no {name}"
            yield Finding(join(pointer, name), EXCLUSIVE_FIELDS, message, "take it out", on_key=True)
    if operation == "Patch" and len(given) > 1:
        yield Finding(pointer, EXCLUSIVE_FIELDS, "value and jsonPatches exclude each other", "keep one of the two")
    if allowed and not set(given) & set(allowed):
        yield Finding(pointer, MISSING_FIELD, f"{operation} needs {' or '.join(allowed)}")


def _check_value(block: str, change: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    kind = MESSAGES[block]
    name = kind.DESCRIPTOR.full_name
    try:
        read: Any = read_value(change["value"], kind)
        plain = read_yaml(change["value"])
    except UnknownExtensionError as error:
        message = f"the value holds something unknown: {error}"
        yield Finding(pointer, BAD_VALUE, message, "no proxy may have it", severity=Severity.WARNING)
        return
    except PatchError as error:
        yield Finding(pointer, BAD_VALUE, f"the value is no {name}: {error}", f"see Envoy's documentation of {name}")
        return
    for reached in dict.fromkeys(reaches(plain)):
        yield Finding(pointer, REACHES_OUT, f"the value reaches {reached}")
    if change["operation"] != "Patch" and not read.name:
        yield Finding(pointer, MISSING_FIELD, "what is added needs a name")
    if change["operation"] == "Patch":
        yield from _check_merge(plain, read, pointer)


def _check_merge(plain: Mapping[str, Any], message: Message, pointer: str, path: str = "") -> Iterator[Finding]:
    """Protobuf cannot tell a field that is set to its default from one that is absent."""
    names = {name: field for field in message.DESCRIPTOR.fields for name in (field.name, field.json_name)}
    set_fields = {field.name for field, _ in message.ListFields()}
    for name, value in plain.items():
        field = names.get(name)
        if field is None or field.is_repeated:
            continue
        if field.name not in set_fields:
            text = f"{path}{name} is set to its default, which a merge cannot say"
            yield Finding(pointer, NO_EFFECT, text, "use jsonPatches to set it back")
        elif field.message_type is not None and isinstance(value, Mapping) and not _is_any(field):
            yield from _check_merge(value, getattr(message, field.name), pointer, f"{path}{name}.")


def _is_any(field: Any) -> bool:
    return bool(field.message_type.full_name.startswith("google.protobuf."))


def _check_patches(change: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    for index, patch in enumerate(change.get("jsonPatches") or ()):
        at, operation = join(pointer, index), patch["op"]
        if operation in _VALUED and "value" not in patch:
            yield Finding(at, MISSING_FIELD, f"{operation} needs a value")
        if operation in _MOVING and "from" not in patch:
            yield Finding(at, MISSING_FIELD, f"{operation} needs from")
        for name in ("path", "from"):
            if patch.get(name, "/")[:1] not in ("", "/"):
                message = f"{patch[name]} is no JSON pointer"
                yield Finding(join(at, name), BAD_VALUE, message, "begin it with a slash, as in /connectTimeout")
        for reached in dict.fromkeys(reached_by_path(patch["path"], patch.get("value"))):
            yield Finding(at, REACHES_OUT, f"the patch reaches {reached}")
