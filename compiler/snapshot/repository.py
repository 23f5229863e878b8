"""The bare Git repository that snapshots live in: made, moved forward and read by us, with Git's own tools beside."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Final, NamedTuple, cast

from compiler.snapshot.digest import object_id
from compiler.snapshot.failures import StoreDamaged, StoreError, storing
from compiler.snapshot.objects import read_sound_pack, sync_folder, write_durably
from compiler.snapshot.packing import Packing

__all__ = ["BareRepository", "StoredFile", "StoredObject", "is_object_id"]

_CONFIG: Final = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tlogAllRefUpdates = false
\tfsync = all
\tfsyncMethod = fsync
[gc]
\tauto = 0
\tpackRefs = false
\twriteCommitGraph = false
[receive]
\tdenyDeletes = true
"""
_FOLDERS: Final = ("objects/pack", "objects/info", "refs/heads", "refs/pins", "info")
_ENVIRONMENT: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_DEADLINE_SECONDS: Final = 60.0
_ID: Final = re.compile(r"[0-9a-f]{40}")


class StoredObject(NamedTuple):
    """An object as read back, its content held to its id."""

    id: str
    kind: str
    content: bytes


class StoredFile(NamedTuple):
    """A file of a stored tree, by the names of its folders and its own."""

    path: tuple[str, ...]
    id: str


