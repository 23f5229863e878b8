"""What all answers about proxies have in common: whose they are, and where it was written."""

from collections.abc import Mapping
from typing import Any

from compiler.memo import Memo
from compiler.mesh.graph import read_proxy
from compiler.mesh.selection import Selected, all_selected
from compiler.mesh.shape import REPLICA
from compiler.resources.model import Resource, ResourceKey
from compiler.resources.resource_set import Source

Json = dict[str, Any]
Sources = Mapping[ResourceKey, Source]


def written_proxy(memo: Memo, key: ResourceKey) -> Resource:
    """Its spec is a Dataplane. Raises KeyError for what is no proxy."""
    proxy = read_proxy(memo, key)
    if proxy is None:
        raise KeyError(key)
    return proxy


def selected_policies(memo: Memo, key: ResourceKey) -> tuple[Selected, ...]:
    """Every policy that holds for a proxy, by key."""
    replica = memo.ask(REPLICA, key)
    return all_selected(memo, replica.shape) if replica is not None else ()


def show_meta(resource: Resource) -> Json:
    key = resource.key
    return {"type": key.type, "mesh": key.mesh, "name": key.name, "labels": dict(resource.labels)}


def show_position(key: ResourceKey, pointer: str, sources: Sources) -> str | None:
    """File, line and column; None for an initial policy, which no file holds."""
    source = sources.get(key)
    return str(source.position(pointer)) if source is not None else None
