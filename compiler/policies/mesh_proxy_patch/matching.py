"""Which listeners and clusters a modification is about, as far as that is known before they are made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener

from compiler.envoy.patching import Seen
from compiler.envoy.resources import ResourceType
from compiler.mesh.order import Origin
from compiler.policies.mesh_proxy_patch.conf import Modification, ProxyPatch
from compiler.policies.mesh_proxy_patch.values import PatchError, read_value, read_yaml

ADDED: Final = "mesh-proxy-patch"
"""Where what a modification adds comes from."""
RESOURCES: Final = {"cluster": (ResourceType.CLUSTER, Cluster), "listener": (ResourceType.LISTENER, Listener)}


def places(conf: ProxyPatch) -> tuple[Origin, ...]:
    return tuple(one.origin for one in conf.modifications)


def narrow(conf: ProxyPatch, seen: Sequence[Seen]) -> ProxyPatch | None:
    """What is added is nobody's part."""
    found = tuple(one for one in conf.modifications if not adds(one) and any(may_match(one, each) for each in seen))
    return ProxyPatch(found) if found else None


def additions(conf: ProxyPatch) -> Iterator[tuple[Seen, ProxyPatch]]:
    """Those that come after it change it, where they are about it."""
    for index, one in enumerate(conf.modifications):
        if adds(one):
            seen = added(one)
            later = narrow(ProxyPatch(conf.modifications[index + 1 :]), (seen,))
            yield seen, ProxyPatch((one, *(later.modifications if later is not None else ())))


def added(modification: Modification) -> Seen:
    """A value that cannot be read is reported where it is applied."""
    kind, message = RESOURCES[modification.block]
    try:
        value: Any = read_value(modification.value, message)
    except PatchError:
        return Seen(kind, "", (ADDED,))
    return Seen(kind, value.name, (ADDED,))


def texts(conf: ProxyPatch) -> frozenset[str]:
    """Every text of the values; one that cannot be read is reported where it is applied."""
    return frozenset(text for one in conf.modifications for value in _values(one) for text in _texts(value))


def _values(modification: Modification) -> Iterator[Any]:
    if modification.patches:
        yield from (patch.get("value") for patch in json.loads(modification.patches))
    if modification.value:
        with suppress(PatchError):
            yield read_yaml(modification.value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def adds(modification: Modification) -> bool:
    """Whether it makes a listener or cluster that nothing else made."""
    return modification.block in RESOURCES and modification.operation == "Add"


def may_match(modification: Modification, seen: Seen) -> bool:
    """What is inside of a listener is looked at when it is there; a name that is not known yet may be any."""
    match, block = modification.match, modification.block
    kind = ResourceType.CLUSTER if block == "cluster" else ResourceType.LISTENER
    if seen.type is not kind or (match.origin and match.origin not in seen.origins):
        return False
    name = match.name if block in RESOURCES else match.listener_name
    if name and seen.name and name != seen.name and name not in seen.names:
        return False
    tags = dict(seen.tags)
    return all(key in tags and value in ("*", tags[key]) for key, value in match.tags)
