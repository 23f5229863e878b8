"""Which of the documents that differ led to each change.

Where one document differs, it did. Else each is put back as it was, alone, and what then looks other than in the head
is its doing. Documents that concern everything are too dear for that and often needless: what no other document did is
theirs, and a resource names the policies behind it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from compiler.diagnostics import Checked
from compiler.envoy.resources import ResourceType
from compiler.resources.model import Policy, Resource, ResourceKey
from compiler.review.changes.compare import NODES, Comparison, Difference, Held, Key
from compiler.review.changes.documents import Document
from compiler.review.changes.replays import without
from compiler.review.variants import with_root
from compiler.review.versions import Version, Versions
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.take import causes_of

__all__ = ["MAX_REPLAYS", "Causes", "find_causes", "is_wide"]

MAX_REPLAYS: Final = 30
"""More documents than these are not put back one by one: what no policy explains is the doing of them all."""
MANY_PROXIES: Final = 500
"""Putting back a document that concerns everything compiles as many proxies twice: of more it is not done."""
_BY_FILE: Final = {kind.file: kind for kind in ResourceType}

Behind = frozenset[int]
"""Documents, as places in the sequence of those that differ."""
Carriers = Mapping[Key, tuple[str, Difference]]


@dataclass(frozen=True)
class Causes:
    """The documents behind each change, and behind each proxy that came or went."""

    changes: Mapping[Key, Behind]
    proxies: Mapping[str, Behind]


def find_causes(
    versions: Versions, base: Version, head: Version, documents: Sequence[Document], comparison: Comparison
) -> Causes:
    """`head` is what `versions` compiled last; variants of it are compiled after it where they are needed."""
    everything = frozenset(range(len(documents)))
    proxies = _of_proxies(versions, comparison, documents)
    carriers = comparison.carriers
    if len(documents) <= 1 or not carriers:
        return Causes(dict.fromkeys(carriers, everything), proxies)
    wide = frozenset(place for place, one in enumerate(documents) if any(is_wide(base, head, key) for key in one.keys))
    policies = _of_policies(versions, carriers, documents)
    replays = _Replays(versions, base, head, documents)
    found = replays.explain(carriers, everything - wide)
    unclear = {
        key: policies[key] & wide or (frozenset() if found[key].behind else wide)
        for key in carriers
        if not found[key].whole
    }
    if any(len(behind) > 1 for behind in unclear.values()) and len(head.snapshots) <= MANY_PROXIES:
        exact = replays.explain({key: carriers[key] for key in unclear}, wide)
        unclear |= {key: one.behind for key, one in exact.items() if one.behind}
    changes = {key: found[key].behind | unclear.get(key, frozenset()) for key in carriers}
    return Causes({key: behind or policies[key] or everything for key, behind in changes.items()}, proxies)


def is_wide(base: Version, head: Version, key: ResourceKey) -> bool:
    """Whether it concerns all that nothing more specific does: a Mesh, or a policy for every proxy and destination."""
    sides = (version.resources.resources.get(key) for version in (base, head))
    return any(_is_wide(resource) for resource in sides if resource is not None)


def _is_wide(resource: Resource) -> bool:
    if not isinstance(resource.spec, Policy):
        return resource.key.type == "Mesh"
    policy = resource.spec
    items = (*policy.to, *policy.from_, *policy.rules)
    return policy.target_ref.kind == "Mesh" and (not items or any(one.target_ref.kind == "Mesh" for one in items))


def _of_proxies(versions: Versions, comparison: Comparison, documents: Sequence[Document]) -> dict[str, Behind]:
    """A proxy comes and goes with its own document; else with its mesh or its zone, else with all that differs."""
    by_key = {key: place for place, one in enumerate(documents) for key in one.keys}
    rest = frozenset(place for place, one in enumerate(documents) if one.types & {"Mesh", "Zone"})
    admitting = comparison.added if comparison.before and len(comparison.added) <= MANY_PROXIES else ()
    found = {}
    for snapshot in (*comparison.added, *comparison.removed):
        name = str(snapshot.node)
        key = versions.key_of(name) or ResourceKey("Dataplane", snapshot.node.mesh, snapshot.node.proxy)
        own = frozenset({by_key[key]}) if key in by_key else frozenset()
        if own and snapshot in admitting:
            own |= _of_admission(versions, key, snapshot, by_key)
        found[name] = own or rest or frozenset(range(len(documents)))
    return found


def _of_admission(
    versions: Versions, key: ResourceKey, snapshot: Snapshot, by_key: Mapping[ResourceKey, int]
) -> Behind:
    """The permissions that came with a new proxy, beside all that it would have had anyway."""
    names = snapshot.resources.get(ResourceType.EXTENSION, {})
    origins = (one for name in names for one in causes_of(versions.compiler.memo, key, ResourceType.EXTENSION, name))
    return frozenset(by_key[one.policy] for one in origins if one.policy in by_key)


def _of_policies(versions: Versions, carriers: Carriers, documents: Sequence[Document]) -> Mapping[Key, Behind]:
    """The documents among the policies that a resource of the head names."""
    by_key = {key: place for place, one in enumerate(documents) for key in one.keys}
    return {key: _ask(versions, node, one, by_key) for key, (node, one) in carriers.items()}


def _ask(versions: Versions, node: str, difference: Difference, by_key: Mapping[ResourceKey, int]) -> Behind:
    proxy = versions.key_of(node)
    if proxy is None or difference.type not in _BY_FILE:
        return frozenset()
    origins = causes_of(versions.compiler.memo, proxy, _BY_FILE[difference.type], difference.name)
    return frozenset(by_key[origin.policy] for origin in origins if origin.policy in by_key)


@dataclass(frozen=True)
class _Explained:
    """`whole` where one of these documents put back makes the thing what it was in the base."""

    behind: Behind = frozenset()
    whole: bool = False


@dataclass(frozen=True)
class _Replays:
    versions: Versions
    base: Version
    head: Version
    documents: Sequence[Document]

    def explain(self, carriers: Carriers, places: Iterable[int]) -> dict[Key, _Explained]:
        """The documents at these places without which each thing would be another."""
        found = dict.fromkeys(carriers, _Explained())
        tried, head = sorted(places), with_root(self.head.tree)
        for place in tried if len(tried) <= MAX_REPLAYS else ():
            tree = without(self.documents[place], head, self.base.tree)
            variant = self.versions.compile(Checked(tree))
            if variant.generation is not None:
                found |= dict(self._judge(variant.generation.snapshots, carriers, found, place))
        return found

    def _judge(
        self, variant: Mapping[str, Snapshot], carriers: Carriers, found: Mapping[Key, _Explained], place: int
    ) -> Iterable[tuple[Key, _Explained]]:
        """Of those only that this document makes a difference to."""
        for key, (node, difference) in carriers.items():
            now = variant.get(node)
            if now is self.head.snapshots[node]:
                continue
            held = _identity(now, difference)
            if held != _version(difference.after):
                whole = held == _version(difference.before) or found[key].whole
                yield key, _Explained(found[key].behind | {place}, whole)


def _identity(snapshot: Snapshot | None, difference: Difference) -> object:
    """What a proxy holds of the type and name of a difference."""
    if snapshot is None:
        return None
    if difference.type == NODES:
        return snapshot.node
    kind = _BY_FILE[difference.type]
    if kind is ResourceType.SECRET:
        return next((one for one in snapshot.secrets if one.name == difference.name), None)
    return _version(snapshot.resources.get(kind, {}).get(difference.name))


def _version(held: Held | None) -> object:
    return getattr(held, "version", held)
