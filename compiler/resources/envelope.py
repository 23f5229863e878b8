"""Which of the mesh's resources a document is about, in Kuma's Universal form or in Kubernetes form."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compiler.resources.later import GONE_TYPES, LEGACY_TYPES
from compiler.resources.model import MESH, ResourceKey

GLOBAL_TYPES: Final = frozenset(
    {
        "ContainerPatch",
        "Mesh",
        "Zone",
        "HostnameGenerator",
        "GlobalSecret",
        "ZoneIngress",
        "ZoneEgress",
        "MeshGatewayConfig",
    }
)
"""Types of no mesh."""
PROTO_TYPES: Final = LEGACY_TYPES | {
    "Mesh",
    "Dataplane",
    "Zone",
    "Secret",
    "GlobalSecret",
    "MeshGateway",
    "MeshGatewayRoute",
    "ExternalService",
    "ZoneIngress",
    "ZoneEgress",
}
"""Types whose content stands beside the envelope in Universal form; their keys may be written in snake_case."""
CLUSTER_TYPES: Final = LEGACY_TYPES | {
    "Mesh",
    "Zone",
    "MeshGateway",
    "MeshGatewayRoute",
    "MeshGatewayConfig",
    "ExternalService",
}
"""Types that have no namespace on Kubernetes."""
SNAKE_TYPES: Final = PROTO_TYPES | {"DataplaneSet"}
SYSTEM_NAMESPACE: Final = "kuma-system"
SYSTEM_NAMESPACES: Final = frozenset({SYSTEM_NAMESPACE, "kong-mesh-system"})
_DEFAULT_NAMESPACE: Final = "default"
_SECRET_TYPES: Final = frozenset({"system.kuma.io/secret", "system.kuma.io/global-secret"})
"""Of Secrets of Kubernetes that are Kuma's."""

