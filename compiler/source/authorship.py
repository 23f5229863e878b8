"""Which commit wrote a line as it is: its history followed backwards, objects alone, up to a bound."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final

from pygit2.enums import ObjectType

from compiler.source.objects import Repository, has_object, read_commit_object, read_entries, read_object
from compiler.source.tree import MAX_FILE_BYTES

MAX_COMMITS: Final = 10_000
"""A line that is older than this has no writer: some seconds of a long history."""
_MAX_COMPARED_LINES: Final = 4_000


@dataclass(frozen=True, slots=True)
class _Spot:
    """Lines, counted from 0, of a file as it is in a commit."""

    commit: str
    blob: str
    lines: tuple[int, ...]


def find_writer(
    repository: Repository, commit: str, path: str, *lines: int, max_commits: int = MAX_COMMITS
) -> str | None:
    """The id of the commit since which the lines, counted from 1, are as in `commit`; None for none within the bound.

    A file that moved was written where it now stands by whoever moved it; a shallow clone ends with its last commit.
    """
    history = _History(repository, path.encode())
    blob = history.blob(commit)
    if blob is None or not lines or not 0 < min(lines) <= max(lines) <= len(history.lines(blob)):
        return None
    spot = _Spot(commit, blob, tuple(line - 1 for line in lines))
    for _ in range(max_commits):
        before = history.before(spot)
        if before is None:
            return spot.commit
        spot = before
    return None


def read_lines(repository: Repository, commit: str, path: str) -> Sequence[bytes] | None:
    """A file as it is in a commit, None where there is none."""
    history = _History(repository, path.encode())
    blob = history.blob(commit)
    return history.lines(blob) if blob is not None else None


def find_unchanged(before: Sequence[bytes], after: Sequence[bytes], line: int) -> int | None:
    """Where a line of `after`, counted from 0, stands in `before`; None where it is new or different."""
    start = _common(before, after)
    if line < start:
        return line
    end = _common(before[start:][::-1], after[start:][::-1])
    if line >= len(after) - end:
        return line - len(after) + len(before)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    return next((start + one for one, other in _pairs(old, new) if other == line - start), None)


def _pairs(before: Sequence[bytes], after: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Lines that stayed; of a file that changed in thousands of lines it is not worked out, and none did."""
    if not before or len(before) + len(after) > _MAX_COMPARED_LINES:
        return
    for one, other, size in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        yield from zip(range(one, one + size), range(other, other + size), strict=True)


def _common(before: Sequence[bytes], after: Sequence[bytes]) -> int:
    """How many lines both begin with."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(before), len(after)))


@dataclass
class _History:
    """What one file was in each commit; directories that commits share are looked into once."""

    repository: Repository
    path: bytes
    _found: dict[tuple[str, bytes], str | None] = field(default_factory=dict)

    def before(self, spot: _Spot) -> _Spot | None:
        """The lines in a parent that has them too; of a merge rather in one that has the whole file."""
        parents = [one for one in read_commit_object(self.repository, spot.commit).parents if self._has(one)]
        blobs = [(parent, blob) for parent in parents if (blob := self.blob(parent)) is not None]
        for parent, blob in blobs:
            if blob == spot.blob:
                return _Spot(parent, blob, spot.lines)
        for parent, blob in blobs:
            before, after = self.lines(blob), self.lines(spot.blob)
            lines = tuple(found for one in spot.lines if (found := find_unchanged(before, after, one)) is not None)
            if len(lines) == len(spot.lines):
                return _Spot(parent, blob, lines)
        return None

    def blob(self, commit: str) -> str | None:
        found: str | None = read_commit_object(self.repository, commit).tree
        for name in self.path.split(b"/"):
            if found is None:
                break
            found = self._entry(found, name)
        return found

    def lines(self, blob: str) -> Sequence[bytes]:
        return read_object(self.repository, blob, ObjectType.BLOB, MAX_FILE_BYTES).splitlines()

    def _has(self, commit: str) -> bool:
        return has_object(self.repository, commit)

    def _entry(self, tree: str, name: bytes) -> str | None:
        if (tree, name) not in self._found:
            entries = read_entries(self.repository, tree)
            self._found[tree, name] = next((one.object_id for one in entries if one.name == name), None)
        return self._found[tree, name]


__all__ = ["MAX_COMMITS", "find_unchanged", "find_writer", "read_lines"]
