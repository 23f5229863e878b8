"""What a store has written: objects and bytes, read off the files of its object database."""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_FANOUT: Final = 8
"""Where the 256 running sums of a pack's index begin; the last is how many objects it has."""


@dataclass
class StoredObjects:
    """Counts what was added between two looks; a folder that was packed anew would count again."""

    folder: Path
    _seen: frozenset[Path] = field(default_factory=frozenset)

    def count_new(self) -> int:
        """Objects in files that were not there at the last look."""
        found = frozenset(path for path in self.folder.rglob("*") if _holds_objects(path))
        new, self._seen = found - self._seen, found
        return sum(_count(path) for path in new)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())


def _holds_objects(path: Path) -> bool:
    return path.suffix == ".idx" or (len(path.parent.name) == 2 and path.is_file())


def _count(path: Path) -> int:
    """One in a file by itself, as many as its index says in a pack."""
    if path.suffix != ".idx":
        return 1
    with path.open("rb") as file:
        file.seek(_FANOUT + 255 * 4)
        (count,) = struct.unpack(">I", file.read(4))
    return int(count)
