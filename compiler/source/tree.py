"""The files of a mesh repository at one moment, from a commit or a directory, and what is refused among them."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from compiler.diagnostics import Checked, Code, Diagnostic, Position, Severity
from compiler.source.text import misleads

SYMLINK = Code(
    "symlink",
    Severity.ERROR,
    "a symbolic link stands in the repository",
    "Links are never followed: they could lead out of the repository. One to an obviously foreign file is a warning; "
    "of one that `paths` or `ignore` of `meshwright.yaml` leave out nothing is said.",
)
SUBMODULE = Code(
    "submodule",
    Severity.ERROR,
    "a submodule stands in the repository",
    "What a submodule holds is not part of the commit, so nothing of it is read.",
)
SPECIAL_FILE = Code(
    "special-file",
    Severity.ERROR,
    "something that is neither file nor directory stands in the repository",
    "Sockets, pipes, devices and unknown kinds of Git entries are never opened.",
)
UNSAFE_NAME = Code(
    "unsafe-name",
    Severity.ERROR,
    "a file or directory has a name that could lead elsewhere or deceive",
    "Names may not be `.`, `..` or `.git`, nor hold slashes, backslashes, control or invisible characters, "
    "are UTF-8, and stand once in their directory.",
)
FILE_TOO_LARGE = Code(
    "file-too-large",
    Severity.ERROR,
    "a file is larger than a file may be",
    "Configuration files may have 1 MiB; a larger one is not read at all.",
)
TOO_MANY_FILES = Code(
    "too-many-files",
    Severity.ERROR,
    "the repository is too large or too deep",
    "A tree may hold 100,000 configuration files among 1,000,000 entries, 64 directories deep.",
)

SETTINGS_FILE = "meshwright.yaml"
MAX_FILE_BYTES = 1024 * 1024
MAX_FILES = 100_000
MAX_ENTRIES = 1_000_000
MAX_DIRECTORIES_DEEP = 64

_SUFFIXES = (".yaml", ".yml", ".json")
_PLAIN_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_SKIPPED = frozenset({"node_modules"})


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file by its path from the tree's root, with slashes, and the id that git gives its content."""

    path: str
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A directory of a commit; `files`, `findings` and `entries` are of all that is in it, at any depth.

    The next commit shares what it did not change: a directory of this path, tree id and size limit is the same.
    """

    path: str
    tree: str
    max_bytes: int
    own: tuple[SourceFile, ...]
    directories: Mapping[str, "Listing"]
    files: tuple[SourceFile, ...]
    findings: tuple[Diagnostic, ...]
    entries: int


@dataclass(frozen=True)
class SourceTree:
    """The configuration files below one directory, by path.

    `tree` is the git tree id: of a commit, that of the whole (sub)directory; of a directory on disk, that of a tree
    of the considered files alone, which is the same where there are no others. `prefix` is the subdirectory in the
    repository, to which paths are relative. `read` raises machine errors only. `root`, which only a commit has, spares
    the reading of the next one what it has in common with this one.
    """

    files: tuple[SourceFile, ...]
    tree: str
    commit: str | None
    read: Callable[[SourceFile], bytes] = field(compare=False, repr=False)
    prefix: str = ""
    root: Listing | None = field(default=None, compare=False, repr=False)


def differing_files(before: SourceTree, after: SourceTree) -> tuple[Sequence[SourceFile], Sequence[SourceFile]]:
    """Of each the files of directories that the other has not as they are; all where trees cannot be compared so."""
    if before.root is None or after.root is None:
        return before.files, after.files
    found = list(_compare_listings(before.root, after.root))
    return [file for old, _ in found for file in old], [file for _, new in found for file in new]


def _compare_listings(before: Listing, after: Listing) -> Iterator[tuple[Sequence[SourceFile], Sequence[SourceFile]]]:
    waiting = [(before, after)]
    while waiting:
        old, new = waiting.pop()
        if (old.tree, old.max_bytes) == (new.tree, new.max_bytes):
            continue
        yield old.own, new.own
        for path in {**old.directories, **new.directories}:
            one, other = old.directories.get(path), new.directories.get(path)
            if one is not None and other is not None:
                waiting.append((one, other))
            else:
                yield one.files if one is not None else (), other.files if other is not None else ()


def is_considered(name: str) -> bool:
    """Whether a file of that name may hold configuration."""
    return name.endswith(_SUFFIXES)


def is_skipped(directory: str) -> bool:
    """Hidden directories and installed packages hold no mesh configuration."""
    return directory.startswith(".") or directory in _SKIPPED


def check_name(directory: str, raw: bytes, *, taken: bool = False) -> Diagnostic | None:
    """Names that git itself would not create, and those that a terminal or a review would show as something else."""
    if _PLAIN_NAME.fullmatch(raw) and not taken:
        return None
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = ""
    forbidden = name.lower() in ("", ".", "..", ".git") or "/" in name or "\\" in name
    if not taken and not forbidden and not misleads(name):
        return None
    message = "the name stands twice in its directory" if taken else "the name is not safe to use"
    return refuse(directory + _escape(raw), UNSAFE_NAME, message, "rename it")


def _escape(raw: bytes) -> str:
    """Each character once: a byte that is no UTF-8 as its number, a backslash of the name itself as two."""
    letters = raw.decode(errors="surrogateescape")
    return "".join(
        f"\\x{ord(one) - 0xDC00:02x}" if "\udc80" <= one <= "\udcff" else one.encode("unicode_escape").decode()
        for one in letters
    )


def refuse_link(path: str) -> Diagnostic:
    """A link that might stand for configuration is an error, one to some other kind of file a warning."""
    name = path.rpartition("/")[2]
    foreign = "." in name.lstrip(".") and not is_considered(name)
    finding = refuse(path, SYMLINK, "symbolic links are not followed", "put the file itself here")
    return replace(finding, severity=Severity.WARNING) if foreign else finding


def refuse_submodule(path: str) -> Diagnostic:
    """Whether a commit or a working tree holds it, its files are not read."""
    return refuse(path, SUBMODULE, "submodules are not read", "put the files themselves into the repository")


def refuse(path: str, code: Code, message: str, hint: str) -> Diagnostic:
    """A finding about a whole file."""
    return Diagnostic(Position(path), code, message, hint)


def too_many_files(path: str) -> Diagnostic:
    """Reading stops here; trees may name one another so that a small repository has countless paths."""
    return refuse(path, TOO_MANY_FILES, "the repository is too large or too deep", "use --path to read a part")


def too_large(path: str, size: int, max_bytes: int) -> Diagnostic:
    """A file that is refused by its size alone."""
    message = f"the file has {size:,} bytes, more than {max_bytes:,}"
    return refuse(path, FILE_TOO_LARGE, message, "split the file, or keep it elsewhere")


class FileChanged(OSError):
    """A file of a directory is no longer what it was when the directory was read; reading it again helps."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A configuration file on disk."""

    file: SourceFile
    mode: bytes


