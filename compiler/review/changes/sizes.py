"""What snapshots come to: the bytes of their canonical JSON, as files have it, and how many resources there are."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.review.plan import Size
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.snapshot import Snapshot

__all__ = ["Scales"]

_BRACES = len("{\n}\n")


@dataclass
class Scales:
    """Weighs what proxies share once: maps and resources live as long as the snapshots, and so do their ids."""

    _maps: dict[int, tuple[Mapping[str, Rendered], int]] = field(default_factory=dict)
    _resources: dict[int, tuple[Rendered, int]] = field(default_factory=dict)

    def weigh(self, snapshots: Mapping[str, Snapshot]) -> Size:
        """All of one side; of two proxies of one size the first by name is the largest."""
        counts: Counter[str] = Counter()
        total, largest, most = 0, "", 0
        for name in sorted(snapshots):
            snapshot = snapshots[name]
            size = self.bytes_of(snapshot)
            total += size
            largest, most = (name, size) if size > most else (largest, most)
            counts.update({kind.file: len(named) for kind, named in snapshot.resources.items()})
        return Size(len(snapshots), total, dict(sorted(counts.items())), largest, most)

    def bytes_of(self, snapshot: Snapshot) -> int:
        """Of all files of a proxy but that of the names of its secrets."""
        return sum(self._bytes_of_map(named) for named in snapshot.resources.values())

    def _bytes_of_map(self, named: Mapping[str, Rendered]) -> int:
        known = self._maps.get(id(named))
        if known is None:
            size = sum(self._bytes_of_resource(one) for one in named.values())
            known = self._maps[id(named)] = named, size + len(named) - 1 + _BRACES
        return known[1]

    def _bytes_of_resource(self, resource: Rendered) -> int:
        known = self._resources.get(id(resource))
        if known is None:
            known = self._resources[id(resource)] = resource, sum(map(len, resource.pieces))
        return known[1]
