"""What all answers about proxies have in common: whose they are, and where it was written."""

from collections.abc import Mapping
from typing import Any

from compiler.memo import Memo
from compiler.mesh.gateways.confs import Place
from compiler.mesh.gateways.gateway import entrances
from compiler.mesh.graph import read_proxy
from compiler.mesh.match import is_builtin_gateway
from compiler.mesh.order import Origin
from compiler.mesh.selection import HOLDER, Selected, all_selected
from compiler.mesh.shape import REPLICA, shape_of
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


def gateway_places(memo: Memo, proxy: Resource) -> tuple[tuple[Place, ...], ...]:
    """The listeners of a builtin gateway that count, together where no connection tells them apart; else none."""
    if not is_builtin_gateway(proxy):
        return ()
    shape = shape_of(proxy)
    return tuple(entrances(memo, shape, memo.ask(HOLDER, shape)))


def show_meta(resource: Resource) -> Json:
    key = resource.key
    return {"type": key.type, "mesh": key.mesh, "name": key.name, "labels": dict(resource.labels)}


def show_position(key: ResourceKey, pointer: str, sources: Sources) -> str | None:
    """File, line and column; None for an initial policy, which no file holds."""
    source = sources.get(key)
    return str(source.position(pointer)) if source is not None else None


def show_origin(origin: Origin, sources: Sources) -> Json:
    """Kuma's names for where a part of a conf was written, and our place of it."""
    policy = origin.policy
    labels: Mapping[str, str] = {}
    return {
        "resourceMeta": {"type": policy.type, "mesh": policy.mesh, "name": policy.name, "labels": labels},
        "ruleIndex": _index(origin.pointer),
        "position": show_position(policy, origin.pointer, sources),
    }


def _index(pointer: str) -> int:
    """`/to/1` is item 1."""
    numbers = [part for part in pointer.split("/") if part.isascii() and part.isdigit()]
    return int(numbers[0]) if numbers else 0
