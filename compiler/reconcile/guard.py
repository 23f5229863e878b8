"""No accidental wipe: a compile that takes away too much is held until its commit says that it means to (promise 6)."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import orjson

from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.names import NodeId
from compiler.snapshot.snapshot import Snapshot

Census = Mapping[str, int]
"""How many there are of each kind: `mesh`, `proxy`, `listener`, `endpoint`, and each kind of source document."""

SHARE: Final = 0.2
LEAST: Final = 10
"""Above a fifth, and at least ten, a removal of proxies, listeners or endpoints is held."""

_BY_SHARE: Final = ("proxy", "listener", "endpoint")
_CLOSED_BY_LESS: Final = frozenset({"meshtrafficpermission"})
"""Without its permissions a mesh lets fewer callers in: closing access is never held."""

_REMEMBERED: Final = 50_000
"""Load assignments whose endpoints are known by version; about 10 MB, then counting begins anew."""

_TRAILER: Final = re.compile(r"^Allow-Removal:\s*([A-Za-z]+)\s*/\s*([0-9]{1,9})\s*$", re.MULTILINE | re.IGNORECASE)


class _Counts(NamedTuple):
    """In the order of `_BY_SHARE`."""

    proxies: int
    listeners: int
    endpoints: int


_NOTHING: Final = _Counts(0, 0, 0)


def _total(counted: Iterable[_Counts], place: int) -> int:
    return sum(counts[place] for counts in counted)


class CensusTaker:
    """Counts the proxies that differ from those of the tree before; what it has of the others still holds."""

    def __init__(self) -> None:
        self._files = GenerationTree()
        self._counted: dict[NodeId, _Counts] = {}
        self._totals = _NOTHING
        self._endpoints: dict[str, int] = {}

    def take(self, files: GenerationTree, kinds: Mapping[str, int]) -> Census:
        """`kinds` says how many resources there are of each type."""
        changes = files.changes_since(self._files)
        gone = [self._counted.pop(node, _NOTHING) for node in changes.removed]
        come = []
        for snapshot in (change.folder.snapshot for change in changes.changed):
            gone.append(self._counted.get(snapshot.node, _NOTHING))
            come.append(self._count(snapshot))
            self._counted[snapshot.node] = come[-1]
        self._totals = _Counts(
            self._totals.proxies + _total(come, 0) - _total(gone, 0),
            self._totals.listeners + _total(come, 1) - _total(gone, 1),
            self._totals.endpoints + _total(come, 2) - _total(gone, 2),
        )
        self._files = files
        documents = {kind.lower(): count for kind, count in kinds.items()}
        meshes = len(files.meshes.entries)
        return {**documents, **dict(zip(_BY_SHARE, self._totals, strict=True)), "mesh": meshes}

    def _count(self, snapshot: Snapshot) -> "_Counts":
        loads = snapshot.resources.get(ResourceType.ENDPOINT, {}).values()
        listeners = len(snapshot.resources.get(ResourceType.LISTENER, ()))
        return _Counts(1, listeners, sum(map(self._endpoints_of, loads)))

    def _endpoints_of(self, load: Rendered) -> int:
        count = self._endpoints.get(load.version)
        if count is None:
            if len(self._endpoints) >= _REMEMBERED:
                self._endpoints.clear()
            count = self._endpoints[load.version] = _count_endpoints(load)
        return count


def judge_removal(before: Census, after: Census, message: str) -> str:
    """Why the commit is held, as a sentence that says how to let it pass; empty where it is not."""
    allowed = {kind.lower(): int(count) for kind, count in _TRAILER.findall(message)}
    lost = {kind: before[kind] - after.get(kind, 0) for kind in sorted(before) if _takes_too_much(kind, before, after)}
    held = {kind: count for kind, count in lost.items() if allowed.get(kind, 0) < count}
    if not held:
        return ""
    losses = ", ".join(f"{count} of {before[kind]} {kind}" for kind, count in held.items())
    trailers = " and ".join(f"'Allow-Removal: {kind}/{count}'" for kind, count in held.items())
    return f"held: it would remove {losses}; if that is meant, add to the commit message {trailers}"


def _takes_too_much(kind: str, before: Census, after: Census) -> bool:
    removed = before[kind] - after.get(kind, 0)
    if removed <= 0 or kind in _CLOSED_BY_LESS:
        return False
    if kind == "mesh" or not after.get(kind, 0):
        return True
    return kind in _BY_SHARE and removed >= LEAST and removed > SHARE * before[kind]


def _count_endpoints(load: Rendered) -> int:
    return sum(len(locality.get("lbEndpoints", ())) for locality in orjson.loads(load.json).get("endpoints", ()))
