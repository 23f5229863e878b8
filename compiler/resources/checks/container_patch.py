"""What a ContainerPatch must hold beyond its schema: operations that can be read (kuma-policies §5)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonpointer

from compiler.resources.findings import BAD_VALUE, MISSING_FIELD, Finding, join

_VALUED: Final = frozenset({"add", "replace"})
_FROM: Final = frozenset({"move", "copy"})


def check_container_patch(spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Beyond the schema: an operation has what it needs, and its value is JSON."""
    for list_name in ("sidecarPatch", "initPatch"):
        for index, operation in enumerate(spec.get(list_name) or ()):
            yield from _check_operation(operation, join(pointer, list_name, index))


def _check_operation(operation: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    name = operation["op"]
    for field_name, needed in (("value", name in _VALUED), ("from", name in _FROM)):
        if needed and field_name not in operation:
            yield Finding(pointer, MISSING_FIELD, f"{name} needs {field_name}", f"add {field_name}")
    for field_name in ("path", "from"):
        if field_name in operation and not _is_pointer(operation[field_name]):
            message = f"{field_name} must be a JSON pointer, such as /resources/limits/cpu"
            yield Finding(join(pointer, field_name), BAD_VALUE, message, "~ is written ~0 and / inside a name ~1")
    if "value" in operation and not _is_json(operation["value"]):
        message = "value must be a text that holds JSON"
        yield Finding(join(pointer, "value"), BAD_VALUE, message, """a text is quoted twice: value: '"2"'""")


def _is_pointer(text: str) -> bool:
    try:
        jsonpointer.JsonPointer(text)
    except jsonpointer.JsonPointerException:
        return False
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