@dataclass(frozen=True, slots=True)
class BareRepository:
    """`DATA/snapshots.git`. Reading asks Git in a process that can be killed; writing is ours."""

    path: Path

    @property
    def exists(self) -> bool:
        return (self.path / "HEAD").is_file()

    @property
    def objects(self) -> Path:
        return self.path / "objects"

    def create(self) -> None:
        """It appears whole, under its name, or not at all."""
        unfinished = self.path.with_name(self.path.name + ".unfinished")
        with storing(f"make {self.path}"):
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(mode=0o700)
            unfinished.chmod(0o700)
            for folder in _FOLDERS:
                (unfinished / folder).mkdir(parents=True)
            for name, text in (("HEAD", "ref: refs/heads/published\n"), ("config", _CONFIG)):
                with write_durably(unfinished / name) as file:
                    file.write(text.encode())
            for folder in (*_FOLDERS, "objects", "refs", "."):
                sync_folder(unfinished / folder)
            unfinished.rename(self.path)
            sync_folder(self.path.parent)

    def remove_leftovers(self) -> None:
        """Locks and unfinished files of a writer that was killed; only the one writer may call this."""
        leftovers = [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock"), *self.path.glob("gc.pid")]
        leftovers += [*self.objects.glob("tmp_*"), *self.objects.glob("pack/tmp_*"), *self.objects.glob("??/tmp_*")]
        leftovers += [*self.objects.glob("pack/.tmp-*"), *self.objects.glob("pack/*.lock")]
        for leftover in leftovers:
            with storing(f"remove {leftover}"):
                leftover.unlink(missing_ok=True)

    def remove_half_packs(self) -> None:
        """What Git left of packs it was removing or putting in place, and would keep for ever; only while none runs."""
        for leftover in self.objects.glob("pack/pack-*"):
            if not all(leftover.with_suffix(ending).exists() for ending in (".pack", ".idx")):
                with storing(f"remove {leftover}"):
                    leftover.unlink(missing_ok=True)

    def read_ref(self, name: str) -> str | None:
        """What `refs/<name>` holds, which is a commit's id unless it is damaged; Git may have packed it."""
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return (self.path / "refs" / name).read_text(errors="replace").strip()
        with suppress(FileNotFoundError):
            for line in (self.path / "packed-refs").read_text().splitlines():
                if line.endswith(f" refs/{name}"):
                    return line.split(" ")[0]
        return None

    def write_refs(self, ids: Mapping[str, str]) -> None:
        """Each names its commit when this returns, durably; killed meanwhile, each names the old or the new one."""
        self.replace_files({self.path / "refs" / name: f"{commit}\n".encode() for name, commit in ids.items()})

    def replace_files(self, contents: Mapping[Path, bytes]) -> None:
        """In this order, none before all are on disk."""
        locks = {path: path.with_name(path.name + ".lock") for path in contents}
        with ExitStack() as open_files:
            for path, content in contents.items():
                open_files.enter_context(write_durably(locks[path])).write(content)
        for path, lock in locks.items():
            lock.replace(path)
        for folder in {path.parent for path in contents}:
            sync_folder(folder)

    @property
    def packs(self) -> int:
        return sum(1 for _ in self.objects.glob("pack/*.pack"))

    def git(self, *arguments: str, standard_input: bytes = b"") -> bytes:
        """What Git prints."""
        command = ["git", f"--git-dir={self.path}", *arguments]
        try:
            done = subprocess.run(
                command,
                input=standard_input,
                capture_output=True,
                check=False,
                timeout=_DEADLINE_SECONDS,
                env=_environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise StoreDamaged(f"git {arguments[0]} did not end within {_DEADLINE_SECONDS:.0f} s") from error
        except FileNotFoundError as error:
            raise StoreError("git is not installed; the snapshot store needs it to read and pack") from error
        if done.returncode:
            raise StoreDamaged(f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
        return done.stdout

    def begin_packing(self, lock: int) -> Packing:
        """Git packs what is referred to and removes the rest. `lock` is held until Git itself has ended."""
        return Packing(self.path, _environment(), lock)

    def list_objects(self, *arguments: str) -> tuple[str, ...]:
        """Ids of all objects below these; raises `StoreDamaged` where a folder is missing."""
        return tuple(self.git("rev-list", "--objects", "--no-object-names", *arguments).decode().split())

    def list_doubtful(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Which of these are in no pack that has the very bytes that were written: they must be read to be trusted."""
        sound = {one for index in self.objects.glob("pack/*.idx") for one in read_sound_pack(index)}
        return tuple(one for one in ids if bytes.fromhex(one) not in sound)

    def list_files(self, tree: str) -> tuple[StoredFile, ...]:
        listing = self.git("ls-tree", "-r", "-z", "--full-tree", tree).decode()
        entries = (entry.split("\t", 1) for entry in listing.split("\0") if entry)
        return tuple(StoredFile(tuple(path.split("/")), head.split(" ")[2]) for head, path in entries)

    def read_objects(self, ids: Iterable[str]) -> Iterator[StoredObject]:
        """In this order; each is hashed again, and `StoreDamaged` raised where it is not what its id says."""
        questions = "".join(f"{one}\n" for one in ids).encode()
        if not questions:
            return
        command = ["git", f"--git-dir={self.path}", "cat-file", "--batch"]
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, env=_environment()) as reader:
            questioned, answers = cast("IO[bytes]", reader.stdin), cast("IO[bytes]", reader.stdout)
            Thread(target=_ask, args=(questioned, questions), daemon=True).start()
            try:
                while header := answers.readline():
                    yield _read_object(header, answers.read)
            except BaseException:
                reader.kill()
                raise
        if reader.returncode:
            raise StoreDamaged("git cat-file failed on a stored object")

    def read_object(self, wanted: str) -> StoredObject:
        (found,) = self.read_objects([wanted])
        return found

    def resolve(self, expression: str) -> str | None:
        """The id behind `<commit or tree>:<path>`; None when there is nothing."""
        found = self.git("cat-file", "--batch-check=%(objectname)", standard_input=expression.encode() + b"\n").decode()
        return found.strip() if is_object_id(found.strip()) else None


def _ask(questions: IO[bytes], ids: bytes) -> None:
    """Beside the reading, for either pipe may be full."""
    with suppress(BrokenPipeError), questions:
        questions.write(ids)


def _read_object(header: bytes, read: Callable[[int], bytes]) -> StoredObject:
    fields = header.decode().split()
    if len(fields) != 3 or not is_object_id(fields[0]):
        raise StoreDamaged(f"a stored object cannot be read: {header.decode(errors='replace').strip()}")
    name, kind, size = fields
    content = read(int(size))
    read(1)
    if object_id(kind, content).hex() != name:
        raise StoreDamaged(f"{kind} {name} has other bytes than it was stored with")
    return StoredObject(name, kind, content)


def is_object_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _environment() -> Mapping[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)} | _ENVIRONMENT
