"""Commits to a workload's repository, made object by object, and the moment at which the branch moved."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pygit2
from pygit2.enums import FileMode

from benchmarks.generate import BRANCH

Changes = Mapping[str, bytes | None]
"""New contents by path; None takes a file away."""

_REFERENCE: Final = f"refs/heads/{BRANCH}"
_AUTHOR: Final = pygit2.Signature("benchmark", "benchmark@localhost", 1767225600, 0)


@dataclass(frozen=True, slots=True)
class Moved:
    """A commit, and when its branch moved: seconds of the clock that all processes of a machine share."""

    commit: str
    tree: str
    at: float


class WorkloadRepository:
    """One writer's view of a bare repository."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = pygit2.Repository(str(path))

    @property
    def tip(self) -> str:
        return str(self._opened.references[_REFERENCE].target)

    @property
    def tree(self) -> str:
        return str(self._commit(self.tip).tree_id)

    def commit(self, changes: Changes, message: str) -> Moved:
        """Everything is written before the clock is read; what is left then is to move the branch."""
        parent = self._commit(self.tip)
        tree = self._write(parent.tree, {tuple(path.split("/")): content for path, content in changes.items()})
        if tree is None:
            raise ValueError("the commit would leave the repository empty")
        commit = self._opened.create_commit(None, _AUTHOR, _AUTHOR, message, tree, [parent.id])
        return self._move(commit, str(tree))

    def reset(self, commit: str) -> Moved:
        """Move the branch to a commit that is there already."""
        return self._move(pygit2.Oid(hex=commit), str(self._commit(commit).tree_id))

    def _move(self, commit: pygit2.Oid, tree: str) -> Moved:
        reference = self._opened.references[_REFERENCE]
        at = time.time()
        reference.set_target(commit)
        return Moved(str(commit), tree, at)

    def _commit(self, commit: str) -> pygit2.Commit:
        found = self._opened[commit]
        assert isinstance(found, pygit2.Commit)
        return found

    def _write(self, tree: pygit2.Tree | None, changes: Mapping[tuple[str, ...], bytes | None]) -> pygit2.Oid | None:
        """None for a folder of which nothing is left."""
        builder = self._opened.TreeBuilder(tree) if tree is not None else self._opened.TreeBuilder()
        below: dict[str, dict[tuple[str, ...], bytes | None]] = defaultdict(dict)
        for (name, *rest), content in changes.items():
            if rest:
                below[name][tuple(rest)] = content
            else:
                self._put(builder, name, self._opened.create_blob(content) if content is not None else None)
        for name, inner in below.items():
            found = tree[name] if tree is not None and name in tree else None
            folder = found if isinstance(found, pygit2.Tree) else None
            self._put(builder, name, self._write(folder, inner), FileMode.TREE)
        return builder.write() if len(builder) else None

    def _put(
        self, builder: pygit2.TreeBuilder, name: str, content: pygit2.Oid | None, mode: FileMode = FileMode.BLOB
    ) -> None:
        if content is not None:
            builder.insert(name, content, mode)
        elif builder.get(name) is not None:
            builder.remove(name)
