"""Who wrote a line last, and in which commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compiler.source.authorship import find_unchanged, find_writer, read_lines
from compiler.source.git import GitError, Repository, commit_summary, open_repository, resolve
from compiler.source.objects import has_object, read_commit_object
from compiler.source.refs import discover

__all__ = ["UNCOMMITTED", "Authored", "find_author"]


@dataclass(frozen=True, slots=True)
class Authored:
    """A commit as a line of text shows it; `time` is in seconds since 1970, the rest is safe to print.

    With `earlier` it may have been one before: a shallow clone ends with this one. The empty `commit` is one to come:
    the line is not committed yet.
    """

    commit: str
    author: str
    time: int
    subject: str
    earlier: bool = False


UNCOMMITTED: Final = Authored("", "", 0, "")


def find_author(repository: Path, commit: str | None, file: str, *lines: int) -> Authored | None:
    """Who wrote a line, counted from 1, of a file as it is in a commit, or in the working tree where that is None.

    Of several lines it is the newest that counts.

    `repository` is the folder that the tree was read from, to which `file` is relative. None for a file in no
    repository, and for what Git cannot tell: an author is never worth an error.
    """
    try:
        top, prefix = discover(repository)
        opened = open_repository(top)
        tip = resolve(opened, commit or "HEAD")
        path = f"{prefix}/{file}" if prefix else file
        if commit is None:
            lines = _committed_lines(read_lines(opened, tip, path) or (), repository / file, lines)
            if 0 in lines:
                return UNCOMMITTED
        writer = find_writer(opened, tip, path, *lines)
        return _summarize(opened, writer) if writer is not None else None
    except (GitError, OSError):
        return None


def _summarize(repository: Repository, commit: str) -> Authored:
    found = commit_summary(repository, commit)
    cut = any(not has_object(repository, one) for one in read_commit_object(repository, commit).parents)
    return Authored(found.commit, found.author, found.time, found.subject, cut)


def _committed_lines(committed: Sequence[bytes], path: Path, lines: Sequence[int]) -> tuple[int, ...]:
    """The lines of HEAD's file that those of the working tree's are, 0 for one that is only there."""
    if path.is_symlink():
        return (0,)
    now = path.read_bytes().splitlines()
    found = (find_unchanged(committed, now, line - 1) if 0 < line <= len(now) else None for line in lines)
    return tuple(one + 1 if one is not None else 0 for one in found)
