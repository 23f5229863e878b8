"""Where a repository's files are and what its refs say, read without its configuration, hooks or any git command."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_SHA256_ID = re.compile(r"[0-9a-f]{64}")
_REF = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)|/\.|/$))[^\x00-\x20\x7f~^:?*\[\\./-][^\x00-\x20\x7f~^:?*\[\\]*")
_PSEUDO_REF = re.compile(r"[A-Z][A-Z_]*")
_ELSEWHERE = re.compile(r"(?!file://)[a-z][a-z0-9+.-]*:/|[^/:]+@[^/:]+:")
"""A URL of another machine (its second slash may be lost in a path), or git's own `user@host:path`."""
_MAX_SYMBOLIC = 5
_MAX_REF_BYTES = 4096
_MAX_PACKED_BYTES = 256 * 1024 * 1024


class GitError(Exception):
    """Git cannot give what was asked for; the message says what to do."""


class NotARepository(GitError):
    """The path holds no Git repository that can be read here."""


class DamagedObject(GitError):
    """Something in the repository is missing or broken."""


class GitUnavailable(GitError):
    """The disk or the permissions stand in the way."""


@dataclass(frozen=True, slots=True)
class GitDirectory:
    """A repository's own files; a linked worktree has its HEAD apart from what it shares."""

    head: Path
    common: Path

    @property
    def objects(self) -> Path:
        return self.common / "objects"


def local_path(location: str | Path) -> Path:
    """A path, or a file:// address of this machine; raises `NotARepository` for an address of another one."""
    if _ELSEWHERE.match(str(location)):
        raise NotARepository(f"{location} is on another machine, which is not followed yet; give a local clone")
    return Path(str(location).removeprefix("file://"))


def find_git_directory(path: Path) -> GitDirectory:
    """The repository at exactly this path: a working tree, a linked worktree or a bare repository."""
    try:
        head = _head_directory(path)
        common = _common_directory(head)
        whole = (common / "objects").is_dir() and (head / "HEAD").exists()
    except OSError as error:
        raise GitUnavailable(f"{path} cannot be read ({error.strerror}); look at its permissions") from error
    if not whole:
        raise NotARepository(f"{path} is not a Git repository; give the path of a clone, or run git init there")
    if (common / "reftable").exists():
        raise NotARepository(
            f"{path} keeps its refs as a reftable, which cannot be read; run git refs migrate --ref-format=files"
        )
    return GitDirectory(head, common)


def discover(path: Path) -> tuple[Path, str]:
    """The working tree that a path lies in, and the path's place in it with slashes; the way git finds them."""
    full = path.resolve()
    for above in (full, *full.parents):
        if (above / ".git").exists() or ((above / "objects").is_dir() and (above / "HEAD").is_file()):
            return above, "" if above == full else full.relative_to(above).as_posix()
    raise NotARepository(f"{path} lies in no Git repository; run the command inside a clone, or run git init")


def is_ref_name(name: str) -> bool:
    """Whether git would accept the name; nothing else is looked up on disk."""
    return bool(_REF.fullmatch(name))


def read_ref(directory: GitDirectory, name: str) -> str | None:
    """The object that a full ref name leads to, None where there is no such ref or its branch is not yet born."""
    for _ in range(_MAX_SYMBOLIC):
        if not is_ref_name(name) or not (name.startswith("refs/") or _PSEUDO_REF.fullmatch(name)):
            return None
        text = _loose(directory, name) or _packed(directory, name)
        if text is None:
            return None
        if not text.startswith("ref:"):
            return _object_id(directory, name, text)
        name = text.removeprefix("ref:").strip()
    return None


def has_refs(directory: GitDirectory) -> bool:
    """Whether anything was ever committed or fetched here, as far as refs tell."""
    loose = any(files for _, _, files in os.walk(directory.common / "refs"))
    return loose or b" refs/" in (read_regular(directory.common / "packed-refs", _MAX_PACKED_BYTES) or b"")


def read_regular(path: Path, max_bytes: int) -> bytes | None:
    """The first bytes of a file, None where there is no such file; a pipe in its place is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise GitUnavailable(f"{path} cannot be read ({error.strerror}); look at its permissions") from error
    with os.fdopen(descriptor, "rb") as file:
        return file.read(max_bytes) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _head_directory(path: Path) -> Path:
    inside = path / ".git"
    if inside.is_dir():
        return inside
    pointer = read_regular(inside, _MAX_REF_BYTES)
    if pointer is None or not pointer.startswith(b"gitdir:"):
        return path
    return path / os.fsdecode(pointer.removeprefix(b"gitdir:").strip())


def _common_directory(head: Path) -> Path:
    pointer = read_regular(head / "commondir", _MAX_REF_BYTES)
    return head if pointer is None else head / os.fsdecode(pointer.strip())


def _loose(directory: GitDirectory, name: str) -> str | None:
    """Refs outside refs/, as HEAD, are the worktree's own."""
    folder = directory.common if name.startswith("refs/") else directory.head
    content = read_regular(folder / name, _MAX_REF_BYTES)
    return None if content is None else content.decode(errors="replace").strip()


def _packed(directory: GitDirectory, name: str) -> str | None:
    content = read_regular(directory.common / "packed-refs", _MAX_PACKED_BYTES) or b""
    end = (b"\n" + content).find(b" %s\n" % os.fsencode(name))
    return content[: end - 1].rpartition(b"\n")[2].decode(errors="replace") if end > 0 else None


def _object_id(directory: GitDirectory, name: str, text: str) -> str:
    if _COMMIT_ID.fullmatch(text):
        return text
    if _SHA256_ID.fullmatch(text):
        raise NotARepository(
            f"{directory.common} uses SHA-256 object names, which cannot be read; use a SHA-1 repository"
        )
    raise DamagedObject(f"the ref {name} in {directory.common} is damaged; run git fsck there, or push it again")
