"""What differs between two generations, told by node, type and name; what is shared is not looked into."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from compiler.envoy.resources import ResourceType
from compiler.snapshot.names import NodeId, SecretName
from compiler.snapshot.snapshot import Generation, Snapshot

__all__ = ["Changes", "NameChanges", "NodeChanges", "changed"]


@dataclass(frozen=True, slots=True)
class NameChanges:
    """Names, each sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class NodeChanges:
    """How one proxy's snapshot differs; only types that differ are in it."""

    node: NodeId
    resources: Mapping[ResourceType, NameChanges] = field(default_factory=dict)
    secrets: NameChanges = field(default_factory=NameChanges)

    def __bool__(self) -> bool:
        return bool(self.resources or self.secrets)


@dataclass(frozen=True, slots=True)
class Changes:
    """Sorted by node."""

    added: tuple[NodeId, ...] = ()
    removed: tuple[NodeId, ...] = ()
    changed: tuple[NodeChanges, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def changed(old: Generation, new: Generation) -> Changes:
    """From `old` to `new`. Versions decide, for they are the hash of what a resource is."""
    if old.digest == new.digest:
        return Changes()
    before, after = _by_path(old), _by_path(new)
    both = ((before[path], snapshot) for path, snapshot in after.items() if path in before)
    different = (_compare(was, now) for was, now in both if was is not now)
    return Changes(
        added=tuple(sorted(after[path].node for path in after.keys() - before.keys())),
        removed=tuple(sorted(before[path].node for path in before.keys() - after.keys())),
        changed=tuple(sorted((found for found in different if found), key=lambda found: found.node)),
    )


def _by_path(generation: Generation) -> dict[str, Snapshot]:
    return {snapshot.node.path: snapshot for snapshot in generation.snapshots.values()}


def _compare(old: Snapshot, new: Snapshot) -> NodeChanges:
    resources = {kind: _compare_names(_versions(old, new, kind), _versions(new, old, kind)) for kind in ResourceType}
    secrets = _compare_names(_secrets(old), _secrets(new))
    return NodeChanges(new.node, {kind: names for kind, names in resources.items() if names}, secrets)


def _versions(snapshot: Snapshot, other: Snapshot, kind: ResourceType) -> Mapping[str, str]:
    """Empty on both sides where they share one map."""
    resources = snapshot.resources.get(kind)
    if resources is None or resources is other.resources.get(kind):
        return {}
    return {name: one.version for name, one in resources.items()}


def _secrets(snapshot: Snapshot) -> Mapping[str, SecretName]:
    return {secret.name: secret for secret in snapshot.secrets}


def _compare_names(old: Mapping[str, object], new: Mapping[str, object]) -> NameChanges:
    return NameChanges(
        added=_sorted(new.keys() - old.keys()),
        removed=_sorted(old.keys() - new.keys()),
        changed=_sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
