"""A source repository followed from a directory of our own, which holds nothing that could not be made again."""

import heapq
from dataclasses import dataclass
from pathlib import Path

from compiler.diagnostics import Checked
from compiler.source.git import changed_files, read_commit
from compiler.source.objects import Repository, has_object, open_repository, read_commit_object
from compiler.source.refs import NotARepository, find_git_directory, local_path
from compiler.source.revision import find_tip
from compiler.source.tree import SourceTree

_CONFIGURATION = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
# A history is searched no further than this: some seconds.
_MAX_HISTORY = 100_000
_NEW, _OLD = 1, 2


@dataclass(frozen=True, slots=True)
class Mirror:
    """Our own bare repository, readable by us alone; a local source lends it its objects through alternates."""

    folder: Path

    def open_source(self, location: str | Path) -> "Source":
        """Follows a local repository in place; what the mirror borrowed from another before is let go."""
        path = local_path(location)
        objects = find_git_directory(path).objects.resolve()
        if "\n" in str(objects):
            raise NotARepository(f"{str(path)!r} has a line break in its path; move the repository")
        self._prepare()
        _write(self.folder / "objects/info/alternates", f"{objects}\n")
        return Source(path, self.folder / "objects")

    def _prepare(self) -> None:
        """Makes what is missing, so that a removed or half-made mirror mends itself."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for folder in ("objects/info", "objects/pack", "refs/heads"):
            (self.folder / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self.folder / "config", _CONFIGURATION)
        _write(self.folder / "HEAD", "ref: refs/heads/main\n")


@dataclass(frozen=True, slots=True)
class Source:
    """The repository that is followed; every question opens it anew, so a repaired one is read at once."""

    path: Path
    objects: Path

    def tip(self, ref: str) -> str | None:
        """The commit at a branch or tag now, None where it is unborn or was removed."""
        return find_tip(self._open(), ref)

    def read_commit(
        self, commit: str, subdirectory: str = "", previous: SourceTree | None = None
    ) -> Checked[SourceTree]:
        """The files of a commit; see `git.read_commit`."""
        return read_commit(self._open(), commit, subdirectory, previous=previous)

    def changed_files(self, old: str, new: str, subdirectory: str = "") -> tuple[str, ...]:
        """Configuration files that differ between two commits."""
        return changed_files(self._open(), old, new, subdirectory)

    def descends(self, new: str, old: str) -> bool:
        """Whether `old` is `new` or among its ancestors; False too where history is cut off before that shows."""
        return new == old or _is_ancestor(self._open(), old, new)

    def _open(self) -> Repository:
        return open_repository(self.path, self.objects)


def _is_ancestor(repository: Repository, old: str, new: str) -> bool:
    """Walks both histories from the latest commit back, until what only `new` has is used up."""
    if not has_object(repository, old):
        return False
    sides = {old: _OLD, new: _NEW}
    waiting = [(-_time(repository, commit), commit) for commit in (old, new)]
    heapq.heapify(waiting)
    for _ in range(_MAX_HISTORY):
        if not any(sides[commit] == _NEW for _, commit in waiting):
            return False
        _, commit = heapq.heappop(waiting)
        for parent in read_commit_object(repository, commit).parents:
            if parent == old and sides[commit] & _NEW:
                return True
            if sides.get(parent, 0) | sides[commit] != sides.get(parent) and has_object(repository, parent):
                sides[parent] = sides.get(parent, 0) | sides[commit]
                heapq.heappush(waiting, (-_time(repository, parent), parent))
    return False


def _time(repository: Repository, commit: str) -> int:
    committer = read_commit_object(repository, commit).headers.get(b"committer", b"")
    time = committer.rpartition(b"> ")[2].split(b" ")[0]
    return int(time) if time.isdigit() and len(time) < 19 else 0


def _write(path: Path, text: str) -> None:
    """Replaces the file in one step, and leaves it alone where it says that already."""
    if path.exists() and path.read_text() == text:
        return
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    beside.replace(path)
