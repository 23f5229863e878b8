"""Modifications of the listeners and clusters of one part, one after the other (kuma-policies, appendix A.6)."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from google.protobuf.message import Message

from compiler.envoy.inlined import chains_of, edit_http
from compiler.envoy.packing import pack, unpack
from compiler.envoy.patching import Outcome, Seen, Thing
from compiler.mesh.order import Origin
from compiler.policies.mesh_proxy_patch.conf import Modification, ProxyPatch
from compiler.policies.mesh_proxy_patch.filters import is_called, splice
from compiler.policies.mesh_proxy_patch.matching import RESOURCES, added, adds, may_match
from compiler.policies.mesh_proxy_patch.values import PatchError, merge, merge_extension, patch_message, read_value

_OWN: Final = frozenset({"name", "typed_config", "config_discovery"})
"""Of a filter: what a value that is merged into it does not set, or sets in a way of its own."""


def apply(conf: ProxyPatch, things: Sequence[Thing]) -> Outcome:
    """A modification that fails may have changed something before: its mistake stands in the way of the result."""
    left, matched, mistakes = list(things), [], list[tuple[Origin, str]]()
    for modification in conf.modifications:
        try:
            touched = _change(modification, left)
        except PatchError as error:
            mistakes.append((modification.origin, str(error)))
            matched.append(modification.origin)
            continue
        for thing in touched:
            thing.touched.append(modification.origin)
        if touched:
            matched.append(modification.origin)
        left = [thing for thing in left if thing.message is not None]
    return Outcome(tuple(left), tuple(matched), tuple(mistakes))


def _change(modification: Modification, things: list[Thing]) -> list[Thing]:
    """The things in which something was found."""
    if adds(modification):
        value = _value(modification, RESOURCES[modification.block][1])
        things.append(Thing(added(modification), value))
        return things[-1:]
    about = [thing for thing in things if _is_about(modification, thing)]
    return [thing for thing in about if _BLOCKS[modification.block](modification, thing)]


def _is_about(modification: Modification, thing: Thing) -> bool:
    seen = thing.seen
    named: Any = thing.message
    return may_match(modification, seen if seen.name else Seen(seen.type, named.name, seen.origins))


def _change_resource(modification: Modification, thing: Thing) -> bool:
    if modification.operation == "Remove":
        thing.message = None
    else:
        thing.message = _patched(modification, thing.message)
    return True


def _patched(modification: Modification, message: Any) -> Message:
    """A new message: the old one may be shared."""
    if modification.patches:
        return patch_message(message, json.loads(modification.patches))
    copy: Message = type(message)()
    copy.CopyFrom(message)
    merge(copy, read_value(modification.value, type(message)))
    return copy


def _value(modification: Modification, kind: type[Message]) -> Message:
    value = kind()
    value.CopyFrom(read_value(modification.value, kind))
    return value


# --- Filters ------------------------------------------------------------------------------------------------------


def _change_network_filters(modification: Modification, thing: Thing) -> bool:
    changed = [_change_list(modification, chain.filters, Filter) for chain in chains_of(thing.message)]
    return any(changed)


def _change_http_filters(modification: Modification, thing: Thing) -> bool:
    def change(connections: HttpConnectionManager) -> bool:
        return _change_list(modification, connections.http_filters, HttpFilter)

    return _edit_connections(thing, change)


def _edit_connections(thing: Thing, change: Callable[[HttpConnectionManager], bool]) -> bool:
    found: list[bool] = []
    for chain in chains_of(thing.message):
        for one in chain.filters:
            edit_http(one, lambda connections: found.append(change(connections)))
    return any(found)


def _change_list(modification: Modification, filters: Any, kind: type[Any]) -> bool:
    """In place, since a list of a message cannot be put into another's place."""
    match, operation = modification.match, modification.operation
    if operation in ("Patch", "Remove"):
        result, found = _edited(modification, filters)
    else:
        result, found = splice(operation, match.name, list(filters), _value(modification, kind))
    if found:
        copies = [_copied(one) for one in result]
        del filters[:]
        filters.extend(copies)
    return found


def _copied(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _edited(modification: Modification, filters: Sequence[Any]) -> tuple[list[Any], bool]:
    """Every filter of the name; without a name all of them are removed."""
    name = modification.match.name
    chosen = [is_called(one, name) for one in filters]
    if modification.operation == "Remove":
        return [one for one, goes in zip(filters, chosen, strict=True) if not goes], any(chosen)
    for one, changes in zip(filters, chosen, strict=True):
        if changes:
            _patch_filter(modification, one)
    return list(filters), any(chosen)


def _patch_filter(modification: Modification, one: Any) -> None:
    """What is inside of `typed_config` is what changes; JSON patches see nothing else."""
    if modification.patches:
        if not one.HasField("typed_config"):
            raise PatchError(f"the filter {one.name} has no typedConfig that could be patched")
        one.typed_config.CopyFrom(pack(patch_message(unpack(one.typed_config), json.loads(modification.patches))))
        return
    value: Any = read_value(modification.value, type(one))
    merge_extension(one, value)
    for field, set_to in value.ListFields():
        if field.name not in _OWN:
            setattr(one, field.name, set_to)


# --- Virtual hosts ------------------------------------------------------------------------------------------------


def _change_hosts(modification: Modification, thing: Thing) -> bool:
    def change(connections: HttpConnectionManager) -> bool:
        routes = connections.route_config
        if not connections.HasField("route_config") or not _is_route(modification, thing, routes):
            return False
        return _change_hosts_of(modification, thing, routes)

    return _edit_connections(thing, change)


def _is_route(modification: Modification, thing: Thing, routes: Any) -> bool:
    wanted = modification.match.route_configuration
    return wanted in ("", routes.name) or (wanted in thing.seen.routes and routes.name == thing.seen.name)


def _change_hosts_of(modification: Modification, thing: Thing, routes: Any) -> bool:
    if modification.operation == "Add":
        routes.virtual_hosts.append(_value(modification, VirtualHost))
        return True
    name = modification.match.name
    aliased = name in thing.seen.hosts
    chosen = [
        not name or host.name == name or (aliased and host.name == thing.seen.name) for host in routes.virtual_hosts
    ]
    hosts = list(_changed_hosts(modification, routes.virtual_hosts, chosen)) if any(chosen) else []
    if any(chosen):
        del routes.virtual_hosts[:]
        routes.virtual_hosts.extend(hosts)
    return any(chosen)


def _changed_hosts(modification: Modification, hosts: Sequence[Any], chosen: Sequence[bool]) -> Iterator[Message]:
    for host, changes in zip(hosts, chosen, strict=True):
        if not changes:
            yield _copied(host)
        elif modification.operation == "Patch":
            yield _patched(modification, host)


_BLOCKS: Final[Mapping[str, Callable[[Modification, Thing], bool]]] = {
    "cluster": _change_resource,
    "listener": _change_resource,
    "networkFilter": _change_network_filters,
    "httpFilter": _change_http_filters,
    "virtualHost": _change_hosts,
}
