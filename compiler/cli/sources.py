"""What a command reads: a directory as it stands, or a commit without a checkout."""

from dataclasses import replace
from pathlib import Path

from compiler.cli.exits import UNREACHABLE, Stop
from compiler.diagnostics import Checked
from compiler.resources.resource_set import Counts, ResourceSet
from compiler.resources.settings import leave_out
from compiler.source.git import GitError, NotARepository, UnknownFolder, read_commit, resolve
from compiler.source.refs import discover
from compiler.source.tree import SourceTree, read_directory


def open_tree(path: Path, revision: str | None, previous: SourceTree | None = None) -> Checked[SourceTree]:
    """Raises `Stop` with a sentence for what cannot be read at all; `previous` spares what a commit shares with it."""
    if revision is not None:
        return _open_commit(path, revision, previous)
    if is_bare(path):
        raise Stop(f"{path}: a bare repository has commits and no files; name a commit with --at")
    if not path.exists():
        raise Stop(f"{path}: there is no such file or directory")
    if not path.is_dir():
        raise Stop(f"{path}: a mesh repository is a directory; this is a file")
    found = leave_out(read_directory(path))
    return replace(found, value=replace(found.value, prefix=_repository_of(path)[1]))


def open_base(path: Path, revision: str, head: SourceTree | None = None) -> Checked[SourceTree]:
    """What a change, to that head, is compared with: a folder that the commit lacks is empty there."""
    repository, below = _repository_of(path)
    try:
        return leave_out(read_commit(repository, revision, below, previous=head))
    except UnknownFolder:
        return Checked(SourceTree((), "", resolve(repository, revision), lambda _: b"", below))
    except GitError as error:
        raise Stop(str(error), UNREACHABLE) from error


def is_bare(path: Path) -> bool:
    """Whether the path is, or would be in, a repository without a working tree."""
    try:
        return not (discover(path)[0] / ".git").exists()
    except NotARepository:
        return False


def require_mesh(path: Path, counts: Counts) -> None:
    """Raises `Stop` where there is nothing to compile: a wrong folder must not pass for a good one."""
    if not counts.resources:
        from compiler.cli.findings import many

        found = many(counts.ignored, "foreign document")
        ignored = f" ({found} {'is' if counts.ignored == 1 else 'are'} ignored)" if counts.ignored else ""
        raise Stop(f"{path}: there is no Mesh in it, nor anything else of a mesh{ignored}; is it the right folder?")


def require_zone(zone: str | None, resources: ResourceSet) -> None:
    """Raises `Stop` where nothing stands in a zone that somebody asked for: no proxy is easily missed."""
    from compiler.mesh.graph import as_dataplane, is_proxy
    from compiler.mesh.names import NO_ZONE
    from compiler.resources.suggest import did_you_mean

    found = (as_dataplane(one) for one in resources.resources.values() if is_proxy(one)) if zone is not None else ()
    known = {one.zone or NO_ZONE for one in found}
    known |= {key.name for key in resources.resources if key.type == "Zone"} if zone is not None else set()
    if zone is not None and zone not in known:
        hint = did_you_mean(zone, sorted(known)) or f"the zones are {', '.join(sorted(known))}"
        raise Stop(f"no proxy stands in a zone {zone!r}; {hint}")


def _open_commit(path: Path, revision: str, previous: SourceTree | None) -> Checked[SourceTree]:
    """A folder inside a repository is read as that folder of the commit."""
    try:
        repository, below = _repository_of(path)
        return leave_out(read_commit(repository, revision, below, previous=previous))
    except GitError as error:
        raise Stop(str(error), UNREACHABLE) from error


def _repository_of(path: Path) -> tuple[Path, str]:
    """What lies in none is taken for one, and said not to be when it is opened."""
    try:
        return discover(path)
    except NotARepository:
        return path, ""
