"""What differs between two sets of snapshots, proxy by proxy; what is shared is not looked into.

Replicas differ by their own addresses, so two of them hold other bytes where one edit changed both alike. A difference
therefore has a `key` in which a proxy's own addresses are left out: equal keys are one change.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from compiler.envoy.resources import ResourceType
from compiler.review.fields import compare_json, patch_of
from compiler.review.plan import Kind, ResourceChange
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.files import plain_secret
from compiler.snapshot.names import NodeId, SecretName
from compiler.snapshot.snapshot import Snapshot

__all__ = ["NODES", "Comparison", "Difference", "Key", "ProxyDifference", "compare", "plain"]

NODES: Final = "nodes"
"""The type of a change of where a proxy stands in the tree of snapshots."""
_WITH_OWN_ADDRESSES: Final = frozenset({ResourceType.LISTENER.file, ResourceType.CLUSTER.file})
_INBOUND: Final = b'"trafficDirection": "INBOUND"'

Held = Rendered | SecretName | NodeId
"""What may differ: a resource, the name of a secret, a place in the tree."""
Key = tuple[str, str, object, object]


class Difference(NamedTuple):
    """One thing of one proxy that differs; None where it was or is not there. Equal keys are one change."""

    type: str
    name: str
    before: Held | None
    after: Held | None
    key: Key

    @property
    def kind(self) -> Kind:
        if self.before is None:
            return Kind.ADDED
        return Kind.REMOVED if self.after is None else Kind.CHANGED


@dataclass(frozen=True)
class ProxyDifference:
    """A proxy that is on both sides, and is not the same on them."""

    before: Snapshot
    after: Snapshot
    differences: tuple[Difference, ...]

    @property
    def node(self) -> str:
        return str(self.after.node)


@dataclass(frozen=True)
class Comparison:
    """Sorted by node; `before` and `after` are all snapshots of the two sides, by node id."""

    before: Mapping[str, Snapshot]
    after: Mapping[str, Snapshot]
    added: tuple[Snapshot, ...]
    removed: tuple[Snapshot, ...]
    changed: tuple[ProxyDifference, ...]
    _made: dict[Key, ResourceChange] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @cached_property
    def carriers(self) -> Mapping[Key, tuple[str, Difference]]:
        """One difference of each key: that of the first proxy which has it, and its node id."""
        found: dict[Key, tuple[str, Difference]] = {}
        for proxy in self.changed:
            for difference in proxy.differences:
                if difference.key not in found:
                    found[difference.key] = proxy.node, difference
        return found

    def change(self, key: Key) -> ResourceChange:
        """Made once for each key."""
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = make_change(self.carriers[key][1])
        return made


def compare(before: Mapping[str, Snapshot], after: Mapping[str, Snapshot]) -> Comparison:
    """From `before` to `after`, both by node id. Versions decide, for they are the hash of what a resource is."""
    comparer = _Comparer()
    both = ((before[name], after[name]) for name in sorted(before.keys() & after.keys()))
    different = (comparer.compare(old, new) for old, new in both if old is not new)
    return Comparison(
        before,
        after,
        added=tuple(after[name] for name in sorted(after.keys() - before.keys())),
        removed=tuple(before[name] for name in sorted(before.keys() - after.keys())),
        changed=tuple(found for found in different if found.differences),
    )


def make_change(difference: Difference) -> ResourceChange:
    """The fields and the JSON Patch of what differs."""
    kind, before, after = difference.kind, plain(difference.before), plain(difference.after)
    if kind is not Kind.CHANGED:
        return ResourceChange(kind, difference.type, difference.name, before=before, after=after)
    edits = compare_json(before, after)
    fields = tuple(sorted((edit.change for edit in edits), key=lambda change: change.path))
    return ResourceChange(kind, difference.type, difference.name, fields, patch_of(edits))


def plain(held: Held | None) -> Any:
    """As JSON has it; of a secret no more than its name ever is there."""
    match held:
        case None:
            return None
        case Rendered():
            return orjson.loads(held.json)
        case SecretName():
            always = {"authority": "", "uris": [], "lifetimeSeconds": 0}
            return {**always, **orjson.loads(orjson.dumps(plain_secret(held)))}
        case NodeId():
            return {"zone": held.zone, "workload": held.workload}


class _Comparer:
    """Remembers the JSON of what was looked into, by its version: most of it is the same in many proxies."""

    def __init__(self) -> None:
        self._json: dict[str, bytes] = {}

    def compare(self, old: Snapshot, new: Snapshot) -> ProxyDifference:
        found = [*self._of_resources(old, new), *_of_secrets(old, new), *_of_node(old, new)]
        return ProxyDifference(old, new, tuple(found))

    def _of_resources(self, old: Snapshot, new: Snapshot) -> Iterator[Difference]:
        sides: tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]] | None = None
        for kind, name, before, after in _differing(old, new):
            if kind.file in _WITH_OWN_ADDRESSES:
                sides = sides or _symbols(self._addresses(old), self._addresses(new))
                key = (kind.file, name, self._identity(before, sides[0]), self._identity(after, sides[1]))
            else:
                key = (kind.file, name, before.version if before else None, after.version if after else None)
            yield Difference(kind.file, name, before, after, key)

    def _addresses(self, snapshot: Snapshot) -> tuple[bytes, ...]:
        """Those at which a proxy takes requests, as JSON writes them."""
        held = snapshot.resources.get(ResourceType.LISTENER, {}).values()
        found = (orjson.loads(json) for one in held if _INBOUND in (json := self._read(one)))
        addresses = (one["address"]["socketAddress"]["address"] for one in found)
        return tuple(dict.fromkeys(b'"%s"' % address.encode() for address in addresses))

    def _identity(self, resource: Rendered | None, symbols: Mapping[bytes, bytes]) -> object:
        """The version, but for what the proxy's own addresses alone make different."""
        if resource is None:
            return None
        json = self._read(resource)
        own = [address for address in symbols if address in json]
        for address in own:
            json = json.replace(address, symbols[address])
        return blake2b(json, digest_size=16).digest() if own else resource.version

    def _read(self, resource: Rendered) -> bytes:
        json = self._json.get(resource.version)
        if json is None:
            json = self._json[resource.version] = resource.json
        return json


