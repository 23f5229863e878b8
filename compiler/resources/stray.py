"""Documents that are not the mesh's by their envelope, and look as if they wanted to be: passed over, they are lost.

YAML of others stays theirs: a document counts as one of ours that went astray only where it names a type of the mesh,
or the group of its API, and not another group.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.findings import BAD_VALUE, MISSING_FIELD, UNKNOWN_FIELD, Finding, join
from compiler.resources.later import LEGACY_TYPES
from compiler.resources.suggest import did_you_mean

_VERSION: Final = "kuma.io/v1alpha1"
_GROUP: Final = "kuma.io"
_COMMON: Final = frozenset({"Secret", "Workload", "Zone"})
"""Types whose names are words that others use as well."""
_LEGACY_PARTS: Final = frozenset({"sources", "destinations", "selectors"})
_ENVELOPE: Final = frozenset({"apiVersion", "kind", "type"})


def find_stray(value: Mapping[str, Any], known: frozenset[str]) -> Iterator[Finding]:
    """What keeps a document from being read; nothing of what is somebody else's."""
    misspelt = {key.lower(): key for key in value if isinstance(key, str) and key not in _ENVELOPE}
    if "apiVersion" in value:
        yield from _of_wrong_version(value, known)
    elif (key := _key_of_version(value)) is not None:
        yield Finding(join("", key), UNKNOWN_FIELD, f"unknown field {key!r}", "did you mean apiVersion?", on_key=True)
    elif _names(value.get("kind"), known):
        message = f"a {value['kind']} of Kubernetes without an apiVersion is not read"
        yield Finding(
            "/apiVersion", MISSING_FIELD, message, f"add apiVersion: {_VERSION}, or write type instead of kind"
        )
    elif _is_legacy(value.get("type")) and _LEGACY_PARTS & value.keys():
        message = f"a {value['type']} without a mesh is not read"
        yield Finding("/mesh", MISSING_FIELD, message, "add mesh: and the name of its Mesh")
    elif "type" not in value and _names(value.get(misspelt.get("type", "")), known):
        key = misspelt["type"]
        yield Finding(join("", key), UNKNOWN_FIELD, f"unknown field {key!r}", "did you mean type?", on_key=True)


def _names(kind: object, known: frozenset[str]) -> bool:
    """Whether it can only be a type of the mesh."""
    return isinstance(kind, str) and kind in known and kind not in _COMMON | LEGACY_TYPES


def _is_legacy(kind: object) -> bool:
    return isinstance(kind, str) and kind in LEGACY_TYPES


def _key_of_version(value: Mapping[str, Any]) -> str | None:
    """A key that has what apiVersion should have."""
    texts = ((key, text) for key, text in value.items() if isinstance(key, str) and isinstance(text, str))
    return next((key for key, text in texts if text.startswith(f"{_GROUP}/v")), None)


def _of_wrong_version(value: Mapping[str, Any], known: frozenset[str]) -> Iterator[Finding]:
    """Another group is somebody else's, unless it is nearly ours."""
    version = value["apiVersion"]
    if not _names(value.get("kind"), known):
        return
    group = version.partition("/")[0] if isinstance(version, str) and "/" in version else ""
    if not group or did_you_mean(group, [_GROUP]) is not None:
        message = f"a {value['kind']} is of another version than {str(version)[:64]!r}, and is not read"
        yield Finding("/apiVersion", BAD_VALUE, message, f"did you mean {_VERSION}?")