def read_directory(path: Path, max_bytes: int = MAX_FILE_BYTES) -> Checked[SourceTree]:
    """The working tree as it is now, committed or not; raises OSError where the disk does."""
    found: list[_Found] = []
    findings: list[Diagnostic] = []
    for one in _walk(path, max_bytes):
        if isinstance(one, Diagnostic):
            findings.append(one)
        else:
            found.append(one)
    files = tuple(sorted((one.file for one in found), key=lambda file: file.path))
    return Checked(SourceTree(files, _tree_id(found), None, partial(_read_again, path)), tuple(findings))


def _walk(root: Path, max_bytes: int) -> Iterator[_Found | Diagnostic]:
    """Directories wait in a list, so that no depth can overflow a stack."""
    waiting = [""]
    entries = files = 0
    one: _Found | Diagnostic | None
    while waiting:
        directory = waiting.pop()
        for entry in _scan(root, directory):
            entries += 1
            if entries > MAX_ENTRIES or files > MAX_FILES or directory.count("/") > MAX_DIRECTORIES_DEEP:
                yield too_many_files(directory)
                return
            if is_directory := entry.is_dir(follow_symlinks=False):
                one = _check_directory(root, directory, entry.name)
            else:
                one = _take(root, directory, entry, max_bytes)
            files += one is not None
            if one is not None:
                yield one
            elif is_directory and not is_skipped(entry.name):
                waiting.append(f"{directory}{entry.name}/")


