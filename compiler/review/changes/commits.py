"""The commit of a change that a document's difference came with: of a pull request, not of all history before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

from compiler.review.authors import find_author
from compiler.review.changes.base import ancestors
from compiler.review.plan import Cause
from compiler.source.git import CommitSummary, GitError, Repository, commit_summary, open_repository, resolve
from compiler.source.objects import read_commit_object, read_entries
from compiler.source.refs import discover
from compiler.source.tree import SourceTree

__all__ = ["Change"]

_MAX_COMMITS: Final = 1_000
"""Of a change; and twice as many of the base are known to be no part of it."""


@dataclass(frozen=True)
class Change:
    """From the base's commit, None where there was none, to a head; `head` has no commit where it has edits."""

    folder: Path
    base: str | None
    head: SourceTree

    def find(self, cause: Cause) -> tuple[str, str] | None:
        """The commit that wrote the line, else the last one that touched the file, and its author.

        None where it is not committed yet, and for what Git cannot tell: an author is never worth an error.
        """
        try:
            if self.head.commit is None and self._is_edited(cause.file):
                return None
            written = find_author(self.folder, self._tip, cause.file, cause.line) if cause.side == "head" else None
            if written is not None and not written.earlier and written.commit in self._commits:
                return written.commit, written.author
            found = self._last(self._place(cause.file))
        except (GitError, OSError):
            return None
        return (found.commit, found.author) if found is not None else None

    @cached_property
    def _repository(self) -> Repository:
        return open_repository(discover(self.folder)[0])

    @cached_property
    def _tip(self) -> str:
        return self.head.commit or resolve(self._repository, "HEAD")

    @cached_property
    def _commits(self) -> dict[str, None]:
        """Those of the change, newer ones first."""
        known = islice(ancestors(self._repository, self.base), 2 * _MAX_COMMITS) if self.base else ()
        return dict.fromkeys(islice(ancestors(self._repository, self._tip, frozenset(known)), _MAX_COMMITS))

    def _place(self, file: str) -> str:
        """Where a file of the tree is in its repository."""
        inside = discover(self.folder)[1]
        return f"{inside}/{file}" if inside else file

    def _is_edited(self, file: str) -> bool:
        now = next((one.blob for one in self.head.files if one.path == file), None)
        return now != self._blob(self._tip, self._place(file))

    def _last(self, path: str) -> CommitSummary | None:
        for commit in self._commits:
            parents = read_commit_object(self._repository, commit).parents
            if self._blob(commit, path) not in [self._blob(parent, path) for parent in parents] or not parents:
                return commit_summary(self._repository, commit)
        return None

    def _blob(self, commit: str, path: str) -> str | None:
        found: str | None = read_commit_object(self._repository, commit).tree
        for name in path.split("/"):
            found = next(self._entries(found, name.encode()), None) if found is not None else None
        return found

    def _entries(self, tree: str, name: bytes) -> Iterator[str]:
        return (entry.object_id for entry in read_entries(self._repository, tree) if entry.name == name)