_ENVELOPE: Final = frozenset(
    {
        "type",
        "mesh",
        "name",
        "labels",
        "creationTime",
        "modificationTime",
        "status",
        "kri",
        "apiVersion",
        "kind",
        "metadata",
    }
)
_OURS: Final = re.compile(r"(Mesh|Dataplane|Zone)[A-Za-z]*")
_FREE_KEYS: Final = frozenset(
    {"tags", "labels", "annotations", "matchLabels", "dataplaneTags", "match", "destination", "headers", "listenerTags"}
)
"""Keys whose values are mappings of the user's own words."""
_SNAKE: Final = re.compile(r"_([a-z0-9])")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a document is about; `prefix` points to what it says of it."""

    type: str
    mesh: str
    name: str
    namespace: str
    kubernetes: bool
    labels: Mapping[str, str]
    prefix: str

    @property
    def key(self) -> ResourceKey:
        """A namespaced object's name in the mesh ends with its namespace (kuma-core §1.2)."""
        name = f"{self.name}.{self.namespace}" if self.namespace else self.name
        return ResourceKey(self.type, self.mesh, name)

    @property
    def is_of_system(self) -> bool:
        """Whether it stands where Kuma or Kong Mesh is installed."""
        return self.namespace in SYSTEM_NAMESPACES

    @property
    def is_of_users(self) -> bool:
        """Whether a namespace is written that is not the system's."""
        return self.kubernetes and self.namespace not in ("", _DEFAULT_NAMESPACE) and not self.is_of_system

    @property
    def labels_pointer(self) -> str:
        return "/metadata/labels" if self.kubernetes else "/labels"

    @property
    def name_pointer(self) -> str:
        return "/metadata/name" if self.kubernetes else "/name"

    @property
    def type_pointer(self) -> str:
        return "/kind" if self.kubernetes else "/type"

    @property
    def mesh_pointer(self) -> str:
        return "/metadata/labels/kuma.io~1mesh" if self.kubernetes else "/mesh"

    def content(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the document says, without its envelope."""
        if self.prefix:
            return value.get("spec") or {}
        return {key: part for key, part in value.items() if key not in _ENVELOPE}


def type_of(value: Mapping[str, Any], known: frozenset[str]) -> str | None:
    """The type that a document claims, None for YAML that is not the mesh's."""
    if "apiVersion" in value:
        version, kind = value["apiVersion"], value.get("kind")
        return str(kind or "") if isinstance(version, str) and version.startswith("kuma.io/") else None
    claimed = value.get("type")
    if not isinstance(claimed, str):
        return None
    if claimed in LEGACY_TYPES or claimed in GONE_TYPES:
        return claimed if "mesh" in value else None
    return claimed if claimed in known or _OURS.fullmatch(claimed) else None


def secrets_of(value: Mapping[str, Any], pointer: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Secrets of the mesh as Kubernetes keeps them, with their places: a document, or what stands in a `List`."""
    if value.get("apiVersion") != "v1":
        return
    if value.get("kind") == "Secret" and value.get("type") in _SECRET_TYPES:
        yield pointer, value
    items = value.get("items") if value.get("kind") == "List" else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield from secrets_of(item, f"{pointer}/items/{index}")


def read_envelope(kind: str, value: Mapping[str, Any]) -> Envelope:
    """Of a document whose schema accepted it, else of as much of it as can be read."""
    if "apiVersion" in value:
        return _read_kubernetes(kind, value)
    mesh = "" if kind in GLOBAL_TYPES else _text(value.get("mesh"))
    prefix = "" if kind in PROTO_TYPES else "/spec"
    return Envelope(kind, mesh, _text(value.get("name")), "", False, _texts(value.get("labels")), prefix)


def _read_kubernetes(kind: str, value: Mapping[str, Any]) -> Envelope:
    """The annotation is 2.x's way to name the mesh, and counts where there is no label (kuma-core §1.2)."""
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    labels, annotations = _texts(metadata.get("labels")), _texts(metadata.get("annotations"))
    written = labels.get(MESH) or annotations.get(MESH) or _text(value.get("mesh")) or "default"
    mesh = "" if kind in GLOBAL_TYPES else written
    namespace = "" if kind in CLUSTER_TYPES else _text(metadata.get("namespace")) or _DEFAULT_NAMESPACE
    return Envelope(kind, mesh, _text(metadata.get("name")), namespace, True, labels, "/spec")


def normalise(kind: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document with camelCase keys where its type is a proto one, and 8080.0 as 8080; itself if nothing changes.

    Kubernetes takes a `spec` without anything for none.
    """
    if "apiVersion" in value and value.get("spec", value) is None:
        value = {key: part for key, part in value.items() if key != "spec"}
    snake = kind in SNAKE_TYPES
    normal = value if _is_normal(value.values(), value, snake=snake) else _normalise(value, snake=snake)
    return normal if isinstance(normal, dict) else value


def _is_normal(values: Iterable[Any], keys: Iterable[str], *, snake: bool) -> bool:
    """Most documents are, which is seen without making anything; where this says no they still may be."""
    if snake and any("_" in key for key in keys):
        return False
    for value in values:
        kind = value.__class__
        if kind is dict:
            if not _is_normal(value.values(), value, snake=snake):
                return False
        elif kind is list:
            if not _is_normal(value, (), snake=snake):
                return False
        elif kind is float and value.is_integer():
            return False
    return True


def _normalise(value: object, *, snake: bool) -> object:
    if isinstance(value, dict):
        renamed = {
            _camel(key, value) if snake else key: _normalise(each, snake=snake and key not in _FREE_KEYS)
            for key, each in value.items()
        }
        return renamed if any(renamed.get(key, value) is not each for key, each in value.items()) else value
    if isinstance(value, list):
        entries = [_normalise(each, snake=snake) for each in value]
        return entries if any(new is not old for new, old in zip(entries, value, strict=True)) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _camel(key: str, siblings: Mapping[str, Any]) -> str:
    """A key given in both spellings keeps its own, and is then an unknown field."""
    if "_" not in key:
        return key
    camel = _SNAKE.sub(lambda found: found[1].upper(), key)
    return key if camel in siblings else camel


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> Mapping[str, str]:
    return {key: each for key, each in value.items() if isinstance(each, str)} if isinstance(value, dict) else {}
