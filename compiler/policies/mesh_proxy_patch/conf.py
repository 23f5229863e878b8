"""Changes of Envoy's messages as they are held: each by itself, with the place where it was written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.mesh.order import Item, Origin
from compiler.resources.findings import join
from compiler.resources.model import Spec

LIST: Final = "appendModifications"
Tags = tuple[tuple[str, str], ...]


class Match(Spec, frozen=True, cache_hash=True):
    """Empty fields match everything."""

    origin: str = ""
    name: str = ""
    listener_name: str = ""
    tags: Tags = ()
    route_configuration: str = ""


class Modification(Spec, frozen=True, cache_hash=True):
    """`value` is YAML and `patches` JSON, as they are read where they are applied; empty where they are absent."""

    origin: Origin
    block: str
    operation: str
    match: Match
    value: str
    patches: str


class ProxyPatch(Spec, frozen=True, cache_hash=True):
    modifications: tuple[Modification, ...] = ()


def collect(items: Sequence[Item]) -> ProxyPatch:
    """In the order of the policies, and within one as it is written."""
    return ProxyPatch(tuple(one for item in items for one in _of_item(item)))


def _of_item(item: Item) -> Iterator[Modification]:
    for index, written in enumerate(item.conf.get(LIST) or ()):
        origin = Origin(item.origin.kri, item.origin.policy, join(item.origin.pointer, LIST, index))
        for block, change in written.items():
            yield _modification(origin, block, change)


def _modification(origin: Origin, block: str, change: Mapping[str, Any]) -> Modification:
    patches = change.get("jsonPatches")
    return Modification(
        origin,
        block,
        change["operation"],
        _match(block, change.get("match") or {}),
        change.get("value") or "",
        json.dumps(patches, sort_keys=True) if patches is not None else "",
    )


def _match(block: str, written: Mapping[str, Any]) -> Match:
    """A listener is called by its name where it is what is changed, and by `listenerName` where it is around that."""
    tags = written.get("tags") if block == "listener" else written.get("listenerTags")
    return Match(
        written.get("origin") or "",
        written.get("name") or "",
        written.get("listenerName") or "",
        tuple(sorted((tags or {}).items())),
        written.get("routeConfigurationName") or "",
    )
