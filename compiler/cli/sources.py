"""What a command reads: a directory as it stands, or a commit without a checkout."""

from pathlib import Path

from compiler.cli.exits import UNREACHABLE, Stop
from compiler.diagnostics import Checked
from compiler.resources.resource_set import Counts
from compiler.source.git import GitError, read_commit
from compiler.source.refs import find_git_directory
from compiler.source.tree import SourceTree, read_directory


def open_tree(path: Path, revision: str | None) -> Checked[SourceTree]:
    """Raises `Stop` with a sentence for what cannot be read at all."""
    if revision is not None:
        return _open_commit(path, revision)
    if not path.exists():
        raise Stop(f"{path}: there is no such file or directory")
    if not path.is_dir():
        raise Stop(f"{path}: a mesh repository is a directory; this is a file")
    return read_directory(path)


def require_mesh(path: Path, counts: Counts) -> None:
    """Raises `Stop` where there is nothing to compile: a wrong folder must not pass for a good one."""
    if not counts.resources:
        ignored = f" ({counts.ignored} foreign documents are ignored)" if counts.ignored else ""
        raise Stop(f"{path}: there is no Mesh in it, nor anything else of a mesh{ignored}; is it the right folder?")


def _open_commit(path: Path, revision: str) -> Checked[SourceTree]:
    """A folder inside a repository is read as that folder of the commit."""
    try:
        return read_commit(path, revision, _below(path))
    except GitError as error:
        raise Stop(str(error), UNREACHABLE) from error


def _below(path: Path) -> str:
    """The folder's place in its working tree; the root, and a bare repository, are the empty one."""
    for parent in (path.resolve(), *path.resolve().parents):
        if (parent / ".git").exists():
            return path.resolve().relative_to(parent).as_posix().removeprefix(".")
    find_git_directory(path)
    return ""