def _symbols(old: Iterable[bytes], new: Iterable[bytes]) -> tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]]:
    """What stands for each own address on each side; one that a proxy keeps has the same on both."""
    before, after = dict.fromkeys(old), dict.fromkeys(new)
    kept = {address: b"\0%d" % place for place, address in enumerate(one for one in before if one in after)}
    gone = {address: b"\0-%d" % place for place, address in enumerate(one for one in before if one not in kept)}
    come = {address: b"\0+%d" % place for place, address in enumerate(one for one in after if one not in kept)}
    return kept | gone, kept | come


def _differing(old: Snapshot, new: Snapshot) -> Iterator[tuple[ResourceType, str, Rendered | None, Rendered | None]]:
    for kind in ResourceType:
        before, after = old.resources.get(kind, {}), new.resources.get(kind, {})
        if before is after:
            continue
        for name in sorted({**before, **after}):
            was, now = before.get(name), after.get(name)
            if was is not now and (was is None or now is None or was.version != now.version):
                yield kind, name, was, now


def _of_secrets(old: Snapshot, new: Snapshot) -> Iterator[Difference]:
    if old.secrets == new.secrets:
        return
    before, after = ({one.name: one for one in side.secrets} for side in (old, new))
    for name in sorted({**before, **after}):
        was, now = before.get(name), after.get(name)
        if was != now:
            kind = ResourceType.SECRET.file
            yield Difference(kind, name, was, now, (kind, name, was, now))


def _of_node(old: Snapshot, new: Snapshot) -> Iterator[Difference]:
    """A move alone gives a proxy no other bytes, but its snapshot another place."""
    if old.node.path != new.node.path:
        before, after = ((one.zone, one.workload) for one in (old.node, new.node))
        yield Difference(NODES, str(new.node), old.node, new.node, (NODES, "", before, after))
