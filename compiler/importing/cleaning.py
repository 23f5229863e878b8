"""What a server wrote into a resource, taken out again: times, versions, status, and labels that are computed."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from compiler.importing.stream import Exported
from compiler.resources.envelope import read_envelope
from compiler.resources.model import DISPLAY_NAME, ENVIRONMENT, MESH, NAMESPACE, ORIGIN, ROLE, SPECS

_SERVER_SET: Final = frozenset({"creationTime", "modificationTime", "status", "kri"})
_METADATA: Final = ("name", "namespace", "labels", "annotations")
_ANNOTATIONS: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})


def find_origins(resources: Iterable[Exported]) -> frozenset[str]:
    """Where the policies were made; they are sorted by it, so it says something only where it differs."""
    return frozenset(
        read_envelope(one.type, one.value).labels.get(ORIGIN, "") for one in resources if one.type not in SPECS
    )


def clean(resource: Exported, origins: frozenset[str]) -> dict[str, Any]:
    """The document as its author would have written it."""
    value = {name: each for name, each in resource.value.items() if name not in _SERVER_SET}
    computed = _computed(resource, origins)
    if resource.kubernetes:
        value["metadata"] = _clean_metadata(value.get("metadata"), computed)
    elif isinstance(value.get("labels"), dict):
        value = _with_labels(value, computed)
    return value


def _clean_metadata(metadata: object, computed: Mapping[str, str]) -> dict[str, Any]:
    given = metadata if isinstance(metadata, dict) else {}
    kept = {name: given[name] for name in _METADATA if given.get(name)}
    if isinstance(kept.get("annotations"), dict):
        kept["annotations"] = {name: each for name, each in kept["annotations"].items() if name not in _ANNOTATIONS}
    kept = _with_labels(kept, computed)
    return {name: each for name, each in kept.items() if each}


def _with_labels(holder: Mapping[str, Any], computed: Mapping[str, str]) -> dict[str, Any]:
    labels = holder.get("labels")
    if not isinstance(labels, dict):
        return dict(holder)
    kept = {name: each for name, each in labels.items() if computed.get(name) != each}
    return {name: kept if name == "labels" else each for name, each in holder.items() if name != "labels" or kept}


def _computed(resource: Exported, origins: frozenset[str]) -> Mapping[str, str]:
    """Labels that come out the same when they are left out (kuma-core §1.4)."""
    envelope = read_envelope(resource.type, resource.value)
    found = {DISPLAY_NAME: envelope.name, ENVIRONMENT: "kubernetes" if resource.kubernetes else "universal"}
    if not resource.kubernetes:
        found |= {MESH: envelope.mesh, ROLE: "system"}
    elif envelope.namespace:
        found[NAMESPACE] = envelope.namespace
    if envelope.is_of_system:
        found[ROLE] = "system"
    if len(origins) == 1 and resource.type not in SPECS:
        found[ORIGIN] = next(iter(origins))
    return found