def _check_directory(root: Path, directory: str, name: str) -> Diagnostic | None:
    """A repository inside the repository is what a commit would hold as a submodule."""
    if is_skipped(name):
        return None
    if _is_there(root / directory / name / ".git"):
        return refuse_submodule(directory + name)
    return check_name(directory, os.fsencode(name))


def _is_there(path: Path) -> bool:
    """Of a directory that may not be looked into nothing is known: reading it says so, by its own name."""
    try:
        return path.exists()
    except PermissionError:
        return False


def _scan(root: Path, directory: str) -> list[os.DirEntry[str]]:
    with os.scandir(root / directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _take(root: Path, directory: str, entry: os.DirEntry[str], max_bytes: int) -> _Found | Diagnostic | None:
    """Links are seen before anything is opened; .git is a file in a linked worktree."""
    path = directory + entry.name
    if path == ".git":
        return None
    if unsafe := check_name(directory, os.fsencode(entry.name)):
        return unsafe
    if entry.is_symlink():
        return refuse_link(path)
    return _read_entry(root, path, entry, max_bytes) if is_considered(entry.name) else None


def _read_entry(root: Path, path: str, entry: os.DirEntry[str], max_bytes: int) -> _Found | Diagnostic:
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return refuse(path, SPECIAL_FILE, "this is not a regular file", "remove it")
    if status.st_size > max_bytes:
        return too_large(path, status.st_size, max_bytes)
    content = _read_file(root / path, max_bytes)
    if content is None:
        return refuse(path, SPECIAL_FILE, "the file changed while it was read", "read it again")
    mode = b"100755" if status.st_mode & stat.S_IXUSR else b"100644"
    return _Found(SourceFile(path, blob_id(content), len(content)), mode)


def _read_file(path: Path, max_bytes: int) -> bytes | None:
    """No link is followed and no pipe waited for, even if the file was replaced since it was listed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = file.read(max_bytes + 1)
    return content if len(content) <= max_bytes else None


def _read_again(root: Path, file: SourceFile) -> bytes:
    content = _read_file(root / file.path, file.size)
    if content is None or blob_id(content) != file.blob:
        raise FileChanged(f"{file.path} changed while the directory was read; run the command again")
    return content


def blob_id(content: bytes) -> str:
    """The id that git gives a file of this content."""
    return _object_id(b"blob", content).hex()


def _object_id(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0%s" % (kind, len(content), content), usedforsecurity=False).digest()


def _tree_id(found: Iterable[_Found]) -> str:
    """Directories from the deepest up, each an entry of the one above it."""
    directories: dict[str, dict[bytes, bytes]] = {"": {}}
    for one in found:
        parent, _, name = one.file.path.rpartition("/")
        for above in _and_above(parent):
            directories.setdefault(above, {})
        directories[parent][name.encode()] = b"%s %s\0" % (one.mode, name.encode()) + bytes.fromhex(one.file.blob)
    for directory in sorted((name for name in directories if name), key=lambda name: -name.count("/")):
        parent, _, name = directory.rpartition("/")
        directories[parent][f"{name}/".encode()] = b"40000 %s\0" % name.encode() + _sum(directories[directory])
    return _sum(directories[""]).hex()


def _and_above(directory: str) -> Iterator[str]:
    while directory:
        yield directory
        directory = directory.rpartition("/")[0]


def _sum(entries: Mapping[bytes, bytes]) -> bytes:
    """Git sorts a directory as if its name ended in a slash."""
    return _object_id(b"tree", b"".join(entries[name] for name in sorted(entries)))
