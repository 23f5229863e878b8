"""No accidental wipe: a compile that takes away too much is held until its commit says that it means to (promise 6)."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.snapshot import Generation

Census = Mapping[str, int]
"""How many there are of each kind: `mesh`, `proxy`, `listener`, `endpoint`, and each kind of source document."""

SHARE: Final = 0.2
LEAST: Final = 10
"""Above a fifth, and at least ten, a removal of proxies, listeners or endpoints is held."""

_BY_SHARE: Final = ("proxy", "listener", "endpoint")
_CLOSED_BY_LESS: Final = frozenset({"meshtrafficpermission"})
"""Without its permissions a mesh lets fewer callers in: closing access is never held."""

_TRAILER: Final = re.compile(r"^Allow-Removal:\s*([A-Za-z]+)\s*/\s*([0-9]{1,9})\s*$", re.MULTILINE | re.IGNORECASE)


def take_census(generation: Generation, kinds: Iterable[str] = ()) -> Census:
    """`kinds` names the kind of each source document, once for each."""
    counts: Counter[str] = Counter(kind.lower() for kind in kinds)
    endpoints: dict[str, int] = {}
    for snapshot in generation.snapshots.values():
        counts["proxy"] += 1
        counts["listener"] += len(snapshot.resources.get(ResourceType.LISTENER, ()))
        for load in snapshot.resources.get(ResourceType.ENDPOINT, {}).values():
            if load.version not in endpoints:
                endpoints[load.version] = _count_endpoints(load)
            counts["endpoint"] += endpoints[load.version]
    counts["mesh"] = len({snapshot.node.mesh for snapshot in generation.snapshots.values()})
    return dict(counts)


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
