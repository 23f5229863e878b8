"""The repository that is followed, as the reconcile loop wants it: all of Git's troubles are sentences."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from compiler.diagnostics import Checked
from compiler.reconcile.ports import SourceError, Tip
from compiler.resources.settings import leave_out
from compiler.source.mirror import Mirror, Source
from compiler.source.objects import open_repository, read_commit_object
from compiler.source.refs import GitError, find_git_directory, local_path
from compiler.source.tree import SourceTree

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CREDENTIALS: Final = re.compile(r"(?<=:/)/?[^/@\s]*@")
"""A user and a password in a URL; a path made of the URL has one slash less."""


class WatchedRepository:
    """Committed content alone: of a working tree nothing is ever read."""

    def __init__(self, location: str, ref: str, path: str, mirror: Path) -> None:
        self._location = location
        self._ref = ref
        self._path = path
        self._mirror = Mirror(mirror)
        self._before: SourceTree | None = None

    def fetch(self) -> None:
        """A local repository is read in place."""

    def tip(self) -> str:
        """The commit id, from the refs alone where the ref is a branch."""
        with _sentences():
            commit = self._open().tip(self._ref)
        if commit is None:
            place = _CREDENTIALS.sub("", self._location)
            raise SourceError(f"{place} has no branch or tag {self._ref!r}; commit to it, or look at --ref")
        return commit

    def describe(self, commit: str) -> Tip:
        with _sentences():
            source = self._open()
            found = read_commit_object(open_repository(source.path, source.objects), commit)
        return Tip(commit, found.tree, found.message.decode(errors="replace"), self._moved())

    def read(self, tip: Tip) -> Checked[SourceTree]:
        with _sentences():
            checked = leave_out(self._open().read_commit(tip.commit, self._path, self._before))
        self._before = checked.value
        return checked

    def _open(self) -> Source:
        return self._mirror.open_source(self._location)

    def _moved(self) -> float | None:
        """When the ref was written; a packed one does not tell of itself."""
        try:
            refs = find_git_directory(local_path(self._location)).common
            return (refs / "refs/heads" / self._ref).stat().st_mtime
        except (OSError, GitError):
            return None


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except GitError as error:
        raise SourceError(_CREDENTIALS.sub("", str(error))) from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        hint = "free some space there" if error.errno in _FULL else "mend that"
        message = f"the repository cannot be read: {place}{error.strerror}; {hint}, it is tried again"
        raise SourceError(message) from error
